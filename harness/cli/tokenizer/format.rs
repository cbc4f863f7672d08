//! Token ids as text, JSON, raw integers or npy: formatted chunk by chunk, put together in order.

use super::output::Output;
use crate::{Result, npy};
use clap::ValueEnum;

/// How ids are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
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
    /// The token stream that barelm trains on, with its documents
    Tokens,
}

impl IdFormat {
    /// Before, between and behind the ids of a record.
    fn marks(self) -> [&'static [u8]; 3] {
        match self {
            Self::Text => [b"", b" ", b"\n"],
            Self::Json => [b"[", b",", b"]\n"],
            Self::U16 | Self::U32 | Self::Npy | Self::Tokens => [b"", b"", b""],
        }
    }
}

/// The formatted ids of a chunk. What stands before its first id depends on the chunk before, and is
/// left to [`IdWriter`].
pub(super) struct FormattedIds {
    format: IdFormat,
    bytes: Vec<u8>,
    ids: u64,
    records: usize,
    continues: bool,
    first_is_empty: bool,
    last_is_empty: bool,
}

impl FormattedIds {
    pub(super) fn new(format: IdFormat) -> Self {
        Self {
            format,
            bytes: Vec::new(),
            ids: 0,
            records: 0,
            continues: false,
            first_is_empty: true,
            last_is_empty: true,
        }
    }

    /// Appends the ids of a record; the first one may be the rest of a record begun before.
    pub(super) fn push(&mut self, ids: &[u32], starts_record: bool) {
        let [open, _, close] = self.format.marks();
        if self.records == 0 {
            self.continues = !starts_record;
            self.first_is_empty = ids.is_empty();
        } else {
            self.bytes.extend(close);
        }
        if starts_record {
            self.bytes.extend(open);
        }
        self.records += 1;
        self.last_is_empty = ids.is_empty();
        self.ids += ids.len() as u64;
        self.append(ids);
    }

    fn append(&mut self, ids: &[u32]) {
        let bytes = &mut self.bytes;
        match self.format {
            IdFormat::U16 => bytes.extend(ids.iter().flat_map(|id| (*id as u16).to_le_bytes())),
            IdFormat::U32 | IdFormat::Npy | IdFormat::Tokens => {
                bytes.extend(ids.iter().flat_map(|id| id.to_le_bytes()));
            }
            IdFormat::Text | IdFormat::Json => {
                let between = self.format.marks()[1];
                for (at, id) in ids.iter().enumerate() {
                    bytes.extend(if at > 0 { between } else { b"" });
                    push_decimal(bytes, *id);
                }
            }
        }
    }
}

fn push_decimal(bytes: &mut Vec<u8>, mut number: u32) {
    let mut digits = [0; 10];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return bytes.extend(&digits[start..]);
        }
    }
}

/// Writes formatted chunks one behind the other.
pub(super) struct IdWriter {
    format: IdFormat,
    output: Output,
    in_record: bool,
    record_is_empty: bool,
    written: u64,
}

impl IdWriter {
    pub(super) fn new(format: IdFormat, mut output: Output) -> Result<Self> {
        if format == IdFormat::Npy {
            output.write(&[0; npy::HEADER_LEN])?;
        }
        Ok(Self {
            format,
            output,
            in_record: false,
            record_is_empty: true,
            written: 0,
        })
    }

    pub(super) fn write(&mut self, chunk: &FormattedIds) -> Result<()> {
        if chunk.records == 0 {
            return Ok(());
        }
        let [_, between, close] = self.format.marks();
        if !chunk.continues && self.in_record {
            self.output.write(close)?;
        } else if chunk.continues && !self.record_is_empty && !chunk.first_is_empty {
            self.output.write(between)?;
        }
        let same_record = chunk.continues && chunk.records == 1;
        self.record_is_empty = chunk.last_is_empty && (self.record_is_empty || !same_record);
        self.in_record = true;
        self.written += chunk.ids;
        self.output.write(&chunk.bytes)
    }

    /// Pushes out what is written so far.
    pub(super) fn flush(&mut self) -> Result<()> {
        self.output.flush()
    }

    /// Ends the last record; an npy file learns how many ids it has.
    pub(super) fn finish(mut self) -> Result<()> {
        if self.in_record {
            self.output.write(self.format.marks()[2])?;
        }
        if self.format == IdFormat::Npy {
            self.output
                .write_at_start(&npy::header("<u4", &[self.written]))?;
        }
        self.output.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a file holds after chunks of records, each with whether it starts there.
    fn written(format: IdFormat, chunks: &[&[(&[u32], bool)]]) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ids");
        let mut writer = IdWriter::new(format, Output::create(Some(&path)).unwrap()).unwrap();
        for records in chunks {
            let mut chunk = FormattedIds::new(format);
            records
                .iter()
                .for_each(|(ids, starts)| chunk.push(ids, *starts));
            writer.write(&chunk).unwrap();
        }
        writer.finish().unwrap();
        std::fs::read(path).unwrap()
    }

    #[test]
    fn records_end_where_the_next_one_starts_however_they_are_cut_into_chunks() {
        let chunks: [&[(&[u32], bool)]; 7] = [
            &[(&[], true)],
            &[(&[1, 20], false)],
            &[],
            &[(&[], false)],
            &[(&[3], false), (&[4294967295], true), (&[], true)],
            &[(&[], false)],
            &[(&[0], false)],
        ];
        let text = written(IdFormat::Text, &chunks);
        assert_eq!(text, b"1 20 3\n4294967295\n0\n");
        let json = written(IdFormat::Json, &chunks);
        assert_eq!(json, b"[1,20,3]\n[4294967295]\n[0]\n");
        assert_eq!(
            written(IdFormat::Json, &[&[(&[], true), (&[], true)]]),
            b"[]\n[]\n"
        );
        assert!(written(IdFormat::Json, &[]).is_empty());
        assert_eq!(
            written(IdFormat::U16, &[&[(&[1, 258], true)]]),
            [1, 0, 2, 1]
        );
    }

    #[test]
    fn an_npy_header_says_how_many_ids_follow() {
        let file = written(IdFormat::Npy, &[&[(&[7, 8], true)], &[(&[9], true)]]);
        assert_eq!((file.len(), file[127]), (npy::HEADER_LEN + 12, b'\n'));
        assert!(String::from_utf8_lossy(&file[..128]).contains("'shape': (3,)"));
    }
}
