//! The pattern that cuts text into pretokens: one of the kernels', or the user's own expression.

use crate::{Error, Result};
use barelm_kernels::bpe;
use fancy_regex::Regex;
use std::fmt;

/// How text is cut into pretokens.
///
/// # Example
/// ```
/// use barelm::tokenizer::Pattern;
/// let pattern = Pattern::parse(r"\p{L}+")?;
/// let mut pieces = Vec::new();
/// pattern.for_each_piece(b"two words", |piece| pieces.push(piece))?;
/// assert_eq!(pieces, [&b"two"[..], b" ", b"words"]);
/// # Ok::<(), barelm::Error>(())
/// ```
#[derive(Clone, Debug)]
pub enum Pattern {
    /// A published pattern, scanned without a regex engine.
    Known(bpe::Pattern),
    /// A regular expression. What lies between its matches is kept as pieces, so that every text
    /// round-trips; bytes that are not UTF-8 are pieces by themselves.
    Regex(Box<Regex>),
}

const NAMES: [(&str, bpe::Pattern); 6] = [
    ("gpt2", bpe::Pattern::Gpt2),
    ("cl100k", bpe::Pattern::Cl100k),
    ("o200k", bpe::Pattern::O200k),
    ("whitespace", bpe::Pattern::Whitespace),
    ("r50k", bpe::Pattern::Gpt2),
    ("p50k", bpe::Pattern::Gpt2),
];

impl Pattern {
    /// The pattern of a name (`gpt2`, `r50k`, `p50k`, `cl100k`, `o200k`, `whitespace`), or a
    /// regular expression.
    ///
    /// # Errors
    /// [`Error::Usage`] when it is neither.
    pub fn parse(text: &str) -> Result<Self> {
        if let Some((_, known)) = NAMES.iter().find(|(name, _)| *name == text) {
            return Ok(Self::Known(*known));
        }
        let plain_word = text.chars().all(|c| c.is_ascii_alphanumeric());
        if text.is_empty() || plain_word {
            return Err(Error::Usage(format!(
                "unknown pattern '{text}'; use gpt2, cl100k, o200k, whitespace or a regular expression"
            )));
        }
        let regex = Regex::new(text)
            .map_err(|e| Error::Usage(format!("pattern '{text}' is no regular expression: {e}")))?;
        Ok(Self::Regex(Box::new(regex)))
    }

    /// Calls `f` with every piece of a text, in order.
    ///
    /// # Errors
    /// [`Error::Usage`] when the user's expression backtracks without end on this text.
    #[inline]
    pub fn for_each_piece<'t>(&self, text: &'t [u8], mut f: impl FnMut(&'t [u8])) -> Result<()> {
        match self {
            Self::Known(pattern) => {
                pattern.pieces(text).for_each(f);
                Ok(())
            }
            Self::Regex(regex) => text.utf8_chunks().try_for_each(|chunk| {
                matches_and_gaps(regex, chunk.valid(), &mut f)?;
                if !chunk.invalid().is_empty() {
                    f(chunk.invalid());
                }
                Ok(())
            }),
        }
    }

    /// The byte that marks the end of every piece, if this pattern has one.
    pub fn end_of_word(&self) -> Option<u8> {
        match self {
            Self::Known(pattern) => pattern.end_of_word(),
            Self::Regex(_) => None,
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(known) => {
                let name = NAMES.iter().find(|(_, pattern)| pattern == known);
                f.write_str(name.map_or("", |(name, _)| name))
            }
            Self::Regex(regex) => f.write_str(regex.as_str()),
        }
    }
}

fn matches_and_gaps<'t>(regex: &Regex, text: &'t str, f: &mut impl FnMut(&'t [u8])) -> Result<()> {
    let mut at = 0;
    let mut emit = |piece: &'t str| {
        if !piece.is_empty() {
            f(piece.as_bytes());
        }
    };
    for found in regex.find_iter(text) {
        let found =
            found.map_err(|e| Error::Usage(format!("pattern '{}' failed: {e}", regex.as_str())))?;
        emit(&text[at..found.start()]);
        emit(found.as_str());
        at = found.end();
    }
    emit(&text[at..]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(pattern: &str, text: &[u8]) -> Vec<String> {
        let mut pieces = Vec::new();
        let push = |piece: &[u8]| pieces.push(String::from_utf8_lossy(piece).into_owned());
        Pattern::parse(pattern)
            .unwrap()
            .for_each_piece(text, push)
            .unwrap();
        pieces
    }

    #[test]
    fn a_regex_keeps_what_lies_between_its_matches() {
        assert_eq!(
            pieces(r"\d+", b"a12\xFF34 b"),
            ["a", "12", "\u{FFFD}", "34", " b"]
        );
        assert_eq!(pieces(r"x*", "aé".as_bytes()), ["a", "é"]);
    }

    #[test]
    fn a_known_expression_gives_the_known_pieces() {
        let regex = bpe::Pattern::Cl100k.regex();
        let text = "It's 12345 words,\r\n\n  isn't it?\u{3000}好 ".as_bytes();
        assert_eq!(pieces(regex, text), pieces("cl100k", text));
    }

    #[test]
    fn names_come_back_and_nonsense_is_refused() {
        for name in ["gpt2", "cl100k", "o200k", "whitespace", r"\w+|\W"] {
            assert_eq!(Pattern::parse(name).unwrap().to_string(), name);
        }
        for nonsense in ["", "gpt5", "(unclosed"] {
            assert_eq!(Pattern::parse(nonsense).unwrap_err().exit_code(), 2);
        }
    }
}
