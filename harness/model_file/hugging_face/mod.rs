//! Model directories of Hugging Face: `LlamaForCausalLM`, both ways.
//!
//! | file | content |
//! |---|---|
//! | `config.json` | the shape |
//! | `model.safetensors` | the weights in `f32`; read in `f16` and `bf16`, too |
//! | `model.safetensors.index.json` | read instead, where the weights are shared out over files |
//! | `tokenizer.json` | the tokenizer |
//! | `tokenizer_config.json` | written, so that the tokenizer is taken as it is |
//!
//! A directory is a stranger's: what is not understood is refused by its name.

mod config;
#[cfg(test)]
mod tests;
mod weights;

use super::{ModelFile, Origin, Run};
use crate::corpus::map::map_path;
use crate::kernels::model::{LlamaConfig, LlamaRef, Network, OutputRef};
use crate::output::write_file;
use crate::tokenizer::Tokenizer;
use crate::{Error, Result};
use serde_json::Value;
use std::path::{Path, PathBuf};

pub(super) const CONFIG: &str = "config.json";
const WEIGHTS: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
pub(super) const TOKENIZER: &str = "tokenizer.json";

/// Writes a model of configuration llama to a directory that `transformers` opens.
///
/// # Errors
/// [`Error::Usage`] for a model of another kind; [`Error::Io`].
pub fn save(file: &ModelFile, folder: &Path) -> Result<()> {
    let usage = |message: &str| Err(Error::Usage(message.into()));
    let Network::Llama(model) = file.network()? else {
        return usage("only models of --config llama are LlamaForCausalLM");
    };
    if let OutputRef::Tree { .. } = model.output() {
        return usage(
            "LlamaForCausalLM has no Huffman output; train with --output tied or softmax",
        );
    }
    weights::save(&model, &folder.join(WEIGHTS))?;
    file.tokenizer().save_json(folder.join(TOKENIZER))?;
    let tokenizer = serde_json::json!({ "tokenizer_class": "PreTrainedTokenizerFast" });
    write_json(&folder.join("tokenizer_config.json"), &tokenizer)?;
    write_json(&folder.join(CONFIG), &config::to_json(model.config()))
}

/// A model that was read from a directory of Hugging Face.
#[derive(Debug)]
pub struct Loaded {
    config: LlamaConfig,
    weights: Vec<f32>,
    tokenizer: Tokenizer,
    path: PathBuf,
}

impl Loaded {
    /// The model.
    ///
    /// # Errors
    /// [`Error::Data`] when its parts do not fit each other.
    pub fn network(&self) -> Result<Network<'_>> {
        let model = LlamaRef::new(self.config, &self.weights, None);
        let model = model.map_err(|e| Error::data(&self.path, e.to_string()))?;
        Ok(model.into())
    }

    /// Its tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// What is known of its training.
    pub(super) fn run() -> Run {
        let settings = serde_json::json!({ "config": "llama", "from": "LlamaForCausalLM" });
        Run {
            seed: 0,
            steps: 0,
            origin: Origin::default(),
            settings: settings.to_string(),
        }
    }
}

/// Reads a directory of Hugging Face, with a context of at most `context` tokens if it is given.
///
/// # Errors
/// [`Error::Data`] for something that is damaged or not supported; [`Error::Io`].
pub fn read(folder: &Path, context: Option<usize>) -> Result<Loaded> {
    let path = folder.join(CONFIG);
    let mut config = config::from_json(&path, &read_json(&path)?)?;
    config.context = config.context.min(context.unwrap_or(usize::MAX)).max(1);
    let tokenizer = Tokenizer::load(folder.join(TOKENIZER))?;
    if tokenizer.vocab_size() != config.vocab_size {
        let message = format!(
            "`vocab_size` is {}, but the tokenizer has {} tokens",
            config.vocab_size,
            tokenizer.vocab_size()
        );
        return Err(Error::data(path, message));
    }
    Ok(Loaded {
        weights: weights::load(folder, &config)?,
        config,
        tokenizer,
        path,
    })
}

fn read_json(path: &Path) -> Result<Value> {
    let bytes = map_path(path)?;
    serde_json::from_slice(&bytes).map_err(|e| Error::data(path, format!("no JSON: {e}")))
}

fn write_json(path: &Path, value: &Value) -> Result<()> {
    let json = serde_json::to_vec_pretty(value).expect("strings and numbers");
    write_file(path, &json)
}
