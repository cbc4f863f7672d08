//! One error type: it says which file, where in it, and what to do next; it knows its exit code.

use barelm_kernels::format::FormatError;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// What the harness returns.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a command ended without its result.
#[derive(Debug)]
pub enum Error {
    /// The command ran and found nothing, or a check failed. Exit code 1.
    Failed(String),
    /// Arguments that make no sense. Exit code 2.
    Usage(String),
    /// A file whose content is not what it should be. Exit code 3.
    Data {
        /// The file, or `-` for standard input.
        path: PathBuf,
        /// Byte where the trouble shows, if there is such a place.
        offset: Option<u64>,
        /// What is wrong, and what to do.
        message: String,
    },
    /// The operating system refused. Exit code 4.
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Ctrl-C or a termination signal. Exit code 130.
    Interrupted,
}

impl Error {
    /// Bad content in a file, without a place.
    pub fn data(path: impl AsRef<Path>, message: impl Into<String>) -> Self {
        Self::Data {
            path: path.as_ref().into(),
            offset: None,
            message: message.into(),
        }
    }

    /// Bad content in a file, at a byte.
    pub fn data_at(path: impl AsRef<Path>, offset: u64, message: impl Into<String>) -> Self {
        Self::Data {
            path: path.as_ref().into(),
            offset: Some(offset),
            message: message.into(),
        }
    }

    /// A refusal of the operating system; use as `.map_err(Error::io(path))`.
    pub fn io(path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            path: path.as_ref().into(),
            source,
        }
    }

    /// A file that the kernels' container refused; use as `.map_err(Error::format(path))`.
    pub fn format(path: impl AsRef<Path>) -> impl FnOnce(FormatError) -> Self {
        move |e| {
            let message = format!("{e}; train or convert it again");
            Self::Data {
                path: path.as_ref().into(),
                offset: Some(e.offset),
                message,
            }
        }
    }

    /// The process's exit code for this error.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::Data { .. } => 3,
            Self::Io { .. } => 4,
            Self::Interrupted => 130,
        }
    }

    /// Whether standard output was closed by its reader (`| head -1`): no error to a user.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::BrokenPipe)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(message) | Self::Usage(message) => f.write_str(message),
            Self::Data {
                path,
                offset: Some(offset),
                message,
            } => {
                write!(f, "{}: byte {offset}: {message}", path.display())
            }
            Self::Data {
                path,
                offset: None,
                message,
            } => {
                write!(f, "{}: {message}", path.display())
            }
            Self::Io { path, source } => write!(f, "{}: {source}{}", path.display(), hint(source)),
            Self::Interrupted => f.write_str("interrupted; no unfinished file was kept"),
        }
    }
}

/// What to do about an error of the operating system.
fn hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::NotFound => "; check the path",
        io::ErrorKind::PermissionDenied => "; check the permissions, or choose another folder",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; free some space, or write to another disk"
        }
        _ => "",
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}
