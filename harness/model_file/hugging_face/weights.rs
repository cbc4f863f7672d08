//! `model.safetensors`: the weights, under the names that `LlamaForCausalLM` gives them.
//!
//! What lies packed among our weights (queries above keys above values, gates above ups) are whole
//! rows, so each of theirs is a slice of ours.

use super::{INDEX, WEIGHTS, read_json};
use crate::corpus::map::{Mapping, map_path};
use crate::kernels::model::{LlamaConfig, LlamaRef, OutputKind, Tensor};
use crate::output::OutputFile;
use crate::tensor_file::{PREFIX, TensorFile, TensorRef, header};
use crate::{Error, Result};
use half::{bf16, f16};
use safetensors::tensor::Dtype;
use std::path::{Component, Path, PathBuf};

/// A tensor of theirs.
struct Part {
    name: String,
    shape: Vec<usize>,
}

/// The tensors of theirs that one of ours consists of, one below the other.
fn parts(config: &LlamaConfig, tensor: Tensor) -> Vec<Part> {
    let (queries, keys, d) = (config.query_width(), config.key_width(), config.dim);
    let layer = |l: usize, names: &[(&str, usize)]| {
        let part = |(name, rows): &(&str, usize)| Part {
            name: format!("model.layers.{l}.{name}.weight"),
            shape: match rows {
                0 => vec![d],
                rows => vec![*rows, config.shape(tensor).1],
            },
        };
        names.iter().map(part).collect()
    };
    let single = |name: &str, shape| {
        vec![Part {
            name: format!("{name}.weight"),
            shape,
        }]
    };
    match tensor {
        Tensor::Embedding => single("model.embed_tokens", vec![config.vocab_size, d]),
        Tensor::AttentionNorm(l) => layer(l, &[("input_layernorm", 0)]),
        Tensor::QueryKeyValue(l) => layer(
            l,
            &[
                ("self_attn.q_proj", queries),
                ("self_attn.k_proj", keys),
                ("self_attn.v_proj", keys),
            ],
        ),
        Tensor::AttentionOutput(l) => layer(l, &[("self_attn.o_proj", d)]),
        Tensor::HiddenNorm(l) => layer(l, &[("post_attention_layernorm", 0)]),
        Tensor::GateUp(l) => {
            let f = config.hidden;
            layer(l, &[("mlp.gate_proj", f), ("mlp.up_proj", f)])
        }
        Tensor::Down(l) => layer(l, &[("mlp.down_proj", d)]),
        Tensor::FinalNorm => single("model.norm", vec![d]),
        Tensor::Output if config.output == OutputKind::Tied => Vec::new(),
        Tensor::Output => single("lm_head", vec![config.vocab_size, d]),
    }
}

/// All tensors of theirs, in the order in which they lie among our weights.
fn all_parts(config: &LlamaConfig) -> impl Iterator<Item = Part> + use<'_> {
    config.tensors().flat_map(|tensor| parts(config, tensor))
}

pub(super) fn save(model: &LlamaRef<'_>, path: &Path) -> Result<()> {
    let shapes = all_parts(model.config()).map(|part| (part.name, Dtype::F32, part.shape));
    let mut file = OutputFile::create(path)?;
    file.write(&header(&[("format", "pt")], shapes.collect()))?;
    file.write(bytemuck::cast_slice(model.weights()))?;
    file.commit()
}

/// The weights of a shape, from one file or several.
pub(super) fn load(folder: &Path, config: &LlamaConfig) -> Result<Vec<f32>> {
    let paths = paths(folder)?;
    let bytes: Vec<Mapping> = paths.iter().map(map_path).collect::<Result<_>>()?;
    let mut files = Vec::new();
    for (path, bytes) in paths.iter().zip(&bytes) {
        files.push((path.as_path(), TensorFile::open(path, bytes)?));
    }
    refuse_others(&files, config)?;
    let mut weights = Vec::new();
    for part in all_parts(config) {
        append(&files, &part, &mut weights)?;
    }
    if config.output == OutputKind::Tied {
        refuse_another_head(&files, config, &weights)?;
    }
    Ok(weights)
}

/// Refuses a head beside the embedding, which is first among the weights, unless both are the same.
fn refuse_another_head(
    files: &[(&Path, TensorFile<'_>)],
    config: &LlamaConfig,
    weights: &[f32],
) -> Result<()> {
    let head = Part {
        name: "lm_head.weight".into(),
        shape: vec![config.vocab_size, config.dim],
    };
    let Some((path, _)) = files
        .iter()
        .find(|(_, file)| file.tensor(&head.name).is_some())
    else {
        return Ok(());
    };
    let mut own = Vec::new();
    append(files, &head, &mut own)?;
    match weights.starts_with(&own) {
        true => Ok(()),
        false => Err(Error::data_at(
            path,
            PREFIX as u64,
            "`lm_head.weight` is another table than the embedding, though config.json has \
             `tie_word_embeddings`; set that to false there to use it",
        )),
    }
}

/// The files that hold the weights.
fn paths(folder: &Path) -> Result<Vec<PathBuf>> {
    let index = folder.join(INDEX);
    if folder.join(WEIGHTS).exists() || !index.exists() {
        return Ok(vec![folder.join(WEIGHTS)]);
    }
    let json = read_json(&index)?;
    let map = json.get("weight_map").and_then(|map| map.as_object());
    let map = map.ok_or_else(|| Error::data(&index, "no `weight_map`"))?;
    let mut names: Vec<&str> = map.values().filter_map(|name| name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    // A name with a path in it may lead anywhere.
    let is_plain = |name: &&str| {
        let mut parts = Path::new(name).components();
        matches!(
            (parts.next(), parts.next()),
            (Some(Component::Normal(_)), None)
        )
    };
    match names.iter().find(|name| !is_plain(name)) {
        Some(name) => Err(Error::data(
            &index,
            format!("\"{name}\" is no file beside it"),
        )),
        None => Ok(names.into_iter().map(|name| folder.join(name)).collect()),
    }
}

/// Refuses tensors that the shape has no place for, such as biases.
fn refuse_others(files: &[(&Path, TensorFile<'_>)], config: &LlamaConfig) -> Result<()> {
    let known: std::collections::HashSet<String> = all_parts(config).map(|p| p.name).collect();
    for (path, file) in files {
        let names = file.names();
        // Tied heads and frequencies that follow from the shape are written by some programs.
        let is_other = |name: &&String| {
            let tied = config.output == OutputKind::Tied && *name == "lm_head.weight";
            !known.contains(*name) && !tied && !name.ends_with("rotary_emb.inv_freq")
        };
        if let Some(name) = names.iter().find(is_other) {
            let message = format!("the tensor `{name}` has no place in a LlamaForCausalLM");
            return Err(Error::data_at(path, PREFIX as u64, message));
        }
    }
    Ok(())
}

/// Appends the elements of one tensor, finite numbers.
fn append(files: &[(&Path, TensorFile<'_>)], part: &Part, weights: &mut Vec<f32>) -> Result<()> {
    let Part { name, shape } = part;
    let found = files
        .iter()
        .find_map(|(path, file)| Some((path, file.tensor(name)?)));
    let Some((path, tensor)) = found else {
        let path = files.first().map_or(Path::new(WEIGHTS), |(path, _)| path);
        return Err(Error::data(path, format!("no tensor is named `{name}`")));
    };
    let TensorRef {
        dtype,
        start,
        bytes,
        ..
    } = tensor;
    let refuse = |at: usize, message: String| Err(Error::data_at(path, at as u64, message));
    if tensor.shape != shape {
        let message = format!(
            "`{name}` is {:?}, and config.json asks for {shape:?}",
            tensor.shape
        );
        return refuse(start, message);
    }
    let first = weights.len();
    let pairs = bytes.as_chunks::<2>().0.iter();
    match dtype {
        Dtype::F32 => {
            let words = bytes.as_chunks::<4>().0.iter();
            weights.extend(words.map(|bytes| f32::from_le_bytes(*bytes)));
        }
        Dtype::F16 => weights.extend(pairs.map(|bytes| f16::from_le_bytes(*bytes).to_f32())),
        Dtype::BF16 => weights.extend(pairs.map(|bytes| bf16::from_le_bytes(*bytes).to_f32())),
        other => {
            return refuse(
                start,
                format!("`{name}` has type {other}, not F32, F16 or BF16"),
            );
        }
    }
    let numbers = &weights[first..];
    match numbers.iter().position(|x| !x.is_finite()) {
        Some(i) => {
            let at = start + i * (bytes.len() / numbers.len());
            refuse(
                at,
                format!("`{name}` holds something that is no finite number"),
            )
        }
        None => Ok(()),
    }
}
