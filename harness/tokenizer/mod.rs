//! Tokenizers and their files.
