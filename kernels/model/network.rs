//! A model of either configuration, in either precision.

use super::llama::{Stored, workspace_len};
use super::{LlamaInt8Ref, LlamaRef, OutputRef, SeedRef};

/// The parameters of a model in `f32`, whatever its configuration.
#[derive(Clone, Copy, Debug)]
pub enum Network<'a> {
    /// One layer of attention over tables.
    Seed(SeedRef<'a>),
    /// A transformer.
    Llama(LlamaRef<'a>),
}

impl<'a> From<SeedRef<'a>> for Network<'a> {
    fn from(model: SeedRef<'a>) -> Self {
        Self::Seed(model)
    }
}

impl<'a> From<LlamaRef<'a>> for Network<'a> {
    fn from(model: LlamaRef<'a>) -> Self {
        Self::Llama(model)
    }
}

impl<'a> Network<'a> {
    /// Number of tokens.
    pub fn vocab_size(&self) -> usize {
        match self {
            Self::Seed(model) => model.vocab_size(),
            Self::Llama(model) => model.config().vocab_size,
        }
    }

    /// Width of the hidden vectors that the output layer reads.
    pub fn dim(&self) -> usize {
        match self {
            Self::Seed(model) => model.dim(),
            Self::Llama(model) => model.config().dim,
        }
    }

    /// Most tokens, the last one included, that a prediction looks at.
    pub fn context(&self) -> usize {
        match self {
            Self::Seed(model) => model.context(),
            Self::Llama(model) => model.config().context,
        }
    }

    /// The output layer.
    pub fn output(&self) -> OutputRef<'a> {
        match self {
            Self::Seed(model) => model.output(),
            Self::Llama(model) => model.output(),
        }
    }

    /// Elements of workspace that a [`Session`](super::Session) over this model needs.
    pub fn session_workspace_len(&self) -> usize {
        Parameters::F32(*self).session_workspace_len()
    }
}

/// The parameters of a model, whatever their precision.
#[derive(Clone, Copy, Debug)]
pub enum Parameters<'a> {
    /// In `f32`.
    F32(Network<'a>),
    /// A transformer in eight bits.
    Int8(LlamaInt8Ref<'a>),
}

impl<'a, T: Into<Network<'a>>> From<T> for Parameters<'a> {
    fn from(network: T) -> Self {
        Self::F32(network.into())
    }
}

impl<'a> From<LlamaInt8Ref<'a>> for Parameters<'a> {
    fn from(model: LlamaInt8Ref<'a>) -> Self {
        Self::Int8(model)
    }
}

impl Parameters<'_> {
    /// Number of tokens.
    pub fn vocab_size(&self) -> usize {
        match self {
            Self::F32(network) => network.vocab_size(),
            Self::Int8(model) => model.config().vocab_size,
        }
    }

    /// Most tokens, the last one included, that a prediction looks at.
    pub fn context(&self) -> usize {
        match self {
            Self::F32(network) => network.context(),
            Self::Int8(model) => model.config().context,
        }
    }

    /// Elements of workspace that a [`Session`](super::Session) over this model needs with a cache in
    /// `f32`: its keys and values are `2 layers context key_width` of them.
    pub fn session_workspace_len(&self) -> usize {
        self.session_workspace_len_with(CacheType::F32)
    }

    /// The same for a cache of another type.
    pub fn session_workspace_len_with(&self, cache: CacheType) -> usize {
        match *self {
            Self::F32(Network::Seed(model)) => model.session_workspace_len(),
            Self::F32(Network::Llama(model)) => workspace_len(&Stored::F32(model), cache),
            Self::Int8(model) => workspace_len(&Stored::Int8(model), cache),
        }
    }
}

/// How a session keeps keys and values. Configuration seed copies them from its tables, in `f32`
/// whatever is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CacheType {
    /// As they are.
    #[default]
    F32,
    /// In half precision: half the room, numbers of up to 65504 with eleven bits.
    F16,
}
