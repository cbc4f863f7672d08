//! Where training writes what it needs to go on after a kill, and what all such files share.

use crate::output::remove_leftovers;
use crate::{Error, Result};
use barelm_kernels::format::Container;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Section of the JSON that every checkpoint begins with.
pub(crate) const STATE: [u8; 8] = *b"state\0\0\0";

/// Where and when to write checkpoints.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    /// The folder of the checkpoint, which no other job writes to.
    pub folder: PathBuf,
    /// Time between two of them: what a kill may lose.
    pub every: Duration,
    /// Go on from the one in the folder, if there is one.
    pub resume: bool,
}

impl Checkpoints {
    /// The file of that name in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Removes what killed runs left in the folder.
    pub(crate) fn clean(&self) {
        remove_leftovers(&self.folder);
    }
}

/// The state of a checkpoint of `what`.
///
/// # Errors
/// [`Error::Data`].
pub(crate) fn read_state<T: DeserializeOwned>(
    path: &Path,
    container: &Container<'_>,
    what: &str,
) -> Result<T> {
    let bytes: &[u8] = container.section(&STATE).map_err(Error::format(path))?;
    let offset = container.offset_of(&STATE) as u64;
    let damaged = |e| Error::data_at(path, offset, format!("not a checkpoint of {what}: {e}"));
    serde_json::from_slice(bytes).map_err(damaged)
}

/// Refuses a checkpoint of another job: `theirs` instead of `ours`.
///
/// # Errors
/// [`Error::Data`].
pub(crate) fn check_job(path: &Path, theirs: &str, ours: &str) -> Result<()> {
    if theirs == ours {
        return Ok(());
    }
    let message = format!(
        "the checkpoint is of another job: {}; take its options and text, or another folder",
        differences(theirs, ours)
    );
    Err(Error::data(path, message))
}

/// What differs in two lists of settings, as `{:?}` writes them.
fn differences(theirs: &str, ours: &str) -> String {
    let setting = |part: &str| {
        let inner = part.rsplit("{ ").next().unwrap_or(part);
        inner.trim_end_matches([' ', '}']).to_string()
    };
    let pairs = theirs.split(", ").zip(ours.split(", "));
    let differing = pairs.filter(|(theirs, ours)| theirs != ours);
    let said = differing.map(|(a, b)| format!("{}, not {}", setting(a), setting(b)));
    said.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_of_another_job_says_what_differs() {
        let job =
            |epochs: u32, text| format!("Options {{ dim: 3, epochs: {epochs} }}, text {text}");
        let path = Path::new("a.checkpoint");
        assert!(check_job(path, &job(2, "a"), &job(2, "a")).is_ok());
        let error = check_job(path, &job(2, "a"), &job(3, "b"))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("job: epochs: 2, not epochs: 3; text a, not text b; take"),
            "{error}"
        );
    }
}
