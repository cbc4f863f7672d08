//! A file of runs: a temporary one, or one with its state beside it, to go on after a kill.
//!
//! With a work folder, `runs` holds the runs and `state.json` says which of them are complete and
//! how far the corpus is counted by them. The state is replaced as a whole, after the runs are
//! safe on disk; what a killed process wrote behind them is cut off when the next one begins.

use super::run::push_record;
use crate::corpus::map::{Mapping, map_file};
use crate::output::write_file;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Bytes that are written at a time.
const BUFFER_LEN: usize = 1 << 18;
const RUNS: &str = "runs";
const STATE: &str = "state.json";

/// Runs on disk, appended by any thread.
pub(super) struct RunFile {
    /// Where a temporary file is made, or the work folder.
    folder: PathBuf,
    fingerprint: Option<String>,
    open: Mutex<Option<Open>>,
}

struct Open {
    file: File,
    ends: Vec<u64>,
}

/// What `state.json` says.
#[derive(Serialize, Deserialize)]
struct State {
    /// Of the corpus and how it is cut.
    fingerprint: String,
    /// Bytes of the corpus that are counted.
    position: u64,
    /// Where the runs end.
    ends: Vec<u64>,
}

impl RunFile {
    /// A file without a name in a folder, made when there is a first run.
    pub(super) fn temporary(folder: &Path) -> Self {
        Self {
            folder: folder.into(),
            fingerprint: None,
            open: Mutex::new(None),
        }
    }

    /// The runs of a work folder, new or as a killed process left it, and how far they go.
    pub(super) fn resume(folder: &Path, fingerprint: String) -> Result<(Self, u64)> {
        std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
        let state = read_state(folder, &fingerprint)?;
        let path = folder.join(RUNS);
        let mut options = File::options();
        let options = options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(&path).map_err(Error::io(&path))?;
        let end = state.ends.last().copied().unwrap_or(0);
        if file.metadata().map_err(Error::io(&path))?.len() < end {
            return Err(unusable(folder, "is damaged"));
        }
        let cut = file.set_len(end).and_then(|()| file.seek(SeekFrom::End(0)));
        cut.map_err(Error::io(&path))?;
        let open = Open {
            file,
            ends: state.ends,
        };
        let runs = Self {
            folder: folder.into(),
            fingerprint: Some(fingerprint),
            open: Mutex::new(Some(open)),
        };
        Ok((runs, state.position))
    }

    /// Removes what [`Self::resume`] made, once it is not needed any more.
    pub(super) fn forget(folder: &Path) -> Result<()> {
        for name in [STATE, RUNS] {
            let path = folder.join(name);
            if path.exists() {
                std::fs::remove_file(&path).map_err(Error::io(&path))?;
            }
        }
        // Somebody else's files may be there, too.
        let _ = std::fs::remove_dir(folder);
        Ok(())
    }

    /// Appends the run that `fill` gives, record by record in the order of bytes.
    pub(super) fn append(
        &self,
        fill: impl FnOnce(&mut dyn FnMut(&[u8], u64)) -> Result<()>,
    ) -> Result<()> {
        let mut open = self.open.lock().expect("no holder panics");
        if open.is_none() {
            let file = tempfile::tempfile_in(&self.folder).map_err(Error::io(&self.folder))?;
            *open = Some(Open { file, ends: vec![] });
        }
        let Open { file, ends } = open.as_mut().expect("it was opened");
        let (mut buffer, mut written) = (Vec::with_capacity(BUFFER_LEN), Ok(()));
        let mut len = 0;
        let mut write = |buffer: &mut Vec<u8>| {
            if written.is_ok() {
                written = file.write_all(buffer);
            }
            len += buffer.len() as u64;
            buffer.clear();
        };
        fill(&mut |word, count| {
            push_record(&mut buffer, word, count);
            if buffer.len() >= BUFFER_LEN {
                write(&mut buffer);
            }
        })?;
        write(&mut buffer);
        written.map_err(Error::io(&self.folder))?;
        ends.push(ends.last().unwrap_or(&0) + len);
        Ok(())
    }

    /// Notes that all runs so far count the first `position` bytes of the corpus.
    pub(super) fn checkpoint(&self, position: u64) -> Result<()> {
        let (Some(fingerprint), Some(open)) = (
            &self.fingerprint,
            &*self.open.lock().expect("no holder panics"),
        ) else {
            return Ok(());
        };
        open.file.sync_data().map_err(Error::io(&self.folder))?;
        let state = State {
            fingerprint: fingerprint.clone(),
            position,
            ends: open.ends.clone(),
        };
        let json = serde_json::to_vec(&state).expect("numbers and text");
        write_file(self.folder.join(STATE), &json)
    }

    /// Whether there is no run.
    pub(super) fn is_empty(&self) -> bool {
        let open = self.open.lock().expect("no holder panics");
        open.as_ref().is_none_or(|open| open.ends.is_empty())
    }

    /// Maps the runs to read them.
    pub(super) fn map(&self) -> Result<MappedRuns> {
        let open = self.open.lock().expect("no holder panics");
        let Some(Open { file, ends }) = &*open else {
            return Ok(MappedRuns::default());
        };
        Ok(MappedRuns {
            bytes: Some(map_file(file, &self.folder)?),
            ends: ends.clone(),
        })
    }
}

/// Runs that can be read.
#[derive(Default)]
pub(super) struct MappedRuns {
    bytes: Option<Mapping>,
    ends: Vec<u64>,
}

impl MappedRuns {
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(&0).chain(&self.ends);
        let ranges = starts
            .zip(&self.ends)
            .map(|(s, e)| *s as usize..*e as usize);
        let bytes = self.bytes.as_deref().unwrap_or(&[]);
        ranges.filter_map(|range| bytes.get(range))
    }
}

/// The state in a folder, or that of a fresh start.
fn read_state(folder: &Path, fingerprint: &str) -> Result<State> {
    let path = folder.join(STATE);
    if !path.exists() {
        return Ok(State {
            fingerprint: fingerprint.into(),
            position: 0,
            ends: Vec::new(),
        });
    }
    let content = std::fs::read(&path).map_err(Error::io(&path))?;
    let state: State =
        serde_json::from_slice(&content).map_err(|_| unusable(folder, "is damaged"))?;
    if state.fingerprint != fingerprint {
        let other = "is about another corpus, or another way to cut it";
        return Err(unusable(folder, other));
    }
    let sorted = state.ends.is_sorted();
    sorted
        .then_some(state)
        .ok_or_else(|| unusable(folder, "is damaged"))
}

fn unusable(folder: &Path, what: &str) -> Error {
    Error::data(
        folder,
        format!("the state to go on from {what}; remove the folder to start anew"),
    )
}
