//! What a training run may be told.

use crate::{Error, Result};
use serde::Serialize;

/// The architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Config {
    /// One attention layer over per-token tables.
    Seed,
    /// A transformer: RMSNorm, rotary positions, shared key and value heads, SwiGLU.
    Llama,
}

/// How the hidden vector is compared with the vocabulary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Output {
    /// Softmax over a table of its own.
    Softmax,
    /// Softmax over the value table, or over the embedding.
    Tied,
    /// Hierarchical softmax along a Huffman tree: `O(log V)` a token.
    Huffman,
}

/// What updates the matrices of a transformer's blocks; AdamW updates everything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Optimizer {
    /// AdamW.
    AdamW,
    /// Muon: steps in which all directions count alike. Llama alone.
    Muon,
}

/// Settings of one run. Equal settings, data and step count give equal bits at any thread count.
///
/// The defaults are those of configuration seed; [`LmOptions::llama`] has those of the other.
///
/// # Example
/// ```
/// use barelm::attention_trainer::LmOptions;
/// let options = LmOptions { dim: 64, steps: Some(100), ..LmOptions::default() };
/// assert!(options.validate().is_ok());
/// assert!(LmOptions { dim: 0, ..options }.validate().is_err());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct LmOptions {
    /// The architecture.
    pub config: Config,
    /// Width `d` of the tables, or of the residual stream.
    pub dim: usize,
    /// Layers; llama alone.
    pub layers: usize,
    /// Heads; they divide `dim`.
    pub heads: usize,
    /// Heads of keys and values, which divide `heads`; 0 for as many. Llama alone.
    pub kv_heads: usize,
    /// Width of the feed-forward layer; 0 for 8/3 `dim`, rounded up to a multiple of 32. Llama
    /// alone.
    pub hidden: usize,
    /// Tokens that a prediction looks at.
    pub context: usize,
    /// The literal form: one head, no position bias, output compared with the value table.
    pub literal: bool,
    /// Whether each head learns a bias by distance.
    pub bias: bool,
    /// The output layer.
    pub output: Output,
    /// Steps to take; without it and `minutes`, [`LmOptions::DEFAULT_STEPS`].
    pub steps: Option<u64>,
    /// Wall-clock minutes to take instead. The steps reached are recorded and repeat the run.
    pub minutes: Option<f64>,
    /// Tokens a step, rounded up to whole windows.
    pub batch_tokens: usize,
    /// What updates the matrices of the blocks.
    pub optimizer: Optimizer,
    /// Peak learning rate of AdamW.
    pub learning_rate: f32,
    /// Peak learning rate of Muon.
    pub muon_rate: f32,
    /// Decoupled weight decay, for all but the position bias and the weights of
    /// normalisations.
    pub weight_decay: f32,
    /// Probability of leaving out an element of the embedding, or of what a layer's halves add to
    /// the residual stream, in a training step; llama alone.
    pub dropout: f32,
    /// Standard deviation of the initial tables.
    pub init_scale: f32,
    /// Seed of the tables and of the order of the windows.
    pub seed: u64,
    /// Threads; 0 for one a core.
    pub threads: usize,
    /// Steps between evaluations on held-out text; 0 for about ten a run.
    pub eval_every: u64,
}

impl Default for LmOptions {
    fn default() -> Self {
        Self {
            config: Config::Seed,
            dim: 128,
            layers: 4,
            heads: 4,
            kv_heads: 0,
            hidden: 0,
            context: 128,
            literal: false,
            bias: true,
            output: Output::Softmax,
            steps: None,
            minutes: None,
            batch_tokens: 2048,
            optimizer: Optimizer::AdamW,
            learning_rate: 3e-2,
            muon_rate: 2e-2,
            weight_decay: 0.1,
            dropout: 0.0,
            init_scale: 0.1,
            seed: 1,
            threads: 0,
            eval_every: 0,
        }
    }
}

impl LmOptions {
    /// Steps of a run that says neither steps nor minutes.
    pub const DEFAULT_STEPS: u64 = 1000;

    /// The defaults of configuration llama.
    pub fn llama() -> Self {
        Self {
            config: Config::Llama,
            bias: false,
            output: Output::Tied,
            batch_tokens: 4096,
            learning_rate: 3e-3,
            init_scale: 0.02,
            ..Self::default()
        }
    }

    /// The defaults of a configuration.
    pub fn of(config: Config) -> Self {
        match config {
            Config::Seed => Self::default(),
            Config::Llama => Self::llama(),
        }
    }

    /// Refuses settings that make no sense.
    ///
    /// # Errors
    /// [`Error::Usage`], one sentence.
    pub fn validate(&self) -> Result<()> {
        let sizes = [
            ("--dim", self.dim, 1, 1 << 14),
            ("--heads", self.heads, 1, 1 << 10),
            ("--layers", self.layers, 1, 1 << 10),
            ("--kv-heads", self.kv_heads, 0, 1 << 10),
            ("--hidden", self.hidden, 0, 1 << 16),
            ("--context", self.context, 1, 1 << 16),
            ("--batch-tokens", self.batch_tokens, 1, 1 << 24),
        ];
        for (name, value, low, high) in sizes {
            check((low..=high).contains(&value), || {
                format!("{name} must be between {low} and {high}, not {value}")
            })?;
        }
        check(self.dim.is_multiple_of(self.heads), || {
            format!("--heads {} does not divide --dim {}", self.heads, self.dim)
        })?;
        check(
            self.config == Config::Llama || self.optimizer == Optimizer::AdamW,
            || "--optimizer muon is for --config llama, whose blocks have matrices".into(),
        )?;
        self.validate_llama()?;
        let numbers = [
            ("--learning-rate", self.learning_rate, 0.0, 1.0),
            ("--muon-rate", self.muon_rate, 0.0, 1.0),
            ("--weight-decay", self.weight_decay, 0.0, 1e3),
            ("--init-scale", self.init_scale, 0.0, 10.0),
            ("--dropout", self.dropout, 0.0, 0.9),
        ];
        for (name, value, low, high) in numbers {
            // NaN lies in no range.
            check((low..=high).contains(&value), || {
                format!("{name} must be between {low} and {high}, not {value}")
            })?;
        }
        check(self.steps.is_none() || self.minutes.is_none(), || {
            "--steps and --minutes exclude each other".into()
        })?;
        check((1..=1 << 40).contains(&self.steps.unwrap_or(1)), || {
            "--steps must be at least 1".into()
        })?;
        let minutes = self.minutes.unwrap_or(1.0);
        check(minutes > 0.0 && minutes <= 1e6, || {
            format!("--minutes must be above 0, not {minutes}")
        })
    }

    fn validate_llama(&self) -> Result<()> {
        if self.config != Config::Llama {
            return check(self.dropout == 0.0, || {
                "--dropout is of --config llama".into()
            });
        }
        check(!self.literal, || {
            "--literal is a form of --config seed".into()
        })?;
        let width = self.dim / self.heads;
        check(width.is_multiple_of(2), || {
            format!("heads of {width} cannot be turned by their position; their width must be even")
        })?;
        let kv_heads = self.effective().kv_heads;
        check(self.heads.is_multiple_of(kv_heads), || {
            format!(
                "--kv-heads {kv_heads} does not divide --heads {}",
                self.heads
            )
        })
    }

    /// The settings that decide the result, for a model file: no threads, no times.
    pub fn to_json(&self) -> serde_json::Value {
        let mut settings = match self.config {
            Config::Seed => serde_json::json!({
                "config": self.config,
                "dim": self.dim,
                "heads": self.heads,
                "context": self.context,
                "literal": self.literal,
                "bias": self.bias,
            }),
            Config::Llama => serde_json::json!({
                "config": self.config,
                "dim": self.dim,
                "layers": self.layers,
                "heads": self.heads,
                "kv_heads": self.kv_heads,
                "hidden": self.hidden,
                "context": self.context,
                "dropout": self.dropout,
            }),
        };
        settings["output"] = serde_json::json!(self.output);
        settings["steps"] = serde_json::json!(self.steps);
        settings["batch_tokens"] = serde_json::json!(self.batch_tokens);
        settings["optimizer"] = serde_json::json!(self.optimizer);
        if self.optimizer == Optimizer::Muon {
            settings["muon_rate"] = serde_json::json!(self.muon_rate);
        }
        settings["learning_rate"] = serde_json::json!(self.learning_rate);
        settings["weight_decay"] = serde_json::json!(self.weight_decay);
        settings["init_scale"] = serde_json::json!(self.init_scale);
        settings["seed"] = serde_json::json!(self.seed);
        settings
    }

    /// The settings that count: the literal form has one head, no bias, and a tied output; sizes
    /// of a transformer that were left open are filled in.
    pub(crate) fn effective(&self) -> Self {
        let mut options = self.clone();
        if self.literal {
            options.heads = 1;
            options.bias = false;
            options.output = Output::Tied;
        }
        if self.kv_heads == 0 {
            options.kv_heads = self.heads;
        }
        if self.hidden == 0 {
            options.hidden = (self.dim * 8).div_ceil(3).next_multiple_of(32);
        }
        options
    }

    /// Windows a step.
    pub(crate) fn windows(&self) -> usize {
        self.batch_tokens.div_ceil(self.context)
    }

    /// Threads to use.
    pub(crate) fn threads(&self) -> usize {
        match self.threads {
            0 => crate::parallel::default_threads(),
            n => n,
        }
    }
}

fn check(fine: bool, message: impl FnOnce() -> String) -> Result<()> {
    if fine {
        Ok(())
    } else {
        Err(Error::Usage(message()))
    }
}
