//! Writes and maps `model.barelm`.
//!
//! The layout is the kernels' ([`crate::kernels::model`]), so that the same file predicts here,
//! mapped, and on a device, from flash.

mod text;

#[cfg(test)]
mod tests;

pub use text::{Evaluated, Prediction, evaluate_text, generate_text, predict_text};

use crate::attention_trainer::{Output, TrainedLm};
use crate::container::ContainerWriter;
use crate::corpus::map::{Mapping, map_path};
use crate::kernels::mat::MatRef;
use crate::kernels::model::{
    KIND, ModelConfig, ModelError, ModelRef, OutputKind, OutputRef, sections,
};
use crate::tokenizer::Tokenizer;
use crate::{Error, Result};
use std::path::{Path, PathBuf};

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
    let config = config_of(lm, origin);
    let whole_rows = |v: &[f32]| !v.is_empty() && v.len().is_multiple_of(config.vocab_size);
    if tokenizer.vocab_size() != config.vocab_size || !vectors.is_none_or(whole_rows) {
        let message = "tokenizer, word vectors and model are not of one vocabulary";
        return Err(Error::Usage(message.into()));
    }
    let output_sections = match config.output {
        OutputKind::Table => 1,
        OutputKind::Tied => 0,
        OutputKind::Tree => 1 + sections::TREE.len(),
    };
    let count = 2 + Tokenizer::SECTIONS + sections::TABLES.len() + output_sections;
    let count = count + usize::from(config.bias) + usize::from(vectors.is_some());
    let mut writer = ContainerWriter::create(path, &KIND, count)?;
    writer.section(&sections::CONFIG, bytemuck::bytes_of(&config.to_words()))?;
    let settings = lm.options.to_json().to_string();
    writer.section(&sections::SETTINGS, settings.as_bytes())?;
    tokenizer.write_sections(&mut writer)?;
    write_tables(&mut writer, lm)?;
    if let Some(vectors) = vectors {
        writer.section(&sections::VECTORS, bytemuck::cast_slice(vectors))?;
    }
    writer.finish()
}

fn config_of(lm: &TrainedLm, origin: Origin) -> ModelConfig {
    let model = lm.model();
    ModelConfig {
        vocab_size: model.vocab_size(),
        dim: model.dim(),
        heads: model.heads(),
        context: model.context(),
        output: match lm.options.output {
            Output::Softmax => OutputKind::Table,
            Output::Tied => OutputKind::Tied,
            Output::Huffman => OutputKind::Tree,
        },
        bias: model.bias(0).is_some(),
        seed: lm.options.seed,
        steps: lm.steps,
        corpus_bytes: origin.corpus_bytes,
        corpus_hash: origin.corpus_hash,
    }
}

fn write_tables(writer: &mut ContainerWriter, lm: &TrainedLm) -> Result<()> {
    let model = lm.model();
    let mut write = |name, table: MatRef<'_>| writer.section(name, cast(table.data()));
    for (name, table) in sections::TABLES.iter().zip(model.tables()) {
        write(name, table)?;
    }
    match (lm.options.output, model.output()) {
        (Output::Softmax, OutputRef::Table(u)) => write(&sections::OUTPUT, u)?,
        (_, OutputRef::Tree { thetas, tree }) => {
            write(&sections::THETAS, thetas)?;
            let [offsets, nodes, codes] = sections::TREE;
            writer.section(&offsets, cast(tree.offsets()))?;
            writer.section(&nodes, cast(tree.nodes()))?;
            writer.section(&codes, cast(tree.codes()))?;
        }
        _ => {}
    }
    if model.bias(0).is_some() {
        writer.begin(&sections::BIAS)?;
    }
    for bias in (0..model.heads()).filter_map(|head| model.bias(head)) {
        writer.append(cast(bias))?;
    }
    Ok(())
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
        })
    }

    /// The model.
    ///
    /// # Errors
    /// [`Error::Data`] when the file was changed since it was opened.
    pub fn model(&self) -> Result<ModelRef<'_>> {
        ModelRef::reopen(&self.bytes).map_err(Error::format(&self.path))
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
