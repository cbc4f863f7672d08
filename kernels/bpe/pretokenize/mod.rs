//! Cuts text into the pieces inside which byte-pair encoding merges.
//!
//! The published tokenizers define their pieces by regular expressions. A regex engine is both
//! slow and, with its state, no company for a kernel, so each expression is written out here as a
//! scanner: where is the end of the piece that starts at this byte? A scanner looks at no byte
//! before its start, so the pieces of a text follow each other without any state. The tests
//! compare every scanner with a regex engine.
//!
//! A byte that is not part of well-formed UTF-8 counts as a character that is neither letter nor
//! number nor white space, so any bytes have pieces.

mod patterns;
mod scan;
#[cfg(test)]
mod tests;

pub use scan::last_cut;

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
        let pattern = self;
        Pieces {
            pattern,
            text,
            at: 0,
        }
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

/// Iterator over the pieces of a text; see [`Pattern::pieces`].
#[derive(Clone, Debug)]
pub struct Pieces<'a> {
    pattern: Pattern,
    text: &'a [u8],
    at: usize,
}

impl Pieces<'_> {
    /// Offset in the text behind the last piece.
    pub const fn position(&self) -> usize {
        self.at
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        if let Pattern::Whitespace = self.pattern {
            self.at = scan::run(self.text, self.at, super::unicode::SPACE);
        }
        let start = self.at;
        self.at = match self.pattern {
            Pattern::Gpt2 => patterns::gpt2(self.text, start),
            Pattern::Cl100k => patterns::cl100k(self.text, start),
            Pattern::O200k => patterns::o200k(self.text, start),
            Pattern::Whitespace => scan::run(self.text, start, !super::unicode::SPACE),
        };
        self.text
            .get(start..self.at)
            .filter(|piece| !piece.is_empty())
    }
}

impl core::iter::FusedIterator for Pieces<'_> {}
