//! Trains word vectors: CBOW or skip-gram, with hierarchical softmax, negative samples or a softmax.
//!
//! ```text
//! words or tokens -> ids on disk, mapped -> windows (subsampled) -> batches of 64
//!   -> every thread: its slices of the dimensions -> vectors, thetas
//! ```
//! **The same bits at any thread count, without a data race.** Vectors and thetas are stored slice
//! by slice, a slice being up to 64 dimensions, and each thread owns some slices of all rows. For
//! a batch of windows, every thread computes the partial dot products of its slices; the threads
//! meet once and add the partial products in the order of the slices; each then updates its own.
//! What is added to what follows from the dimension and the batch, never from the threads. Windows
//! of a batch that share a node of the tree are kept from overshooting together; see
//! [`damp`](crate::kernels::cbow::damp).
//!
//! **Survives.** Between two batches all that training depends on is the parameters, a place in the
//! text, and some sums: [`Checkpoints`] write it, and training goes on to the same bits. With
//! another text, and new words, an [`Earlier`] training goes on.
//!
//! Sources: T. Mikolov et al., "Efficient estimation of word representations in vector space",
//! 2013; "Distributed representations of words and
//! phrases and their compositionality", 2013; word2vec.c, for the defaults, the subsampling and the fall of the learning rate.

mod batch;
mod checkpoint;
mod earlier;
mod epoch;
mod exchange;
mod extended;
mod memory;
mod objective;
mod options;
mod parameters;
mod training;
mod transfer;
mod tree;
mod windows;
mod words;

pub use crate::checkpoints::Checkpoints;
pub(crate) use batch::{Batch, Window};
pub use earlier::Earlier;
pub use extended::ExtendedStream;
pub use objective::MAX_SOFTMAX_VOCAB;
pub use options::{Architecture, CbowOptions, Loss, MAX_DIM, MAX_NEGATIVES, MAX_WINDOW};
pub(crate) use parameters::{ParameterSlice, initial};
pub use training::{Start, Training};
pub use tree::HuffmanTree;
pub use words::WordStream;

use crate::Result;
use crate::corpus::Corpus;
use crate::embeddings::Embeddings;
use crate::token_stream::Ids;
use serde::{Deserialize, Serialize};

/// A text to train on.
#[derive(Clone, Copy, Debug)]
pub struct TokenSource<'a> {
    /// The text. An id that is not in the vocabulary ends a line: no window reaches across it.
    pub ids: Ids<'a>,
    /// How often each token appears; their number is the size of the vocabulary.
    pub counts: &'a [u64],
}

/// How one pass over the text went.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochReport {
    /// Tokens read, those that subsampling left out included.
    pub tokens: u64,
    /// Windows trained on.
    pub windows: u64,
    /// Mean [`Loss`] of the windows, each before its own step, in nats. For the two softmaxes it is
    /// `-log p(target | context)`.
    pub loss_nats: f64,
    /// The same in bits.
    pub loss_bits: f64,
    /// Mean loss of the windows of the text that is held out, after the epoch, in nats.
    pub held_out_nats: Option<f64>,
    /// Time it took, that of measuring left out.
    pub seconds: f64,
    /// Speed as word2vec.c counts it.
    pub tokens_per_second: f64,
}

/// What training leaves behind.
#[derive(Clone, Debug)]
pub struct Trained {
    /// A vector a token.
    pub embeddings: Embeddings,
    /// The output table, word2vec.c's `syn1` or `syn1neg`: a row an inner node of the tree, else a
    /// row a token.
    pub thetas: Vec<f32>,
    /// The tree, for hierarchical softmax.
    pub tree: Option<HuffmanTree>,
    /// One report an epoch.
    pub epochs: Vec<EpochReport>,
}

/// Trains vectors of the words between white space.
///
/// # Errors
/// [`crate::Error::Usage`] for senseless options, [`crate::Error::Data`] for a text without frequent words, and
/// those of [`train`].
///
/// # Example
/// ```
/// use barelm::cbow_trainer::{CbowOptions, train_words};
/// use barelm::corpus::Corpus;
/// let text = "the cat sat on the mat\nthe dog sat on the rug\n".repeat(50);
/// let options = CbowOptions { dim: 8, sample: 0.0, ..CbowOptions::default() };
/// let trained = train_words(&Corpus::from_bytes("pets", text.into()), &options)?;
/// assert_eq!(trained.embeddings.words[0], b"the");
/// assert!(trained.epochs[4].loss_nats < trained.epochs[0].loss_nats);
/// # Ok::<(), barelm::Error>(())
/// ```
pub fn train_words(corpus: &Corpus, options: &CbowOptions) -> Result<Trained> {
    options.validate()?;
    let stream = WordStream::new(corpus, options.min_count, options.max_vocab)?;
    let words = stream.words().to_vec();
    train(stream.source(), words, options)
}

/// Trains vectors of the tokens of a source, whose spellings are `words`; [`Training`] can more.
///
/// # Errors
/// Those of [`Training::run`].
pub fn train(
    source: TokenSource<'_>,
    words: Vec<Vec<u8>>,
    options: &CbowOptions,
) -> Result<Trained> {
    Training::new(source, words, options).run()
}

#[cfg(test)]
mod tests;
