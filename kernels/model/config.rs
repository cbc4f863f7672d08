//! The head of a model file: what kind of model, and where it comes from.

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

/// Shape and origin of a model of configuration seed.
///
/// Neither threads, paths nor times: equal runs give equal files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelConfig {
    /// Number of tokens.
    pub vocab_size: usize,
    /// Width of the tables.
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

/// Code of configuration seed; others may come.
const SEED: u64 = 0;

impl ModelConfig {
    /// The section's content.
    pub const fn to_words(&self) -> [u64; WORDS] {
        let output = match self.output {
            OutputKind::Table => 0,
            OutputKind::Tied => 1,
            OutputKind::Tree => 2,
        };
        [
            SEED,
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
        (kind == SEED && bias <= 1 && zero == 0).then_some(())?;
        Some(Self {
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
