//! Matrix and matrix-vector products.
