//! The head of a model file: what kind of model, and where it comes from.

use super::LlamaConfig;

/// Number of 64-bit words in the section.
const WORDS: usize = 12;

/// How the output layer is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputKind {
    /// A table of its own.
    Table,
    /// The value table.
    Tied,
    /// A Huffman tree.
    Tree,
}

/// What kind of model a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// One layer of attention over tables.
    Seed,
    /// A transformer, of which the section `llama.c` tells the rest.
    Llama,
}

/// Shape and origin of a model.
///
/// Neither threads, paths nor times: equal runs give equal files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelConfig {
    /// The configuration.
    pub architecture: Architecture,
    /// Number of tokens.
    pub vocab_size: usize,
    /// Width of the tables, or of the residual stream.
    pub dim: usize,
    /// Number of heads.
    pub heads: usize,
    /// Most tokens that a prediction looks at.
    pub context: usize,
    /// The output layer.
    pub output: OutputKind,
    /// Whether heads have a bias by distance.
    pub bias: bool,
    /// Seed of the run.
    pub seed: u64,
    /// Steps of the run.
    pub steps: u64,
    /// Bytes of the text that it was trained on.
    pub corpus_bytes: u64,
    /// A hash of that text.
    pub corpus_hash: u64,
}

impl ModelConfig {
    /// The section's content.
    pub const fn to_words(&self) -> [u64; WORDS] {
        let output = match self.output {
            OutputKind::Table => 0,
            OutputKind::Tied => 1,
            OutputKind::Tree => 2,
        };
        let kind = match self.architecture {
            Architecture::Seed => 0,
            Architecture::Llama => 1,
        };
        [
            kind,
            self.vocab_size as u64,
            self.dim as u64,
            self.heads as u64,
            self.context as u64,
            output,
            self.bias as u64,
            self.seed,
            self.steps,
            self.corpus_bytes,
            self.corpus_hash,
            0,
        ]
    }

    /// Reads the section; `None` for a model of another kind. Sizes are not checked.
    pub fn from_words(words: &[u64]) -> Option<Self> {
        let words: &[u64; WORDS] = words.try_into().ok()?;
        let [
            kind,
            vocab_size,
            dim,
            heads,
            context,
            output,
            bias,
            seed,
            steps,
            corpus_bytes,
            corpus_hash,
            zero,
        ] = *words;
        let output = match output {
            0 => OutputKind::Table,
            1 => OutputKind::Tied,
            2 => OutputKind::Tree,
            _ => return None,
        };
        let architecture = match kind {
            0 => Architecture::Seed,
            1 if bias == 0 => Architecture::Llama,
            _ => return None,
        };
        (bias <= 1 && zero == 0).then_some(())?;
        Some(Self {
            architecture,
            vocab_size: usize::try_from(vocab_size).ok()?,
            dim: usize::try_from(dim).ok()?,
            heads: usize::try_from(heads).ok()?,
            context: usize::try_from(context).ok()?,
            output,
            bias: bias == 1,
            seed,
            steps,
            corpus_bytes,
            corpus_hash,
        })
    }
}

impl LlamaConfig {
    /// The content of the section `llama.c`: what [`ModelConfig`] does not say.
    pub const fn to_words(&self) -> [u64; 6] {
        [
            self.layers as u64,
            self.kv_heads as u64,
            self.head_width as u64,
            self.hidden as u64,
            self.theta.to_bits() as u64,
            self.epsilon.to_bits() as u64,
        ]
    }

    /// Reads the section; `None` if it is not one. Whether the shape makes sense is not checked.
    pub fn from_words(config: &ModelConfig, words: &[u64]) -> Option<Self> {
        let [layers, kv_heads, head_width, hidden, theta, epsilon] = *words else {
            return None;
        };
        let number = |bits: u64| u32::try_from(bits).ok().map(f32::from_bits);
        Some(Self {
            vocab_size: config.vocab_size,
            dim: config.dim,
            layers: usize::try_from(layers).ok()?,
            heads: config.heads,
            kv_heads: usize::try_from(kv_heads).ok()?,
            head_width: usize::try_from(head_width).ok()?,
            hidden: usize::try_from(hidden).ok()?,
            context: config.context,
            theta: number(theta)?,
            epsilon: number(epsilon)?,
            output: config.output,
        })
    }
}
