//! Text to a tokenizer: count pretokens, learn merges.

use crate::Result;
use crate::bpe_trainer::{self, BpeTrainerOptions};
use crate::corpus::Corpus;
use crate::pretoken_counts::{CountOptions, Estimate, PretokenCounts};
use crate::progress::{self, Progress};
use crate::tokenizer::{HarnessPattern, Tokenizer};

/// How to learn a tokenizer from a corpus.
#[derive(Clone, Debug)]
pub struct TokenizerJob {
    /// How text is cut into pieces.
    pub pattern: HarnessPattern,
    /// How to count them.
    pub counting: CountOptions,
    /// What to learn.
    pub trainer: BpeTrainerOptions,
}

impl TokenizerJob {
    /// Learns, with progress.
    ///
    /// # Errors
    /// [`Error::Usage`](crate::Error::Usage) for senseless options,
    /// [`Error::Data`](crate::Error::Data) for a corpus without pretokens.
    pub fn run(&self, corpus: &Corpus) -> Result<Tokenizer> {
        self.trainer.validate()?;
        self.counting.validate()?;
        if !progress::is_quiet()
            && let Some(estimate) = Estimate::new(corpus, &self.pattern, &self.counting)?
        {
            super::note(&estimate.to_string());
        }
        let progress = Progress::new("count pretokens", corpus.bytes(), "bytes");
        let counts = PretokenCounts::count_with(corpus, &self.pattern, &self.counting, &progress)?;
        progress.finish();
        let wanted = self.trainer.vocab_size.saturating_sub(256);
        let progress = Progress::new("learn merges", wanted as u64, "merges");
        let vocabulary = bpe_trainer::train(&counts, &self.trainer, &progress)?;
        progress.finish();
        Tokenizer::from_vocabulary(&vocabulary)
    }
}
