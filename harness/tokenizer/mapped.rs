//! Tables that stay in their file.
//!
//! Opening reads what is small: header, section table, offsets, special tokens. The two hash
//! tables, most of the file, are read where a lookup falls, and lookups distrust them;
//! [`MappedTables::verify`] reads all.

use super::{HarnessPattern, Storage, Tokenizer};
use crate::corpus::map::{Mapping, map_path};
use crate::{Error, Result};
use barelm_kernels::bpe::TokenizerRef;
use barelm_kernels::bpe::sections::{SECTIONS, Tables};
use barelm_kernels::format::{Container, FormatError};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// A mapped file and where the tables are in it.
#[derive(Debug)]
pub(super) struct MappedTables {
    path: PathBuf,
    file: Mapping,
    ranges: [Range<usize>; SECTIONS.len()],
}

impl MappedTables {
    /// Compares all checksums and looks at every slot of the hash tables.
    pub(super) fn verify(&self) -> Result<()> {
        let check = |container: Container<'_>| {
            container.verify()?;
            TokenizerRef::new_checked(&container).map(|_| ())
        };
        let checked = container(&self.file).and_then(check);
        checked.map_err(Error::format(&self.path))
    }

    /// The tables, whose structure was checked when the file was opened.
    pub(super) fn tables(&self) -> Tables<'_> {
        let bytes = |i: usize| &self.file[self.ranges[i].clone()];
        Tables {
            head: bytemuck::cast_slice(bytes(0)),
            offsets: bytemuck::cast_slice(bytes(1)),
            blob: bytes(2),
            bytes: bytemuck::cast_slice(bytes(3)),
            pairs: bytemuck::cast_slice(bytes(4)),
            hashes: bytemuck::cast_slice(bytes(5)),
            specials: bytemuck::cast_slice(bytes(6)),
            regex: bytes(7),
        }
    }
}

/// The container in a file. Its kind is whatever the file says it is: what counts are the sections.
fn container(file: &[u8]) -> std::result::Result<Container<'_>, FormatError> {
    let kind = file.get(32..40).and_then(|kind| kind.try_into().ok());
    Container::new(file, &kind.unwrap_or_default())
}

/// Maps a file of any kind that has a tokenizer's sections, and checks their structure.
pub(super) fn load(path: &Path) -> Result<Tokenizer> {
    let file = map_path(path)?;
    let container = container(&file).map_err(Error::format(path))?;
    let tables = *TokenizerRef::new(&container)
        .map_err(Error::format(path))?
        .tables();
    let pattern = match tables.pattern() {
        Some(pattern) => HarnessPattern::Known(pattern),
        None => own_pattern(tables.regex, path)?,
    };
    let range = |name: &[u8; 8]| {
        let start = container.offset_of(name);
        start..start + container.section::<u8>(name).map_or(0, <[u8]>::len)
    };
    let ranges = SECTIONS.each_ref().map(range);
    let path = path.to_path_buf();
    let tables = Storage::Mapped(MappedTables { path, file, ranges });
    let index = OnceLock::new();
    #[rustfmt::skip]
    let tokenizer = Tokenizer { tables, pattern, index };
    Ok(tokenizer)
}

fn own_pattern(regex: &[u8], path: &Path) -> Result<HarnessPattern> {
    let regex = String::from_utf8_lossy(regex);
    HarnessPattern::from_regex(&regex).map_err(|e| Error::data(path, e.to_string()))
}
