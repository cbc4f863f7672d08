//! Writes and maps `ngram.barelm`: a model with its tokenizer.
//!
//! | section | content |
//! |---|---|
//! | those of a tokenizer | the tokenizer whose ids were counted |
//! | `ngram` | order, vocabulary size, bytes of the text, a hash of it: `u64` |
//! | `discount` | three a level, from the empty context on: `f64` |
//! | `tokens0`, `starts0`, `childrn0`, `success0`, `counts0`; `tokens1` and so on | the arrays of a level: tokens and successors `u16` if the vocabulary has at most 65,536, else `u32`; the others `u32` |
//!
//! Opening checks the structure. The arrays are read where a lookup falls, which takes no place in
//! them for granted: a damaged one gives other probabilities, of which no list's sum is above 1.

use super::discounts::Discounts;
use super::trie::{Level, LevelRef};
use super::{MAX_ORDER, NgramModel, Storage};
use crate::container::ContainerWriter;
use crate::corpus::map::map_path;
use crate::token_stream::{Ids, id_width};
use crate::tokenizer::Tokenizer;
use crate::{Error, Result};
use barelm_kernels::format::{Container, FormatError, FormatProblem};
use bytemuck::AnyBitPattern;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Name of the file in a folder of results.
const FILE_NAME: &str = "ngram.barelm";
/// Kind of the file.
const KIND: [u8; 8] = *b"ngram\0\0\0";
const HEAD: [u8; 8] = *b"ngram\0\0\0";
const DISCOUNTS: [u8; 8] = *b"discount";
/// Values that are converted at a time.
const CHUNK: usize = 1 << 16;

/// Names of the sections of a level.
fn names(depth: usize) -> Level<[u8; 8]> {
    let name = |text: &str| {
        let text = format!("{text}{depth}");
        let mut name = [0; 8];
        name[..text.len()].copy_from_slice(text.as_bytes());
        name
    };
    Level {
        tokens: name("tokens"),
        starts: name("starts"),
        children: name("childrn"),
        successors: name("success"),
        counts: name("counts"),
    }
}

/// A mapped model and its tokenizer.
#[derive(Debug)]
pub struct NgramFile {
    path: PathBuf,
    model: NgramModel,
    tokenizer: Tokenizer,
}

impl NgramFile {
    /// Whether a file says that it is of this kind; what cannot be read is not.
    pub fn is_one(path: impl AsRef<Path>) -> bool {
        let path = path.as_ref();
        let file = path.is_file().then(|| map_path(path).ok()).flatten();
        file.is_some_and(|file| file.get(32..40) == Some(&KIND))
    }

    /// Writes a model and the tokenizer whose ids it counted; `text_bytes` and `text_hash` say
    /// which text that was.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Usage`] when tokenizer and model are of different vocabularies.
    pub fn save(
        path: impl AsRef<Path>,
        model: &NgramModel,
        tokenizer: &Tokenizer,
        text_bytes: u64,
        text_hash: u64,
    ) -> Result<()> {
        if tokenizer.vocab_size() != model.vocab_size() {
            let message = "tokenizer and n-gram model are not of one vocabulary";
            return Err(Error::Usage(message.into()));
        }
        let sections = Tokenizer::SECTIONS + 2 + 5 * model.order();
        let mut writer = ContainerWriter::create(path, &KIND, sections)?;
        let [order, vocab_size] = [model.order(), model.vocab_size()].map(|n| n as u64);
        let head = [order, vocab_size, text_bytes, text_hash];
        tokenizer.write_sections(&mut writer)?;
        writer.section(&HEAD, bytemuck::cast_slice(&head))?;
        writer.section(&DISCOUNTS, bytemuck::cast_slice(&model.discounts()))?;
        for depth in 0..model.order() {
            let (names, level) = (names(depth), model.level(depth));
            write_ids(&mut writer, &names.tokens, level.tokens, model.vocab_size())?;
            writer.section(&names.starts, bytemuck::cast_slice(level.starts))?;
            writer.section(&names.children, bytemuck::cast_slice(level.children))?;
            write_ids(
                &mut writer,
                &names.successors,
                level.successors,
                model.vocab_size(),
            )?;
            writer.section(&names.counts, bytemuck::cast_slice(level.counts))?;
        }
        writer.finish()
    }

    /// Maps a file, or the `ngram.barelm` in a folder, at a cost that grows with the vocabulary alone.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Data`] for a damaged file, or one of another kind.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = match path.as_ref() {
            folder if folder.is_dir() => folder.join(FILE_NAME),
            file => file.to_path_buf(),
        };
        let file = map_path(&path)?;
        let (vocab_size, discounts, levels) = structure(&file).map_err(Error::format(&path))?;
        let tokenizer = Tokenizer::load(&path)?;
        if tokenizer.vocab_size() != vocab_size {
            let message = "its tokenizer is of another vocabulary; train it again";
            return Err(Error::data(path, message));
        }
        let model = NgramModel {
            vocab_size,
            discounts,
            storage: Storage::Mapped(file, levels),
        };
        Ok(Self {
            path,
            model,
            tokenizer,
        })
    }

    /// The model.
    pub fn model(&self) -> &NgramModel {
        &self.model
    }

    /// The tokenizer that the model was trained with.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Vocabulary size, discounts, and where the arrays of each level are.
type Structure = (usize, Vec<Discounts>, Vec<Level<Range<usize>>>);

fn structure(file: &[u8]) -> std::result::Result<Structure, FormatError> {
    let container = Container::new(file, &KIND)?;
    let bad = |section| FormatError::at(FormatProblem::Content, container.offset_of(section));
    let &[order, vocab_size, _, _] = container.section::<u64>(&HEAD)? else {
        return Err(bad(&HEAD));
    };
    let vocab_size = usize::try_from(vocab_size).map_err(|_| bad(&HEAD))?;
    if !(1..=MAX_ORDER as u64).contains(&order) || vocab_size == 0 {
        return Err(bad(&HEAD));
    }
    let discounts: &[[f64; 3]] = container.section(&DISCOUNTS)?;
    let discounts: Vec<_> = discounts.iter().copied().map(Discounts).collect();
    if discounts.len() as u64 != order || !discounts.iter().all(|d| d.are_valid()) {
        return Err(bad(&DISCOUNTS));
    }
    let levels = (0..order as usize).map(|depth| arrays(&container, depth, vocab_size));
    Ok((
        vocab_size,
        discounts,
        levels.collect::<std::result::Result<_, _>>()?,
    ))
}

/// Where the arrays of a level are; each is of whole values.
fn arrays(
    container: &Container<'_>,
    depth: usize,
    vocab_size: usize,
) -> std::result::Result<Level<Range<usize>>, FormatError> {
    let range = |name: &[u8; 8], width: usize| {
        let bytes = container.section::<u8>(name)?.len();
        let start = container.offset_of(name);
        if bytes.is_multiple_of(width) {
            Ok(start..start + bytes)
        } else {
            Err(FormatError::at(FormatProblem::Content, start))
        }
    };
    let (names, width) = (names(depth), id_width(vocab_size));
    Ok(Level {
        tokens: range(&names.tokens, width)?,
        starts: range(&names.starts, 4)?,
        children: range(&names.children, 4)?,
        successors: range(&names.successors, width)?,
        counts: range(&names.counts, 4)?,
    })
}

/// A level of a mapped file whose structure was checked.
pub(super) fn level<'a>(
    file: &'a [u8],
    ranges: &Level<Range<usize>>,
    vocab_size: usize,
) -> LevelRef<'a> {
    let numbers = |range: &Range<usize>| values(&file[range.clone()]);
    let ids = |range: &Range<usize>| Ids::from_bytes(&file[range.clone()], vocab_size);
    Level {
        tokens: ids(&ranges.tokens),
        starts: numbers(&ranges.starts),
        children: numbers(&ranges.children),
        successors: ids(&ranges.successors),
        counts: numbers(&ranges.counts),
    }
}

/// Part of a file as values; sections are aligned, and their lengths were checked.
fn values<T: AnyBitPattern>(bytes: &[u8]) -> &[T] {
    bytemuck::try_cast_slice(bytes).unwrap_or(&[])
}

/// Writes ids as narrow as the vocabulary allows.
fn write_ids(
    writer: &mut ContainerWriter,
    name: &[u8; 8],
    ids: Ids<'_>,
    vocab_size: usize,
) -> Result<()> {
    let wide = match ids {
        Ids::U32(wide) if id_width(vocab_size) == 2 => wide,
        Ids::U32(ids) => return writer.section(name, bytemuck::cast_slice(ids)),
        Ids::U16(ids) => return writer.section(name, bytemuck::cast_slice(ids)),
    };
    writer.begin(name)?;
    for chunk in wide.chunks(CHUNK) {
        let narrow: Vec<u16> = chunk.iter().map(|id| *id as u16).collect();
        writer.append(bytemuck::cast_slice(&narrow))?;
    }
    Ok(())
}
