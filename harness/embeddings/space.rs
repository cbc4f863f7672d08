//! Questions to word vectors: which words are near, and what completes an analogy.

use super::Embeddings;
use crate::kernels::blas1::dot;
use crate::kernels::mat::MatRef;
use crate::kernels::top_k::top_k_of_cosines;
use crate::{Error, Result};
use serde::Serialize;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::OnceLock;

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

/// Vectors, how long they are, and where each word stands.
#[derive(Debug)]
pub struct Space<'a> {
    embeddings: &'a Embeddings,
    /// The vectors as they are; at length 1 if some are too long or short for products in `f32`.
    vectors: Cow<'a, [f32]>,
    inverse_norms: Vec<f32>,
    ids: HashMap<&'a [u8], u32>,
    folded: OnceLock<Folded>,
}

/// Words of which upper and lower case are equal.
#[derive(Debug, Default)]
pub(super) struct Folded {
    ids: HashMap<String, u32>,
    /// For each word, the first one that is equal to it.
    pub(super) first: Vec<u32>,
}

impl Folded {
    /// The number of the first, most frequent one of the words that are equal to this one.
    pub(super) fn id(&self, word: &[u8]) -> Option<u32> {
        self.ids.get(&fold(word)).copied()
    }
}

impl<'a> Space<'a> {
    /// The first `restrict` words (word2vec's files have the most frequent words first). Vectors are
    /// not copied.
    pub fn new(embeddings: &'a Embeddings, restrict: usize) -> Self {
        let rows = embeddings.words.len().min(restrict).min(u32::MAX as usize);
        let mut vectors = Cow::Borrowed(&embeddings.data[..rows * embeddings.dim]);
        let inverse_norms = inverse_norms(&vectors, embeddings.dim).unwrap_or_else(|| {
            let rows = vectors.to_mut().chunks_mut(embeddings.dim);
            rows.map(normalize).map(|()| 1.0).collect()
        });
        let mut ids = HashMap::with_capacity(rows);
        for (id, word) in (0..rows as u32).zip(&embeddings.words) {
            ids.entry(&word[..]).or_insert(id);
        }
        Self {
            embeddings,
            vectors,
            inverse_norms,
            ids,
            folded: OnceLock::new(),
        }
    }

    /// The number of a word: as it is written, or else the most frequent one that differs in
    /// upper and lower case alone.
    pub fn id(&self, word: &[u8]) -> Option<u32> {
        let exact = self.ids.get(word).copied();
        exact.or_else(|| self.folded().id(word))
    }

    /// The words without regard to upper and lower case; made at the first need.
    pub(super) fn folded(&self) -> &Folded {
        self.folded.get_or_init(|| {
            let mut folded = Folded::default();
            for (id, word) in (0..).zip(&self.embeddings.words[..self.inverse_norms.len()]) {
                let first = *folded.ids.entry(fold(word)).or_insert(id);
                folded.first.push(first);
            }
            folded
        })
    }

    /// The word of a number.
    pub fn word(&self, id: u32) -> &'a [u8] {
        self.embeddings
            .words
            .get(id as usize)
            .map_or(&[], |word| word)
    }

    /// A row a word, of any length.
    pub(super) fn table(&self) -> MatRef<'_> {
        let rows = self.inverse_norms.len();
        MatRef::new(&self.vectors, rows, self.embeddings.dim).expect("rows are whole")
    }

    /// What makes each row one of length 1.
    pub(super) fn inverse_norms(&self) -> &[f32] {
        &self.inverse_norms
    }

    /// Adds `weight` times the word's vector at length 1, which is rounded first: whether a word
    /// comes before or behind another makes no difference to their sum.
    pub(super) fn add(&self, weight: f32, id: u32, sum: &mut [f32]) {
        let norm = self.inverse_norms[id as usize];
        for (sum, x) in sum.iter_mut().zip(self.table().row(id as usize)) {
            *sum += weight * (x * norm);
        }
    }

    /// Cosine of two words' vectors.
    pub fn cosine(&self, a: u32, b: u32) -> f32 {
        let [a, b] = [a, b].map(|id| id as usize);
        let product =
            dot(self.table().row(a), self.table().row(b)).expect("rows are of one length");
        product * self.inverse_norms[a] * self.inverse_norms[b]
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
            self.add(*weight, id, &mut question);
            asked.push(id);
        }
        normalize(&mut question);
        const K: usize = MAX_NEIGHBORS + MAX_TERMS;
        let best = top_k_of_cosines::<K>(self.table(), &self.inverse_norms, &question)
            .expect("same length");
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

/// Text in upper case, as gensim compares it; bytes that are not UTF-8 are replaced.
fn fold(word: &[u8]) -> String {
    String::from_utf8_lossy(word).to_uppercase()
}

/// `1 / |x|` of each row, 0 for zeros; `None` if a square is near the ends of `f32`.
fn inverse_norms(rows: &[f32], dim: usize) -> Option<Vec<f32>> {
    let inverse_norm = |row: &[f32]| match dot(row, row).expect("one length") {
        square if (1e-24..1e24).contains(&square) => Some(1.0 / square.sqrt()),
        _ => row.iter().all(|x| *x == 0.0).then_some(0.0),
    };
    rows.chunks(dim).map(inverse_norm).collect()
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
