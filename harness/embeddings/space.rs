//! Questions to word vectors: which words are near, and what completes an analogy.

use super::Embeddings;
use crate::kernels::blas1::{axpy, dot};
use crate::kernels::mat::MatRef;
use crate::kernels::top_k::top_k_of_products;
use crate::{Error, Result};
use serde::Serialize;
use std::collections::HashMap;

/// Most neighbours of one question.
pub const MAX_NEIGHBORS: usize = 1000;
/// Most words of one question, which are left out of its answers.
const MAX_TERMS: usize = 24;

/// A word and how near it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Neighbor {
    /// The word.
    #[serde(serialize_with = "as_text")]
    pub word: Vec<u8>,
    /// Cosine of the angle between its vector and the question's.
    pub cosine: f32,
}

/// Bytes as text, what is not UTF-8 replaced.
fn as_text<S: serde::Serializer>(
    word: &[u8],
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_str(&String::from_utf8_lossy(word))
}

/// Vectors at length 1, and where each word stands.
#[derive(Debug)]
pub struct Space<'a> {
    embeddings: &'a Embeddings,
    unit: Vec<f32>,
    ids: HashMap<&'a [u8], u32>,
    folded: HashMap<String, u32>,
}

impl<'a> Space<'a> {
    /// The first `restrict` words (word2vec's files have the most frequent words first).
    pub fn new(embeddings: &'a Embeddings, restrict: usize) -> Self {
        let rows = embeddings.words.len().min(restrict).min(u32::MAX as usize);
        let mut unit = embeddings.data[..rows * embeddings.dim].to_vec();
        unit.chunks_mut(embeddings.dim).for_each(normalize);
        let (mut ids, mut folded) = (HashMap::new(), HashMap::new());
        for (id, word) in (0..rows as u32).zip(&embeddings.words) {
            ids.entry(&word[..]).or_insert(id);
            folded.entry(fold(word)).or_insert(id);
        }
        Self {
            embeddings,
            unit,
            ids,
            folded,
        }
    }

    /// The number of a word: as it is written, or else the most frequent one that differs in
    /// upper and lower case alone.
    pub fn id(&self, word: &[u8]) -> Option<u32> {
        let exact = self.ids.get(word);
        exact.or_else(|| self.folded.get(&fold(word))).copied()
    }

    /// The word of a number.
    pub fn word(&self, id: u32) -> &'a [u8] {
        self.embeddings
            .words
            .get(id as usize)
            .map_or(&[], |word| word)
    }

    /// All rows, each of length 1.
    pub(super) fn table(&self) -> MatRef<'_> {
        let rows = self.unit.len() / self.embeddings.dim;
        MatRef::new(&self.unit, rows, self.embeddings.dim).expect("rows are whole")
    }

    /// Cosine of two words' vectors.
    pub fn cosine(&self, a: u32, b: u32) -> f32 {
        let (a, b) = (self.table().row(a as usize), self.table().row(b as usize));
        dot(a, b).expect("rows are of one length")
    }

    /// The words nearest to one, nearest first, without itself.
    ///
    /// # Errors
    /// [`Error::Failed`] when the word is not in the vocabulary.
    pub fn neighbors(&self, word: &[u8], count: usize) -> Result<Vec<Neighbor>> {
        self.combine(&[(word, 1.0)], count)
    }

    /// What is to `c` as `b` is to `a`: the words nearest to `b - a + c`, without the three.
    ///
    /// # Errors
    /// [`Error::Failed`] when a word is not in the vocabulary.
    pub fn analogy(&self, a: &[u8], b: &[u8], c: &[u8], count: usize) -> Result<Vec<Neighbor>> {
        self.combine(&[(a, -1.0), (b, 1.0), (c, 1.0)], count)
    }

    /// The words nearest to a weighted sum of words' vectors, without those words.
    ///
    /// # Errors
    /// [`Error::Failed`] when a word is not in the vocabulary, [`Error::Usage`] for more than 24
    /// words or more than [`MAX_NEIGHBORS`] answers.
    pub fn combine(&self, terms: &[(&[u8], f32)], count: usize) -> Result<Vec<Neighbor>> {
        if terms.len() > MAX_TERMS || count > MAX_NEIGHBORS {
            let message = format!("at most {MAX_TERMS} words and {MAX_NEIGHBORS} neighbours");
            return Err(Error::Usage(message));
        }
        let mut question = vec![0.0; self.embeddings.dim];
        let mut asked = Vec::with_capacity(terms.len());
        for (word, weight) in terms {
            let id = self.id(word).ok_or_else(|| unknown(word))?;
            axpy(*weight, self.table().row(id as usize), &mut question).expect("same length");
            asked.push(id);
        }
        normalize(&mut question);
        const K: usize = MAX_NEIGHBORS + MAX_TERMS;
        let best = top_k_of_products::<K>(self.table(), &question).expect("same length");
        let others = best.iter().filter(|entry| !asked.contains(&entry.index));
        let neighbor = |index, cosine| Neighbor {
            word: self.word(index).to_vec(),
            cosine,
        };
        Ok(others
            .take(count)
            .map(|e| neighbor(e.index, e.score))
            .collect())
    }
}

fn unknown(word: &[u8]) -> Error {
    let word = String::from_utf8_lossy(word);
    Error::Failed(format!("\"{word}\" is not in the vocabulary"))
}

/// Text in lower case; bytes that are not UTF-8 are replaced.
fn fold(word: &[u8]) -> String {
    String::from_utf8_lossy(word).to_lowercase()
}

/// Scales a vector to length 1; zero stays zero.
pub(super) fn normalize(x: &mut [f32]) {
    let square: f64 = x.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
    if square > 0.0 {
        let scale = 1.0 / square.sqrt();
        x.iter_mut()
            .for_each(|x| *x = (f64::from(*x) * scale) as f32);
    }
}
