//! Trains word vectors: CBOW with hierarchical softmax.
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
//! Sources: T. Mikolov et al., "Efficient estimation of word representations in vector space",
//! 2013; word2vec.c, for the defaults, the subsampling and the fall of the learning rate.

mod epoch;
mod exchange;
mod options;
mod parameters;
mod tree;
mod windows;
mod words;

pub use options::{CbowOptions, MAX_DIM, MAX_WINDOW};
pub use tree::HuffmanTree;
pub use words::WordStream;

use crate::corpus::Corpus;
use crate::embeddings::Embeddings;
use crate::progress::Progress;
use crate::token_stream::Ids;
use crate::{Error, Result};
use epoch::Schedule;
use serde::Serialize;
use std::f64::consts::LN_2;
use windows::Windows;

/// A loss this many times that of untrained vectors is no learning any more.
const DIVERGED: f64 = 4.0;

/// A text to train on.
#[derive(Clone, Copy, Debug)]
pub struct TokenSource<'a> {
    /// The text. An id that is not in the vocabulary ends a line: no window reaches across it.
    pub ids: Ids<'a>,
    /// How often each token appears; their number is the size of the vocabulary.
    pub counts: &'a [u64],
}

/// How one pass over the text went.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct EpochReport {
    /// Tokens read, those that subsampling left out included.
    pub tokens: u64,
    /// Windows trained on.
    pub windows: u64,
    /// Mean of `-log p(target | context)` over the windows, each before its own step, in nats.
    pub loss_nats: f64,
    /// The same in bits.
    pub loss_bits: f64,
    /// Time it took.
    pub seconds: f64,
    /// Speed as word2vec.c counts it.
    pub tokens_per_second: f64,
}

/// What training leaves behind.
#[derive(Clone, Debug)]
pub struct Trained {
    /// A vector a token.
    pub embeddings: Embeddings,
    /// A vector an inner node of the tree, `V - 1` rows.
    pub thetas: Vec<f32>,
    /// The tree.
    pub tree: HuffmanTree,
    /// One report an epoch.
    pub epochs: Vec<EpochReport>,
}

/// Trains vectors of the words between white space.
///
/// # Errors
/// [`Error::Usage`] for senseless options, [`Error::Data`] for a text without frequent words, and
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

/// Trains vectors of the tokens of a source, whose spellings are `words`.
///
/// # Errors
/// [`Error::Usage`] for senseless options, [`Error::Failed`] when training overflows or the
/// vocabulary has fewer than two tokens, [`Error::Interrupted`].
pub fn train(
    source: TokenSource<'_>,
    words: Vec<Vec<u8>>,
    options: &CbowOptions,
) -> Result<Trained> {
    options.validate()?;
    let vocab_size = source.counts.len();
    if vocab_size < 2 || words.len() != vocab_size {
        let message = format!("{vocab_size} tokens with {} spellings", words.len());
        return Err(Error::Failed(format!("cannot train vectors of {message}")));
    }
    let tree = HuffmanTree::from_counts(source.counts)?;
    let keep = windows::keep_chances(source.counts, options.sample);
    // Untrained, every decision of a path costs one bit.
    let untrained = tree.view().expected_code_len(source.counts).unwrap_or(0.0) * LN_2;
    let highest_loss = DIVERGED * untrained.max(1.0);
    let mut parameters = parameters::initial(vocab_size, options.dim, options.seed)?;
    let tokens: u64 = source.counts.iter().sum();
    let total = tokens * options.epochs as u64;
    let progress = Progress::new("Training vectors", total, "words");
    let mut epochs = Vec::with_capacity(options.epochs);
    for epoch in 0..options.epochs {
        let windows = Windows::new(source.ids, tree.view(), &keep, options, epoch);
        let schedule = Schedule {
            start: options.alpha,
            floor: options.alpha_floor,
            tokens_before: tokens * epoch as u64,
            tokens_total: total,
        };
        let report = epoch::run(
            &mut parameters,
            &windows,
            schedule,
            options,
            highest_loss,
            &progress,
        )?;
        epochs.push(report);
    }
    progress.finish();
    let (data, thetas) = parameters::gather(parameters, options.dim);
    let embeddings = Embeddings {
        words,
        dim: options.dim,
        data,
    };
    Ok(Trained {
        embeddings,
        thetas,
        tree,
        epochs,
    })
}

#[cfg(test)]
mod tests;
