//! What the main job will do to a corpus of a given size, unless told otherwise.

use crate::attention_trainer::{Config, LmOptions, Output};
use crate::cbow_trainer::CbowOptions;
use crate::kernels::bpe::Pattern;
use crate::tokenizer::HarnessPattern;
use crate::{Error, Result};
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;

/// Settings of the main job; `None` leaves the choice to [`Plan::new`].
#[derive(Clone, Debug)]
pub struct PipelineOptions {
    /// The model directory.
    pub out: PathBuf,
    /// Seed of every random choice.
    pub seed: u64,
    /// Threads; results do not depend on it.
    pub threads: usize,
    /// How text is cut into pretokens.
    pub pattern: HarnessPattern,
    /// Tokens in the vocabulary.
    pub vocab_size: Option<usize>,
    /// The architecture of the language model.
    pub config: Config,
    /// Width of vectors and tables, or of the residual stream.
    pub dim: usize,
    /// Layers (llama).
    pub layers: usize,
    /// Attention heads.
    pub heads: usize,
    /// Tokens that a prediction looks at.
    pub context: Option<usize>,
    /// The literal form of the model: one head, no positions, output compared with the values.
    pub literal: bool,
    /// The output layer.
    pub output: Option<Output>,
    /// Passes over the text for the word vectors.
    pub vector_epochs: Option<usize>,
    /// Training steps of the attention model.
    pub steps: Option<u64>,
    /// Minutes for the attention model instead; the steps reached are recorded.
    pub minutes: Option<f64>,
}

impl Default for PipelineOptions {
    fn default() -> Self {
        Self {
            out: "barelm-model".into(),
            seed: 1,
            threads: crate::parallel::default_threads(),
            pattern: HarnessPattern::Known(Pattern::Gpt2),
            vocab_size: None,
            config: Config::Llama,
            dim: 128,
            layers: 2,
            heads: 4,
            context: None,
            literal: false,
            output: None,
            vector_epochs: None,
            steps: None,
            minutes: None,
        }
    }
}

impl PipelineOptions {
    /// Refuses what cannot work, before any work is done.
    ///
    /// # Errors
    /// [`Error::Usage`].
    pub fn validate(&self) -> Result<()> {
        let plan = Plan::new(1 << 20, self);
        if plan.vocab_size < 256 {
            return Err(Error::Usage(format!(
                "--vocab-size {} is below the alphabet of 256 bytes",
                plan.vocab_size
            )));
        }
        plan.cbow_options(self).validate()?;
        plan.lm_options(self).validate()
    }
}

/// Sizes and budgets, from the size of the corpus alone.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// Tokens in the vocabulary.
    pub vocab_size: usize,
    /// Bytes at the end of the corpus that no stage learns from.
    pub held_out_bytes: u64,
    /// Passes over the text for the word vectors.
    pub vector_epochs: usize,
    /// The architecture of the language model.
    pub config: Config,
    /// Width of vectors and tables, or of the residual stream.
    pub dim: usize,
    /// Layers.
    pub layers: usize,
    /// Attention heads.
    pub heads: usize,
    /// Tokens that a prediction looks at.
    pub context: usize,
    /// The output layer.
    pub output: Output,
    /// Tokens a training step.
    pub batch_tokens: usize,
    /// Training steps; `None` when minutes were given.
    pub steps: Option<u64>,
}

/// Words of all passes over which word vectors are trained, at least.
const VECTOR_TOKENS: f64 = 6e6;
/// From this vocabulary on the output of configuration seed is a Huffman tree: a softmax then costs
/// so much more a token that it learns less in equal time (the measurement is in DESIGN.md, section
/// 7).
const HUFFMAN_VOCABULARY: usize = 4096;
/// Tokens that configuration seed learns from, over a softmax and over a tree.
const SOFTMAX_TOKENS: f64 = 2.4e6;
const HUFFMAN_TOKENS: f64 = 40e6;
/// Tokens that configuration llama learns from.
const LLAMA_TOKENS: f64 = 1.6e6;
/// No more than so many passes over a small text.
const PASSES: f64 = 20.0;

impl Plan {
    /// A vocabulary near the square root of the bytes, one twentieth held out (a MiB at most), word
    /// vectors over six million tokens or one pass, and for the attention model a minute or two's
    /// worth of tokens.
    pub fn new(bytes: u64, options: &PipelineOptions) -> Self {
        let root = (bytes as f64).sqrt().clamp(512.0, 8192.0);
        let vocab_size = options
            .vocab_size
            .unwrap_or(1 << root.log2().round() as u32);
        // A token stands for some three to four bytes of English at these sizes.
        let tokens = bytes as f64 / 3.5;
        let epochs = (VECTOR_TOKENS / tokens.max(1.0)).round().clamp(1.0, 10.0) as usize;
        let large = vocab_size >= HUFFMAN_VOCABULARY && !options.literal;
        let output = options.output.unwrap_or(match options.config {
            Config::Llama => Output::Tied,
            Config::Seed if large => Output::Huffman,
            Config::Seed => Output::Softmax,
        });
        let (batch_tokens, budget) = match (options.config, output) {
            (Config::Llama, _) => (2048, LLAMA_TOKENS),
            (Config::Seed, Output::Huffman) => (4096, HUFFMAN_TOKENS),
            (Config::Seed, Output::Softmax | Output::Tied) => (2048, SOFTMAX_TOKENS),
        };
        let steps = budget.min(PASSES * tokens) / batch_tokens as f64;
        Self {
            vocab_size,
            held_out_bytes: (bytes / 20).clamp(1, 1 << 20),
            vector_epochs: options.vector_epochs.unwrap_or(epochs),
            config: options.config,
            dim: options.dim,
            layers: match options.config {
                Config::Seed => 1,
                Config::Llama => options.layers,
            },
            heads: options.heads,
            context: options.context.unwrap_or(64),
            output,
            batch_tokens,
            steps: match options.minutes {
                Some(_) => options.steps,
                None => Some(options.steps.unwrap_or((steps as u64).max(1))),
            },
        }
    }

    /// Settings of the word vectors.
    pub(crate) fn cbow_options(&self, options: &PipelineOptions) -> CbowOptions {
        CbowOptions {
            dim: self.dim,
            epochs: self.vector_epochs,
            seed: options.seed,
            threads: options.threads,
            ..CbowOptions::default()
        }
    }

    /// Settings of the attention model.
    pub(crate) fn lm_options(&self, options: &PipelineOptions) -> LmOptions {
        let defaults = LmOptions::of(self.config);
        let is_tree_of_seed = self.config == Config::Seed && self.output == Output::Huffman;
        LmOptions {
            dim: self.dim,
            layers: self.layers,
            heads: self.heads,
            context: self.context,
            literal: options.literal,
            output: self.output,
            steps: self.steps,
            minutes: options.minutes,
            batch_tokens: self.batch_tokens,
            weight_decay: if is_tree_of_seed {
                0.02
            } else {
                defaults.weight_decay
            },
            seed: options.seed,
            threads: options.threads,
            ..defaults
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            vocab_size,
            held_out_bytes,
            vector_epochs,
            config,
            dim,
            layers,
            heads,
            context,
            ..
        } = self;
        write!(
            f,
            "vocabulary {vocab_size}, {held_out_bytes} bytes held out; word vectors of {dim}, \
             {vector_epochs} epochs; {config:?} of {layers} layers with {heads} heads over {context} tokens, \
             {:?} output, ",
            self.output
        )?;
        match self.steps {
            Some(steps) => write!(f, "{steps} steps of {} tokens", self.batch_tokens),
            None => write!(f, "as many steps as the minutes allow"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vocabulary_grows_with_the_root_of_the_corpus() {
        let vocab = |bytes| Plan::new(bytes, &PipelineOptions::default()).vocab_size;
        assert_eq!(
            [
                vocab(0),
                vocab(1 << 20),
                vocab(6 << 20),
                vocab(100_000_000),
                vocab(1 << 40)
            ],
            [512, 1024, 2048, 8192, 8192]
        );
    }

    #[test]
    fn what_the_user_says_stands() {
        let options = PipelineOptions {
            vocab_size: Some(300),
            steps: Some(7),
            ..Default::default()
        };
        let plan = Plan::new(1 << 30, &options);
        assert_eq!((plan.vocab_size, plan.steps), (300, Some(7)));
        let minutes = PipelineOptions {
            minutes: Some(1.0),
            ..Default::default()
        };
        assert_eq!(Plan::new(1 << 30, &minutes).steps, None);
    }

    #[test]
    fn the_output_follows_from_the_architecture_and_the_vocabulary() {
        let output = |config, vocab_size| {
            let options = PipelineOptions {
                config,
                vocab_size: Some(vocab_size),
                ..Default::default()
            };
            Plan::new(1 << 20, &options).output
        };
        assert_eq!(output(Config::Llama, 8192), Output::Tied);
        assert_eq!(output(Config::Seed, 8192), Output::Huffman);
        assert_eq!(output(Config::Seed, 1024), Output::Softmax);
    }

    #[test]
    fn absurd_settings_are_refused_before_the_work() {
        let refused = |options: PipelineOptions| matches!(options.validate(), Err(Error::Usage(_)));
        assert!(refused(PipelineOptions {
            vocab_size: Some(255),
            ..Default::default()
        }));
        assert!(refused(PipelineOptions {
            dim: 0,
            ..Default::default()
        }));
        assert!(refused(PipelineOptions {
            heads: 5,
            ..Default::default()
        }));
        assert!(refused(PipelineOptions {
            literal: true,
            ..Default::default()
        }));
        assert!(refused(PipelineOptions {
            context: Some(0),
            ..Default::default()
        }));
    }
}
