//! Trains word vectors: CBOW with hierarchical softmax.
