//! Cuts text into the pieces inside which byte-pair encoding merges.
//!
//! The published tokenizers define their pieces by regular expressions. A regex engine is both
//! slow and, with its state, no company for a kernel, so each expression is written out here
//! twice. `patterns` has the plain form, a scanner: where is the end of the piece that starts at
//! this byte? It looks at no byte before its start, so the pieces of a text follow each other
//! without any state. `window` and `starts` have the fast form, which finds all ends among 64 bytes
//! at once and leaves to the scanner what is rare. The tests compare both with a regex engine.
//!
//! A byte that is not part of well-formed UTF-8 counts as a character that is neither letter nor
//! number nor white space, so any bytes have pieces.

mod bounds;
mod keys;
mod long;
mod masks;
mod patterns;
mod pieces;
mod scan;
mod starts;
#[cfg(test)]
mod tests;
mod window;

pub use bounds::Bounds;
pub use keys::{KEY_LEN, Key, Keys, NO_KEY, hash_of_key, key_of};
pub use pieces::Pieces;
pub use scan::last_cut;

use crate::simd::Backend;

/// How text is cut into pieces.
///
/// # Example
/// ```
/// use barelm_kernels::bpe::Pattern;
/// let pieces: Vec<_> = Pattern::Gpt2.pieces(b"It's 1984!").collect();
/// assert_eq!(pieces, [&b"It"[..], b"'s", b" 1984", b"!"]);
/// let words: Vec<_> = Pattern::Whitespace.pieces(b" a  word\n").collect();
/// assert_eq!(words, [&b"a"[..], b"word"]);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pattern {
    /// GPT-2, and tiktoken's `r50k_base`, `p50k_base`: a space belongs to the word that follows.
    Gpt2,
    /// tiktoken's `cl100k_base`: numbers in groups of three, contractions in any case.
    Cl100k,
    /// tiktoken's `o200k_base`: words also end where capitals begin.
    O200k,
    /// Words between white space, the classic form of byte-pair encoding. White space is not part
    /// of any piece; each piece is encoded with [`Pattern::end_of_word`] behind it.
    Whitespace,
}

impl Pattern {
    /// The pieces of a text, in order.
    ///
    /// Every byte is in exactly one piece, but for white space under [`Pattern::Whitespace`],
    /// which is in none.
    pub fn pieces(self, text: &[u8]) -> Pieces<'_> {
        Pieces::new(self, text, Backend::best())
    }

    /// The byte that is encoded behind every piece as if it were the piece's last: a space for
    /// [`Pattern::Whitespace`], where it marks the end of a word, and none for the others.
    ///
    /// A word has no space inside, so the mark cannot be confused with text, tokens are plain
    /// bytes, and decoding gives the words with one space behind each.
    pub const fn end_of_word(self) -> Option<u8> {
        match self {
            Self::Whitespace => Some(b' '),
            Self::Gpt2 | Self::Cl100k | Self::O200k => None,
        }
    }

    /// The regular expression that defines the pattern, as published by tiktoken 0.14.
    pub const fn regex(self) -> &'static str {
        match self {
            Self::Gpt2 => concat!(
                r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++",
                r"|\s++$|\s+(?!\S)|\s"
            ),
            Self::Cl100k => concat!(
                r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+",
                r"| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
            ),
            Self::O200k => concat!(
                r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+",
                r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
                r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*",
                r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
                r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
            ),
            Self::Whitespace => r"\S+",
        }
    }
}
