//! Where a command writes: a file that appears when it is whole, or standard output.

use crate::Result;
use crate::cli::print::Stdout;
use crate::output::OutputFile;
use std::path::Path;

pub(super) enum Output {
    Stdout(Stdout),
    File(OutputFile),
}

impl Output {
    pub(super) fn create(path: Option<&Path>) -> Result<Self> {
        Ok(match path {
            None => Self::Stdout(Stdout::new()),
            Some(path) => Self::File(OutputFile::create(path)?),
        })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        match self {
            Self::Stdout(stdout) => stdout.bytes(bytes),
            Self::File(file) => file.write(bytes),
        }
    }

    /// Overwrites the start of a file; standard output has none.
    pub(super) fn write_at_start(&mut self, bytes: &[u8]) -> Result<()> {
        match self {
            Self::Stdout(_) => Ok(()),
            Self::File(file) => file.write_at(0, bytes),
        }
    }

    /// Lets a reader of standard output see what is written so far.
    pub(super) fn flush(&mut self) -> Result<()> {
        match self {
            Self::Stdout(stdout) => stdout.flush(),
            Self::File(_) => Ok(()),
        }
    }

    pub(super) fn finish(self) -> Result<()> {
        match self {
            Self::Stdout(mut stdout) => stdout.flush(),
            Self::File(file) => file.commit(),
        }
    }
}
