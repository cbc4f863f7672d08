//! Token ids on disk.
