//! Writing to stdout: a closed pipe or a full disk becomes an error value.

use super::Global;
use crate::{Error, Result};
use serde::Serialize;
use serde_json::Value;
use std::io::{self, BufWriter, Write};

/// Buffered stdout whose errors name it.
pub(super) struct Stdout(BufWriter<io::Stdout>);

impl Stdout {
    pub(super) fn new() -> Self {
        Self(BufWriter::with_capacity(1 << 16, io::stdout()))
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.0
            .write_all(bytes)
            .map_err(Error::io("standard output"))
    }

    pub(super) fn line(&mut self, text: impl AsRef<str>) -> Result<()> {
        self.bytes(text.as_ref().as_bytes())?;
        self.bytes(b"\n")
    }

    /// A result: one line of JSON with `--json`, else a line for each of its fields.
    pub(super) fn report(&mut self, global: &Global, value: &impl Serialize) -> Result<()> {
        if global.json {
            return self.json(value);
        }
        let value = serde_json::to_value(value).expect("reports have string keys");
        for (name, value) in value.as_object().into_iter().flatten() {
            self.line(format!("{:<24} {}", name.replace('_', " "), plain(value)))?;
        }
        Ok(())
    }

    /// One value as one line of JSON.
    pub(super) fn json(&mut self, value: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string(value).expect("reports have string keys");
        self.line(text)
    }

    /// Pushes everything out; without it a late error would be lost.
    pub(super) fn flush(&mut self) -> Result<()> {
        self.0.flush().map_err(Error::io("standard output"))
    }
}

/// A JSON value as a person would write it.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => {
            format!("{:.4}", number.as_f64().unwrap_or(f64::NAN))
        }
        other => other.to_string(),
    }
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
