//! The container of every file that barelm maps: little-endian, aligned, checksummed, versioned.
//!
//! ```text
//! byte 0   magic "barelm\0\x1a"      8   format version (u32)     12  number of sections (u32)
//!      16  length of the file (u64)  24  xxh64 of header[32..] and the section table (u64)
//!      32  kind, e.g. "model"        40  zeros
//!      64  section table, 32 bytes a section: name [u8; 8], offset u64, length u64, xxh64 u64
//!          sections in table order, each at a multiple of 64, zeros between
//! ```
//! A file means the same on disk, mapped in memory and in flash. Opening checks the structure, at
//! a cost that does not grow with the file; [`Container::verify`] reads everything.

use bytemuck::AnyBitPattern;
use core::fmt;
use xxhash_rust::xxh64::xxh64;

/// First eight bytes of every file.
pub const MAGIC: [u8; 8] = *b"barelm\0\x1a";
/// Version of the container and of the sections in it.
pub const VERSION: u32 = 1;
/// Sections, and the buffer that holds a file, start at multiples of this.
pub const ALIGNMENT: usize = 64;
/// Bytes before the section table.
pub const HEADER_LEN: usize = 64;
/// Bytes of one entry of the section table.
pub const ENTRY_LEN: usize = 32;
/// Most sections that a file may have.
pub const MAX_SECTIONS: usize = 64;

/// What is wrong with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormatProblem {
    /// It does not start with [`MAGIC`].
    Magic,
    /// It was written by another version of the format.
    Version,
    /// It is of another kind (a tokenizer where a model is wanted).
    Kind,
    /// It ends early, or carries on after its end.
    Length,
    /// A checksum does not match: bytes changed after they were written.
    Checksum,
    /// The buffer does not start at a multiple of [`ALIGNMENT`], or a section does not.
    Alignment,
    /// The section table is not in order, overlaps, or points outside the file.
    Table,
    /// A section is missing.
    Missing,
    /// A section's content contradicts itself or another section.
    Content,
    /// The machine is big-endian.
    Endian,
}

/// What is wrong with a file, and the byte where it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FormatError {
    /// What is wrong.
    pub problem: FormatProblem,
    /// Offset from the start of the file.
    pub offset: u64,
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.problem {
            FormatProblem::Magic => "not a barelm file",
            FormatProblem::Version => "written by another version of barelm",
            FormatProblem::Kind => "a barelm file of another kind",
            FormatProblem::Length => "truncated, or longer than it says",
            FormatProblem::Checksum => "checksum does not match",
            FormatProblem::Alignment => "not aligned to 64 bytes",
            FormatProblem::Table => "section table is not valid",
            FormatProblem::Missing => "a section is missing",
            FormatProblem::Content => "content is not valid",
            FormatProblem::Endian => "big-endian machines are not supported",
        };
        write!(f, "{text} (at byte {})", self.offset)
    }
}

impl core::error::Error for FormatError {}

impl FormatError {
    /// The problem, seen at `offset`.
    pub const fn at(problem: FormatProblem, offset: usize) -> Self {
        Self {
            problem,
            offset: offset as u64,
        }
    }
}

/// A file whose structure has been checked.
///
/// # Example
/// ```
/// use barelm_kernels::format::{Container, FormatProblem};
/// let error = Container::new(b"GGUF....", b"model\0\0\0").unwrap_err();
/// assert_eq!(error.problem, FormatProblem::Magic);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Container<'a> {
    bytes: &'a [u8],
    sections: usize,
}

#[derive(Clone, Copy)]
struct Entry {
    name: [u8; 8],
    offset: usize,
    len: usize,
    checksum: u64,
}

impl<'a> Container<'a> {
    /// Checks header, section table and bounds of a file of the given kind.
    ///
    /// # Errors
    /// [`FormatError`] with what is wrong and where. No byte outside `bytes` is read.
    pub fn new(bytes: &'a [u8], kind: &[u8; 8]) -> Result<Self, FormatError> {
        let error = |problem, offset| Err(FormatError::at(problem, offset));
        if cfg!(target_endian = "big") {
            return error(FormatProblem::Endian, 0);
        }
        if bytes.get(..8) != Some(&MAGIC) {
            return error(FormatProblem::Magic, 0);
        }
        if bytes.len() < HEADER_LEN {
            return error(FormatProblem::Length, bytes.len());
        }
        if u64_at(bytes, 8) as u32 != VERSION {
            return error(FormatProblem::Version, 8);
        }
        if u64_at(bytes, 16) != bytes.len() as u64 {
            return error(FormatProblem::Length, 16);
        }
        if bytes.get(32..40) != Some(kind) {
            return error(FormatProblem::Kind, 32);
        }
        if !bytes.as_ptr().addr().is_multiple_of(ALIGNMENT) {
            return error(FormatProblem::Alignment, 0);
        }
        let sections = (u64_at(bytes, 8) >> 32) as usize;
        let table_end = HEADER_LEN + sections.min(MAX_SECTIONS) * ENTRY_LEN;
        let Some(table) = bytes.get(32..table_end) else {
            return error(FormatProblem::Length, 12);
        };
        if sections > MAX_SECTIONS {
            return error(FormatProblem::Table, 12);
        }
        if xxh64(table, 0) != u64_at(bytes, 24) {
            return error(FormatProblem::Checksum, 24);
        }
        let container = Self { bytes, sections };
        container.check_table(table_end)?;
        Ok(container)
    }

    /// Sections follow the table and each other, aligned, with less than a unit between.
    fn check_table(&self, table_end: usize) -> Result<(), FormatError> {
        let mut end = table_end;
        for (i, entry) in self.entries().enumerate() {
            let start = end.next_multiple_of(ALIGNMENT);
            let room = self.bytes.len().checked_sub(start);
            if entry.offset != start || room.is_none_or(|room| room < entry.len) {
                return Err(FormatError::at(
                    FormatProblem::Table,
                    HEADER_LEN + i * ENTRY_LEN + 8,
                ));
            }
            end = start + entry.len;
        }
        if end == self.bytes.len() {
            Ok(())
        } else {
            Err(FormatError::at(FormatProblem::Length, end))
        }
    }

    fn entries(&self) -> impl Iterator<Item = Entry> + 'a {
        let table = self.bytes.get(HEADER_LEN..).unwrap_or(&[]);
        let (entries, _) = table.as_chunks::<ENTRY_LEN>();
        entries.iter().take(self.sections).map(|entry| Entry {
            name: u64_at(entry, 0).to_le_bytes(),
            offset: usize::try_from(u64_at(entry, 8)).unwrap_or(usize::MAX),
            len: usize::try_from(u64_at(entry, 16)).unwrap_or(usize::MAX),
            checksum: u64_at(entry, 24),
        })
    }

    /// Reads every section and compares its checksum; the gaps between must be zeros.
    ///
    /// # Errors
    /// [`FormatProblem::Checksum`] at the first place that changed since it was written.
    pub fn verify(&self) -> Result<(), FormatError> {
        let mut end = HEADER_LEN + self.sections * ENTRY_LEN;
        for entry in self.entries() {
            let gap = self.bytes.get(end..entry.offset).unwrap_or(&[]);
            if gap.iter().any(|byte| *byte != 0) {
                return Err(FormatError::at(FormatProblem::Checksum, end));
            }
            if xxh64(self.payload(entry), 0) != entry.checksum {
                return Err(FormatError::at(FormatProblem::Checksum, entry.offset));
            }
            end = entry.offset + entry.len;
        }
        Ok(())
    }

    fn payload(&self, entry: Entry) -> &'a [u8] {
        let from_start = self.bytes.get(entry.offset..).unwrap_or(&[]);
        from_start.get(..entry.len).unwrap_or(&[])
    }

    /// Whether the file has a section of that name.
    pub fn has(&self, name: &[u8; 8]) -> bool {
        self.entries().any(|entry| entry.name == *name)
    }

    /// Offset of a section, or of the table if there is none: the place to name in an error.
    pub fn offset_of(&self, name: &[u8; 8]) -> usize {
        self.entries()
            .find(|entry| entry.name == *name)
            .map_or(HEADER_LEN, |entry| entry.offset)
    }

    /// A section as values of `T`.
    ///
    /// # Errors
    /// [`FormatProblem::Missing`] without such a section, [`FormatProblem::Content`] when its
    /// length is not a multiple of the size of `T`.
    pub fn section<T: AnyBitPattern>(&self, name: &[u8; 8]) -> Result<&'a [T], FormatError> {
        let missing = FormatError::at(FormatProblem::Missing, HEADER_LEN);
        let entry = self
            .entries()
            .find(|entry| entry.name == *name)
            .ok_or(missing)?;
        bytemuck::try_cast_slice(self.payload(entry))
            .map_err(|_| FormatError::at(FormatProblem::Content, entry.offset))
    }
}

/// Eight little-endian bytes; zero past the end.
fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let eight = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>());
    eight.map_or(0, |eight| u64::from_le_bytes(*eight))
}
