//! Training that survives: all it depends on, written beside the result while it goes on.
//!
//! | section | content |
//! |---|---|
//! | `state` | JSON: the job (options, hash of text, vectors and counts), step, loss, history, schedule |
//! | `values` | the parameters: `f32` |
//! | `mean`, `square` | the optimiser's two numbers a parameter: `f32` |
//! | `kept` | the parameters of the best evaluation, empty without one: `f32` |
//! | `starts` | the windows that the epoch has left: `u64` |
//!
//! The file is written under a temporary name, synced and renamed: a kill leaves the one before.
//! Nothing in it depends on the number of threads, so any other may go on with it.

use super::{Kept, State};
use crate::attention_trainer::LmOptions;
use crate::attention_trainer::windows::Windows;
use crate::checkpoints::{Checkpoints, STATE, check_job, read_state};
use crate::container::ContainerWriter;
use crate::corpus::map::map_path;
use crate::token_stream::{Ids, TokenStream};
use crate::{Error, Result};
use barelm_kernels::format::{Container, FormatError, FormatProblem};
use serde::{Deserialize, Serialize};
use std::path::Path;
use xxhash_rust::xxh64::Xxh64;

/// The file's name in its folder.
pub(super) const FILE_NAME: &str = "lm.checkpoint";
const KIND: [u8; 8] = *b"lm\0\0\0\0\0\0";
const VALUES: [u8; 8] = *b"values\0\0";
/// A section for each of the optimiser's vectors.
const OPTIMISER: [[u8; 8]; 2] = [*b"mean\0\0\0\0", *b"square\0\0"];
const KEPT: [u8; 8] = *b"kept\0\0\0\0";
const STARTS: [u8; 8] = *b"starts\0\0";
/// All of them.
const SECTIONS: usize = 6;

/// What training depends on besides numbers a parameter and the windows that are left.
#[derive(Serialize, Deserialize)]
struct Saved {
    job: String,
    state: State,
    /// Step and bits per byte of the parameters that are kept.
    kept: Option<(u64, f64)>,
    rng: [u64; 2],
    powers: [f32; 2],
}

/// The parts of a run that a checkpoint holds, to be written or to be filled.
pub(super) struct Parts<'a, 's> {
    pub(super) state: &'a mut State,
    pub(super) values: &'a mut [f32],
    pub(super) optimiser: ([&'a mut [f32]; 2], &'a mut [f32; 2]),
    pub(super) kept: &'a mut Option<Kept>,
    pub(super) windows: &'a mut Windows<'s>,
}

/// What must be the same for training to go on: everything but the number of threads.
pub(super) fn job(
    options: &LmOptions,
    texts: [Option<&TokenStream>; 2],
    vectors: Option<&[f32]>,
    counts: &[u64],
) -> String {
    let options = LmOptions {
        threads: 0,
        ..options.clone()
    };
    let mut hash = Xxh64::new(0);
    for text in texts.into_iter().flatten() {
        hash.update(&text.len().to_le_bytes());
        match text.ids() {
            Ids::U16(ids) => hash.update(bytemuck::cast_slice(ids)),
            Ids::U32(ids) => hash.update(bytemuck::cast_slice(ids)),
        }
    }
    hash.update(bytemuck::cast_slice(vectors.unwrap_or_default()));
    hash.update(bytemuck::cast_slice(counts));
    format!("{options:?}, text {:016x}", hash.digest())
}

/// Writes a checkpoint, of a run that was interrupted, too.
///
/// # Errors
/// [`Error::Io`].
pub(super) fn save(checkpoints: &Checkpoints, job: &str, parts: Parts<'_, '_>) -> Result<()> {
    let (rng, starts) = parts.windows.place();
    let ([mean, square], powers) = parts.optimiser;
    let kept = parts.kept.as_ref();
    let saved = Saved {
        job: job.into(),
        state: parts.state.clone(),
        kept: kept.map(|kept| (kept.step, kept.bits_per_byte)),
        rng,
        powers: *powers,
    };
    let saved = serde_json::to_vec(&saved).map_err(|e| Error::Failed(e.to_string()))?;
    let path = checkpoints.path(FILE_NAME);
    let mut writer = ContainerWriter::create(path, &KIND, SECTIONS)?;
    writer.section(&STATE, &saved)?;
    writer.section(&VALUES, bytemuck::cast_slice(parts.values))?;
    for (name, numbers) in OPTIMISER.iter().zip([mean, square]) {
        writer.section(name, bytemuck::cast_slice(numbers))?;
    }
    let kept = kept.map_or(&[][..], |kept| &kept.values);
    writer.section(&KEPT, bytemuck::cast_slice(kept))?;
    writer.section(&STARTS, bytemuck::cast_slice(starts))?;
    writer.finish_interrupted()
}

/// Fills a run with the checkpoint of its job; returns whether there is one.
///
/// # Errors
/// [`Error::Io`]; [`Error::Data`] for a damaged file, or one of another job.
pub(super) fn load(checkpoints: &Checkpoints, job: &str, parts: Parts<'_, '_>) -> Result<bool> {
    let path = &checkpoints.path(FILE_NAME);
    if !path.exists() {
        return Ok(false);
    }
    let file = map_path(path)?;
    let container = Container::new(&file, &KIND).map_err(Error::format(path))?;
    container.verify().map_err(Error::format(path))?;
    let saved: Saved = read_state(path, &container, "a language model")?;
    check_job(path, &saved.job, job)?;
    fill(path, &container, saved, parts)?;
    Ok(true)
}

fn fill(path: &Path, container: &Container<'_>, saved: Saved, parts: Parts<'_, '_>) -> Result<()> {
    let ([mean, square], powers) = parts.optimiser;
    let [m, v] = OPTIMISER;
    for (name, numbers) in [(VALUES, &mut *parts.values), (m, mean), (v, square)] {
        read_into(container, &name, numbers).map_err(Error::format(path))?;
    }
    if let Some((step, bits_per_byte)) = saved.kept {
        let mut values = vec![0.0; parts.values.len()];
        read_into(container, &KEPT, &mut values).map_err(Error::format(path))?;
        *parts.kept = Some(Kept {
            step,
            bits_per_byte,
            values,
        });
    }
    let starts: &[u64] = container.section(&STARTS).map_err(Error::format(path))?;
    if !parts.windows.go_on(saved.rng, starts) {
        let wrong = FormatError::at(FormatProblem::Content, container.offset_of(&STARTS));
        return Err(Error::format(path)(wrong));
    }
    *powers = saved.powers;
    *parts.state = saved.state;
    Ok(())
}

fn read_into(
    container: &Container<'_>,
    name: &[u8; 8],
    numbers: &mut [f32],
) -> std::result::Result<(), FormatError> {
    let found: &[f32] = container.section(name)?;
    if found.len() != numbers.len() {
        let at = container.offset_of(name);
        return Err(FormatError::at(FormatProblem::Content, at));
    }
    numbers.copy_from_slice(found);
    Ok(())
}
