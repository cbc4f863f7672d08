//! The last stages alone: a language model on a text, with or without a tokenizer at hand.

use super::lm_sample::Sampler;
use super::{encode, train_tokenizer};
use crate::attention_trainer::{Checkpoints, Evaluation, LmOptions, TrainedLm, Training};
use crate::bpe_trainer::BpeTrainerOptions;
use crate::corpus::Corpus;
use crate::embeddings::Embeddings;
use crate::kernels::bpe::Pattern;
use crate::kernels::model::Network;
use crate::model_file::{self, Origin, save_model};
use crate::ngram::NgramModel;
use crate::output::OutputFile;
use crate::tokenizer::{HarnessPattern, Tokenizer};
use crate::{Error, Result};
use serde::Serialize;
use std::path::PathBuf;

/// What to train, and where to put it.
#[derive(Debug)]
pub struct LmJob {
    /// The tokenizer; without it one of `vocab_size` is trained on the text.
    pub tokenizer: Option<Tokenizer>,
    /// Tokens of the tokenizer that is trained.
    pub vocab_size: usize,
    /// Word vectors of the tokenizer's pieces to start from.
    pub vectors: Option<Embeddings>,
    /// The model.
    pub options: LmOptions,
    /// The model directory.
    pub out: PathBuf,
    /// Where to write checkpoints.
    pub checkpoints: Option<Checkpoints>,
    /// A file for a line of JSON an evaluation.
    pub log: Option<PathBuf>,
    /// Whether each evaluation prints how the model goes on with the held-out text.
    pub samples: bool,
}

/// How the training went.
#[derive(Clone, Debug, Serialize)]
pub struct LmReport {
    /// Evaluation by evaluation.
    pub history: Vec<Evaluation>,
    /// Steps of the model that was kept: the best evaluation's.
    pub kept_step: u64,
    /// Its bits per byte of the whole held-out text.
    pub bits_per_byte: f64,
    /// The same of a smoothed bigram over the same tokens.
    pub bigram_bits_per_byte: f64,
    /// Number of parameters.
    pub parameters: usize,
    /// Tokens trained a second, evaluations not counted.
    pub tokens_per_second: f64,
    /// Floating-point operations of training a token.
    pub flops_per_token: f64,
    /// The share of this machine's FMA peak that training came to.
    pub share_of_peak: f64,
}

impl LmReport {
    fn new(lm: TrainedLm, bigram_bits_per_byte: f64) -> Self {
        Self {
            kept_step: lm.kept_step,
            bits_per_byte: lm.bits_per_byte.unwrap_or(f64::NAN),
            bigram_bits_per_byte,
            parameters: lm.parameter_count(),
            tokens_per_second: lm.tokens_per_second,
            flops_per_token: lm.flops_per_token,
            share_of_peak: lm.share_of_peak,
            history: lm.history,
        }
    }
}

impl LmJob {
    fn bpe_options(&self) -> BpeTrainerOptions {
        BpeTrainerOptions {
            vocab_size: self.vocab_size,
            ..Default::default()
        }
    }

    /// Refuses what cannot work, before any work is done.
    ///
    /// # Errors
    /// [`Error::Usage`].
    pub fn validate(&self) -> Result<()> {
        self.options.validate()?;
        match (&self.tokenizer, &self.vectors) {
            (None, Some(_)) => Err(Error::Usage(
                "--vectors needs the --tokenizer whose pieces they stand for".into(),
            )),
            (None, None) => self.bpe_options().validate(),
            _ => Ok(()),
        }
    }

    /// Trains on a text; held out is `valid`, or else the last tenth of the text.
    ///
    /// # Errors
    /// [`Error::Usage`] for senseless options, [`Error::Io`] when the folder cannot be written.
    pub fn run(&self, corpus: &Corpus, valid: Option<&Corpus>) -> Result<LmReport> {
        self.validate()?;
        let model = self.out.join(model_file::FILE_NAME);
        // A folder that cannot be written should be known now, not after the work.
        drop(OutputFile::create(&model)?);
        let (head, tail) = corpus.split_off_tail(corpus.bytes() / 10);
        if valid.is_none() && (head.bytes() == 0 || tail.bytes() == 0) {
            return Err(Error::Usage(format!(
                "a text of {} bytes has no tenth to hold out; give more text, or --valid FILE",
                corpus.bytes()
            )));
        }
        let (train, valid) = valid.map_or((&head, &tail), |valid| (corpus, valid));
        let threads = self.options.threads;
        let trained;
        let tokenizer = match &self.tokenizer {
            Some(tokenizer) => tokenizer,
            None => {
                let pattern = HarnessPattern::Known(Pattern::Gpt2);
                trained = train_tokenizer(train, &pattern, &self.bpe_options(), threads)?;
                &trained
            }
        };
        tokenizer.save_json(self.out.join("tokenizer.json"))?;
        let folder = tempfile::tempdir().map_err(Error::io("temporary folder"))?;
        let train = encode(
            train,
            tokenizer,
            &folder.path().join("train.tokens"),
            threads,
        )?;
        let valid = encode(
            valid,
            tokenizer,
            &folder.path().join("valid.tokens"),
            threads,
        )?;
        let bigram = NgramModel::train(&train, 2, threads)?.bits_per_byte(
            &valid,
            valid.text_bytes(),
            threads,
        )?;
        let vectors = self.vectors.as_ref().map(|vectors| &vectors.data[..]);
        let counts = train.counts();
        let sampler = Sampler::new(tokenizer, &valid);
        let sample = |network: Network<'_>| sampler.sample(network);
        let training = Training {
            valid: Some((&valid, valid.text_bytes())),
            vectors,
            checkpoints: self.checkpoints.clone(),
            log: self.log.as_deref(),
            sample: self.samples.then_some(&sample),
            ..Training::new(&train, &counts, &self.options)
        };
        let lm = training.run()?;
        let origin = Origin {
            corpus_bytes: corpus.bytes(),
            corpus_hash: corpus.hash(),
        };
        save_model(&model, &lm, tokenizer, origin, vectors)?;
        Ok(LmReport::new(lm, bigram))
    }
}
