//! How text is cut into pieces: a pattern that the kernels know, or a regular expression.

use crate::{Error, Result};
use barelm_kernels::bpe::{Bounds, Pattern};
use fancy_regex::Regex;
use std::fmt;

/// The pattern of a tokenizer.
#[derive(Clone, Debug)]
pub enum HarnessPattern {
    /// One of the published patterns, scanned without a regex engine.
    Known(Pattern),
    /// A regular expression of the user's own. What it does not match is a piece too.
    Regex(Box<Regex>),
}

impl PartialEq for HarnessPattern {
    fn eq(&self, other: &Self) -> bool {
        self.known() == other.known() && self.regex() == other.regex()
    }
}

/// Names on the command line.
const NAMES: [(&str, Pattern); 6] = [
    ("gpt2", Pattern::Gpt2),
    ("r50k", Pattern::Gpt2),
    ("p50k", Pattern::Gpt2),
    ("cl100k", Pattern::Cl100k),
    ("o200k", Pattern::O200k),
    ("whitespace", Pattern::Whitespace),
];

/// Older published forms of the patterns that cut every text alike.
const EQUIVALENT: [(&str, Pattern); 2] = [
    (
        r"'s|'t|'re|'ve|'m|'ll|'d| ?[\p{L}]+| ?[\p{N}]+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
        Pattern::Gpt2,
    ),
    (
        r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
        Pattern::Gpt2,
    ),
];

impl HarnessPattern {
    /// A pattern by its name (`gpt2`, `cl100k`, `o200k`, `whitespace`), or a regular expression.
    ///
    /// # Errors
    /// [`Error::Usage`] when it is neither.
    pub fn parse(text: &str) -> Result<Self> {
        if let Some((_, pattern)) = NAMES.iter().find(|(name, _)| *name == text) {
            return Ok(Self::Known(*pattern));
        }
        // A plain word is rather a name with an error in it than an expression.
        if text.chars().all(|c| c.is_ascii_alphanumeric()) {
            let names = "gpt2, cl100k, o200k, whitespace or a regular expression";
            return Err(Error::Usage(format!(
                "unknown pattern {text:?}; use {names}"
            )));
        }
        Self::from_regex(text)
    }

    /// The pattern of a regular expression, a known one if it is the published text of one.
    ///
    /// # Errors
    /// [`Error::Usage`] when the expression is not valid.
    pub fn from_regex(regex: &str) -> Result<Self> {
        let byte_level = [Pattern::Gpt2, Pattern::Cl100k, Pattern::O200k];
        let published = byte_level.map(|pattern| (pattern.regex(), pattern));
        let known = published
            .iter()
            .chain(&EQUIVALENT)
            .find(|(r, _)| *r == regex);
        if let Some((_, pattern)) = known {
            return Ok(Self::Known(*pattern));
        }
        let compiled = Regex::new(regex).map_err(|e| {
            let names = "gpt2, cl100k, o200k, whitespace";
            Error::Usage(format!(
                "pattern {regex:?} is none of {names}, and not a valid regular expression: {e}"
            ))
        })?;
        Ok(Self::Regex(Box::new(compiled)))
    }

    /// The kernels' pattern, unless it is a regular expression of the user's own.
    pub fn known(&self) -> Option<Pattern> {
        match self {
            Self::Known(pattern) => Some(*pattern),
            Self::Regex(_) => None,
        }
    }

    /// The regular expression that defines the pattern.
    pub fn regex(&self) -> &str {
        match self {
            Self::Known(pattern) => pattern.regex(),
            Self::Regex(regex) => regex.as_str(),
        }
    }

    /// What is encoded behind every piece; see [`Pattern::end_of_word`].
    pub fn end_of_word(&self) -> Option<u8> {
        self.known().and_then(Pattern::end_of_word)
    }

    /// Calls `f` with every piece of a text, in order.
    ///
    /// A regular expression sees each stretch of valid UTF-8 for itself; a byte that is not part
    /// of one is a piece. So is a character at which the regex engine gives up (an expression can
    /// need more steps than it allows).
    pub fn for_each_piece<'t>(&self, text: &'t [u8], mut f: impl FnMut(&'t [u8])) {
        match self {
            Self::Known(pattern) => pattern.pieces(text).for_each(f),
            Self::Regex(regex) => {
                for chunk in text.utf8_chunks() {
                    regex_pieces(regex, chunk.valid(), &mut f);
                    chunk.invalid().chunks(1).for_each(&mut f);
                }
            }
        }
    }

    /// The same pieces, a batch after the other: where they are in the text.
    pub(crate) fn for_each_batch(
        &self,
        text: &[u8],
        bounds: &mut Bounds,
        mut f: impl FnMut(&Bounds),
    ) {
        bounds.clear();
        let Self::Known(pattern) = self else {
            self.for_each_piece(text, |piece| {
                // A piece is a part of its text: where it begins is the distance of the two.
                let start = piece.as_ptr().addr() - text.as_ptr().addr();
                let piece = start..start + piece.len();
                if !bounds.push(piece.clone()) {
                    f(bounds);
                    bounds.clear();
                    bounds.push(piece);
                }
            });
            return f(bounds);
        };
        let mut pieces = pattern.pieces(text);
        loop {
            pieces.fill(bounds);
            if bounds.is_empty() {
                return;
            }
            f(bounds);
        }
    }
}

/// The name of a known pattern, or the expression.
impl fmt::Display for HarnessPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = NAMES.iter().find(|(_, p)| Some(*p) == self.known());
        f.write_str(known.map_or(self.regex(), |(name, _)| name))
    }
}

/// The matches of an expression and what is between them.
fn regex_pieces<'t>(regex: &Regex, text: &'t str, f: &mut impl FnMut(&'t [u8])) {
    let mut piece = |start: usize, end: usize| {
        if start < end {
            f(&text.as_bytes()[start..end]);
        }
    };
    let mut done = 0;
    let mut from = 0;
    while from < text.len() {
        match regex.find_from_pos(text, from) {
            Ok(Some(found)) => {
                piece(done, found.start());
                piece(found.start(), found.end());
                done = found.end();
                // An empty match would be found again: look for the next behind the next character.
                from = if found.end() > found.start() {
                    done
                } else {
                    next_char(text, done)
                };
            }
            Ok(None) => break,
            Err(_) => {
                piece(done, from);
                done = next_char(text, from);
                piece(from, done);
                from = done;
            }
        }
    }
    piece(done, text.len());
}

fn next_char(text: &str, at: usize) -> usize {
    text[at..]
        .chars()
        .next()
        .map_or(text.len() + 1, |c| at + c.len_utf8())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces<'t>(pattern: &HarnessPattern, text: &'t [u8]) -> Vec<&'t [u8]> {
        let mut pieces = Vec::new();
        pattern.for_each_piece(text, |piece| pieces.push(piece));
        pieces
    }

    #[test]
    fn names_and_published_expressions_are_known_patterns() {
        for (name, pattern) in NAMES {
            assert_eq!(HarnessPattern::parse(name).unwrap().known(), Some(pattern));
        }
        for (regex, pattern) in EQUIVALENT {
            assert_eq!(HarnessPattern::parse(regex).unwrap().known(), Some(pattern));
        }
        let own = HarnessPattern::parse(r"\d|\D+").unwrap();
        assert_eq!((own.known(), own.regex()), (None, r"\d|\D+"));
    }

    #[test]
    fn names_come_back_and_nonsense_is_refused() {
        for name in ["gpt2", "cl100k", "o200k", "whitespace", r"\w+|\W"] {
            assert_eq!(HarnessPattern::parse(name).unwrap().to_string(), name);
        }
        for nonsense in ["", "gpt5", "(unclosed"] {
            let error = HarnessPattern::parse(nonsense).unwrap_err();
            assert!(error.to_string().contains("gpt2, cl100k"), "{error}");
            assert_eq!(error.exit_code(), 2);
        }
    }

    #[test]
    fn equivalent_expressions_cut_alike() {
        let text = " It's  1984\u{a0}!?\n\n \tI'LL 'tis\r\n x  ";
        for (regex, pattern) in EQUIVALENT {
            let regex = HarnessPattern::Regex(Box::new(Regex::new(regex).unwrap()));
            let known = HarnessPattern::Known(pattern);
            assert_eq!(
                pieces(&regex, text.as_bytes()),
                pieces(&known, text.as_bytes())
            );
        }
    }

    #[test]
    fn what_an_expression_does_not_match_is_a_piece() {
        let digits = HarnessPattern::parse(r"\d+").unwrap();
        let got = pieces(&digits, b"ab12c\xff\xfe3");
        assert_eq!(got, [&b"ab"[..], b"12", b"c", b"\xff", b"\xfe", b"3"]);
        let empty = HarnessPattern::parse("x*").unwrap();
        assert_eq!(
            pieces(&empty, "éxxé".as_bytes()).concat(),
            "éxxé".as_bytes()
        );
        assert!(pieces(&digits, b"").is_empty());
    }

    #[test]
    fn an_expression_that_needs_too_many_steps_still_ends() {
        let slow = HarnessPattern::parse(r"(?:a+)+\1*(?=b)(a)").unwrap();
        let text = b"aaaaaaaaaaaaaaaaaaaaaaaaaaaac";
        assert_eq!(pieces(&slow, text).concat(), text);
    }
}
