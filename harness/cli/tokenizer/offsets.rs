//! `barelm tokenizer encode --offsets`: where each token lies in its record.

use super::chunks::Record;
use super::output::Output;
use crate::Result;
use crate::tokenizer::CharOffsets;
use clap::ValueEnum;
use std::fmt::Write;
use std::ops::Range;

/// What offsets count.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum OffsetUnit {
    /// Bytes of the text
    Bytes,
    /// Characters; a token with a part of one has all of it
    Chars,
}

/// Tokens of a record, or of a part of one, and where each lies in that part.
pub(super) struct TokenPlaces {
    starts: bool,
    ids: Vec<u32>,
    ranges: Vec<Range<usize>>,
    len: usize,
}

impl TokenPlaces {
    pub(super) fn new(
        record: &Record<'_>,
        ids: Vec<u32>,
        mut ranges: Vec<Range<usize>>,
        unit: OffsetUnit,
    ) -> Self {
        let mut len = record.text.len();
        if unit == OffsetUnit::Chars {
            let mut chars = CharOffsets::new(record.text);
            ranges
                .iter_mut()
                .for_each(|range| *range = chars.range(range.clone()));
            len = chars.count();
        }
        let starts = record.starts;
        Self {
            starts,
            ids,
            ranges,
            len,
        }
    }
}

/// Writes a line for each token, with its place in the whole record.
pub(super) struct OffsetWriter {
    output: Output,
    json: bool,
    base: usize,
    line: String,
}

impl OffsetWriter {
    pub(super) fn new(output: Output, json: bool) -> Self {
        let (base, line) = (0, String::new());
        Self {
            output,
            json,
            base,
            line,
        }
    }

    pub(super) fn write(&mut self, places: &TokenPlaces) -> Result<()> {
        if places.starts {
            self.base = 0;
        }
        for (id, range) in places.ids.iter().zip(&places.ranges) {
            let (start, end) = (self.base + range.start, self.base + range.end);
            self.line.clear();
            let written = match self.json {
                true => writeln!(self.line, r#"{{"id":{id},"start":{start},"end":{end}}}"#),
                false => writeln!(self.line, "{id}\t{start}\t{end}"),
            };
            written.expect("memory takes every write");
            self.output.write(self.line.as_bytes())?;
        }
        self.base += places.len;
        Ok(())
    }

    pub(super) fn flush(&mut self) -> Result<()> {
        self.output.flush()
    }

    pub(super) fn finish(self) -> Result<()> {
        self.output.finish()
    }
}
