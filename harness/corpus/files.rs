//! Which files a list of paths means.

use crate::{Error, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// The files behind `paths`, in the order given; folders give theirs sorted by name.
///
/// Hidden entries of a folder are skipped, and links to folders are not followed (they can form
/// loops).
pub(super) fn expand(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" || !is_folder(path)? {
            files.push(path.clone());
            continue;
        }
        let before = files.len();
        walk(path, &mut files)?;
        if files.len() == before {
            let message = "the folder holds no file (hidden ones are skipped); name a text file";
            return Err(Error::data(path, message));
        }
    }
    Ok(files)
}

fn is_folder(path: &Path) -> Result<bool> {
    Ok(fs::metadata(path).map_err(Error::io(path))?.is_dir())
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let read = |entry: std::io::Result<fs::DirEntry>| entry.map(|e| (e.file_name(), e.path()));
    let entries = fs::read_dir(folder).and_then(|list| list.map(read).collect());
    let mut entries: Vec<_> = entries.map_err(Error::io(folder))?;
    entries.sort();
    for (name, path) in entries {
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let kind = fs::symlink_metadata(&path)
            .map_err(Error::io(&path))?
            .file_type();
        if kind.is_dir() {
            walk(&path, files)?;
        } else if kind.is_file() || fs::metadata(&path).is_ok_and(|target| target.is_file()) {
            files.push(path);
        }
    }
    Ok(())
}
