//! The logistic function by table and by polynomial, and losses by softplus.
