//! Text to a tokenizer: count pretokens, learn merges.

use crate::Result;
use crate::bpe_trainer::{self, BpeTrainerOptions};
use crate::corpus::Corpus;
use crate::pretoken_counts::{CountMode, PretokenCounts};
use crate::progress::Progress;
use crate::tokenizer::{HarnessPattern, Tokenizer};

/// How to learn a tokenizer from a corpus.
#[derive(Clone, Debug)]
pub struct TokenizerJob {
    /// How text is cut into pieces.
    pub pattern: HarnessPattern,
    /// Whether lines or documents are cut.
    pub mode: CountMode,
    /// What to learn.
    pub trainer: BpeTrainerOptions,
    /// Threads; the result does not depend on it.
    pub threads: usize,
}

impl TokenizerJob {
    /// Learns, with progress.
    ///
    /// # Errors
    /// [`Error::Usage`](crate::Error::Usage) for senseless options,
    /// [`Error::Data`](crate::Error::Data) for a corpus without pretokens.
    pub fn run(&self, corpus: &Corpus) -> Result<Tokenizer> {
        self.trainer.validate()?;
        let progress = Progress::new("count pretokens", corpus.bytes(), "bytes");
        let counts =
            PretokenCounts::count(corpus, &self.pattern, self.mode, self.threads, &progress)?;
        progress.finish();
        let wanted = self.trainer.vocab_size.saturating_sub(256);
        let progress = Progress::new("learn merges", wanted as u64, "merges");
        let vocabulary = bpe_trainer::train(&counts, &self.trainer, &progress)?;
        progress.finish();
        Tokenizer::from_vocabulary(&vocabulary)
    }
}
