//! Tensors by name, after a header in JSON that says where each starts; written in this order, so
//! that each starts at a multiple of its elements' size:
//!
//! | name | type, shape | |
//! |---|---|---|
//! | `word_ends` | `U64`, rows | where each word ends in `word_bytes` |
//! | `scales` | `F32`, rows | with `I8` alone: a row is its whole numbers times its scale |
//! | `vectors` | `F32`, `F16` or `I8`, rows x dim | |
//! | `word_bytes` | `U8`, bytes | the words one behind the other, exactly as they are |

use super::super::Embeddings;
use super::{Dtype, element, first_not_finite};
use crate::output::OutputFile;
use crate::tensor_file::{PREFIX, TensorFile, TensorRef, header};
use crate::{Error, Result};
use safetensors::tensor::Dtype as FileDtype;
use std::path::Path;

impl Dtype {
    fn in_file(self) -> FileDtype {
        match self {
            Self::F32 => FileDtype::F32,
            Self::F16 => FileDtype::F16,
            Self::Int8 => FileDtype::I8,
        }
    }
}

pub(super) fn save(embeddings: &Embeddings, dtype: Dtype, path: &Path) -> Result<()> {
    if dtype == Dtype::F16 {
        check_half(embeddings)?;
    }
    let (rows, words) = (embeddings.words.len(), embeddings.words.concat());
    let mut tensors = vec![("word_ends", FileDtype::U64, vec![rows])];
    if dtype == Dtype::Int8 {
        tensors.push(("scales", FileDtype::F32, vec![rows]));
    }
    tensors.push(("vectors", dtype.in_file(), vec![rows, embeddings.dim]));
    tensors.push(("word_bytes", FileDtype::U8, vec![words.len()]));

    let mut file = OutputFile::create(path)?;
    file.write(&header(&[], tensors))?;
    let mut end = 0;
    for word in &embeddings.words {
        end += word.len() as u64;
        file.write(&end.to_le_bytes())?;
    }
    write_vectors(embeddings, dtype, &mut file)?;
    file.write(&words)?;
    file.commit()
}

/// Refuses numbers that half precision cannot hold.
fn check_half(embeddings: &Embeddings) -> Result<()> {
    let is_large = |x: &f32| !half::f16::from_f32(*x).is_finite();
    let Some(i) = embeddings.data.iter().position(is_large) else {
        return Ok(());
    };
    let word = String::from_utf8_lossy(&embeddings.words[i / embeddings.dim]);
    let message = format!(
        "the vector of \"{word}\" has a number beyond 65504, which f16 cannot hold; use f32 or int8"
    );
    Err(Error::Usage(message))
}

/// The rows, behind their scales where they have some.
fn write_vectors(embeddings: &Embeddings, dtype: Dtype, file: &mut OutputFile) -> Result<()> {
    let rows = || embeddings.data.chunks(embeddings.dim);
    if dtype == Dtype::Int8 {
        rows().try_for_each(|row| file.write(&element::int8_scale(row).to_le_bytes()))?;
    }
    let mut bytes = Vec::new();
    rows().try_for_each(|row| {
        bytes.clear();
        match dtype {
            Dtype::F32 => bytes.extend_from_slice(bytemuck::cast_slice(row)),
            Dtype::F16 => element::f16_to_bytes(row, &mut bytes),
            Dtype::Int8 => element::int8_to_bytes(row, &mut bytes),
        }
        file.write(&bytes)
    })
}

pub(super) fn load(path: &Path, bytes: &[u8]) -> Result<Embeddings> {
    let file = File::open(path, bytes)?;
    let vectors = file.tensor("vectors")?;
    let &[rows, dim] = vectors.shape else {
        return file.refuse(PREFIX, "`vectors` is no matrix");
    };
    if rows == 0 || dim == 0 {
        return file.refuse(PREFIX, "`vectors` is empty");
    }
    let data = match vectors.dtype {
        FileDtype::F32 => element::f32_from_bytes(vectors.bytes),
        FileDtype::F16 => element::f16_from_bytes(vectors.bytes),
        FileDtype::I8 => {
            let scales = file.list("scales", FileDtype::F32, rows)?;
            element::int8_from_bytes(vectors.bytes, &element::f32_from_bytes(scales.bytes), dim)
        }
        other => {
            return file.refuse(
                PREFIX,
                format!("`vectors` has type {other}, not F32, F16 or I8"),
            );
        }
    };
    if let Some(i) = first_not_finite(&data) {
        let at = vectors.start + i * (vectors.bytes.len() / data.len());
        return file.refuse(at, "a vector holds something that is no finite number");
    }
    Embeddings::new(file.words(rows)?, dim, data)
}

/// A file, and its path for errors.
struct File<'a> {
    path: &'a Path,
    tensors: TensorFile<'a>,
}

impl<'a> File<'a> {
    fn open(path: &'a Path, bytes: &'a [u8]) -> Result<Self> {
        let tensors = TensorFile::open(path, bytes)?;
        Ok(Self { path, tensors })
    }

    fn refuse<T>(&self, at: usize, message: impl AsRef<str>) -> Result<T> {
        let message = format!(
            "{}; `vectors convert` writes what is expected",
            message.as_ref()
        );
        Err(Error::data_at(self.path, at as u64, message))
    }

    fn tensor(&self, name: &str) -> Result<TensorRef<'_>> {
        match self.tensors.tensor(name) {
            Some(tensor) => Ok(tensor),
            None => self.refuse(PREFIX, format!("no tensor is named `{name}`")),
        }
    }

    /// A tensor of one dimension.
    fn list(&self, name: &str, dtype: FileDtype, len: usize) -> Result<TensorRef<'_>> {
        let tensor = self.tensor(name)?;
        if tensor.dtype != dtype || tensor.shape != [len] {
            return self.refuse(
                PREFIX,
                format!("`{name}` is not {len} numbers of type {dtype}"),
            );
        }
        Ok(tensor)
    }

    fn words(&self, rows: usize) -> Result<Vec<Vec<u8>>> {
        let ends = self.list("word_ends", FileDtype::U64, rows)?;
        let bytes = self.tensor("word_bytes")?.bytes;
        let mut words = Vec::with_capacity(rows);
        let mut start = 0;
        for (i, end) in ends.bytes.as_chunks::<8>().0.iter().enumerate() {
            let end = usize::try_from(u64::from_le_bytes(*end)).ok();
            let Some(word) = end.and_then(|end| bytes.get(start..end)) else {
                return self.refuse(
                    ends.start + 8 * i,
                    "a word does not end behind its start, or not in `word_bytes`",
                );
            };
            words.push(word.to_vec());
            start += word.len();
        }
        Ok(words)
    }
}
