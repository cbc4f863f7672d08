//! Vectors on disk. A name's ending says in which format they are written:
//!
//! | ending | format | words |
//! |---|---|---|
//! | `.safetensors` | one tensor of `f32`, `f16`, or `int8` with a scale a row | two tensors of the same file |
//! | `.npy` | NumPy's array of `f32` | beside it, `X.words.txt` to `X.npy`, one a line |
//! | `.tsv` | the Embedding Projector's, written only | beside it, `metadata.tsv` to `vectors.tsv`, else `X.metadata.tsv` to `X.tsv`, one a line |
//! | `.txt`, `.vec` | word2vec's text | in each row |
//! | any other | word2vec's binary format | in each row |
//!
//! A file is read as its first bytes show, whatever its name: whether a word2vec file is text shows
//! in its first row. Formats that end a word at a space or a newline hold words with white space, and words that are
//! not UTF-8, in a spelling of their own (`spelling`). A file is a stranger's: no number in it is
//! believed before it was compared with the length of the file, and only finite ones are vectors.

mod element;
mod npy;
mod projector;
mod safetensors;
mod word2vec;
mod word_list;

use super::Embeddings;
use crate::corpus::map::map_path;
use crate::tensor_file;
use crate::{Error, Result};
use std::path::Path;

/// A format that vectors are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// word2vec's binary format.
    Word2vecBinary,
    /// word2vec's text format.
    Word2vecText,
    /// NumPy's array of `f32`, and a list of the words beside it.
    Npy,
    /// Tensors by name, with elements of this type.
    Safetensors(Dtype),
    /// Tab-separated vectors, and a list of the words beside them, for the Embedding Projector.
    Projector,
}

/// The type of a vector's elements in a file; in memory they are `f32`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dtype {
    /// As they are.
    #[default]
    F32,
    /// Half precision, rounded to nearest: 11 bits, up to 65504.
    F16,
    /// A whole number of -127 to 127, times the row's scale `max_i |x_i| / 127`.
    Int8,
}

impl FileFormat {
    /// The format that a name's ending stands for.
    ///
    /// # Example
    /// ```
    /// use barelm::embeddings::{Dtype, FileFormat};
    /// assert_eq!(FileFormat::of_path("a/vectors.txt"), FileFormat::Word2vecText);
    /// assert_eq!(FileFormat::of_path("v.safetensors"), FileFormat::Safetensors(Dtype::F32));
    /// assert_eq!(FileFormat::of_path("v.bin"), FileFormat::Word2vecBinary);
    /// ```
    pub fn of_path(path: impl AsRef<Path>) -> Self {
        let extension = path.as_ref().extension();
        match extension.and_then(|extension| extension.to_str()) {
            Some("txt" | "vec") => Self::Word2vecText,
            Some("npy") => Self::Npy,
            Some("safetensors") => Self::Safetensors(Dtype::F32),
            Some("tsv") => Self::Projector,
            _ => Self::Word2vecBinary,
        }
    }

    /// The format that a file's first bytes show, or else its name.
    fn of_file(path: &Path, bytes: &[u8]) -> Self {
        if npy::begins(bytes) {
            Self::Npy
        } else if tensor_file::begins(bytes) {
            Self::Safetensors(Dtype::F32)
        } else {
            Self::of_path(path)
        }
    }
}

impl Embeddings {
    /// Reads vectors in any format but the Embedding Projector's; the file's first bytes show which.
    ///
    /// # Errors
    /// [`Error::Io`] when there is no such file, [`Error::Data`] with the byte where it is not
    /// what it should be.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        if std::fs::metadata(path).is_ok_and(|m| m.len() == 0) {
            return Err(Error::data(path, "the file is empty; train vectors first"));
        }
        let bytes = map_path(path)?;
        let embeddings = match FileFormat::of_file(path, &bytes) {
            FileFormat::Npy => npy::load(path, &bytes),
            FileFormat::Safetensors(_) => safetensors::load(path, &bytes),
            FileFormat::Projector => {
                let message = "tables for the Embedding Projector are not read back; convert the \
                               vectors that they were made from";
                Err(Error::data(path, message))
            }
            FileFormat::Word2vecBinary | FileFormat::Word2vecText => word2vec::load(path, &bytes),
        }?;
        crate::progress::check()?;
        Ok(embeddings)
    }

    /// Writes vectors.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Usage`] for what the format cannot hold: an empty word (all but
    /// safetensors), a number beyond 65504 (`f16`).
    ///
    /// # Example
    /// ```
    /// use barelm::embeddings::{Dtype, Embeddings, FileFormat};
    /// let folder = tempfile::tempdir().unwrap();
    /// let path = folder.path().join("small.safetensors");
    /// let embeddings = Embeddings::new(vec![b"half".to_vec()], 2, vec![0.5, -0.25])?;
    /// embeddings.save(&path, FileFormat::Safetensors(Dtype::F16))?;
    /// assert_eq!(Embeddings::load(&path)?, embeddings);
    /// # Ok::<(), barelm::Error>(())
    /// ```
    pub fn save(&self, path: impl AsRef<Path>, format: FileFormat) -> Result<()> {
        let path = path.as_ref();
        match format {
            FileFormat::Word2vecBinary => word2vec::save_binary(self, path),
            FileFormat::Word2vecText => word2vec::save_text(self, path),
            FileFormat::Npy => npy::save(self, path),
            FileFormat::Safetensors(dtype) => safetensors::save(self, dtype, path),
            FileFormat::Projector => projector::save(self, path),
        }
    }

    /// Writes word2vec's binary format, which gensim opens.
    ///
    /// # Errors
    /// Those of [`Embeddings::save`].
    pub fn save_binary(&self, path: impl AsRef<Path>) -> Result<()> {
        self.save(path, FileFormat::Word2vecBinary)
    }
}

/// The first of `values` that is no finite number, looked for at the speed of memory.
fn first_not_finite(values: &[f32]) -> Option<usize> {
    const BLOCK: usize = 1024;
    let not_finite = |block: &[f32]| block.iter().fold(false, |any, x| any | !x.is_finite());
    let block = values.chunks(BLOCK).position(not_finite)? * BLOCK;
    let within = values[block..].iter().position(|x| !x.is_finite())?;
    Some(block + within)
}

#[cfg(test)]
mod tests;
