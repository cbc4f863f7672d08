//! One source of text: a mapped file, or what was unpacked into an unnamed temporary file.
//!
//! Compressed files, JSON lines, standard input and pipes are unpacked once, when they are
//! opened. The temporary file (in `TMPDIR`) is then mapped like any other, so that every later
//! pass sees plain bytes and needs no memory for them.

use super::map::{Mapping, map_file};
use super::unpack;
use crate::progress::Progress;
use crate::{Error, Result};
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

/// Bytes with the ends of the documents in them.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) name: PathBuf,
    bytes: Bytes,
    /// Strictly rising; the last one is the length. Empty documents have no entry.
    pub(super) ends: Vec<usize>,
}

#[derive(Debug)]
enum Bytes {
    Mapped(Mapping),
    Owned(Vec<u8>),
}

impl Source {
    pub(super) fn owned(name: PathBuf, bytes: Vec<u8>) -> Self {
        let ends = Vec::from_iter((!bytes.is_empty()).then_some(bytes.len()));
        let bytes = Bytes::Owned(bytes);
        Self { name, bytes, ends }
    }

    pub(super) fn open(path: &Path, jsonl_field: Option<&str>) -> Result<Self> {
        if !unpack::is_plain(path, jsonl_field) {
            let mut spool = Spool::new(path)?;
            spool.append(path, jsonl_field)?;
            return spool.finish();
        }
        let file = File::open(path).map_err(Error::io(path))?;
        let mapping = map_file(&file, path)?;
        let ends = Vec::from_iter((!mapping.is_empty()).then_some(mapping.len()));
        Ok(Self {
            name: path.into(),
            bytes: Bytes::Mapped(mapping),
            ends,
        })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Mapped(mapping) => mapping,
            Bytes::Owned(bytes) => bytes,
        }
    }
}

/// An unnamed temporary file that documents are appended to.
pub(super) struct Spool {
    name: PathBuf,
    file: BufWriter<File>,
    len: usize,
    ends: Vec<usize>,
}

impl Spool {
    /// An empty spool; `name` is what errors call it.
    pub(super) fn new(name: &Path) -> Result<Self> {
        let file = tempfile::tempfile().map_err(Error::io(std::env::temp_dir()))?;
        Ok(Self {
            name: name.into(),
            file: BufWriter::with_capacity(1 << 18, file),
            len: 0,
            ends: Vec::new(),
        })
    }

    /// Unpacks the file at `path`.
    pub(super) fn append(&mut self, path: &Path, jsonl_field: Option<&str>) -> Result<()> {
        let progress = Progress::new(format!("unpacking {}", path.display()), 0, "bytes");
        let mut input = unpack::open(path)?;
        match unpack::jsonl_field_of(path, jsonl_field) {
            None => {
                self.copy(&mut *input, path, &progress)?;
                self.end_document();
            }
            Some(field) => {
                unpack::for_each_record(&mut *input, path, field, |text| {
                    progress.advance(text.len() as u64)?;
                    self.write(text)?;
                    self.end_document();
                    Ok(())
                })?;
            }
        }
        Ok(())
    }

    fn copy(&mut self, input: &mut dyn Read, path: &Path, progress: &Progress) -> Result<()> {
        let mut block = vec![0; 1 << 18];
        let mut offset = 0;
        loop {
            let n = match input.read(&mut block) {
                Ok(0) => return Ok(()),
                Ok(n) => n,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(unpack::damaged(path, offset, e)),
            };
            self.write(&block[..n])?;
            offset += n as u64;
            progress.advance(n as u64)?;
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.len += bytes.len();
        self.file
            .write_all(bytes)
            .map_err(Error::io(std::env::temp_dir()))
    }

    fn end_document(&mut self) {
        if self.len > self.ends.last().copied().unwrap_or(0) {
            self.ends.push(self.len);
        }
    }

    pub(super) fn finish(self) -> Result<Source> {
        let file = self
            .file
            .into_inner()
            .map_err(|e| Error::io(std::env::temp_dir())(e.into_error()))?;
        let bytes = Bytes::Mapped(map_file(&file, &self.name)?);
        Ok(Source {
            name: self.name,
            bytes,
            ends: self.ends,
        })
    }
}
