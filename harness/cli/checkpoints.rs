//! The options of every training that survives a kill.

use super::usage;
use crate::Result;
use crate::checkpoints::Checkpoints;
use clap::Args;
use std::fs::DirEntry;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Args)]
pub(super) struct CheckpointArgs {
    /// Write checkpoints to this folder, which no other job writes to; one that holds a checkpoint needs --resume
    #[arg(long, value_name = "DIR")]
    pub(super) checkpoint: Option<PathBuf>,
    /// Minutes between checkpoints: what a kill may lose
    #[arg(
        long,
        value_name = "X",
        default_value_t = 10.0,
        requires = "checkpoint"
    )]
    checkpoint_minutes: f64,
    /// Go on from the checkpoint in the folder, if there is one, to the same result
    #[arg(long, requires = "checkpoint")]
    resume: bool,
}

impl CheckpointArgs {
    /// Where and when to write checkpoints, if at all.
    ///
    /// # Errors
    /// [`crate::Error::Usage`].
    pub(super) fn checkpoints(&self) -> Result<Option<Checkpoints>> {
        let minutes = self.checkpoint_minutes;
        let every = Duration::try_from_secs_f64(60.0 * minutes)
            .map_err(|_| usage(format!("{minutes} minutes are no time")))?;
        if let Some(folder) = self.checkpoint.as_ref().filter(|_| !self.resume)
            && holds_checkpoint(folder)
        {
            return Err(usage(format!(
                "{} holds a checkpoint, which would be lost; add --resume to go on from it, or name another folder",
                folder.display()
            )));
        }
        let at = |folder: &PathBuf| Checkpoints {
            folder: folder.clone(),
            every,
            resume: self.resume,
        };
        Ok(self.checkpoint.as_ref().map(at))
    }
}

/// Whether there is a file in the folder that some training goes on from.
fn holds_checkpoint(folder: &Path) -> bool {
    let is_one = |entry: DirEntry| {
        let path = entry.path();
        path.extension()
            .is_some_and(|ending| ending == "checkpoint")
    };
    std::fs::read_dir(folder).is_ok_and(|mut entries| entries.any(|entry| entry.is_ok_and(is_one)))
}
