//! Files of named tensors: safetensors, whose header in JSON says where each tensor lies.
//!
//! ```text
//! byte 0   length of the header (u64)     8   the header     behind it   the tensors
//! ```

use crate::{Error, Result};
use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use std::collections::HashMap;
use std::path::Path;

/// Bytes before the header: its length.
pub(crate) const PREFIX: usize = size_of::<u64>();

/// The header of tensors that stand one behind the other, with its length before it, filled up
/// with spaces to a multiple of eight. `notes` are for other programs.
pub(crate) fn header<N: ToString>(
    notes: &[(&str, &str)],
    shapes: Vec<(N, Dtype, Vec<usize>)>,
) -> Vec<u8> {
    let mut start = 0;
    let info = |(name, dtype, shape): (N, Dtype, Vec<usize>)| {
        let end = start + shape.iter().product::<usize>() * dtype.bitsize() / 8;
        let data_offsets = (start, end);
        start = end;
        (
            name.to_string(),
            TensorInfo {
                dtype,
                shape,
                data_offsets,
            },
        )
    };
    let tensors = shapes.into_iter().map(info).collect();
    let notes = notes.iter().map(|(k, v)| (k.to_string(), v.to_string()));
    let notes = Some(notes.collect()).filter(|notes: &HashMap<_, _>| !notes.is_empty());
    let metadata = Metadata::new(notes, tensors).expect("tensors stand one behind the other");
    let mut json = serde_json::to_vec(&metadata).expect("names and numbers");
    json.resize(json.len().next_multiple_of(PREFIX), b' ');
    let mut header = (json.len() as u64).to_le_bytes().to_vec();
    header.extend(json);
    header
}

/// Whether a file begins with the length of a header that fits in it, and with JSON behind that.
pub(crate) fn begins(bytes: &[u8]) -> bool {
    let Some((len, json)) = bytes.split_first_chunk() else {
        return false;
    };
    json.starts_with(b"{") && u64::from_le_bytes(*len) <= json.len() as u64
}

/// A file whose tensors all lie within it.
pub(crate) struct TensorFile<'a> {
    metadata: Metadata,
    /// Where the tensors start.
    start: usize,
    tensors: &'a [u8],
}

/// One of its tensors.
pub(crate) struct TensorRef<'a> {
    pub(crate) dtype: Dtype,
    pub(crate) shape: &'a [usize],
    /// Where it starts in the file.
    pub(crate) start: usize,
    pub(crate) bytes: &'a [u8],
}

impl<'a> TensorFile<'a> {
    /// Checks that names, shapes and places fit each other and the file.
    pub(crate) fn open(path: &Path, bytes: &'a [u8]) -> Result<Self> {
        let damaged = |at: usize, message: String| {
            let message = format!("{message}; not a safetensors file, or cut off");
            Error::data_at(path, at as u64, message)
        };
        let (len, rest) = bytes
            .split_first_chunk()
            .ok_or_else(|| damaged(0, "no header".into()))?;
        let len = usize::try_from(u64::from_le_bytes(*len)).ok();
        let Some((json, tensors)) = len.and_then(|len| rest.split_at_checked(len)) else {
            return Err(damaged(0, "the header is longer than the file".into()));
        };
        // The types check names, shapes and places against each other; the file's end is left to us.
        let metadata: Metadata = serde_json::from_slice(json)
            .map_err(|e| damaged(PREFIX, format!("the header: {e}")))?;
        let start = PREFIX + json.len();
        if metadata.data_len() != tensors.len() {
            let message = format!(
                "{} bytes of tensors are announced, {} follow",
                metadata.data_len(),
                tensors.len()
            );
            return Err(damaged(start, message));
        }
        Ok(Self {
            metadata,
            start,
            tensors,
        })
    }

    /// The names of all tensors, in the order in which they lie in the file.
    pub(crate) fn names(&self) -> Vec<String> {
        self.metadata.offset_keys()
    }

    /// A tensor, if there is one of that name.
    pub(crate) fn tensor(&self, name: &str) -> Option<TensorRef<'_>> {
        let info = self.metadata.info(name)?;
        let (start, end) = info.data_offsets;
        Some(TensorRef {
            dtype: info.dtype,
            shape: &info.shape,
            start: self.start + start,
            bytes: &self.tensors[start..end],
        })
    }
}
