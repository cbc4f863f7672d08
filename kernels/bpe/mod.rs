//! Byte-pair encoding over flat tables.
//!
//! Text is first cut into pieces by a [`Pattern`]. Inside each piece, every byte is a token to
//! begin with, and the pair of neighbours that was learned first is merged again and again until
//! no pair is left that was learned: Gage, "A new algorithm for data compression", 1994; Sennrich,
//! Haddow, Birch, "Neural machine translation of rare words with subword units", 2016.

mod chars;
mod index;
mod long;
mod merge;
pub mod pretokenize;
mod ranks;
pub mod sections;
pub mod table;
#[cfg(test)]
mod tests;
mod tokenizer;
pub mod unicode;
#[rustfmt::skip]
mod unicode_table;
mod window;

pub use chars::CharMemo;
pub use index::PairIndex;
pub use pretokenize::{
    Bounds, KEY_LEN, Key, Keys, NO_KEY, Pattern, Pieces, hash_of_key, key_of, last_cut,
};
pub use tokenizer::{KIND, TokenizerRef, Tokens, encode_workspace_len};

use crate::error::BufferTooSmall;
use core::fmt;

/// Which pair of neighbours merges first. The two can differ where several pairs give equal bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MergeRule {
    /// The pair that stands first in the list of merges: Hugging Face `tokenizers`, GPT-2.
    PairRank,
    /// The pair whose bytes together have the lowest id: tiktoken. A piece that is a token is
    /// encoded as that token, even if merging would not lead to it.
    ///
    /// At most one pair a token can ever come up that gives the token (the last two parts of its
    /// own bytes' encoding: merges inside a token's span happen in the same order in every
    /// context). So a table of one pair a token, ranked by the token's id, gives the same ids.
    BytesRank,
}

/// Why text or ids could not be converted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BpeError {
    /// Scratch or output is too small.
    Buffer(BufferTooSmall),
    /// Text is cut by a regular expression of the user's own, which kernels do not run.
    Pattern,
    /// The vocabulary has no such token.
    Id(u32),
}

impl From<BufferTooSmall> for BpeError {
    fn from(error: BufferTooSmall) -> Self {
        Self::Buffer(error)
    }
}

impl fmt::Display for BpeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Buffer(error) => error.fmt(f),
            Self::Pattern => f.write_str("text is cut by a regular expression: encode its pieces"),
            Self::Id(id) => write!(f, "no token has the id {id}"),
        }
    }
}

impl core::error::Error for BpeError {}
