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
use crate::bpe::sections::Tables;
use crate::error::{BufferTooSmall, KernelError};
use crate::format::{Container, FormatError, FormatProblem};
use crate::huffman::{self, HuffmanError, HuffmanRef};
use crate::mat::MatRef;
use core::fmt;

/// Kind of a model file.
pub const KIND: [u8; 8] = *b"model\0\0\0";

/// Names of the sections.
pub mod sections {
    /// Shape and origin.
    pub const CONFIG: [u8; 8] = *b"config\0\0";
    /// Settings as JSON.
    pub const SETTINGS: [u8; 8] = *b"settings";
    /// Queries, keys, values.
    pub const TABLES: [[u8; 8]; 3] = [*b"seed.q\0\0", *b"seed.k\0\0", *b"seed.v\0\0"];
    /// The output's own table.
    pub const OUTPUT: [u8; 8] = *b"seed.u\0\0";
    /// Position bias.
    pub const BIAS: [u8; 8] = *b"seed.b\0\0";
    /// Parameters of the tree.
    pub const THETAS: [u8; 8] = *b"seed.t\0\0";
    /// Shape of a transformer.
    pub const LLAMA_CONFIG: [u8; 8] = *b"llama.c\0";
    /// Its weights.
    pub const LLAMA_WEIGHTS: [u8; 8] = *b"llama.w\0";
    /// Its normalisations, where the matrices are in eight bits.
    pub const LLAMA_NORMS: [u8; 8] = *b"llama.n\0";
    /// A scale a row of these.
    pub const LLAMA_SCALES: [u8; 8] = *b"llama.s\0";
    /// Their values.
    pub const LLAMA_VALUES: [u8; 8] = *b"llama.q\0";
    /// Offsets, nodes and codes of the tree.
    pub const TREE: [[u8; 8]; 3] = [*b"huff.off", *b"huff.nod", *b"huff.cod"];
    /// Word vectors.
    pub const VECTORS: [u8; 8] = *b"vectors\0";
}

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

fn content(file: &Container<'_>, name: &[u8; 8]) -> FormatError {
    FormatError::at(FormatProblem::Content, file.offset_of(name))
}

#[cfg_attr(target_pointer_width = "32", inline(never))]
fn check_tokenizer(file: &Container<'_>) -> Result<(), FormatError> {
    TokenizerRef::new_checked(file).map(|_| ())
}

fn check_numbers(file: &Container<'_>) -> Result<(), FormatError> {
    let tables = [
        sections::OUTPUT,
        sections::BIAS,
        sections::THETAS,
        sections::LLAMA_WEIGHTS,
        sections::LLAMA_NORMS,
        sections::LLAMA_SCALES,
        sections::VECTORS,
    ];
    for name in sections::TABLES.iter().chain(&tables) {
        let numbers = if file.has(name) {
            file.section::<f32>(name)?
        } else {
            &[]
        };
        if !numbers.iter().all(|x| x.is_finite()) {
            return Err(content(file, name));
        }
    }
    Ok(())
}

#[cfg_attr(target_pointer_width = "32", inline(never))]
fn check_tree(
    file: &Container<'_>,
    tree: HuffmanRef<'_>,
    workspace: &mut [u32],
) -> Result<(), ModelError> {
    match HuffmanRef::new_checked(tree.offsets(), tree.nodes(), tree.codes(), workspace) {
        Ok(_) => Ok(()),
        Err(HuffmanError::Buffer(e)) => Err(ModelError::Buffer(e)),
        Err(_) => Err(content(file, &sections::TREE[1]).into()),
    }
}

#[cfg_attr(target_pointer_width = "32", inline(never))]
fn read_config(file: &Container<'_>) -> Result<ModelConfig, FormatError> {
    let words = file.section(&sections::CONFIG)?;
    ModelConfig::from_words(words).ok_or(content(file, &sections::CONFIG))
}

#[cfg_attr(target_pointer_width = "32", inline(never))]
fn read_tokenizer<'a>(
    file: &Container<'a>,
    config: &ModelConfig,
) -> Result<TokenizerRef<'a>, FormatError> {
    let tokenizer = TokenizerRef::from_tables(Tables::from_sections(file)?);
    let fits = tokenizer.vocab_size() == config.vocab_size;
    let wrong = || content(file, &sections::CONFIG);
    fits.then_some(tokenizer).ok_or_else(wrong)
}

/// A section as a matrix.
fn matrix<'a>(
    file: &Container<'a>,
    name: &[u8; 8],
    rows: usize,
    cols: usize,
) -> Result<MatRef<'a>, FormatError> {
    MatRef::new(file.section(name)?, rows, cols).map_err(|_| content(file, name))
}

#[cfg_attr(target_pointer_width = "32", inline(never))]
fn read_parameters<'a>(
    file: &Container<'a>,
    config: &ModelConfig,
) -> Result<Parameters<'a>, FormatError> {
    match config.architecture {
        Architecture::Seed => read_seed(file, config).map(Parameters::from),
        Architecture::Llama => read_llama(file, config),
    }
}

#[cfg_attr(target_pointer_width = "32", inline(never))]
fn read_seed<'a>(file: &Container<'a>, config: &ModelConfig) -> Result<SeedRef<'a>, FormatError> {
    let ModelConfig {
        vocab_size,
        dim,
        heads,
        context,
        ..
    } = *config;
    let [q, k, v] = sections::TABLES;
    let [q, k, v] = [q, k, v].map(|name| matrix(file, &name, vocab_size, dim));
    let v = v?;
    let output = match config.output {
        OutputKind::Table => OutputRef::Table(matrix(file, &sections::OUTPUT, vocab_size, dim)?),
        OutputKind::Tied => OutputRef::Table(v),
        OutputKind::Tree => OutputRef::Tree {
            thetas: matrix(file, &sections::THETAS, vocab_size.saturating_sub(1), dim)?,
            tree: read_tree(file)?,
        },
    };
    let bias = match config.bias {
        true => Some(matrix(file, &sections::BIAS, heads, context)?),
        false => None,
    };
    SeedRef::new([q?, k?, v], bias, output, heads, context)
        .map_err(|_| content(file, &sections::CONFIG))
}

#[cfg_attr(target_pointer_width = "32", inline(never))]
fn read_llama<'a>(
    file: &Container<'a>,
    config: &ModelConfig,
) -> Result<Parameters<'a>, FormatError> {
    let words = file.section(&sections::LLAMA_CONFIG)?;
    let wrong = content(file, &sections::LLAMA_CONFIG);
    let shape = LlamaConfig::from_words(config, words).ok_or(wrong)?;
    if file.has(&sections::LLAMA_VALUES) {
        let [norms, scales] = [sections::LLAMA_NORMS, sections::LLAMA_SCALES];
        let (norms, scales) = (file.section(&norms)?, file.section(&scales)?);
        let values = file.section(&sections::LLAMA_VALUES)?;
        let model = LlamaInt8Ref::new(shape, norms, scales, values);
        return model.map(Parameters::from).map_err(|_| wrong);
    }
    let tree = match config.output {
        OutputKind::Tree => Some(read_tree(file)?),
        _ => None,
    };
    let model = LlamaRef::new(shape, file.section(&sections::LLAMA_WEIGHTS)?, tree);
    model.map(Parameters::from).map_err(|_| wrong)
}

fn read_tree<'a>(file: &Container<'a>) -> Result<HuffmanRef<'a>, FormatError> {
    let [offsets, nodes, codes] = sections::TREE;
    let (offsets, nodes) = (file.section(&offsets)?, file.section(&nodes)?);
    Ok(HuffmanRef::new_unchecked(
        offsets,
        nodes,
        file.section(&codes)?,
    ))
}

fn read_vectors<'a>(
    file: &Container<'a>,
    config: &ModelConfig,
) -> Result<Option<MatRef<'a>>, FormatError> {
    if !file.has(&sections::VECTORS) {
        return Ok(None);
    }
    let len = file.section::<f32>(&sections::VECTORS)?.len();
    let dim = len.checked_div(config.vocab_size).unwrap_or(0);
    matrix(file, &sections::VECTORS, config.vocab_size, dim).map(Some)
}
