//! Byte-pair encoding over flat tables.
