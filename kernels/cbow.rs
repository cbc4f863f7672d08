//! The CBOW step with hierarchical softmax.
