//! Ids to text, a few at a time, without ever giving out half a character.
//!
//! A character may lie across several tokens. What could still become one is held back, at most
//! three bytes, until the next token decides it.

use super::Tokenizer;
use crate::kernels::bpe::TokenizerRef;

/// Tokens of up to this many bytes are copied at once, with what stands behind them.
const WIDE: usize = 16;

/// What becomes of bytes that are no UTF-8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InvalidBytes {
    /// They come out as they are: decoding gives every text back.
    #[default]
    Keep,
    /// Each sequence of them becomes U+FFFD.
    Replace,
}

/// Decodes ids as they come.
///
/// # Example
/// ```
/// use barelm::tokenizer::{Decoder, InvalidBytes};
/// # fn main() -> barelm::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("a.tiktoken");
/// # std::fs::write(&path, "YQ== 0\nww== 1\nqQ== 2\n").unwrap();
/// # let options = barelm::tokenizer::LoadOptions {
/// #     pattern: Some(barelm::tokenizer::HarnessPattern::parse("gpt2")?),
/// #     ..Default::default()
/// # };
/// # let tokenizer = barelm::tokenizer::Tokenizer::load_with(&path, &options)?;
/// // Token 1 is the first byte of `é`, token 2 the second.
/// let mut decoder = Decoder::new(&tokenizer, InvalidBytes::Keep);
/// let mut text = Vec::new();
/// decoder.push(&[0, 1], &mut text);
/// assert_eq!(text, b"a");
/// decoder.push(&[2], &mut text);
/// assert_eq!(text, "aé".as_bytes());
/// decoder.finish(&mut text);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Decoder<'t> {
    tokenizer: TokenizerRef<'t>,
    invalid: InvalidBytes,
    held: Vec<u8>,
}

impl<'t> Decoder<'t> {
    /// A decoder at the start of a text.
    pub fn new(tokenizer: &'t Tokenizer, invalid: InvalidBytes) -> Self {
        Self {
            tokenizer: tokenizer.as_ref(),
            invalid,
            held: Vec::new(),
        }
    }

    /// Appends the text of the next ids as far as its characters are complete.
    ///
    /// Ids that the vocabulary does not have give none.
    pub fn push(&mut self, ids: &[u32], text: &mut Vec<u8>) {
        let start = text.len();
        text.append(&mut self.held);
        decode_into(self.tokenizer, ids, text);
        let held = incomplete_len(&text[start..]);
        self.held.extend(text.drain(text.len() - held..));
        self.replace_invalid(text, start);
    }

    /// Appends what was held back: the text ends here.
    pub fn finish(&mut self, text: &mut Vec<u8>) {
        let start = text.len();
        text.append(&mut self.held);
        self.replace_invalid(text, start);
    }

    fn replace_invalid(&self, text: &mut Vec<u8>, start: usize) {
        if self.invalid == InvalidBytes::Replace && str::from_utf8(&text[start..]).is_err() {
            let replaced = String::from_utf8_lossy(&text[start..]).into_owned();
            text.truncate(start);
            text.extend(replaced.bytes());
        }
    }
}

/// Appends the bytes of tokens; ids that the vocabulary does not have give none.
///
/// Most tokens are short, and a copy of fixed length takes a tenth of one of any length: so
/// sixteen bytes are copied, and the next token overwrites those too many.
pub(super) fn decode_into(tokenizer: TokenizerRef<'_>, ids: &[u32], text: &mut Vec<u8>) {
    let tables = tokenizer.tables();
    let mut end = text.len();
    for id in ids {
        let id = *id as usize;
        let (Some(from), Some(to)) = (tables.offsets.get(id), tables.offsets.get(id + 1)) else {
            continue;
        };
        let (from, to) = (*from as usize, *to as usize);
        let token = tables.blob.get(from..to).unwrap_or(&[]);
        if text.len() < end + token.len().max(WIDE) {
            text.resize(end + token.len() + 4 * ids.len().min(1 << 16) + WIDE, 0);
        }
        match tables.blob.get(from..from + WIDE) {
            Some(wide) if token.len() <= WIDE => text[end..end + WIDE].copy_from_slice(wide),
            _ => text[end..end + token.len()].copy_from_slice(token),
        }
        end += token.len();
    }
    text.truncate(end);
}

/// How many bytes at the end may be the start of a character whose rest is yet to come.
pub(super) fn incomplete_len(text: &[u8]) -> usize {
    let starts_character = |len: &usize| {
        let tail = &text[text.len() - len..];
        let error = str::from_utf8(tail).err();
        error.is_some_and(|e| e.valid_up_to() == 0 && e.error_len().is_none())
    };
    (1..=text.len().min(3)).find(starts_character).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_become_a_character_is_incomplete() {
        for c in ["a", "é", "中", "😀", "\u{10ffff}"] {
            for len in 0..c.len() {
                let text = [b"\xffz", &c.as_bytes()[..len]].concat();
                assert_eq!(incomplete_len(&text), len, "{c} {len}");
            }
            assert_eq!(incomplete_len(c.as_bytes()), 0);
        }
        for text in [
            &b""[..],
            b"\x80",
            b"\xff",
            b"\xe0\x80",
            b"\xed\xa0",
            b"\xf0\x9f\x98\x98\x98",
        ] {
            assert_eq!(incomplete_len(text), 0, "{text:x?}");
        }
    }
}
