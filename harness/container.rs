//! Writes the container that `barelm_kernels::format` reads, section by section, in one pass.

use crate::Result;
use crate::output::OutputFile;
use barelm_kernels::format::{ALIGNMENT, ENTRY_LEN, HEADER_LEN, MAGIC, VERSION};
use std::path::Path;
use xxhash_rust::xxh64::{Xxh64, xxh64};

/// A container file under construction; it appears at its path when it is finished.
pub struct ContainerWriter {
    file: OutputFile,
    kind: [u8; 8],
    sections: usize,
    table: Vec<u8>,
    len: u64,
    open: Option<OpenSection>,
}

struct OpenSection {
    name: [u8; 8],
    offset: u64,
    hash: Xxh64,
}

impl ContainerWriter {
    /// Starts a file of exactly `sections` sections.
    ///
    /// # Errors
    /// [`crate::Error::Io`].
    pub fn create(path: impl AsRef<Path>, kind: &[u8; 8], sections: usize) -> Result<Self> {
        let mut file = OutputFile::create(path)?;
        let len = HEADER_LEN + sections * ENTRY_LEN;
        file.write(&vec![0; len])?;
        Ok(Self {
            file,
            kind: *kind,
            sections,
            table: Vec::new(),
            len: len as u64,
            open: None,
        })
    }

    /// Writes a whole section.
    ///
    /// # Errors
    /// [`crate::Error::Io`].
    pub fn section(&mut self, name: &[u8; 8], bytes: &[u8]) -> Result<()> {
        self.begin(name)?;
        self.append(bytes)
    }

    /// Ends the open section and starts the next one.
    ///
    /// # Errors
    /// [`crate::Error::Io`].
    pub fn begin(&mut self, name: &[u8; 8]) -> Result<()> {
        self.end();
        let offset = self.len.next_multiple_of(ALIGNMENT as u64);
        self.file
            .write(&[0; ALIGNMENT][..(offset - self.len) as usize])?;
        self.len = offset;
        self.open = Some(OpenSection {
            name: *name,
            offset,
            hash: Xxh64::new(0),
        });
        Ok(())
    }

    /// Bytes of the file so far; of the whole, once all sections are written.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Appends to the open section.
    ///
    /// # Errors
    /// [`crate::Error::Io`].
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let open = self.open.as_mut().expect("`begin` comes before `append`");
        open.hash.update(bytes);
        self.len += bytes.len() as u64;
        self.file.write(bytes)
    }

    fn end(&mut self) {
        if let Some(OpenSection { name, offset, hash }) = self.open.take() {
            self.table.extend(name);
            for number in [offset, self.len - offset, hash.digest()] {
                self.table.extend(number.to_le_bytes());
            }
        }
    }

    /// Writes header and table, and gives the file its name.
    ///
    /// # Errors
    /// [`crate::Error::Io`].
    pub fn finish(self) -> Result<()> {
        self.close()?.commit()
    }

    /// [`ContainerWriter::finish`] of a file that says how far work came that was interrupted.
    ///
    /// # Errors
    /// [`crate::Error::Io`].
    pub(crate) fn finish_interrupted(self) -> Result<()> {
        self.close()?.commit_interrupted()
    }

    fn close(mut self) -> Result<OutputFile> {
        self.end();
        assert_eq!(
            self.table.len(),
            self.sections * ENTRY_LEN,
            "as many sections as announced"
        );
        let mut covered = self.kind.to_vec();
        covered.resize(HEADER_LEN - 32, 0);
        covered.extend(&self.table);
        let mut header = MAGIC.to_vec();
        header.extend(VERSION.to_le_bytes());
        header.extend((self.sections as u32).to_le_bytes());
        header.extend(self.len.to_le_bytes());
        header.extend(xxh64(&covered, 0).to_le_bytes());
        header.extend(covered);
        self.file.write_at(0, &header)?;
        Ok(self.file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use barelm_kernels::format::{Container, FormatProblem};

    const KIND: &[u8; 8] = b"test\0\0\0\0";

    /// The bytes of a file of two sections, at an aligned address inside `buffer`.
    fn sample(buffer: &mut Vec<u8>) -> &mut [u8] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sample.barelm");
        let mut writer = ContainerWriter::create(&path, KIND, 2).unwrap();
        writer.section(b"first\0\0\0", &[1, 2, 3]).unwrap();
        writer.begin(b"second\0\0").unwrap();
        writer.append(&7u32.to_le_bytes()).unwrap();
        writer.append(&8u32.to_le_bytes()).unwrap();
        writer.finish().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        buffer.resize(bytes.len() + ALIGNMENT, 0);
        let start = buffer.as_ptr().align_offset(ALIGNMENT);
        let aligned = &mut buffer[start..start + bytes.len()];
        aligned.copy_from_slice(&bytes);
        aligned
    }

    #[test]
    fn sections_come_back() {
        let mut buffer = Vec::new();
        let container = Container::new(sample(&mut buffer), KIND).unwrap();
        container.verify().unwrap();
        assert_eq!(container.section::<u8>(b"first\0\0\0").unwrap(), [1, 2, 3]);
        assert_eq!(container.section::<u32>(b"second\0\0").unwrap(), [7, 8]);
        let missing = container.section::<u8>(b"third\0\0\0").unwrap_err();
        assert_eq!(missing.problem, FormatProblem::Missing);
        let odd = container.section::<u32>(b"first\0\0\0").unwrap_err();
        assert_eq!(odd.problem, FormatProblem::Content);
    }

    #[test]
    fn every_truncation_and_every_flipped_bit_is_seen() {
        let mut buffer = Vec::new();
        let bytes = sample(&mut buffer);
        for len in 0..bytes.len() {
            assert!(Container::new(&bytes[..len], KIND).is_err(), "length {len}");
        }
        let last = bytes.len() - 1;
        for at in 0..=last {
            for bit in 0..8 {
                bytes[at] ^= 1 << bit;
                let result = Container::new(bytes, KIND).and_then(|c| c.verify());
                assert!(result.is_err(), "byte {at}, bit {bit}");
                bytes[at] ^= 1 << bit;
            }
        }
    }
}
