//! What the main job reports at its end, for people and as JSON.

use super::Plan;
use super::samples::Samples;
use crate::attention_trainer::TrainedLm;
use crate::cbow_trainer::Trained;
use crate::model_file::Origin;
use crate::progress::human;
use crate::token_stream::TokenStream;
use serde::Serialize;
use std::fmt;

/// The whole report.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// What was done.
    pub plan: Plan,
    /// The text.
    pub corpus: CorpusFigures,
    /// The tokenizer.
    pub tokenizer: TokenizerFigures,
    /// The word vectors.
    pub vectors: VectorFigures,
    /// The attention model.
    pub model: ModelFigures,
    /// What they do.
    pub samples: Samples,
    /// How fast it went; the only part that differs between equal runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speeds: Option<Speeds>,
}

/// Sizes of the text.
#[derive(Clone, Debug, Serialize)]
pub struct CorpusFigures {
    /// Bytes in all.
    pub bytes: u64,
    /// xxh64 of the text, in hexadecimal.
    pub hash: String,
    /// Tokens that were learned from.
    pub train_tokens: u64,
    /// Tokens that were not.
    pub held_out_tokens: u64,
}

/// The tokenizer.
#[derive(Clone, Debug, Serialize)]
pub struct TokenizerFigures {
    /// Tokens in the vocabulary.
    pub vocab_size: usize,
    /// Bytes a token of the held-out text.
    pub bytes_per_token: f64,
}

/// The word vectors.
#[derive(Clone, Debug, Serialize)]
pub struct VectorFigures {
    /// Elements of a vector.
    pub dim: usize,
    /// Mean loss of each pass in bits a token.
    pub loss_bits: Vec<f64>,
}

/// The attention model.
#[derive(Clone, Debug, Serialize)]
pub struct ModelFigures {
    /// Number of parameters.
    pub parameters: usize,
    /// Steps taken.
    pub steps: u64,
    /// Mean loss of the last steps in nats a token.
    pub train_loss_nats: f64,
    /// Bits per byte of the held-out text.
    pub bits_per_byte: f64,
    /// The same of a smoothed bigram (interpolated modified Kneser-Ney) over the same tokens.
    pub bigram_bits_per_byte: f64,
}

/// How fast it went.
#[derive(Clone, Debug, Serialize)]
pub struct Speeds {
    /// Words a second of the last pass of the word vectors.
    pub vector_tokens_per_second: f64,
    /// Tokens a second of the attention model's training.
    pub model_tokens_per_second: f64,
    /// Seconds in all.
    pub seconds: f64,
}

/// What the stages left behind, for [`Summary::new`].
pub(super) struct Stages<'a> {
    pub(super) train: &'a TokenStream,
    pub(super) valid: &'a TokenStream,
    pub(super) vectors: &'a Trained,
    pub(super) lm: &'a TrainedLm,
    pub(super) bigram: f64,
}

impl Summary {
    pub(super) fn new(
        plan: Plan,
        origin: Origin,
        stages: &Stages<'_>,
        samples: Samples,
        seconds: f64,
    ) -> Self {
        let Stages {
            train,
            valid,
            vectors,
            lm,
            bigram,
        } = *stages;
        Self {
            plan,
            corpus: CorpusFigures {
                bytes: origin.corpus_bytes,
                hash: format!("{:016x}", origin.corpus_hash),
                train_tokens: train.len() as u64,
                held_out_tokens: valid.len() as u64,
            },
            tokenizer: TokenizerFigures {
                vocab_size: train.vocab_size(),
                bytes_per_token: valid.text_bytes() as f64 / valid.len().max(1) as f64,
            },
            vectors: VectorFigures {
                dim: vectors.embeddings.dim,
                loss_bits: vectors.epochs.iter().map(|epoch| epoch.loss_bits).collect(),
            },
            model: ModelFigures {
                parameters: lm.parameter_count(),
                steps: lm.steps,
                train_loss_nats: lm.history.last().map_or(f64::NAN, |last| last.train_loss),
                bits_per_byte: lm.bits_per_byte.unwrap_or(f64::NAN),
                bigram_bits_per_byte: bigram,
            },
            samples,
            speeds: Some(Speeds {
                vector_tokens_per_second: vectors
                    .epochs
                    .last()
                    .map_or(0.0, |e| e.tokens_per_second),
                model_tokens_per_second: lm.tokens_per_second,
                seconds,
            }),
        }
    }

    /// The part that equal runs share, as JSON.
    pub fn to_reproducible_json(&self) -> String {
        let shared = Self {
            speeds: None,
            ..self.clone()
        };
        serde_json::to_string_pretty(&shared).expect("reports have string keys") + "\n"
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            corpus,
            tokenizer,
            vectors,
            model,
            samples,
            ..
        } = self;
        writeln!(
            f,
            "text       {} bytes, {} tokens learned from, {} held out",
            human(corpus.bytes as f64),
            human(corpus.train_tokens as f64),
            human(corpus.held_out_tokens as f64)
        )?;
        writeln!(
            f,
            "tokenizer  {} tokens, {:.2} bytes a token",
            tokenizer.vocab_size, tokenizer.bytes_per_token
        )?;
        let losses: Vec<String> = vectors
            .loss_bits
            .iter()
            .map(|x| format!("{x:.2}"))
            .collect();
        writeln!(
            f,
            "vectors    {} numbers a token; loss by epoch {} bits",
            vectors.dim,
            losses.join(", ")
        )?;
        writeln!(
            f,
            "model      {} parameters, {} steps, training loss {:.3} nats",
            human(model.parameters as f64),
            model.steps,
            model.train_loss_nats
        )?;
        writeln!(
            f,
            "held out   {:.3} bits per byte; a smoothed bigram has {:.3}",
            model.bits_per_byte, model.bigram_bits_per_byte
        )?;
        if let Some(speeds) = &self.speeds {
            writeln!(
                f,
                "speed      vectors {} tokens/s, model {} tokens/s, {:.0} s in all",
                human(speeds.vector_tokens_per_second),
                human(speeds.model_tokens_per_second),
                speeds.seconds
            )?;
        }
        write!(f, "\n{samples}")
    }
}
