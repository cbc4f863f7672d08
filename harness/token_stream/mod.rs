//! Token ids on disk: what training reads, mapped, instead of text.
//!
//! | section | content |
//! |---|---|
//! | `ids` | one id a token, `u16` if the vocabulary has at most 65,536, else `u32` |
//! | `docs` | where each document starts, in tokens, ascending: `u64` |
//! | `head` | vocabulary size, [`Tokenizer::hash`](crate::tokenizer::Tokenizer::hash), bytes of text, number of tokens: `u64` |

mod write;

#[cfg(test)]
mod tests;

pub use write::{TokenStreamWriter, encode_corpus};

use crate::corpus::map::{Mapping, map_path};
use crate::{Error, Result};
use barelm_kernels::format::{Container, FormatError, FormatProblem};
use bytemuck::AnyBitPattern;
use std::ops::Range;
use std::path::Path;

/// Kind of the file.
pub const KIND: [u8; 8] = *b"tokens\0\0";
const IDS: [u8; 8] = *b"ids\0\0\0\0\0";
const DOCUMENTS: [u8; 8] = *b"docs\0\0\0\0";
const HEAD: [u8; 8] = *b"head\0\0\0\0";
/// Vocabularies up to this size have ids of two bytes.
const SMALL_VOCABULARY: usize = 1 << 16;

/// Ids as they lie on disk.
#[derive(Clone, Copy, Debug)]
pub enum Ids<'a> {
    /// Two bytes an id.
    U16(&'a [u16]),
    /// Four bytes an id.
    U32(&'a [u32]),
}

/// Bytes of an id on disk.
pub(crate) fn id_width(vocab_size: usize) -> usize {
    if vocab_size <= SMALL_VOCABULARY { 2 } else { 4 }
}

impl<'a> Ids<'a> {
    /// Bytes of a file as ids of a vocabulary; none if they are not whole ids.
    pub(crate) fn from_bytes(bytes: &'a [u8], vocab_size: usize) -> Self {
        match id_width(vocab_size) {
            2 => Self::U16(values(bytes)),
            _ => Self::U32(values(bytes)),
        }
    }

    /// The id at a place; `None` past the end.
    #[inline]
    pub fn get(self, at: usize) -> Option<u32> {
        match self {
            Self::U16(ids) => ids.get(at).map(|id| u32::from(*id)),
            Self::U32(ids) => ids.get(at).copied(),
        }
    }

    /// Number of ids.
    pub fn len(self) -> usize {
        match self {
            Self::U16(ids) => ids.len(),
            Self::U32(ids) => ids.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The ids before a place, and those from there on.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn split_at(self, at: usize) -> (Self, Self) {
        match self {
            Self::U16(ids) => {
                let (before, after) = ids.split_at(at);
                (Self::U16(before), Self::U16(after))
            }
            Self::U32(ids) => {
                let (before, after) = ids.split_at(at);
                (Self::U32(before), Self::U32(after))
            }
        }
    }

    /// Calls `f` with each id.
    pub fn for_each(self, f: impl FnMut(u32)) {
        match self {
            Self::U16(ids) => ids.iter().map(|id| u32::from(*id)).for_each(f),
            Self::U32(ids) => ids.iter().copied().for_each(f),
        }
    }
}

/// A sequence of token ids, mapped from a file or in memory.
///
/// # Example
/// ```
/// use barelm::token_stream::TokenStream;
/// let stream = TokenStream::from_ids(vec![2, 0, 2], 4);
/// assert_eq!((stream.len(), stream.vocab_size()), (3, 4));
/// assert_eq!(stream.counts(), [1, 0, 2, 0]);
/// let mut window = [0; 2];
/// stream.read(1, &mut window);
/// assert_eq!(window, [0, 2]);
/// ```
#[derive(Debug)]
pub struct TokenStream {
    storage: Storage,
    vocab_size: usize,
    tokenizer_hash: u64,
    text_bytes: u64,
}

#[derive(Debug)]
enum Storage {
    Mapped(Mapping, Range<usize>, Range<usize>),
    Owned(Vec<u32>),
}

impl TokenStream {
    /// Maps a file, and checks that every id belongs to its vocabulary.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Data`] for a file of another kind, or a damaged one.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::map(map_path(path)?).map_err(Error::format(path))
    }

    fn map(file: Mapping) -> std::result::Result<Self, FormatError> {
        let container = Container::new(&file, &KIND)?;
        let bad = |section| FormatError::at(FormatProblem::Content, container.offset_of(section));
        let head: &[u64] = container.section(&HEAD)?;
        let &[vocab_size, tokenizer_hash, text_bytes, len] = head else {
            return Err(bad(&HEAD));
        };
        let vocab_size = usize::try_from(vocab_size).map_err(|_| bad(&HEAD))?;
        let documents: &[u64] = container.section(&DOCUMENTS)?;
        if !documents.is_sorted() || documents.last().is_some_and(|start| *start > len) {
            return Err(bad(&DOCUMENTS));
        }
        let range = |name| {
            let start = container.offset_of(name);
            container
                .section::<u8>(name)
                .map(|bytes| start..start + bytes.len())
        };
        let (ids, documents) = (range(&IDS)?, range(&DOCUMENTS)?);
        let bad_ids = bad(&IDS);
        let storage = Storage::Mapped(file, ids, documents);
        let stream = Self {
            storage,
            vocab_size,
            tokenizer_hash,
            text_bytes,
        };
        let mut largest = 0;
        stream.ids().for_each(|id| largest = id.max(largest));
        let valid = stream.len() as u64 == len && (len == 0 || (largest as usize) < vocab_size);
        if valid { Ok(stream) } else { Err(bad_ids) }
    }

    /// A stream in memory, one document.
    pub fn from_ids(ids: Vec<u32>, vocab_size: usize) -> Self {
        let storage = Storage::Owned(ids);
        Self {
            storage,
            vocab_size,
            tokenizer_hash: 0,
            text_bytes: 0,
        }
    }

    /// All ids.
    pub fn ids(&self) -> Ids<'_> {
        match &self.storage {
            Storage::Mapped(file, ids, _) => Ids::from_bytes(&file[ids.clone()], self.vocab_size),
            Storage::Owned(ids) => Ids::U32(ids),
        }
    }

    /// Number of tokens.
    pub fn len(&self) -> usize {
        match self.ids() {
            Ids::U16(ids) => ids.len(),
            Ids::U32(ids) => ids.len(),
        }
    }

    /// Whether there are no tokens.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The id at a place; `None` past the end.
    #[inline]
    pub fn get(&self, at: usize) -> Option<u32> {
        self.ids().get(at)
    }

    /// Copies the ids from `start` on.
    ///
    /// # Panics
    /// If the stream has fewer.
    pub fn read(&self, start: usize, ids: &mut [u32]) {
        let range = start..start + ids.len();
        match self.ids() {
            Ids::U16(all) => {
                let pairs = ids.iter_mut().zip(&all[range]);
                pairs.for_each(|(slot, id)| *slot = u32::from(*id));
            }
            Ids::U32(all) => ids.copy_from_slice(&all[range]),
        }
    }

    /// The documents, as ranges of tokens.
    pub fn documents(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        let starts: &[u64] = match &self.storage {
            Storage::Mapped(file, _, documents) => values(&file[documents.clone()]),
            Storage::Owned(_) => &[0],
        };
        let ends = starts.iter().skip(1).copied().chain([self.len() as u64]);
        starts
            .iter()
            .zip(ends)
            .map(|(start, end)| *start as usize..end as usize)
    }

    /// How often each token appears.
    pub fn counts(&self) -> Vec<u64> {
        let mut counts = vec![0; self.vocab_size];
        self.ids().for_each(|id| {
            if let Some(count) = counts.get_mut(id as usize) {
                *count += 1;
            }
        });
        counts
    }

    /// Number of tokens of the vocabulary; every id is below it.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// [`Tokenizer::hash`](crate::tokenizer::Tokenizer::hash) of the tokenizer that made the ids.
    pub fn tokenizer_hash(&self) -> u64 {
        self.tokenizer_hash
    }

    /// Length of the text that was encoded.
    pub fn text_bytes(&self) -> u64 {
        self.text_bytes
    }
}

/// Part of a file as values; sections are aligned, and their lengths were checked.
fn values<T: AnyBitPattern>(bytes: &[u8]) -> &[T] {
    bytemuck::try_cast_slice(bytes).unwrap_or(&[])
}
