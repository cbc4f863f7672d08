//! Where tokens lie in the text that they were made from, in bytes or in characters.
//!
//! Tokens of byte-level vocabularies lie side by side, so the ids alone tell where each one is;
//! only bytes without a token and the white space between the words of
//! [`Pattern::Whitespace`](super::Pattern::Whitespace) have to be stepped over. A space in front of
//! a word is part of its token and of the range (`trim_offsets` is off, as Hugging Face calls it).

use super::{Tokenizer, byte_token};
use std::ops::Range;

/// Calls `f` with the bytes of each token of a text that has no special tokens.
///
/// The mark at the end of a word is no byte of the text: a token of nothing else lies, empty,
/// behind its word. A token that was merged over bytes without a token of their own covers them.
pub(super) fn for_each_range(
    tokenizer: &Tokenizer,
    text: &[u8],
    ids: &[u32],
    mut f: impl FnMut(Range<usize>),
) {
    let tables = tokenizer.as_ref();
    let known: [bool; 256] = std::array::from_fn(|byte| byte_token(tables, byte as u8).is_some());
    let marked = tokenizer.pattern().end_of_word().is_some();
    let mut words = words(tokenizer, text);
    let mut word = words.next().unwrap_or(0..0);
    let mut marks = usize::from(marked);
    let skip = |word: &mut Range<usize>| {
        let unknown = text[word.clone()]
            .iter()
            .take_while(|b| !known[**b as usize]);
        word.start += unknown.count();
    };
    for id in ids {
        skip(&mut word);
        while word.is_empty() && marks == 0 {
            let Some(next) = words.next() else { break };
            (word, marks) = (next, usize::from(marked));
            skip(&mut word);
        }
        let start = word.start;
        let mut end = start;
        for _ in 0..tokenizer.token_bytes(*id).map_or(0, <[u8]>::len) {
            skip(&mut word);
            if word.is_empty() {
                marks = 0;
            } else {
                word.start += 1;
                end = word.start;
            }
        }
        f(start..end);
    }
}

/// The stretches whose tokens lie side by side.
fn words<'t>(tokenizer: &Tokenizer, text: &'t [u8]) -> Box<dyn Iterator<Item = Range<usize>> + 't> {
    let pattern = tokenizer.pattern().known();
    match pattern.filter(|pattern| pattern.end_of_word().is_some()) {
        None => Box::new(std::iter::once(0..text.len())),
        Some(pattern) => {
            let mut pieces = pattern.pieces(text);
            Box::new(std::iter::from_fn(move || {
                let len = pieces.next()?.len();
                Some(pieces.position() - len..pieces.position())
            }))
        }
    }
}

/// Turns ranges of bytes, in rising order, into ranges of characters.
///
/// A token that has only some bytes of a character has the whole character, as in Hugging Face's
/// library: the three tokens of one `中` have all the same range. A byte that is not part of
/// well-formed UTF-8 counts as one character.
///
/// # Example
/// ```
/// use barelm::tokenizer::CharOffsets;
/// let mut chars = CharOffsets::new("né!".as_bytes());
/// assert_eq!(chars.range(0..2), 0..2);
/// assert_eq!(chars.range(2..3), 1..2);
/// assert_eq!(chars.range(3..4), 2..3);
/// ```
#[derive(Clone, Debug)]
pub struct CharOffsets<'t> {
    text: &'t [u8],
    at: usize,
    chars: usize,
}

impl<'t> CharOffsets<'t> {
    /// Starts at the beginning of a text.
    pub fn new(text: &'t [u8]) -> Self {
        let (at, chars) = (0, 0);
        Self { text, at, chars }
    }

    /// The characters that a range of bytes touches; it starts not before the last one's end.
    pub fn range(&mut self, bytes: Range<usize>) -> Range<usize> {
        let start = self.index(bytes.start);
        match bytes.is_empty() {
            true => start..start,
            false => start..self.index(bytes.end - 1) + 1,
        }
    }

    /// Which character a byte is part of.
    fn index(&mut self, byte: usize) -> usize {
        loop {
            let next = self.at + char_len(&self.text[self.at.min(self.text.len())..]);
            if next > byte || self.at >= self.text.len() {
                return self.chars;
            }
            (self.at, self.chars) = (next, self.chars + 1);
        }
    }

    /// Number of characters in all of the text.
    pub fn count(mut self) -> usize {
        self.index(self.text.len())
    }
}

/// Length of the first character.
fn char_len(text: &[u8]) -> usize {
    let len = match text.first() {
        Some(0xC2..=0xDF) => 2,
        Some(0xE0..=0xEF) => 3,
        Some(0xF0..=0xF4) => 4,
        _ => return 1,
    };
    let whole = text.get(..len).is_some_and(|c| str::from_utf8(c).is_ok());
    if whole { len } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_counted_as_the_standard_library_does() {
        let text = "aé中😀\u{301}b".repeat(3);
        assert_eq!(
            CharOffsets::new(text.as_bytes()).count(),
            text.chars().count()
        );
        let mut chars = CharOffsets::new(text.as_bytes());
        for (index, (at, c)) in text.char_indices().enumerate() {
            for byte in at..at + c.len_utf8() {
                assert_eq!(chars.range(byte..byte + 1), index..index + 1);
            }
        }
    }

    #[test]
    fn bytes_that_are_not_utf8_are_characters() {
        let text = b"\xe4\xb8a\xff\xf0\x9f\x98";
        assert_eq!(CharOffsets::new(text).count(), text.len());
        assert_eq!(CharOffsets::new(b"").count(), 0);
        assert_eq!(CharOffsets::new(text).range(7..7), 7..7);
    }
}
