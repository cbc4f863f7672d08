//! Models of configuration llama as GGUF files, which llama.cpp opens.
//!
//! ```text
//! "GGUF"   version 3 (u32)   number of tensors (u64)   of fields (u64)
//! fields: name, type (u32), value        tensors: name, sides, type (u32), place (u64)
//! zeros up to a multiple of 32, then the tensors, each at a multiple of 32
//! ```
//! Little-endian; a text is its length (u64) and its bytes; the sides of a matrix are columns, then
//! rows. Source: the GGUF specification of ggml.

mod header;
mod tensors;
#[cfg(test)]
mod tests;
mod vocabulary;

use crate::kernels::model::{LlamaConfig, Network, OutputRef};
use crate::output::OutputFile;
use crate::tokenizer::Tokenizer;
use crate::{Error, Result};
use header::Header;
use std::path::Path;

/// The type of the tensors. The weights of normalisations are always `f32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TensorType {
    /// Single precision.
    F32,
    /// Half precision.
    F16,
    /// Blocks of 32 signed bytes with a scale in half precision; half precision where a row is no
    /// multiple of 32.
    Q8_0,
}

/// Tensors start at multiples of this.
const ALIGNMENT: usize = 32;

/// Writes a GGUF file of architecture `llama` with its tokenizer.
///
/// # Errors
/// [`Error::Usage`] for a model of another configuration, with a Huffman output, or a tokenizer
/// whose pattern or merge rule llama.cpp has no name for; [`Error::Io`].
pub fn save(
    network: Network<'_>,
    tokenizer: &Tokenizer,
    kind: TensorType,
    path: &Path,
) -> Result<()> {
    let usage = |message: &str| Err(Error::Usage(message.into()));
    let Network::Llama(model) = network else {
        return usage("only models of --config llama can be GGUF files");
    };
    if let OutputRef::Tree { .. } = model.output() {
        return usage("a GGUF file has no Huffman output; train with --output tied or softmax");
    }
    let mut header = Header::default();
    fields(&mut header, model.config(), kind);
    vocabulary::fields(&mut header, tokenizer)?;
    let tensors = tensors::all(model.config());
    for tensor in &tensors {
        if !tensor.fits(&model, kind) {
            let message = format!(
                "`{}` has numbers beyond half precision; take --type f32",
                tensor.name
            );
            return Err(Error::Usage(message));
        }
        tensor.announce(&mut header, kind);
    }
    let mut file = OutputFile::create(path)?;
    file.write(&header.into_bytes())?;
    for tensor in &tensors {
        file.write(&tensor.bytes(&model, kind))?;
    }
    file.commit()
}

/// The shape.
fn fields(header: &mut Header, config: &LlamaConfig, kind: TensorType) {
    header.text("general.architecture", "llama");
    let (file_type, sizes) = (
        match kind {
            TensorType::F32 => 0,
            TensorType::F16 => 1,
            TensorType::Q8_0 => 7,
        },
        [
            ("vocab_size", config.vocab_size),
            ("context_length", config.context),
            ("embedding_length", config.dim),
            ("block_count", config.layers),
            ("feed_forward_length", config.hidden),
            ("attention.head_count", config.heads),
            ("attention.head_count_kv", config.kv_heads),
            ("attention.key_length", config.head_width),
            ("attention.value_length", config.head_width),
            ("rope.dimension_count", config.head_width),
        ],
    );
    header.number("general.file_type", file_type);
    header.number("general.quantization_version", 2);
    for (name, size) in sizes {
        // A shape that makes sense has no size above 2^24.
        header.number(&format!("llama.{name}"), size as u32);
    }
    header.float("llama.rope.freq_base", config.theta);
    header.float("llama.attention.layer_norm_rms_epsilon", config.epsilon);
}
