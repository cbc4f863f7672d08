//! A run as lines of JSON: one an evaluation, and one at the end.

use crate::attention_trainer::Evaluation;
use crate::{Error, Result};
use serde::Serialize;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// What a line says.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Line {
    #[serde(flatten)]
    pub(super) evaluation: Evaluation,
    /// Tokens trained so far.
    pub(super) tokens: u64,
    /// AdamW's, of the last step.
    pub(super) learning_rate: f32,
    /// Of wall time, evaluations not counted, since the line before.
    pub(super) tokens_per_second: f64,
    /// The share of this machine's FMA peak that this comes to.
    pub(super) share_of_peak: f64,
    /// Wall time of the run so far.
    pub(super) seconds: f64,
    /// In the last line, whose bits per byte are of the whole held-out text: the step whose
    /// parameters are the result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) kept_step: Option<u64>,
}

/// The file, written line by line, so that it can be followed while the run goes on.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    file: File,
}

impl Log {
    /// Starts a file; or goes on with the one of a run that had taken `steps` when its checkpoint
    /// was written, without the lines that will come again.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn open(path: &Path, steps: u64) -> Result<Self> {
        let old = match steps {
            0 => String::new(),
            _ => match std::fs::read_to_string(path) {
                Err(e) if e.kind() != ErrorKind::NotFound => return Err(Error::io(path)(e)),
                text => text.unwrap_or_default(),
            },
        };
        let mut log = Self {
            path: path.into(),
            file: File::create(path).map_err(Error::io(path))?,
        };
        let stays = |line: &&str| step_of(line).is_some_and(|step| step <= steps);
        old.lines()
            .filter(stays)
            .try_for_each(|line| log.put(line))?;
        Ok(log)
    }

    /// # Errors
    /// [`Error::Io`], a full disk for instance.
    pub(super) fn write(&mut self, line: &Line) -> Result<()> {
        let line = serde_json::to_string(line).map_err(|e| Error::Failed(e.to_string()))?;
        self.put(&line)
    }

    fn put(&mut self, line: &str) -> Result<()> {
        let written = self.file.write_all(format!("{line}\n").as_bytes());
        written.map_err(Error::io(&self.path))
    }
}

/// The step of a line that is whole and not the last one of its run.
fn step_of(line: &str) -> Option<u64> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    match line.get("kept_step") {
        Some(_) => None,
        None => line.get("step")?.as_u64(),
    }
}
