//! What a corpus looks like, before one trains on it.

use super::chunks::{self, Chunk};
use super::{Corpus, Cuts};
use crate::Result;
use crate::progress::Progress;
use serde::Serialize;
use std::fmt;

/// What [`inspect`] found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Inspection {
    /// Files with text in them.
    pub files: u64,
    /// Documents that are not empty.
    pub documents: u64,
    /// Bytes of all documents.
    pub bytes: u64,
    /// Characters of the parts that are UTF-8.
    pub characters: u64,
    /// Lines; a document's last line counts even without its newline.
    pub lines: u64,
    /// Length of the longest line in bytes, without its newline.
    pub longest_line: u64,
    /// Lines that end in carriage return and newline.
    pub crlf_lines: u64,
    /// Bytes that belong to no UTF-8 character.
    pub bytes_not_utf8: u64,
    /// `bytes_not_utf8` as a share of all bytes.
    pub share_not_utf8: f64,
    /// Zero bytes.
    pub nuls: u64,
    /// How many of the 256 byte values occur.
    pub distinct_bytes: u64,
    /// Best guess at the encoding.
    pub encoding: Encoding,
}

/// A guess at how text is encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// Every byte is below 128.
    #[default]
    Ascii,
    /// Every byte belongs to a character.
    Utf8,
    /// UTF-8, and a document starts with a byte order mark.
    Utf8WithBom,
    /// A few bytes (at most one in a hundred) are not UTF-8.
    DamagedUtf8,
    /// A document starts with a byte order mark of UTF-16: convert it to UTF-8 first.
    Utf16,
    /// Many zero bytes, or many that are not UTF-8: another encoding, or no text.
    Binary,
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ascii => "ASCII",
            Self::Utf8 => "UTF-8",
            Self::Utf8WithBom => "UTF-8 with a byte order mark",
            Self::DamagedUtf8 => "UTF-8 with some bytes that are not",
            Self::Utf16 => "UTF-16; convert it to UTF-8 first",
            Self::Binary => "no text, or another encoding",
        })
    }
}

/// Reads a corpus once, on up to `threads` threads.
///
/// # Errors
/// Those of [`crate::progress::check`].
pub fn inspect(corpus: &Corpus, threads: usize) -> Result<Inspection> {
    let progress = Progress::new("inspecting", corpus.bytes(), "bytes");
    // Lines stay whole, so that their lengths and characters do.
    let chunks = corpus.chunks_at(1 << 22, Cuts::LINES);
    let tallies = chunks::map(threads, chunks, &progress, |chunk| Ok(Tally::of(&chunk)))?;
    let all = tallies
        .into_iter()
        .fold(Tally::default(), |sum, t| sum.plus(&t));
    Ok(all.summary(corpus))
}

/// The figures of some chunks.
struct Tally {
    figures: Inspection,
    seen: [u64; 256],
    utf8_marks: u64,
    utf16_marks: u64,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            figures: Inspection::default(),
            seen: [0; 256],
            utf8_marks: 0,
            utf16_marks: 0,
        }
    }
}

impl Tally {
    fn of(chunk: &Chunk<'_>) -> Self {
        let mut tally = Self::default();
        for (text, starts_document) in chunk.pieces() {
            if starts_document {
                tally.begin_document(text);
            }
            for line in text.split_inclusive(|&b| b == b'\n') {
                tally.add_line(line);
            }
        }
        tally
    }

    fn begin_document(&mut self, text: &[u8]) {
        self.figures.documents += 1;
        self.utf8_marks += u64::from(text.starts_with(b"\xEF\xBB\xBF"));
        let utf16 = text.starts_with(b"\xFF\xFE") || text.starts_with(b"\xFE\xFF");
        self.utf16_marks += u64::from(utf16);
    }

    fn add_line(&mut self, line: &[u8]) {
        let content = line.strip_suffix(b"\n").unwrap_or(line);
        let figures = &mut self.figures;
        figures.lines += 1;
        figures.longest_line = figures.longest_line.max(content.len() as u64);
        figures.crlf_lines += u64::from(line.ends_with(b"\r\n"));
        for &byte in line {
            self.seen[usize::from(byte)] += 1;
        }
        for chunk in line.utf8_chunks() {
            figures.characters += chunk.valid().chars().count() as u64;
            figures.bytes_not_utf8 += chunk.invalid().len() as u64;
        }
    }

    fn plus(mut self, other: &Self) -> Self {
        let (a, b) = (&mut self.figures, &other.figures);
        a.documents += b.documents;
        a.lines += b.lines;
        a.longest_line = a.longest_line.max(b.longest_line);
        a.crlf_lines += b.crlf_lines;
        a.characters += b.characters;
        a.bytes_not_utf8 += b.bytes_not_utf8;
        self.utf8_marks += other.utf8_marks;
        self.utf16_marks += other.utf16_marks;
        for (a, b) in self.seen.iter_mut().zip(other.seen) {
            *a += b;
        }
        self
    }

    fn summary(self, corpus: &Corpus) -> Inspection {
        let bytes = corpus.bytes();
        Inspection {
            files: corpus.sources() as u64,
            bytes,
            share_not_utf8: self.figures.bytes_not_utf8 as f64 / bytes.max(1) as f64,
            nuls: self.seen[0],
            distinct_bytes: self.seen.iter().filter(|&&n| n > 0).count() as u64,
            encoding: self.encoding(bytes),
            ..self.figures
        }
    }

    fn encoding(&self, bytes: u64) -> Encoding {
        let strange = self.figures.bytes_not_utf8 + self.seen[0];
        match strange {
            _ if self.utf16_marks > 0 => Encoding::Utf16,
            n if n > bytes / 100 => Encoding::Binary,
            n if n > self.seen[0] => Encoding::DamagedUtf8,
            _ if self.utf8_marks > 0 => Encoding::Utf8WithBom,
            _ if self.seen[128..].iter().any(|&n| n > 0) => Encoding::Utf8,
            _ => Encoding::Ascii,
        }
    }
}
