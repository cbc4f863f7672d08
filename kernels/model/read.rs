//! The parts of a model file: each read, or checked, on its own.

use super::sections;
use super::{
    Architecture, LlamaConfig, LlamaInt8Ref, LlamaRef, ModelConfig, ModelError, OutputKind,
    OutputRef, Parameters, SeedRef,
};
use crate::bpe::TokenizerRef;
use crate::bpe::sections::Tables;
use crate::format::{Container, FormatError, FormatProblem};
use crate::huffman::{HuffmanError, HuffmanRef};
use crate::mat::MatRef;

pub(super) fn content(file: &Container<'_>, name: &[u8; 8]) -> FormatError {
    FormatError::at(FormatProblem::Content, file.offset_of(name))
}

#[cfg_attr(target_pointer_width = "32", inline(never))]
pub(super) fn check_tokenizer(file: &Container<'_>) -> Result<(), FormatError> {
    TokenizerRef::new_checked(file).map(|_| ())
}

pub(super) fn check_numbers(file: &Container<'_>) -> Result<(), FormatError> {
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
pub(super) fn check_tree(
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
pub(super) fn read_config(file: &Container<'_>) -> Result<ModelConfig, FormatError> {
    let words = file.section(&sections::CONFIG)?;
    ModelConfig::from_words(words).ok_or(content(file, &sections::CONFIG))
}

#[cfg_attr(target_pointer_width = "32", inline(never))]
pub(super) fn read_tokenizer<'a>(
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
pub(super) fn read_parameters<'a>(
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

pub(super) fn read_vectors<'a>(
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
