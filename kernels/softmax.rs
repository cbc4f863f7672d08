//! Softmax, log-sum-exp and cross-entropy.
