//! A model to be trained, and what to do on the way.

use super::evaluate::check_text;
use super::parameters::Parameters;
use super::run::Run;
use super::{LmOptions, Output, TrainedLm};
use crate::cbow_trainer::HuffmanTree;
use crate::checkpoints::Checkpoints;
use crate::kernels::model::Network;
use crate::token_stream::TokenStream;
use crate::{Error, Result};
use std::fmt;
use std::path::Path;

/// A text that says what a model can do, printed after each evaluation.
pub type Sample<'a> = dyn Fn(Network<'_>) -> String + 'a;

/// A model to be trained, and what to do on the way.
///
/// # Example
/// ```
/// use barelm::attention_trainer::{LmOptions, Training};
/// use barelm::token_stream::TokenStream;
/// let stream = TokenStream::from_ids((0..200).map(|i| i % 3).collect(), 3);
/// let options = LmOptions { dim: 8, heads: 2, context: 4, steps: Some(20), ..LmOptions::llama() };
/// let mut training = Training::new(&stream, &[], &options);
/// training.valid = Some((&stream, 200));
/// let lm = training.run()?;
/// assert!(lm.bits_per_byte.is_some());
/// # Ok::<(), barelm::Error>(())
/// ```
pub struct Training<'a> {
    /// The text.
    pub stream: &'a TokenStream,
    /// Held-out text, with the number of bytes that its tokens stand for.
    pub valid: Option<(&'a TokenStream, u64)>,
    /// Word vectors, one row of `dim` a token, from which the value table and the output table (or
    /// the embedding) start, scaled as a whole to the standard deviation of the random tables.
    pub vectors: Option<&'a [f32]>,
    /// The tokens' counts, for the Huffman tree.
    pub counts: &'a [u64],
    /// How to train.
    pub options: &'a LmOptions,
    /// Where to write checkpoints.
    pub checkpoints: Option<Checkpoints>,
    /// A file for a line of JSON an evaluation, and one at the end; of a run that is resumed it
    /// keeps the lines.
    pub log: Option<&'a Path>,
    /// What to print after each evaluation, on stderr.
    pub sample: Option<&'a Sample<'a>>,
}

impl fmt::Debug for Training<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Training")
            .field("options", self.options)
            .finish_non_exhaustive()
    }
}

impl<'a> Training<'a> {
    /// Training from random parameters, without held-out text and reports.
    pub fn new(stream: &'a TokenStream, counts: &'a [u64], options: &'a LmOptions) -> Self {
        Self {
            stream,
            valid: None,
            vectors: None,
            counts,
            options,
            checkpoints: None,
            log: None,
            sample: None,
        }
    }

    /// Trains.
    ///
    /// With held-out text the result is the model of the evaluation that was best on its first
    /// 32,768 tokens; without it, the last one.
    ///
    /// # Errors
    /// [`Error::Usage`] for options that make no sense or do not fit the text; [`Error::Failed`]
    /// when training diverges; [`Error::Data`] for a checkpoint that is damaged or of another job;
    /// [`Error::Io`]; [`Error::Interrupted`] and its like, after a last checkpoint.
    pub fn run(&self) -> Result<TrainedLm> {
        self.options.validate()?;
        let options = self.options.effective();
        check_fit(self.stream, self.vectors, self.counts, &options)?;
        let vocab_size = self.stream.vocab_size();
        if let Some((valid, bytes)) = self.valid {
            check_text(vocab_size, valid, bytes)?;
        }
        let tree = match options.output {
            Output::Huffman => Some(HuffmanTree::from_counts(self.counts)?),
            _ => None,
        };
        let parameters = Parameters::new(vocab_size, tree, self.vectors, &options);
        Run::new(self, parameters, options)?.run_to_end()
    }
}

/// Refuses data that the options do not fit.
fn check_fit(
    stream: &TokenStream,
    vectors: Option<&[f32]>,
    counts: &[u64],
    options: &LmOptions,
) -> Result<()> {
    let (tokens, vocab_size) = (stream.len(), stream.vocab_size());
    let usage = |message: String| Err(Error::Usage(message));
    if tokens <= options.context {
        return usage(format!(
            "the text has {tokens} tokens, and a context of {} needs at least {}; \
             give more text or a smaller --context",
            options.context,
            options.context + 1
        ));
    }
    if vectors.is_some_and(|vectors| vectors.len() != vocab_size * options.dim) {
        return usage(format!(
            "the word vectors are not {vocab_size} rows of {}; train them with the same tokenizer \
             and --dim",
            options.dim
        ));
    }
    if options.output == Output::Huffman && counts.len() != vocab_size {
        return usage(format!(
            "{} token counts do not fit a vocabulary of {vocab_size}",
            counts.len()
        ));
    }
    Ok(())
}
