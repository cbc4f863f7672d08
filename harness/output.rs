//! Files that appear whole or not at all: written beside their place, synced, renamed.

use crate::{Error, Result};
use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// A file under a temporary name; [`OutputFile::commit`] gives it its own. Dropped, it is removed.
#[derive(Debug)]
pub struct OutputFile {
    path: PathBuf,
    file: BufWriter<NamedTempFile>,
}

impl OutputFile {
    /// Starts a file that will stand at `path`; folders on the way are made.
    ///
    /// # Errors
    /// [`Error::Io`] when the folder cannot be made or written.
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_path_buf();
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
        let file = tempfile::Builder::new()
            .prefix(".barelm-")
            .suffix(".tmp")
            .permissions(default_permissions())
            .tempfile_in(folder)
            .map_err(|e| Error::Io {
                path: folder.into(),
                source: plain(e),
            })?;
        Ok(Self {
            path,
            file: BufWriter::with_capacity(1 << 18, file),
        })
    }

    /// Where the file will stand.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes bytes at the current place.
    ///
    /// # Errors
    /// [`Error::Io`], a full disk for instance.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.file.write_all(bytes);
        written.map_err(plain).map_err(Error::io(&self.path))
    }

    /// Overwrites bytes at `offset`, then returns to the end.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        let mut patch = || {
            self.file.seek(SeekFrom::Start(offset))?;
            self.file.write_all(bytes)?;
            self.file.seek(SeekFrom::End(0))
        };
        patch()
            .map(drop)
            .map_err(plain)
            .map_err(Error::io(&self.path))
    }

    /// Syncs the file and renames it to its place.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Interrupted`] or a shrunken corpus is reported instead of a file
    /// made from half of its input.
    pub fn commit(self) -> Result<()> {
        crate::progress::check()?;
        let path = self.path;
        let finish = || -> io::Result<()> {
            let file = self
                .file
                .into_inner()
                .map_err(io::IntoInnerError::into_error)?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|e| e.error)?;
            let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
        };
        finish().map_err(|e| Error::Io {
            path: path.clone(),
            source: plain(e),
        })
    }
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes).map_err(plain)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush().map_err(plain)
    }
}

/// Writes a whole small file.
///
/// # Errors
/// [`Error::Io`].
pub fn write_file(path: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
    let mut file = OutputFile::create(path)?;
    file.write(bytes)?;
    file.commit()
}

/// The error without the temporary name that `tempfile` adds to it.
fn plain(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::Other => error,
        kind => error
            .raw_os_error()
            .map_or(kind.into(), io::Error::from_raw_os_error),
    }
}

/// What a plainly created file gets; temporary files are private by default.
#[cfg(unix)]
fn default_permissions() -> std::fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o666)
}

/// What a plainly created file gets.
#[cfg(not(unix))]
fn default_permissions() -> std::fs::Permissions {
    std::fs::metadata(".")
        .expect("the current folder exists")
        .permissions()
}
