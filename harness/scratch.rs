//! Arrays that move to a temporary file when they are too large for memory.
//!
//! The file is mapped: its pages are the system's to write out and to bring back, so an array of
//! any size needs no memory that could not be taken away. It has no name, and is gone when the
//! array is dropped or the process ends, however it ends. It has all its blocks before they
//! are mapped, so that a full disk is an error and not a fault.

use crate::corpus::map::{MappingMut, allocate, map_file_mut};
use crate::{Error, Result};
use bytemuck::Pod;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::ops::{Deref, DerefMut};
use std::path::PathBuf;

/// Where large arrays go, and which are large.
#[derive(Clone, Debug)]
pub(crate) struct Scratch {
    /// The folder of the temporary files.
    pub(crate) folder: PathBuf,
    /// Bytes up to which an array stays in memory.
    pub(crate) in_memory: usize,
}

impl Default for Scratch {
    fn default() -> Self {
        Self {
            folder: std::env::temp_dir(),
            in_memory: usize::MAX,
        }
    }
}

impl Scratch {
    /// An array of `len` zeros.
    pub(crate) fn zeros<T: Pod>(&self, len: usize) -> Result<ScratchVec<T>> {
        let mut zeros = ScratchVec {
            scratch: self.clone(),
            storage: Storage::Memory(Vec::new()),
            len: 0,
        };
        zeros.resize(len)?;
        Ok(zeros)
    }
}

/// An array in memory or in a file.
#[derive(Debug)]
pub(crate) struct ScratchVec<T> {
    scratch: Scratch,
    storage: Storage<T>,
    len: usize,
}

#[derive(Debug)]
enum Storage<T> {
    Memory(Vec<T>),
    File { file: File, mapping: MappingMut },
}

impl<T: Pod> ScratchVec<T> {
    /// Cuts the array off, or appends zeros.
    pub(crate) fn resize(&mut self, len: usize) -> Result<()> {
        let (bytes, old_bytes) = (len * size_of::<T>(), self.len * size_of::<T>());
        match &mut self.storage {
            Storage::Memory(vec) if bytes <= self.scratch.in_memory => {
                vec.resize(len, T::zeroed());
            }
            Storage::Memory(vec) => {
                let old = std::mem::take(vec);
                self.storage = self.scratch.file(bytes, bytemuck::cast_slice(&old))?;
            }
            Storage::File { file, mapping } if bytes > mapping.len() => {
                let larger = bytes + bytes / 4;
                mapping[old_bytes..].fill(0);
                extend(file, mapping.len(), larger).map_err(Error::io(&self.scratch.folder))?;
                *mapping = map_file_mut(file, &self.scratch.folder)?;
            }
            Storage::File { mapping, .. } if len > self.len => {
                mapping[old_bytes..bytes].fill(0);
            }
            Storage::File { .. } => {}
        }
        self.len = len;
        Ok(())
    }

    /// Whether it is in a file.
    #[cfg(test)]
    pub(crate) fn is_file(&self) -> bool {
        matches!(self.storage, Storage::File { .. })
    }
}

impl Scratch {
    fn file<T>(&self, bytes: usize, content: &[u8]) -> Result<Storage<T>> {
        let create = || {
            let mut file = tempfile::tempfile_in(&self.folder)?;
            file.write_all(content)?;
            extend(&mut file, content.len(), bytes)?;
            Ok(file)
        };
        let file = create().map_err(Error::io(&self.folder))?;
        let mapping = map_file_mut(&file, &self.folder)?;
        Ok(Storage::File { file, mapping })
    }
}

/// Puts zeros from `len` on, up to `new_len` bytes: without a write, where that is possible.
fn extend(file: &mut File, len: usize, new_len: usize) -> std::io::Result<()> {
    if new_len <= len || allocate(file, new_len as u64)? {
        return Ok(());
    }
    let zeros = vec![0; 1 << 18];
    file.seek(SeekFrom::Start(len as u64))?;
    let mut missing = new_len.saturating_sub(len);
    while missing > 0 {
        let n = missing.min(zeros.len());
        file.write_all(&zeros[..n])?;
        missing -= n;
    }
    Ok(())
}

impl<T: Pod> Deref for ScratchVec<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match &self.storage {
            Storage::Memory(vec) => vec,
            Storage::File { mapping, .. } => {
                bytemuck::cast_slice(&mapping[..self.len * size_of::<T>()])
            }
        }
    }
}

impl<T: Pod> DerefMut for ScratchVec<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        match &mut self.storage {
            Storage::Memory(vec) => vec,
            Storage::File { mapping, .. } => {
                bytemuck::cast_slice_mut(&mut mapping[..self.len * size_of::<T>()])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_keeps_its_content_when_it_moves_to_a_file_and_grows_there() {
        let folder = tempfile::tempdir().unwrap();
        let scratch = Scratch {
            folder: folder.path().into(),
            in_memory: 4000,
        };
        let mut array = scratch.zeros::<u32>(1000).unwrap();
        let mut expected = vec![0; 1000];
        for len in [1001, 5000, 3000, 300_000, 4, 300_001] {
            for (x, i) in array.iter_mut().zip(7..) {
                *x = i;
            }
            array.resize(len).unwrap();
            expected = (7..).take(expected.len()).collect();
            expected.resize(len, 0);
            assert!(*array == *expected, "{len}");
        }
        assert!(array.is_file());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
