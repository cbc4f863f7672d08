//! What a training run may be told.

use crate::{Error, Result};
use serde::Serialize;

/// How the hidden vector is compared with the vocabulary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Output {
    /// Softmax over a table of its own.
    Softmax,
    /// Softmax over the value table.
    Tied,
    /// Hierarchical softmax along a Huffman tree: `O(log V)` a token.
    Huffman,
}

/// Settings of one run. Equal settings, data and step count give equal bits at any thread count.
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
    /// Width `d` of the tables.
    pub dim: usize,
    /// Heads; they divide `dim`.
    pub heads: usize,
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
    /// Peak learning rate.
    pub learning_rate: f32,
    /// AdamW's decoupled weight decay, for all but the position bias.
    pub weight_decay: f32,
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
            dim: 128,
            heads: 4,
            context: 128,
            literal: false,
            bias: true,
            output: Output::Softmax,
            steps: None,
            minutes: None,
            batch_tokens: 2048,
            learning_rate: 3e-2,
            weight_decay: 0.1,
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

    /// Refuses settings that make no sense.
    ///
    /// # Errors
    /// [`Error::Usage`], one sentence.
    pub fn validate(&self) -> Result<()> {
        let sizes = [
            ("--dim", self.dim, 1, 1 << 14),
            ("--heads", self.heads, 1, 1 << 10),
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
        let numbers = [
            ("--learning-rate", self.learning_rate, 0.0, 1.0),
            ("--weight-decay", self.weight_decay, 0.0, 1e3),
            ("--init-scale", self.init_scale, 0.0, 10.0),
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

    /// The settings that decide the result, for a model file: no threads, no times.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "config": "seed",
            "dim": self.dim,
            "heads": self.heads,
            "context": self.context,
            "literal": self.literal,
            "bias": self.bias,
            "output": match self.output {
                Output::Softmax => "softmax",
                Output::Tied => "tied",
                Output::Huffman => "huffman",
            },
            "steps": self.steps,
            "batch_tokens": self.batch_tokens,
            "learning_rate": self.learning_rate,
            "weight_decay": self.weight_decay,
            "init_scale": self.init_scale,
            "seed": self.seed,
        })
    }

    /// The settings that count: the literal form has one head, no bias, and a tied output.
    pub(crate) fn effective(&self) -> Self {
        let mut options = self.clone();
        if self.literal {
            options.heads = 1;
            options.bias = false;
            options.output = Output::Tied;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absurd_settings_are_refused_in_one_sentence() {
        let fine = LmOptions::default();
        fine.validate().unwrap();
        let absurd = [
            LmOptions {
                dim: 0,
                ..fine.clone()
            },
            LmOptions {
                heads: 0,
                ..fine.clone()
            },
            LmOptions {
                heads: 3,
                ..fine.clone()
            },
            LmOptions {
                context: 0,
                ..fine.clone()
            },
            LmOptions {
                batch_tokens: 0,
                ..fine.clone()
            },
            LmOptions {
                learning_rate: f32::NAN,
                ..fine.clone()
            },
            LmOptions {
                weight_decay: -1.0,
                ..fine.clone()
            },
            LmOptions {
                steps: Some(0),
                ..fine.clone()
            },
            LmOptions {
                minutes: Some(f64::NAN),
                ..fine.clone()
            },
            LmOptions {
                minutes: Some(1.0),
                steps: Some(1),
                ..fine.clone()
            },
        ];
        for options in absurd {
            let error = options.validate().unwrap_err();
            assert_eq!(error.exit_code(), 2, "{options:?}");
            assert!(!error.to_string().contains('\n'));
        }
    }
}
