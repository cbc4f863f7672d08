//! Training that survives: all it depends on, written beside the result while it goes on.
//!
//! | section | content |
//! |---|---|
//! | `state` | JSON: the job (options, hashes of vocabulary and text), epochs done, place in the text, sums |
//! | `words`, `ends` | the spellings one after the other, and where each ends: bytes, `u64` |
//! | `counts` | how often each word was seen, in earlier texts too: `u64` |
//! | `offsets`, `nodes`, `codes` | the Huffman tree, empty without one: `u32`, `u32`, `u64` |
//! | `vectors`, `thetas` | the tables, slice by slice: `f32` |
//!
//! The file is written under a temporary name, synced and renamed: a kill leaves the one before.
//! Slices follow from the dimension, so another number of threads may go on with it. The same job
//! needs the state and the tables; another text, which [`Earlier`](super::Earlier) goes on with,
//! needs the vocabulary as well.

use super::epoch::Totals;
use super::parameters::{ParameterSlice, fill_from};
use super::windows::Place;
use super::{Architecture, CbowOptions, EpochReport, HuffmanTree, Loss, Start, TokenSource};
use crate::checkpoints::{self, Checkpoints, STATE, check_job};
use crate::container::ContainerWriter;
use crate::corpus::map::map_path;
use crate::token_stream::Ids;
use crate::{Error, Result};
use barelm_kernels::format::{Container, FormatError, FormatProblem};
use serde::{Deserialize, Serialize};
use std::path::Path;
use xxhash_rust::xxh64::Xxh64;

/// The file's name in its folder.
pub(super) const FILE_NAME: &str = "vectors.checkpoint";
/// Kind of the file.
pub(super) const KIND: [u8; 8] = *b"vectors\0";
pub(super) const WORDS: [u8; 8] = *b"words\0\0\0";
pub(super) const ENDS: [u8; 8] = *b"ends\0\0\0\0";
pub(super) const COUNTS: [u8; 8] = *b"counts\0\0";
pub(super) const OFFSETS: [u8; 8] = *b"offsets\0";
pub(super) const NODES: [u8; 8] = *b"nodes\0\0\0";
pub(super) const CODES: [u8; 8] = *b"codes\0\0\0";
/// A section for each table.
pub(super) const TABLES: [[u8; 8]; 2] = [*b"vectors\0", *b"thetas\0\0"];
/// All of them.
const SECTIONS: usize = 9;

/// What training depends on besides the parameters.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) job: String,
    pub(super) architecture: Architecture,
    pub(super) loss: Loss,
    pub(super) dim: usize,
    pub(super) place: Place,
    pub(super) totals: Totals,
    pub(super) seconds: f64,
    pub(super) epochs: Vec<EpochReport>,
}

/// What the rows of the tables belong to.
pub(super) struct Vocabulary<'a> {
    pub(super) words: &'a [Vec<u8>],
    /// How often each was seen, in earlier texts too.
    pub(super) counts: &'a [u64],
    pub(super) tree: Option<&'a HuffmanTree>,
}

/// What must be the same for training to go on: everything but the number of threads.
pub(super) fn job(
    options: &CbowOptions,
    source: TokenSource<'_>,
    start: Option<Start<'_>>,
) -> Result<String> {
    let options = CbowOptions {
        threads: 0,
        ..options.clone()
    };
    let mut hash = Xxh64::new(0);
    hash.update(bytemuck::cast_slice(source.counts));
    match source.ids {
        Ids::U16(ids) => hash.update(bytemuck::cast_slice(ids)),
        Ids::U32(ids) => hash.update(bytemuck::cast_slice(ids)),
    }
    match start {
        Some(Start::Vectors(vectors)) => hash.update(bytemuck::cast_slice(&vectors.data)),
        Some(Start::Earlier(earlier)) => {
            for table in earlier.tables()? {
                hash.update(bytemuck::cast_slice(table));
            }
        }
        None => {}
    }
    Ok(format!("{options:?}, text {:016x}", hash.digest()))
}

/// # Errors
/// [`Error::Io`].
pub(super) fn save(
    checkpoints: &Checkpoints,
    state: &State,
    vocabulary: &Vocabulary<'_>,
    parameters: &[ParameterSlice],
) -> Result<()> {
    let mut writer = ContainerWriter::create(checkpoints.path(FILE_NAME), &KIND, SECTIONS)?;
    let state = serde_json::to_vec(state).map_err(|e| Error::Failed(e.to_string()))?;
    writer.section(&STATE, &state)?;
    write_vocabulary(&mut writer, vocabulary)?;
    for (i, name) in TABLES.iter().enumerate() {
        writer.begin(name)?;
        for own in parameters {
            for slice in 0..own.slices() {
                writer.append(bytemuck::cast_slice(&own.rows_of(i, slice)))?;
            }
        }
    }
    writer.finish()
}

fn write_vocabulary(writer: &mut ContainerWriter, vocabulary: &Vocabulary<'_>) -> Result<()> {
    let (mut end, mut ends) = (0, Vec::with_capacity(vocabulary.words.len()));
    writer.begin(&WORDS)?;
    for word in vocabulary.words {
        writer.append(word)?;
        end += word.len() as u64;
        ends.push(end);
    }
    writer.section(&ENDS, bytemuck::cast_slice::<u64, u8>(&ends))?;
    writer.section(&COUNTS, bytemuck::cast_slice(vocabulary.counts))?;
    let none = HuffmanTree::default();
    let tree = vocabulary.tree.unwrap_or(&none);
    writer.section(&OFFSETS, bytemuck::cast_slice(&tree.offsets))?;
    writer.section(&NODES, bytemuck::cast_slice(&tree.nodes))?;
    writer.section(&CODES, bytemuck::cast_slice(&tree.codes))
}

/// The state and the parameters of the checkpoint of a job; `None` where there is no file.
///
/// # Errors
/// [`Error::Io`]; [`Error::Data`] for a damaged file, or one of another job.
pub(super) fn load(
    checkpoints: &Checkpoints,
    job: &str,
    parameters: &mut [ParameterSlice],
) -> Result<Option<State>> {
    let path = &checkpoints.path(FILE_NAME);
    if !path.exists() {
        return Ok(None);
    }
    let file = map_path(path)?;
    let container = Container::new(&file, &KIND).map_err(Error::format(path))?;
    container.verify().map_err(Error::format(path))?;
    let state = read_state(path, &container)?;
    check_job(path, &state.job, job)?;
    read_tables(&container, parameters).map_err(Error::format(path))?;
    Ok(Some(state))
}

pub(super) fn read_state(path: &Path, container: &Container<'_>) -> Result<State> {
    checkpoints::read_state(path, container, "vectors")
}

fn read_tables(
    container: &Container<'_>,
    parameters: &mut [ParameterSlice],
) -> std::result::Result<(), FormatError> {
    for (i, name) in TABLES.iter().enumerate() {
        let table: &[f32] = container.section(name)?;
        let len: usize = parameters.iter().map(|slice| slice.table_len(i)).sum();
        if table.len() != len {
            let offset = container.offset_of(name);
            return Err(FormatError::at(FormatProblem::Content, offset));
        }
        fill_from(parameters, i, table, |_, saved, rows| {
            rows.copy_from_slice(saved);
        });
    }
    Ok(())
}
