//! Tokens' names in JSON strings: bytes as GPT-2's characters, read straight to bytes.

use super::cursor::{Bad, Cursor, Scan, unescape};
use crate::tokenizer::byte_chars;
use crate::tokenizer::lexicon::TokenBytes;

/// Where a name ended.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum End {
    /// At the quote behind it, which was taken.
    Quote,
    /// At a space, which was taken.
    Space,
    /// At something that is no character of a byte.
    Odd,
}

/// Appends the bytes of a name to `bytes`, from the character at the cursor on.
#[inline]
pub(super) fn append_name(cursor: &mut Cursor<'_>, bytes: &mut Vec<u8>) -> End {
    let text = cursor.rest();
    let mut at = 0;
    let end = loop {
        let (byte, step) = match text[at..] {
            [b'"', ..] => break End::Quote,
            [b' ', ..] => break End::Space,
            [b'\\', ..] => match escaped(&text[at..]) {
                Some(escaped) => escaped,
                None => break End::Odd,
            },
            [0x21..=0x7e, a, b, c, d, e, f, g, ..] => {
                let run = [text[at], a, b, c, d, e, f, g];
                let plain = plain_start(run);
                // All eight, which is one store, and then back.
                let len = bytes.len() + plain;
                bytes.extend_from_slice(&run);
                bytes.truncate(len);
                at += plain;
                continue;
            }
            [byte @ 0x21..=0x7e, ..] => (byte, 1),
            [lead @ 0xc2..=0xc5, next @ 0x80..=0xbf, ..] => {
                let code = u32::from(lead & 0x1f) << 6 | u32::from(next & 0x3f);
                let Some(byte) = byte_chars::byte_of(code) else {
                    break End::Odd;
                };
                (byte, 2)
            }
            _ => break End::Odd,
        };
        bytes.push(byte);
        at += step;
    };
    cursor.go_to(cursor.at() + at + usize::from(end != End::Odd));
    end
}

/// How many of these bytes, from the first on, are ASCII characters that stand for themselves.
fn plain_start(bytes: [u8; 8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = 0x80 * ONES;
    let word = u64::from_le_bytes(bytes);
    // The high bit of each byte below `n`; of bytes behind the first of them perhaps, too.
    let below = |word: u64, n: u64| word.wrapping_sub(n * ONES) & !word & HIGH;
    let is = |byte: u8| below(word ^ (u64::from(byte) * ONES), 1);
    let others = below(word, 0x21) | is(b'"') | is(b'\\') | is(0x7f) | (word & HIGH);
    others.trailing_zeros() as usize / 8
}

/// The byte of an escaped character, and how long the escape is.
fn escaped(text: &[u8]) -> Option<(u8, usize)> {
    match *text {
        [_, c @ (b'"' | b'\\' | b'/'), ..] => Some((c, 2)),
        [_, b'u', a, b, c, d, ..] => {
            let digit = |c: u8| char::from(c).to_digit(16);
            let mut code = [a, b, c, d].map(digit).into_iter();
            let code = code.try_fold(0, |code, digit| Some(code << 4 | digit?));
            Some((byte_chars::byte_of(code?)?, 6))
        }
        _ => None,
    }
}

/// `{"token": id, ...}`.
#[derive(Default)]
pub(in crate::tokenizer) struct Vocab {
    blob: Vec<u8>,
    /// Id of each token, and where its bytes end in the blob.
    entries: Vec<(u32, u32)>,
    /// Where each name starts in the file.
    starts: Vec<u32>,
    /// Places in `entries` of names that are no bytes: their bytes are the names themselves.
    odd: Vec<usize>,
}

impl Vocab {
    /// Reads the map at the cursor.
    pub(in crate::tokenizer) fn read(cursor: &mut Cursor<'_>) -> Scan<Self> {
        let mut vocab = Self::default();
        let room = cursor.rest().len() / 64;
        vocab.entries.reserve(room);
        vocab.starts.reserve(room);
        cursor.expect(b'{')?;
        if cursor.take(b'}') {
            return Ok(vocab);
        }
        loop {
            cursor.expect(b'"')?;
            vocab.read_name(cursor)?;
            cursor.expect(b':')?;
            vocab
                .entries
                .push((cursor.number()?, vocab.blob.len() as u32));
            if !cursor.take(b',') {
                cursor.expect(b'}')?;
                return Ok(vocab);
            }
        }
    }

    fn read_name(&mut self, cursor: &mut Cursor<'_>) -> Scan<()> {
        let (start, before) = (cursor.at(), self.blob.len());
        self.starts.push(start as u32);
        if append_name(cursor, &mut self.blob) != End::Quote {
            // The quote before it.
            cursor.go_to(start - 1);
            let name = unescape(cursor.string()?);
            let message = "this name is not valid JSON".to_string();
            let name = name.ok_or(Bad { at: start, message })?;
            self.blob.truncate(before);
            self.blob.extend_from_slice(name.as_bytes());
            self.odd.push(self.entries.len());
        }
        Ok(())
    }

    /// Number of tokens.
    pub(in crate::tokenizer) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Highest id.
    pub(in crate::tokenizer) fn highest(&self) -> Option<u32> {
        self.entries.iter().map(|(id, _)| *id).max()
    }

    /// The name of a token by its place, as in the file `text`.
    pub(in crate::tokenizer) fn name(&self, place: usize, text: &[u8]) -> Option<String> {
        let mut cursor = Cursor::new(text);
        cursor.go_to(self.starts.get(place)?.checked_sub(1)? as usize);
        unescape(cursor.string().ok()?)
    }

    /// Place, id, and bytes of each token, in the order of the file.
    pub(in crate::tokenizer) fn iter(&self) -> impl Iterator<Item = (usize, u32, &[u8])> {
        let mut start = 0;
        self.entries
            .iter()
            .enumerate()
            .map(move |(place, (id, end))| {
                let bytes = &self.blob[start..*end as usize];
                start = *end as usize;
                (place, *id, bytes)
            })
    }

    /// Whether the name at a place is no bytes.
    pub(in crate::tokenizer) fn is_odd(&self, place: usize) -> bool {
        self.odd.binary_search(&place).is_ok()
    }

    /// Places of names that are no bytes.
    pub(in crate::tokenizer) fn odd(&self) -> &[usize] {
        &self.odd
    }

    /// Id at a place.
    pub(in crate::tokenizer) fn id(&self, place: usize) -> u32 {
        self.entries[place].0
    }

    /// The tokens by their ids.
    ///
    /// # Errors
    /// A far-off id, or one of two tokens.
    pub(in crate::tokenizer) fn into_tokens(self) -> Result<TokenBytes, String> {
        let highest = self.highest().map_or(0, |id| id as usize);
        if highest > 2 * self.len() + 1024 {
            return Err(format!("a token has the far-off id {highest}"));
        }
        let mut seen = vec![false; highest + 1];
        for (id, _) in &self.entries {
            if std::mem::replace(&mut seen[*id as usize], true) {
                return Err(format!("two tokens have the id {id}"));
            }
        }
        Ok(TokenBytes::from_unsorted(self.blob, &self.entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_characters_end_where_the_first_other_one_is() {
        let is_plain = |byte: &u8| matches!(byte, 0x21..=0x7e) && !b"\"\\".contains(byte);
        for other in 0..=255 {
            for at in 0..8 {
                for behind in *b"\"\\ !\x7f\x80 a" {
                    let mut bytes = *b"!~a0]#Z[";
                    bytes[at + 1..].fill(behind);
                    bytes[at] = other;
                    let want = bytes.iter().take_while(|byte| is_plain(byte)).count();
                    assert_eq!(plain_start(bytes), want, "{bytes:?}");
                }
            }
        }
    }

    #[test]
    fn names_of_all_lengths_are_read() {
        let all: Vec<u8> = (0..=255).collect();
        let kinds = [&b"abc"[..], b" a", b"\\\"x", &all, b"\xd0\xb6\xe4\xb8\xad"];
        for len in 0..80 {
            for kind in kinds {
                let token: Vec<u8> = kind.iter().copied().cycle().take(len).collect();
                let text = serde_json::to_string(&byte_chars::to_text(&token)).unwrap();
                let mut cursor = Cursor::new(text.as_bytes());
                cursor.go_to(1);
                let mut bytes = b"before".to_vec();
                assert!(append_name(&mut cursor, &mut bytes) == End::Quote);
                assert_eq!(bytes.strip_prefix(b"before"), Some(&token[..]));
                assert_eq!(cursor.at(), text.len());
            }
        }
    }
}
