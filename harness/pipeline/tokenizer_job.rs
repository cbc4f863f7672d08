//! Text to a tokenizer: count pretokens, learn merges.

use crate::Result;
use crate::bpe_trainer::{self, BpeTrainerOptions};
use crate::corpus::Corpus;
use crate::pretoken_counts::{CountOptions, Estimate, PretokenCounts};
use crate::progress::{self, Progress, note};
use crate::tokenizer::{HarnessPattern, Tokenizer, Vocabulary};

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
    /// Learns a vocabulary and makes its tokenizer.
    ///
    /// # Errors
    /// Those of [`TokenizerJob::learn`].
    pub fn run(&self, corpus: &Corpus) -> Result<Tokenizer> {
        Tokenizer::from_vocabulary(&self.learn(corpus)?)
    }

    /// Learns, with progress.
    ///
    /// # Errors
    /// [`Error::Usage`](crate::Error::Usage) for senseless options,
    /// [`Error::Data`](crate::Error::Data) for a corpus without pretokens.
    pub fn learn(&self, corpus: &Corpus) -> Result<Vocabulary> {
        let counts = self.count(corpus)?;
        self.merge(256, |progress| {
            bpe_trainer::train(&counts, &self.trainer, progress)
        })
    }

    /// Goes on from a tokenizer, whose pattern must be this job's; see [`bpe_trainer::extend`].
    ///
    /// # Errors
    /// Those of [`bpe_trainer::extend`]; else those of [`TokenizerJob::learn`].
    pub fn extend(&self, base: &Tokenizer, corpus: &Corpus) -> Result<Vocabulary> {
        bpe_trainer::check_extension(base, &self.pattern, &self.trainer)?;
        let counts = self.count(corpus)?;
        self.merge(base.vocab_size(), |progress| {
            bpe_trainer::extend(base, &counts, &self.trainer, progress)
        })
    }

    fn count(&self, corpus: &Corpus) -> Result<PretokenCounts> {
        self.trainer.validate()?;
        self.counting.validate()?;
        if !progress::is_quiet()
            && let Some(estimate) = Estimate::new(corpus, &self.pattern, &self.counting)?
        {
            note(estimate);
        }
        let progress = Progress::new("count pretokens", corpus.bytes(), "bytes");
        let counts = PretokenCounts::count_with(corpus, &self.pattern, &self.counting, &progress)?;
        progress.finish();
        Ok(counts)
    }

    fn merge(
        &self,
        present: usize,
        learn: impl FnOnce(&Progress) -> Result<Vocabulary>,
    ) -> Result<Vocabulary> {
        let wanted = self.trainer.vocab_size.saturating_sub(present);
        let progress = Progress::new("learn merges", wanted as u64, "merges");
        let vocabulary = learn(&progress)?;
        progress.finish();
        let (got, asked) = (vocabulary.tokens.len(), self.trainer.vocab_size);
        if got < asked {
            note(format!(
                "the vocabulary has {got} tokens, not {asked}: no other pair occurs often enough to merge"
            ));
        }
        Ok(vocabulary)
    }
}
