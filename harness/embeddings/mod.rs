//! Word vectors: files, neighbours, analogies, evaluation.
