//! Text on disk, mapped into memory: files, folders, `.gz`, `.zst`, JSON lines, standard input.
//!
//! A corpus is a sequence of documents (a file, or a record of JSON lines). Its bytes are counted
//! through from the first document to the last, and every pass, chunk or split is a range of that
//! count. Nothing is copied but what must be unpacked; nothing is assumed about the
//! text: newlines, NULs, bytes that are not UTF-8 and lines of any length are all just bytes.

mod chunks;
mod files;
pub mod inspect;
pub mod map;
mod source;
mod unpack;

pub use chunks::{Chunk, Cuts, map as map_chunks};

use crate::{Error, Result, progress};
use source::{Source, Spool};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use xxhash_rust::xxh64::Xxh64;

/// A corpus of more files than this has the rest of them copied into one temporary file: the
/// system allows a process some 65,000 mappings only.
const MAX_MAPPED_FILES: usize = 1024;

/// How to read the files of a corpus.
#[derive(Clone, Debug, Default)]
pub struct CorpusOptions {
    /// All inputs are JSON lines, and this field of each record is a document. Without it, files
    /// named `.jsonl` or `.ndjson` are read with the field `text`.
    pub jsonl_field: Option<String>,
}

/// Documents, mapped into memory. Clones and splits share the mappings.
///
/// # Example
/// ```
/// use barelm::corpus::Corpus;
/// let corpus = Corpus::from_bytes("sample", b"one line\nanother line\n".to_vec());
/// let (head, tail) = corpus.split_off_tail(8);
/// assert_eq!(head.bytes() + tail.bytes(), corpus.bytes());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Corpus {
    parts: Vec<Part>,
}

/// A range of a source, and where it starts in the corpus.
#[derive(Clone, Debug)]
struct Part {
    source: Arc<Source>,
    range: Range<usize>,
    start: u64,
}

/// A document, or a part of one.
#[derive(Clone, Copy, Debug)]
pub struct Document<'a> {
    /// The file it comes from.
    pub name: &'a Path,
    /// Its bytes.
    pub text: &'a [u8],
}

/// A document's intersection with a range.
struct Piece<'a> {
    document: Document<'a>,
    starts: bool,
}

impl Corpus {
    /// Opens files, folders (walked in the order of names) and `-` (standard input).
    ///
    /// # Errors
    /// [`Error::Io`] for what cannot be read; [`Error::Data`] for a folder without files, damaged
    /// compression, a line that is no JSON object with that field, or no text at all.
    pub fn open(paths: &[PathBuf], options: &CorpusOptions) -> Result<Self> {
        let Some(first) = paths.first() else {
            return Err(Error::Usage(
                "no corpus; name a file, a folder, or - for standard input".into(),
            ));
        };
        let field = options.jsonl_field.as_deref();
        let files = files::expand(paths)?;
        let (mapped, spooled) = files.split_at(files.len().min(MAX_MAPPED_FILES));
        let mut corpus = Self::default();
        for path in mapped {
            corpus.push(Source::open(path, field)?);
            progress::check()?;
        }
        if !spooled.is_empty() {
            corpus.push(spool(spooled, field)?);
        }
        if corpus.bytes() == 0 {
            return Err(Error::data(first, "the corpus is empty; give it some text"));
        }
        Ok(corpus)
    }

    /// A corpus of one document in memory.
    pub fn from_bytes(name: impl Into<PathBuf>, bytes: Vec<u8>) -> Self {
        let mut corpus = Self::default();
        corpus.push(Source::owned(name.into(), bytes));
        corpus
    }

    fn push(&mut self, source: Source) {
        let range = 0..source.bytes().len();
        self.push_part(Arc::new(source), range);
    }

    fn push_part(&mut self, source: Arc<Source>, range: Range<usize>) {
        if !range.is_empty() {
            let start = self.bytes();
            self.parts.push(Part {
                source,
                range,
                start,
            });
        }
    }

    /// Length of all documents together.
    pub fn bytes(&self) -> u64 {
        let end = |part: &Part| part.start + part.range.len() as u64;
        self.parts.last().map_or(0, end)
    }

    /// Number of files that have text in this corpus; many small ones may be counted as one.
    pub fn sources(&self) -> usize {
        self.parts.len()
    }

    /// All documents in order; empty ones do not exist.
    pub fn documents(&self) -> impl Iterator<Item = Document<'_>> {
        self.pieces(0..self.bytes()).map(|piece| piece.document)
    }

    /// xxh64 of the documents, each followed by its length: the same text has the same hash,
    /// whatever its files are called.
    ///
    /// The value is meaningless once [`progress::check`] fails.
    pub fn hash(&self) -> u64 {
        let mut hash = Xxh64::new(0);
        for document in self.documents() {
            for block in document.text.chunks(1 << 24) {
                if progress::check().is_err() {
                    return 0;
                }
                hash.update(block);
            }
            hash.update(&(document.text.len() as u64).to_le_bytes());
        }
        hash.digest()
    }

    /// Splits off the last `bytes` bytes or a little less: text to hold out from training.
    ///
    /// The cut is made after a newline or between words where there are any. Both halves share
    /// the mappings.
    pub fn split_off_tail(&self, bytes: u64) -> (Self, Self) {
        let wanted = self.bytes().saturating_sub(bytes);
        let mut cut = self.cut_after(wanted, Cuts::LINES_AND_WORDS);
        if cut == self.bytes() && bytes > 0 {
            cut = wanted + self.bytes_of_cut_character(wanted);
        }
        (self.slice(0..cut), self.slice(cut..self.bytes()))
    }

    /// How many bytes of a UTF-8 character are left at `position`: 0 where one starts.
    fn bytes_of_cut_character(&self, position: u64) -> u64 {
        let continues = |b: &&u8| (0x80..0xC0).contains(*b);
        let piece = self.pieces(position..self.bytes()).next();
        let text = piece.map_or(&[][..], |piece| piece.document.text);
        text.iter().take(3).take_while(continues).count() as u64
    }

    fn slice(&self, range: Range<u64>) -> Self {
        let mut slice = Self::default();
        for (part, local) in self.parts_in(range) {
            slice.push_part(part.source.clone(), local);
        }
        slice
    }

    /// The parts that a range touches, and which bytes of their sources it covers.
    fn parts_in(&self, range: Range<u64>) -> impl Iterator<Item = (&Part, Range<usize>)> {
        let after = self.parts.partition_point(|part| part.start <= range.start);
        let touched = self.parts[after.saturating_sub(1)..].iter();
        touched
            .take_while(move |part| part.start < range.end)
            .map(move |part| {
                let local = |position: u64| {
                    let offset = position.saturating_sub(part.start);
                    part.range.start + (offset as usize).min(part.range.len())
                };
                (part, local(range.start)..local(range.end))
            })
    }

    /// The documents that a range touches, cut to it.
    fn pieces(&self, range: Range<u64>) -> impl Iterator<Item = Piece<'_>> {
        self.parts_in(range).flat_map(|(part, local)| {
            let (source, ends) = (&part.source, &part.source.ends);
            let first = ends.partition_point(|&end| end <= local.start);
            let starts = first.checked_sub(1).map_or(0, |before| ends[before]);
            let starts = std::iter::once(starts).chain(ends[first..].iter().copied());
            starts
                .zip(&ends[first..])
                .take_while(move |(start, _)| *start < local.end)
                .map(move |(start, end)| {
                    let text = &source.bytes()[start.max(local.start)..(*end).min(local.end)];
                    let name = source.name.as_path();
                    let document = Document { name, text };
                    let starts = start >= local.start;
                    Piece { document, starts }
                })
        })
    }

    /// The whole document that holds a position, as far as it belongs to this corpus.
    fn document_at(&self, position: u64) -> Document<'_> {
        let (part, local) = self
            .parts_in(position..self.bytes())
            .next()
            .expect("a position inside the corpus");
        let ends = &part.source.ends;
        let index = ends.partition_point(|&end| end <= local.start);
        let start = index.checked_sub(1).map_or(0, |before| ends[before]);
        let range = start.max(part.range.start)..ends[index].min(part.range.end);
        Document {
            name: &part.source.name,
            text: &part.source.bytes()[range],
        }
    }
}

fn spool(files: &[PathBuf], field: Option<&str>) -> Result<Source> {
    let mut spool = Spool::new(&files[0])?;
    for path in files {
        spool.append(path, field)?;
    }
    spool.finish()
}

#[cfg(test)]
mod tests;
