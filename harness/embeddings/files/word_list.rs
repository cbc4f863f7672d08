//! A list of words beside a matrix: one a line, in the spelling of word2vec's files.

use super::super::spelling;
use crate::corpus::map::map_path;
use crate::output::OutputFile;
use crate::{Error, Result};
use std::borrow::Cow;
use std::path::Path;

/// Words as a format of lines and spaces holds them.
///
/// # Errors
/// [`Error::Usage`] for an empty word.
pub(super) fn spelled(words: &[Vec<u8>]) -> Result<Cow<'_, [Vec<u8>]>> {
    if let Some(i) = words.iter().position(Vec::is_empty) {
        let message = format!("word {i} is empty, which this format cannot hold; use safetensors");
        return Err(Error::Usage(message));
    }
    Ok(spelling::spell(words))
}

/// Starts the list's file, and writes it but for its name.
pub(super) fn write(words: &[Vec<u8>], path: &Path) -> Result<OutputFile> {
    let words = spelled(words)?;
    let mut file = OutputFile::create(path)?;
    for word in &*words {
        file.write(word)?;
        file.write(b"\n")?;
    }
    Ok(file)
}

/// Reads the list at `path` that belongs to the `rows` vectors of the file at `matrix`.
///
/// # Errors
/// [`Error::Io`], or [`Error::Data`] when it is not there or has not as many words.
pub(super) fn read(path: &Path, rows: usize, matrix: &Path) -> Result<Vec<Vec<u8>>> {
    if !path.exists() {
        let message = format!(
            "is missing; the words of {} stand there, one a line",
            matrix.display()
        );
        return Err(Error::data(path, message));
    }
    let bytes = map_path(path)?;
    let mut words = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let len = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let word = rest[..len].strip_suffix(b"\r").unwrap_or(&rest[..len]);
        if word.is_empty() || words.len() == rows {
            let message = format!(
                "one word a line is expected, {rows} of them, as many as {} has vectors",
                matrix.display()
            );
            return Err(Error::data_at(path, at as u64, message));
        }
        words.push(word.to_vec());
        at += len + 1;
    }
    if words.len() < rows {
        let message = format!(
            "{} words to the {rows} vectors of {}; the list is cut off, or another's",
            words.len(),
            matrix.display()
        );
        return Err(Error::data_at(path, bytes.len() as u64, message));
    }
    Ok(spelling::unspell(words))
}
