//! Decimal token ids between anything that is no digit of one, such as spaces or JSON's brackets.

use crate::{Error, Result};
use std::path::Path;

/// Reads ids from blocks of text that may end inside a number.
pub(super) struct IdParser<'p, F> {
    path: &'p Path,
    is_id: F,
    position: u64,
    number: Option<Number>,
}

/// A number that is not over yet, and where it started.
#[derive(Clone, Copy)]
struct Number {
    value: u64,
    start: u64,
}

impl<'p, F: Fn(u32) -> bool> IdParser<'p, F> {
    /// A parser of the file at `path`; `is_id` says which ids the vocabulary has.
    pub(super) fn new(path: &'p Path, is_id: F) -> Self {
        Self {
            path,
            is_id,
            position: 0,
            number: None,
        }
    }

    /// Appends the ids that end in the next block.
    ///
    /// # Errors
    /// [`Error::Data`] with the byte of what is no id, or not one of the vocabulary.
    pub(super) fn push(&mut self, block: &[u8], ids: &mut Vec<u32>) -> Result<()> {
        let mut number = self.number.take();
        for (at, byte) in (self.position..).zip(block) {
            match byte {
                b'0'..=b'9' => {
                    let (value, start) = number.map_or((0, at), |n: Number| (n.value, n.start));
                    // Anything past the largest id is refused, however long it is.
                    let value = (10 * value + u64::from(byte - b'0')).min(1 << 32);
                    number = Some(Number { value, start });
                }
                b' ' | b',' | b'[' | b']' | b'\n' | b'\r' | b'\t' => {
                    if let Some(number) = number.take() {
                        ids.push(self.id(number)?);
                    }
                }
                _ => {
                    let message = "not a token id; decimal numbers or JSON arrays are read";
                    return Err(Error::data_at(self.path, at, message));
                }
            }
        }
        self.number = number;
        self.position += block.len() as u64;
        Ok(())
    }

    /// Appends the id that the text ends with.
    ///
    /// # Errors
    /// Those of [`IdParser::push`].
    pub(super) fn finish(&mut self, ids: &mut Vec<u32>) -> Result<()> {
        if let Some(number) = self.number.take() {
            ids.push(self.id(number)?);
        }
        Ok(())
    }

    fn id(&self, Number { value, start }: Number) -> Result<u32> {
        let id = u32::try_from(value).ok().filter(|id| (self.is_id)(*id));
        id.ok_or_else(|| {
            let message = "this id is not in the vocabulary; was another tokenizer used?";
            Error::data_at(self.path, start, message)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_from_text_and_json_and_refused_with_their_place() {
        let parse = |blocks: &[&str]| {
            let (mut parser, mut ids) = (IdParser::new(Path::new("ids"), |id| id < 10), vec![]);
            for block in blocks {
                parser
                    .push(block.as_bytes(), &mut ids)
                    .map_err(|e| e.to_string())?;
            }
            parser.finish(&mut ids).map_err(|e| e.to_string())?;
            Ok::<_, String>(ids)
        };
        assert_eq!(
            parse(&["1 2\n[3,0", "4] 00", "5"]).unwrap(),
            [1, 2, 3, 4, 5]
        );
        let place = |blocks: &[&str]| {
            parse(blocks)
                .unwrap_err()
                .split(": ")
                .nth(1)
                .map(str::to_string)
        };
        assert_eq!(place(&["1 1", "0"]), Some("byte 2".into()));
        assert_eq!(place(&["99999999999999999999999"]), Some("byte 0".into()));
        assert_eq!(place(&["1 ", "x"]), Some("byte 2".into()));
    }
}
