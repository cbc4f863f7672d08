//! Readers for what is not plain text on disk: `.gz`, `.zst`, JSON lines, pipes.

use crate::{Error, Result};
use flate2::bufread::MultiGzDecoder;
use serde_json::Value;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

/// The field of a JSON line that holds the text when none is named.
const DEFAULT_FIELD: &str = "text";

/// Whether a file can be mapped as it is.
pub(super) fn is_plain(path: &Path, jsonl_field: Option<&str>) -> bool {
    let regular = std::fs::metadata(path).is_ok_and(|m| m.is_file());
    regular && compression(path).is_none() && jsonl_field_of(path, jsonl_field).is_none()
}

/// The field to read if the file holds JSON lines: its name says so, or the user does.
pub(super) fn jsonl_field_of<'a>(path: &Path, named: Option<&'a str>) -> Option<&'a str> {
    let inner = match compression(path) {
        Some(_) => path.with_extension(""),
        None => PathBuf::from(path),
    };
    let by_name = inner
        .extension()
        .is_some_and(|e| e == "jsonl" || e == "ndjson");
    named.or(by_name.then_some(DEFAULT_FIELD))
}

fn compression(path: &Path) -> Option<&str> {
    let extension = path.extension()?.to_str()?;
    matches!(extension, "gz" | "zst").then_some(extension)
}

/// Opens a file, a pipe or `-`, and undoes its compression.
pub(super) fn open(path: &Path) -> Result<Box<dyn BufRead>> {
    if path.as_os_str() == "-" {
        return Ok(Box::new(io::stdin().lock()));
    }
    let file = File::open(path).map_err(Error::io(path))?;
    let file = BufReader::with_capacity(1 << 18, file);
    Ok(match compression(path) {
        Some("gz") => Box::new(BufReader::new(MultiGzDecoder::new(file))),
        Some(_) => {
            let decoder = zstd::Decoder::with_buffer(file).map_err(Error::io(path))?;
            Box::new(BufReader::new(decoder))
        }
        None => Box::new(file),
    })
}

/// The error for a read that failed `offset` unpacked bytes into a file.
pub(super) fn damaged(path: &Path, offset: u64, e: io::Error) -> Error {
    match compression(path) {
        Some(kind) if e.raw_os_error().is_none() => {
            let message = format!(
                "damaged .{kind} file, {offset} bytes could be unpacked ({e}); fetch or compress it again"
            );
            Error::data(path, message)
        }
        _ => Error::io(path)(e),
    }
}

/// Calls `f` with the text of every record of a file of JSON lines.
///
/// Blank lines and records whose field is `null` are skipped.
pub(super) fn for_each_record(
    input: &mut dyn BufRead,
    path: &Path,
    field: &str,
    mut f: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let (mut line, mut number, mut offset) = (Vec::new(), 0, 0);
    loop {
        line.clear();
        let n = input
            .read_until(b'\n', &mut line)
            .map_err(|e| damaged(path, offset, e))?;
        if n == 0 {
            return Ok(());
        }
        number += 1;
        if !line.trim_ascii().is_empty() {
            let place = |message| Error::data_at(path, offset, format!("line {number}: {message}"));
            match text_of(&line, field).map_err(place)? {
                Some(text) => f(text.as_bytes())?,
                None => crate::progress::check()?,
            }
        }
        offset += n as u64;
    }
}

fn text_of(line: &[u8], field: &str) -> std::result::Result<Option<String>, String> {
    let record = serde_json::from_slice(line)
        .map_err(|e| format!("not JSON ({e}); each line must be one JSON object"))?;
    let Value::Object(mut record) = record else {
        return Err("not a JSON object".into());
    };
    match record.remove(field) {
        Some(Value::String(text)) => Ok(Some(text)),
        Some(Value::Null) => Ok(None),
        Some(_) => Err(format!("field \"{field}\" is not a string; name another")),
        None => {
            let fields: Vec<_> = record.keys().take(8).map(String::as_str).collect();
            let fields = fields.join(", ");
            Err(format!(
                "no field \"{field}\"; name the one that holds the text (here: {fields})"
            ))
        }
    }
}
