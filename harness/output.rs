//! Files that appear whole or not at all: written beside their place, synced, renamed.
//!
//! A place that is no file, such as `/dev/null` or a named pipe, must stay what it is: it is written
//! directly.

use crate::{Error, Result};
use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// How temporary names begin and end.
const PREFIX: &str = ".barelm-";
const SUFFIX: &str = ".tmp";

/// A file under a temporary name; [`OutputFile::commit`] gives it its own. Dropped, it is removed.
#[derive(Debug)]
pub struct OutputFile {
    path: PathBuf,
    file: BufWriter<Target>,
}

/// Where bytes go until the file is complete.
#[derive(Debug)]
enum Target {
    Temporary(NamedTempFile),
    /// A device or a pipe.
    Direct(File),
}

impl Target {
    fn open(path: &Path) -> Result<Self> {
        let exists = std::fs::metadata(path);
        if exists.is_ok_and(|found| !found.is_file() && !found.is_dir()) {
            let file = File::options().write(true).open(path);
            return file.map(Self::Direct).map_err(Error::io(path));
        }
        let folder = folder(path);
        std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
        let file = tempfile::Builder::new()
            .prefix(PREFIX)
            .suffix(SUFFIX)
            .permissions(default_permissions())
            .tempfile_in(folder)
            .map_err(plain)
            .map_err(Error::io(folder))?;
        Ok(Self::Temporary(file))
    }

    fn file(&mut self) -> &mut File {
        match self {
            Self::Temporary(file) => file.as_file_mut(),
            Self::Direct(file) => file,
        }
    }

    /// Gives the file its name.
    fn commit(self, path: &Path) -> io::Result<()> {
        let Self::Temporary(file) = self else {
            return Ok(());
        };
        file.as_file().sync_all()?;
        file.persist(path).map_err(|e| e.error)?;
        File::open(folder(path))?.sync_all()
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file().flush()
    }
}

impl Seek for Target {
    fn seek(&mut self, place: SeekFrom) -> io::Result<u64> {
        self.file().seek(place)
    }
}

/// The folder that a file stands in.
fn folder(path: &Path) -> &Path {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

impl OutputFile {
    /// Starts a file that will stand at `path`; folders on the way are made.
    ///
    /// # Errors
    /// [`Error::Io`] when the folder cannot be made or written.
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_path_buf();
        let file = Target::open(&path)?;
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
        self.commit_interrupted()
    }

    /// [`OutputFile::commit`] of a file that is whole although the work was interrupted: one that
    /// says how far it came.
    ///
    /// # Errors
    /// [`Error::Io`], or what a shrunken corpus is reported as.
    pub(crate) fn commit_interrupted(self) -> Result<()> {
        crate::progress::check_input()?;
        let path = self.path;
        let written = self
            .file
            .into_inner()
            .map_err(io::IntoInnerError::into_error);
        let committed = written.and_then(|target| target.commit(&path));
        committed.map_err(plain).map_err(Error::io(&path))
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

/// Removes what killed runs left in a folder that no other run writes to. A folder that cannot be
/// read has nothing to remove.
pub(crate) fn remove_leftovers(folder: &Path) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(PREFIX) && name.ends_with(SUFFIX) {
            // One that stays costs room and nothing else.
            let _ = std::fs::remove_file(entry.path());
        }
    }
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

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::FileTypeExt;
    use std::process::Command;

    #[test]
    fn a_named_pipe_is_written_and_stays_a_pipe() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        assert!(
            Command::new("mkfifo")
                .arg(&path)
                .status()
                .unwrap()
                .success()
        );
        let reader = std::thread::spawn({
            let path = path.clone();
            move || std::fs::read(path).unwrap()
        });
        write_file(&path, b"through the pipe").unwrap();
        assert_eq!(reader.join().unwrap(), b"through the pipe");
        assert!(std::fs::metadata(&path).unwrap().file_type().is_fifo());
    }
}
