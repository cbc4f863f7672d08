//! Token ids as text, JSON, raw integers or npy, and back from text.

use crate::{Error, Result};
use clap::ValueEnum;
use std::io::Write;
use std::path::Path;

/// How ids are written.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum IdFormat {
    /// Decimal numbers, a line a record
    Text,
    /// A JSON array a record
    Json,
    /// Two bytes an id, little-endian
    U16,
    /// Four bytes an id, little-endian
    U32,
    /// A NumPy array of 32-bit ids
    Npy,
}

/// Turns ids into the bytes of a format, piece by piece.
pub(super) struct IdWriter {
    format: IdFormat,
    in_record: bool,
    record_is_empty: bool,
    written: u64,
    bytes: Vec<u8>,
}

/// Length of an npy header that has room for any count.
const NPY_HEADER_LEN: usize = 128;

impl IdWriter {
    pub(super) fn new(format: IdFormat) -> Self {
        Self {
            format,
            in_record: false,
            record_is_empty: true,
            written: 0,
            bytes: Vec::new(),
        }
    }

    /// What comes before all ids.
    pub(super) fn start(&mut self) -> &[u8] {
        let room = if self.format == IdFormat::Npy {
            NPY_HEADER_LEN
        } else {
            0
        };
        self.bytes.resize(room, 0);
        &self.bytes
    }

    /// Ids of a record, or of its next part.
    pub(super) fn piece(&mut self, ids: &[u32], starts_record: bool) -> &[u8] {
        self.bytes.clear();
        match self.format {
            IdFormat::Text => self.numbers(ids, starts_record, "", " ", "\n"),
            IdFormat::Json => self.numbers(ids, starts_record, "[", ",", "]\n"),
            IdFormat::U16 => self
                .bytes
                .extend(ids.iter().flat_map(|id| (*id as u16).to_le_bytes())),
            IdFormat::U32 | IdFormat::Npy => {
                self.bytes
                    .extend(ids.iter().flat_map(|id| id.to_le_bytes()));
            }
        }
        self.written += ids.len() as u64;
        &self.bytes
    }

    fn numbers(
        &mut self,
        ids: &[u32],
        starts_record: bool,
        open: &str,
        between: &str,
        close: &str,
    ) {
        if starts_record || !self.in_record {
            let before = if self.in_record { close } else { "" };
            self.bytes.extend([before, open].concat().as_bytes());
            (self.in_record, self.record_is_empty) = (true, true);
        }
        for id in ids {
            let separator = if self.record_is_empty { "" } else { between };
            write!(self.bytes, "{separator}{id}").expect("memory takes every write");
            self.record_is_empty = false;
        }
    }

    /// What comes after all ids.
    pub(super) fn end(&mut self) -> &[u8] {
        self.bytes.clear();
        match self.format {
            IdFormat::Text if self.in_record => self.bytes.extend(b"\n"),
            IdFormat::Json if self.in_record => self.bytes.extend(b"]\n"),
            _ => {}
        }
        &self.bytes
    }

    /// The header to put at the start, now that the number of ids is known.
    pub(super) fn header(&self) -> Option<Vec<u8>> {
        (self.format == IdFormat::Npy).then(|| {
            let shape = self.written;
            let fields =
                format!("{{'descr': '<u4', 'fortran_order': False, 'shape': ({shape},), }}");
            let mut header = b"\x93NUMPY\x01\x00".to_vec();
            header.extend(((NPY_HEADER_LEN - 10) as u16).to_le_bytes());
            header.extend(format!("{fields:<width$}\n", width = NPY_HEADER_LEN - 11).into_bytes());
            header
        })
    }
}

/// Decimal ids between anything that is no digit (so JSON arrays are read, too).
///
/// # Errors
/// [`Error::Data`] for an id outside the vocabulary, with its byte; `start` is that of `text`.
pub(super) fn parse_ids(
    text: &[u8],
    path: &Path,
    start: u64,
    vocab_size: usize,
) -> Result<Vec<u32>> {
    let refuse = |at: usize, what: &str| Err(Error::data_at(path, start + at as u64, what));
    let mut ids = Vec::new();
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            b'0'..=b'9' => {
                let end = text[at..]
                    .iter()
                    .position(|b| !b.is_ascii_digit())
                    .map_or(text.len(), |n| at + n);
                let digits = str::from_utf8(&text[at..end]).expect("digits are ASCII");
                match digits.parse() {
                    Ok(id) if (id as usize) < vocab_size => ids.push(id),
                    _ => {
                        return refuse(
                            at,
                            "this id is not in the vocabulary; was another tokenizer used?",
                        );
                    }
                }
                at = end;
            }
            b' ' | b',' | b'[' | b']' | b'\n' | b'\r' | b'\t' => at += 1,
            _ => {
                return refuse(
                    at,
                    "not a token id; decimal numbers or JSON arrays are read",
                );
            }
        }
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(format: IdFormat, pieces: &[(&[u32], bool)]) -> Vec<u8> {
        let mut writer = IdWriter::new(format);
        let mut bytes = writer.start().to_vec();
        for (ids, starts) in pieces {
            bytes.extend(writer.piece(ids, *starts));
        }
        bytes.extend(writer.end());
        bytes
    }

    #[test]
    fn records_end_where_the_next_one_starts() {
        let pieces: [(&[u32], bool); 4] =
            [(&[], true), (&[1, 2], false), (&[3], false), (&[4], true)];
        assert_eq!(written(IdFormat::Text, &pieces), b"1 2 3\n4\n");
        assert_eq!(written(IdFormat::Json, &pieces), b"[1,2,3]\n[4]\n");
        assert_eq!(written(IdFormat::U16, &pieces), [1, 0, 2, 0, 3, 0, 4, 0]);
        assert_eq!(
            written(IdFormat::Json, &[(&[], true), (&[], true)]),
            b"[]\n[]\n"
        );
        assert!(written(IdFormat::Json, &[]).is_empty());
    }

    #[test]
    fn an_npy_header_says_how_many_ids_follow() {
        let mut writer = IdWriter::new(IdFormat::Npy);
        assert_eq!(writer.start().len(), NPY_HEADER_LEN);
        writer.piece(&[7, 8], true);
        let header = writer.header().unwrap();
        assert_eq!((header.len(), header[127]), (NPY_HEADER_LEN, b'\n'));
        assert!(String::from_utf8_lossy(&header).contains("'shape': (2,)"));
    }

    #[test]
    fn ids_are_read_from_text_and_json_and_refused_with_their_place() {
        let parse = |text: &[u8]| parse_ids(text, Path::new("ids"), 100, 10);
        assert_eq!(parse(b"1 2\n[3,4]").unwrap(), [1, 2, 3, 4]);
        assert_eq!(
            parse(b"1 10").unwrap_err().to_string().split(':').nth(1),
            Some(" byte 102")
        );
        assert!(parse(b"99999999999999999999").is_err() && parse(b"x").is_err());
    }
}
