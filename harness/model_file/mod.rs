//! Writes and maps `model.barelm`.
//!
//! The layout is the kernels' ([`crate::kernels::model`]), so that the same file predicts here,
//! mapped, and on a device, from flash.

mod attention;
mod convert;
mod device;
pub mod gguf;
pub mod hugging_face;
pub mod int8;
mod mixture;
mod outlet;
mod text;

#[cfg(test)]
mod tests;

pub use attention::{HeadAttention, attention_text};
pub use convert::{ConvertOptions, WeightType, convert};
pub use device::{Device, Fitted, STACK, fit};
pub use mixture::{DEFAULT_WEIGHT, EvaluatedMixture, Mixture, evaluate_ngram};
pub use text::{
    Evaluated, GenerateOptions, Generated, Prediction, evaluate_text, generate_text, predict_text,
};

use crate::attention_trainer::TrainedLm;
use crate::container::ContainerWriter;
use crate::corpus::map::{Mapping, map_path};
use crate::kernels::huffman::HuffmanRef;
use crate::kernels::model::{
    Architecture, KIND, LlamaConfig, LlamaRef, ModelConfig, ModelError, ModelRef, Network,
    OutputKind, OutputRef, Parameters, SeedRef, sections,
};
use crate::tokenizer::Tokenizer;
use crate::{Error, Result};
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Name of the file in a folder of results.
pub const FILE_NAME: &str = "model.barelm";

/// The text that a model was trained on, as its file records it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Bytes of text.
    pub corpus_bytes: u64,
    /// A hash of the text.
    pub corpus_hash: u64,
}

/// Writes a trained model, with its tokenizer and (if given) the word vectors of the run, one row
/// of any width a token.
///
/// Equal runs give equal files: neither threads, paths nor times are recorded.
///
/// # Errors
/// [`Error::Io`]; [`Error::Usage`] when tokenizer, vectors and model are of different vocabularies.
pub fn save_model(
    path: impl AsRef<Path>,
    lm: &TrainedLm,
    tokenizer: &Tokenizer,
    origin: Origin,
    vectors: Option<&[f32]>,
) -> Result<()> {
    let run = Run {
        seed: lm.options.seed,
        steps: lm.kept_step,
        origin,
        settings: lm.options.to_json().to_string(),
    };
    save_network(path, lm.model(), &run, tokenizer, vectors)
}

/// Where a model comes from.
pub(crate) struct Run {
    pub(crate) seed: u64,
    pub(crate) steps: u64,
    pub(crate) origin: Origin,
    /// JSON.
    pub(crate) settings: String,
}

/// [`save_model`] of any model.
pub(crate) fn save_network<'a>(
    path: impl AsRef<Path>,
    network: impl Into<Parameters<'a>>,
    run: &Run,
    tokenizer: &Tokenizer,
    vectors: Option<&[f32]>,
) -> Result<()> {
    begin_network(path, network.into(), run, tokenizer, vectors)?.finish()
}

/// The file of a model, written but for its name.
fn begin_network(
    path: impl AsRef<Path>,
    network: Parameters<'_>,
    run: &Run,
    tokenizer: &Tokenizer,
    vectors: Option<&[f32]>,
) -> Result<ContainerWriter> {
    let config = config_of(network, run);
    let whole_rows = |v: &[f32]| !v.is_empty() && v.len().is_multiple_of(config.vocab_size);
    if tokenizer.vocab_size() != config.vocab_size || !vectors.is_none_or(whole_rows) {
        let message = "tokenizer, word vectors and model are not of one vocabulary";
        return Err(Error::Usage(message.into()));
    }
    let parameters = parameters_of(network);
    let tree = tree_of(network);
    let trees = tree.map_or(0, |_| sections::TREE.len());
    let count = 2 + Tokenizer::SECTIONS + parameters.len() + trees + usize::from(vectors.is_some());
    let mut writer = ContainerWriter::create(path, &KIND, count)?;
    writer.section(&sections::CONFIG, cast(&config.to_words()))?;
    writer.section(&sections::SETTINGS, run.settings.as_bytes())?;
    tokenizer.write_sections(&mut writer)?;
    for (name, parts) in &parameters {
        writer.begin(name)?;
        parts.iter().try_for_each(|part| writer.append(part))?;
    }
    if let Some(tree) = tree {
        let [offsets, nodes, codes] = sections::TREE;
        writer.section(&offsets, cast(tree.offsets()))?;
        writer.section(&nodes, cast(tree.nodes()))?;
        writer.section(&codes, cast(tree.codes()))?;
    }
    if let Some(vectors) = vectors {
        writer.section(&sections::VECTORS, cast(vectors))?;
    }
    Ok(writer)
}

fn tree_of(parameters: Parameters<'_>) -> Option<HuffmanRef<'_>> {
    match parameters {
        Parameters::F32(network) => match network.output() {
            OutputRef::Tree { tree, .. } => Some(tree),
            OutputRef::Table(_) => None,
        },
        Parameters::Int8(_) => None,
    }
}

fn config_of(parameters: Parameters<'_>, run: &Run) -> ModelConfig {
    let (architecture, dim, heads, output) = match parameters {
        Parameters::F32(Network::Seed(model)) => {
            let output = seed_output(&model);
            (Architecture::Seed, model.dim(), model.heads(), output)
        }
        Parameters::F32(Network::Llama(model)) => llama_shape(model.config()),
        Parameters::Int8(model) => llama_shape(model.config()),
    };
    let bias = match parameters {
        Parameters::F32(Network::Seed(model)) => model.bias(0).is_some(),
        _ => false,
    };
    ModelConfig {
        architecture,
        vocab_size: parameters.vocab_size(),
        dim,
        heads,
        context: parameters.context(),
        output,
        bias,
        seed: run.seed,
        steps: run.steps,
        corpus_bytes: run.origin.corpus_bytes,
        corpus_hash: run.origin.corpus_hash,
    }
}

fn llama_shape(config: &LlamaConfig) -> (Architecture, usize, usize, OutputKind) {
    (Architecture::Llama, config.dim, config.heads, config.output)
}

fn seed_output(model: &SeedRef<'_>) -> OutputKind {
    let [.., v] = model.tables();
    match model.output() {
        OutputRef::Tree { .. } => OutputKind::Tree,
        OutputRef::Table(u) if std::ptr::eq(u.data(), v.data()) => OutputKind::Tied,
        OutputRef::Table(_) => OutputKind::Table,
    }
}

/// A section's name, and what it holds, part behind part.
type Section<'a> = ([u8; 8], Vec<Cow<'a, [u8]>>);

/// The sections of a model's parameters, its tree aside.
fn parameters_of(parameters: Parameters<'_>) -> Vec<Section<'_>> {
    let section = |name, data| (name, vec![Cow::Borrowed(cast(data))]);
    let shape = |config: &LlamaConfig| {
        let words = cast(&config.to_words()).to_vec();
        (sections::LLAMA_CONFIG, vec![Cow::Owned(words)])
    };
    let model = match parameters {
        Parameters::F32(Network::Llama(model)) => {
            let weights = section(sections::LLAMA_WEIGHTS, model.weights());
            return vec![shape(model.config()), weights];
        }
        Parameters::Int8(model) => {
            let (norms, scales, values) = model.parts();
            let values = vec![Cow::Borrowed(cast(values))];
            return vec![
                shape(model.config()),
                section(sections::LLAMA_NORMS, norms),
                section(sections::LLAMA_SCALES, scales),
                (sections::LLAMA_VALUES, values),
            ];
        }
        Parameters::F32(Network::Seed(model)) => model,
    };
    let tables = model.tables();
    let names = sections::TABLES.iter().zip(tables);
    let mut list: Vec<_> = names.map(|(name, t)| section(*name, t.data())).collect();
    match model.output() {
        OutputRef::Table(u) if std::ptr::eq(u.data(), tables[2].data()) => {}
        OutputRef::Table(u) => list.push(section(sections::OUTPUT, u.data())),
        OutputRef::Tree { thetas, .. } => list.push(section(sections::THETAS, thetas.data())),
    }
    let bias: Vec<_> = (0..model.heads())
        .filter_map(|head| model.bias(head))
        .collect();
    if !bias.is_empty() {
        let rows = bias.into_iter().map(|row| Cow::Borrowed(cast(row)));
        list.push((sections::BIAS, rows.collect()));
    }
    list
}

fn cast<T: bytemuck::NoUninit>(values: &[T]) -> &[u8] {
    bytemuck::cast_slice(values)
}

/// A mapped model file that was checked when it was opened.
#[derive(Debug)]
pub struct ModelFile {
    path: PathBuf,
    bytes: Mapping,
    tokenizer: Tokenizer,
    /// What weights in eight bits stand for, made when it is first asked for.
    dequantized: OnceLock<Vec<f32>>,
    mixture: Option<Mixture>,
}

impl ModelFile {
    /// Maps a model file, or the one in a folder of results, and checks all of it.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Data`] for a file that is damaged or of another kind.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = match path.as_ref() {
            folder if folder.is_dir() => folder.join(FILE_NAME),
            file => file.to_path_buf(),
        };
        if !path.exists() && path.with_file_name("config.json").exists() {
            let message =
                "there is none, but a model of others; make one of it with `barelm lm convert`";
            return Err(Error::data(&path, message));
        }
        let bytes = map_path(&path)?;
        let needed = ModelRef::check_workspace_len(&bytes).map_err(Error::format(&path))?;
        let mut workspace = vec![0; needed.min(bytes.len())];
        match ModelRef::new_checked(&bytes, &mut workspace) {
            Ok(_) => {}
            Err(ModelError::Format(e)) => return Err(Error::format(&path)(e)),
            Err(e) => return Err(Error::data(&path, e.to_string())),
        }
        let tokenizer = Tokenizer::load(&path)?;
        Ok(Self {
            path,
            bytes,
            tokenizer,
            dequantized: OnceLock::new(),
            mixture: None,
        })
    }

    /// Gives an n-gram model its share in what [`predict_text`] and [`generate_text`] answer.
    pub fn mix_with(&mut self, mixture: Mixture) {
        self.mixture = Some(mixture);
    }

    /// The model.
    ///
    /// # Errors
    /// [`Error::Data`] when the file was changed since it was opened.
    pub fn model(&self) -> Result<ModelRef<'_>> {
        ModelRef::reopen(&self.bytes).map_err(Error::format(&self.path))
    }

    /// The parameters in `f32`: those of the file, or what its weights in eight bits stand for.
    ///
    /// # Errors
    /// As [`ModelFile::model`].
    pub fn network(&self) -> Result<Network<'_>> {
        match self.model()?.parameters() {
            Parameters::F32(network) => Ok(network),
            Parameters::Int8(model) => {
                let weights = self.dequantized.get_or_init(|| int8::dequantize(&model));
                let network = LlamaRef::new(*model.config(), weights, None);
                let network = network.map_err(|e| Error::data(&self.path, e.to_string()))?;
                Ok(network.into())
            }
        }
    }

    /// Where the model comes from.
    ///
    /// # Errors
    /// As [`ModelFile::model`].
    pub(crate) fn run(&self) -> Result<Run> {
        let model = self.model()?;
        let config = model.config();
        Ok(Run {
            seed: config.seed,
            steps: config.steps,
            origin: Origin {
                corpus_bytes: config.corpus_bytes,
                corpus_hash: config.corpus_hash,
            },
            settings: model.settings().into(),
        })
    }

    /// The tokenizer that the model was trained with.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}
