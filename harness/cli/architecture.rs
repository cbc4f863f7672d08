//! What a language model can be made of, as arguments.

use crate::attention_trainer::{Config, Optimizer, Output};
use clap::ValueEnum;

/// The output layer, as an argument.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum OutputArg {
    /// A table of its own
    Softmax,
    /// The value table, or the embedding
    Tied,
    /// A Huffman tree over the token counts
    Huffman,
}

impl From<OutputArg> for Output {
    fn from(output: OutputArg) -> Self {
        match output {
            OutputArg::Softmax => Self::Softmax,
            OutputArg::Tied => Self::Tied,
            OutputArg::Huffman => Self::Huffman,
        }
    }
}

/// The architecture, as an argument.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ConfigArg {
    /// One attention layer over per-token tables
    Seed,
    /// A transformer that opens as LlamaForCausalLM
    Llama,
}

impl From<ConfigArg> for Config {
    fn from(config: ConfigArg) -> Self {
        match config {
            ConfigArg::Seed => Self::Seed,
            ConfigArg::Llama => Self::Llama,
        }
    }
}

/// What updates the matrices of the blocks, as an argument.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum OptimizerArg {
    /// Running averages of the gradient and its square
    Adamw,
    /// Steps in which all directions of a matrix count alike
    Muon,
}

impl From<OptimizerArg> for Optimizer {
    fn from(optimizer: OptimizerArg) -> Self {
        match optimizer {
            OptimizerArg::Adamw => Self::AdamW,
            OptimizerArg::Muon => Self::Muon,
        }
    }
}
