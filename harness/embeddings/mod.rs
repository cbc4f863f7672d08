//! Word vectors: files, neighbours, analogies, evaluation.
//!
//! [`Embeddings`] owns what a file holds. A [`Space`] borrows it and adds how long each vector is and
//! where each word stands: then the cosine of two words is a dot product and two factors.

mod evaluate;
mod files;
mod space;
mod spelling;

pub use evaluate::{AnalogyReport, Evaluation, PairReport, Section, evaluate};
pub use files::{Dtype, FileFormat};
pub use space::{MAX_NEIGHBORS, Neighbor, Space};

use crate::{Error, Result};

/// A vector a word.
///
/// # Example
/// ```
/// use barelm::embeddings::{Embeddings, Space};
/// let words = ["king", "queen", "car"].map(|w| w.as_bytes().to_vec()).to_vec();
/// let embeddings = Embeddings::new(words, 2, vec![1.0, 0.1, 0.9, 0.2, -1.0, 1.0])?;
/// let nearest = Space::new(&embeddings, usize::MAX).neighbors(b"king", 1)?;
/// assert_eq!(nearest[0].word, b"queen");
/// # Ok::<(), barelm::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Embeddings {
    /// The words, most frequent first; bytes, which need not be UTF-8.
    pub words: Vec<Vec<u8>>,
    /// Elements of a vector.
    pub dim: usize,
    /// One row a word.
    pub data: Vec<f32>,
}

impl Embeddings {
    /// Takes words and as many rows.
    ///
    /// # Errors
    /// [`Error::Usage`] when `data` is not `words.len()` rows of `dim` elements.
    pub fn new(words: Vec<Vec<u8>>, dim: usize, data: Vec<f32>) -> Result<Self> {
        if dim == 0 || words.len().checked_mul(dim) != Some(data.len()) {
            let (rows, len) = (words.len(), data.len());
            let message = format!("{len} numbers are not {rows} vectors of dimension {dim}");
            return Err(Error::Usage(message));
        }
        Ok(Self { words, dim, data })
    }

    /// The vector of word number `i`; empty when there is no such word.
    pub fn vector(&self, i: usize) -> &[f32] {
        let start = i.saturating_mul(self.dim);
        let end = start.saturating_add(self.dim);
        self.data.get(start..end).unwrap_or(&[])
    }
}

#[cfg(test)]
mod tests;
