//! A model of either configuration.

use super::{LlamaRef, OutputRef, SeedRef};

/// The parameters of a model, whatever its configuration.
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
        match self {
            Self::Seed(model) => model.session_workspace_len(),
            Self::Llama(model) => model.session_workspace_len(),
        }
    }
}
