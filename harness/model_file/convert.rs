//! `barelm lm convert`: which kind of file becomes which.

use super::gguf::{self, TensorType};
use super::hugging_face::{self, Loaded};
use super::int8::LlamaInt8;
use super::{FILE_NAME, ModelFile, Run, save_network};
use crate::kernels::model::Network;
use crate::tokenizer::Tokenizer;
use crate::{Error, Result};
use std::path::Path;

/// Numbers of the weights in a `model.barelm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightType {
    /// As they were trained.
    F32,
    /// Signed bytes with a scale a row.
    Int8,
}

/// What to convert to.
#[derive(Clone, Copy, Debug, Default)]
pub struct ConvertOptions {
    /// A model directory of ours with such weights, instead of one of the other kind.
    pub weights: Option<WeightType>,
    /// The type of the tensors in a GGUF file.
    pub tensors: Option<TensorType>,
    /// Most tokens that a prediction of a model that is read from Hugging Face's files will look
    /// at.
    pub context: Option<usize>,
}

/// A model as it was found.
pub(super) enum Source {
    Ours(Box<ModelFile>),
    Theirs(Box<Loaded>),
}

impl Source {
    /// Opens a directory of either kind.
    pub(super) fn open(from: &Path, context: Option<usize>) -> Result<Self> {
        let ours = from.is_file() || from.join(FILE_NAME).exists();
        if ours || !from.join(hugging_face::CONFIG).exists() {
            Ok(Self::Ours(Box::new(ModelFile::open(from)?)))
        } else {
            Ok(Self::Theirs(Box::new(hugging_face::read(from, context)?)))
        }
    }

    pub(super) fn network(&self) -> Result<Network<'_>> {
        match self {
            Self::Ours(file) => file.network(),
            Self::Theirs(model) => model.network(),
        }
    }

    pub(super) fn tokenizer(&self) -> &Tokenizer {
        match self {
            Self::Ours(file) => file.tokenizer(),
            Self::Theirs(model) => model.tokenizer(),
        }
    }

    pub(super) fn run(&self) -> Result<Run> {
        match self {
            Self::Ours(file) => file.run(),
            Self::Theirs(_) => Ok(Loaded::run()),
        }
    }

    /// Writes the tokenizer as a file of its own, beside the model's.
    pub(super) fn save_tokenizer(&self, to: &Path) -> Result<()> {
        self.tokenizer().save_json(to.join(hugging_face::TOKENIZER))
    }
}

/// Converts a model directory: to a GGUF file, if that is what the name of `to` ends in; to one of
/// ours with the weights that are asked for; else to the other kind, ours to Hugging Face's or
/// theirs to ours.
///
/// Word vectors that a file of ours keeps beside the model are not taken along.
///
/// # Errors
/// [`Error::Data`] for a directory of neither kind, a damaged one, or one with something that is
/// not supported; [`Error::Usage`] for a model that the new kind cannot hold; [`Error::Io`].
pub fn convert(from: &Path, to: &Path, options: &ConvertOptions) -> Result<()> {
    let usage = |message: &str| Err(Error::Usage(message.into()));
    let to_gguf = to
        .extension()
        .is_some_and(|end| end.eq_ignore_ascii_case("gguf"));
    match (to_gguf, options.weights, options.tensors) {
        (true, Some(_), _) => return usage("a .gguf file takes --type, not --weights"),
        (false, _, Some(_)) => return usage("--type is for an output that ends in .gguf"),
        _ => {}
    }
    let source = Source::open(from, options.context)?;
    if to_gguf {
        let kind = options.tensors.unwrap_or(TensorType::F32);
        return gguf::save(source.network()?, source.tokenizer(), kind, to);
    }
    match (options.weights, &source) {
        (None, Source::Ours(file)) => hugging_face::save(file, to),
        (None | Some(WeightType::F32), _) => save(&source, source.network()?, to),
        (Some(WeightType::Int8), _) => {
            let int8 = LlamaInt8::quantize(source.network()?)?;
            save(&source, int8.view(), to)
        }
    }
}

/// Writes a directory of ours.
fn save<'a>(
    source: &Source,
    network: impl Into<crate::kernels::model::Parameters<'a>>,
    to: &Path,
) -> Result<()> {
    source.save_tokenizer(to)?;
    let run = source.run()?;
    save_network(to.join(FILE_NAME), network, &run, source.tokenizer(), None)
}
