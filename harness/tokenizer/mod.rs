//! Tokenizers and their files.

mod pattern;

pub use pattern::Pattern;
