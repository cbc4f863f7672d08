//! Trains the attention language model by hand-written gradients.
