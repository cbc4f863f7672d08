//! A model file, checked once, that predicts and generates.
//!
//! | section | content |
//! |---|---|
//! | `config` | [`ModelConfig`], 64-bit words |
//! | `settings` | the run's settings, JSON, for people and tools |
//! | `tok.*` | the tokenizer, see [`bpe::sections`](crate::bpe::sections) |
//! | `seed.q`, `seed.k`, `seed.v` | queries, keys, values: `V x d` |
//! | `seed.u` | the output's own table, `V x d` |
//! | `seed.b` | position bias, `heads x context` |
//! | `seed.t` | parameters of the tree's inner nodes, `V - 1 x d` |
//! | `llama.c` | the rest of a [`LlamaConfig`], 64-bit words |
//! | `llama.w` | the weights of a [`LlamaRef`], or, of a [`LlamaInt8Ref`], |
//! | `llama.n`, `llama.s`, `llama.q` | its normalisations, scales and values |
//! | `huff.off`, `huff.nod`, `huff.cod` | the tree, see [`huffman`] |
//! | `vectors` | the word vectors of the run, `V x d'`, if kept |
//!
//! [`ModelRef::new_checked`] reads the whole file once; after that, predicting allocates nothing
//! and cannot fail but for buffers that are too small.

mod config;
mod llama;
mod network;
mod output;
mod read;
pub mod sections;
mod seed;
mod session;
#[cfg(test)]
mod tests;

pub use config::{Architecture, ModelConfig, OutputKind};
pub use llama::{LlamaConfig, LlamaInt8Ref, LlamaRef, Tensor};
pub use network::{CacheType, Network, Parameters};
pub use output::OutputRef;
pub use seed::SeedRef;
pub use session::Session;

use crate::bpe::TokenizerRef;
use crate::error::{BufferTooSmall, KernelError};
use crate::format::{Container, FormatError};
use crate::huffman::{self, HuffmanRef};
use crate::mat::MatRef;
use core::fmt;
use read::{check_numbers, check_tokenizer, check_tree, content, read_config};
use read::{read_parameters, read_tokenizer, read_vectors};

/// Kind of a model file.
pub const KIND: [u8; 8] = *b"model\0\0\0";

/// Why a file is not a model that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelError {
    /// The file is damaged, of another kind, or contradicts itself.
    Format(FormatError),
    /// The caller's workspace is too small.
    Buffer(BufferTooSmall),
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Format(e) => e.fmt(f),
            Self::Buffer(e) => e.fmt(f),
        }
    }
}

impl core::error::Error for ModelError {}

impl From<FormatError> for ModelError {
    fn from(e: FormatError) -> Self {
        Self::Format(e)
    }
}

/// A model in a file's bytes: mapped on a host, in flash on a device.
#[derive(Clone, Copy, Debug)]
pub struct ModelRef<'a> {
    config: ModelConfig,
    settings: &'a str,
    tokenizer: TokenizerRef<'a>,
    parameters: Parameters<'a>,
    vectors: Option<MatRef<'a>>,
}

impl<'a> ModelRef<'a> {
    /// Checks everything: structure, checksums, shapes against each other, that every parameter is
    /// a finite number, the tokenizer, and the tree.
    ///
    /// `bytes` start at a multiple of 64; `workspace` is scratch of
    /// [`ModelRef::check_workspace_len`].
    ///
    /// # Errors
    /// [`ModelError`] with what is wrong and where.
    ///
    /// # Example
    /// ```
    /// use barelm_kernels::model::ModelRef;
    /// assert!(ModelRef::new_checked(b"not a model", &mut []).is_err());
    /// ```
    pub fn new_checked(bytes: &'a [u8], workspace: &mut [u32]) -> Result<Self, ModelError> {
        Self::check(bytes, workspace)?;
        Ok(Self::reopen(bytes)?)
    }

    /// In a function of its own, whose frame is gone when the model is handed out.
    #[inline(never)]
    fn check(bytes: &'a [u8], workspace: &mut [u32]) -> Result<(), ModelError> {
        let file = Container::new(bytes, &KIND)?;
        file.verify()?;
        check_tokenizer(&file)?;
        check_numbers(&file)?;
        match Self::tree(&file)? {
            Some(tree) => check_tree(&file, tree, workspace),
            None => Ok(()),
        }
    }

    /// The tree of a model, if it has one.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn tree(file: &Container<'a>) -> Result<Option<HuffmanRef<'a>>, FormatError> {
        let model = Self::new(file);
        let network = match &model.as_ref().map_err(|e| *e)?.parameters {
            Parameters::F32(network) => network,
            Parameters::Int8(_) => return Ok(None),
        };
        Ok(match network.output() {
            OutputRef::Tree { tree, .. } => Some(tree),
            OutputRef::Table(_) => None,
        })
    }

    /// A file that [`ModelRef::new_checked`] passed before: structure and shapes alone are looked
    /// at, at a cost that does not grow with the file.
    ///
    /// Any other file may predict nonsense, but nothing panics.
    ///
    /// # Errors
    /// [`FormatError`] with what is wrong and where.
    pub fn reopen(bytes: &'a [u8]) -> Result<Self, FormatError> {
        Self::new(&Container::new(bytes, &KIND)?)
    }

    /// Words of workspace that [`ModelRef::new_checked`] needs for a file; 0 without a tree.
    ///
    /// # Errors
    /// [`FormatError`] when the structure of the file is wrong.
    pub fn check_workspace_len(bytes: &[u8]) -> Result<usize, FormatError> {
        let config = read_config(&Container::new(bytes, &KIND)?)?;
        Ok(match config.output {
            OutputKind::Tree => huffman::check_workspace_len(config.vocab_size),
            _ => 0,
        })
    }

    fn new(file: &Container<'a>) -> Result<Self, FormatError> {
        Self::with_config(file, read_config(file)?)
    }

    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn with_config(file: &Container<'a>, config: ModelConfig) -> Result<Self, FormatError> {
        let tokenizer = read_tokenizer(file, &config)?;
        let settings = core::str::from_utf8(file.section(&sections::SETTINGS)?);
        Ok(Self {
            config,
            settings: settings.map_err(|_| content(file, &sections::SETTINGS))?,
            tokenizer,
            parameters: read_parameters(file, &config)?,
            vectors: read_vectors(file, &config)?,
        })
    }

    /// Shape and origin.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The run's settings, JSON.
    pub fn settings(&self) -> &'a str {
        self.settings
    }

    /// The tokenizer that the model was trained with.
    pub fn tokenizer(&self) -> &TokenizerRef<'a> {
        &self.tokenizer
    }

    /// The parameters.
    pub fn parameters(&self) -> Parameters<'a> {
        self.parameters
    }

    /// The word vectors of the run, one row a token, if the file keeps them.
    pub fn vectors(&self) -> Option<MatRef<'a>> {
        self.vectors
    }

    /// Elements of workspace that [`ModelRef::predict`] and a [`Session`] need.
    pub fn session_workspace_len(&self) -> usize {
        self.parameters.session_workspace_len()
    }

    /// Logits of the token that follows `context`, of which the last `config().context` count.
    ///
    /// # Errors
    /// [`KernelError`]: a token outside the vocabulary, not one logit a token, or fewer elements of
    /// workspace than [`ModelRef::session_workspace_len`].
    pub fn predict(
        &self,
        context: &[u32],
        logits: &mut [f32],
        workspace: &mut [f32],
    ) -> Result<(), KernelError> {
        let mut session = Session::new(self.parameters, workspace)?;
        let start = context.len().saturating_sub(self.parameters.context());
        for token in context.get(start..).unwrap_or(&[]) {
            session.push(*token)?;
        }
        session.logits(logits)
    }
}
