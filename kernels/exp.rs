//! Exponentials of vectors.
