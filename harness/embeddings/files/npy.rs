//! NumPy's array of `f32`: a row a word, in the order of C. The words stand in a list beside it.

use super::super::Embeddings;
use super::{element, first_not_finite, word_list};
use crate::npy::{Header, MAGIC, header};
use crate::output::OutputFile;
use crate::{Error, Result};
use std::path::{Path, PathBuf};

const DESCR: &str = "<f4";

/// `X.words.txt` to `X.npy`.
fn words_path(path: &Path) -> PathBuf {
    path.with_extension("words.txt")
}

pub(super) fn save(embeddings: &Embeddings, path: &Path) -> Result<()> {
    let words = word_list::write(&embeddings.words, &words_path(path))?;
    let mut file = OutputFile::create(path)?;
    let shape = [embeddings.words.len() as u64, embeddings.dim as u64];
    file.write(&header(DESCR, &shape))?;
    file.write(bytemuck::cast_slice(&embeddings.data))?;
    words.commit()?;
    file.commit()
}

/// Whether a file begins as NumPy's do.
pub(super) fn begins(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

pub(super) fn load(path: &Path, bytes: &[u8]) -> Result<Embeddings> {
    let refuse = |at: usize, message: String| Err(Error::data_at(path, at as u64, message));
    let Some(header) = Header::parse(bytes) else {
        return refuse(
            0,
            "not a NumPy file, or cut off; write it with numpy.save".into(),
        );
    };
    let &[rows, dim] = &header.shape[..] else {
        let message = format!(
            "an array of {} dimensions; vectors are the rows of a matrix",
            header.shape.len()
        );
        return refuse(0, message);
    };
    if header.descr != Some(DESCR) || header.fortran_order {
        return refuse(
            0,
            "a matrix of float32 in the order of C is expected; write it with numpy.save(path, \
             numpy.ascontiguousarray(matrix, '<f4'))"
                .into(),
        );
    }
    let values = &bytes[header.len..];
    let len = rows.checked_mul(dim).and_then(|len| len.checked_mul(4));
    if rows == 0 || dim == 0 || len != Some(values.len()) {
        let message = format!(
            "{rows} vectors of {dim} numbers are announced, {} bytes follow; the file is cut off or damaged, write it again",
            values.len()
        );
        return refuse(header.len, message);
    }
    let data = element::f32_from_bytes(values);
    if let Some(i) = first_not_finite(&data) {
        return refuse(
            header.len + 4 * i,
            "a vector holds something that is no finite number; leave it out".into(),
        );
    }
    let words = word_list::read(&words_path(path), rows, path)?;
    Embeddings::new(words, dim, data)
}
