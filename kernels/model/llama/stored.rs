//! The weights as a session reads them, in either precision.

use super::{LlamaConfig, LlamaInt8Ref, LlamaRef, Tensor};
use crate::error::{KernelError, take};
use crate::int8::{self, dequantize_into, quantize_into};
use crate::matmul::matvec;

/// The weights of a model of configuration llama, in either precision.
#[derive(Clone, Copy, Debug)]
pub(in crate::model) enum Stored<'a> {
    F32(LlamaRef<'a>),
    Int8(LlamaInt8Ref<'a>),
}

impl<'a> Stored<'a> {
    pub(super) fn config(&self) -> &LlamaConfig {
        match self {
            Self::F32(model) => model.config(),
            Self::Int8(model) => model.config(),
        }
    }

    /// The weights of a normalisation.
    pub(super) fn norm(&self, tensor: Tensor) -> &'a [f32] {
        match self {
            Self::F32(model) => model.vector(tensor),
            Self::Int8(model) => model.norm(tensor),
        }
    }

    pub(super) fn is_int8(&self) -> bool {
        matches!(self, Self::Int8(_))
    }

    /// A token's row of the embedding.
    pub(super) fn embed(&self, token: u32, out: &mut [f32]) -> Result<(), KernelError> {
        let row = token as usize;
        match self {
            Self::F32(model) => {
                let row = model.matrix(Tensor::Embedding).row(row);
                for (x, e) in out.iter_mut().zip(row) {
                    *x = *e;
                }
            }
            Self::Int8(model) => {
                let (row, scale) = model.matrix(Tensor::Embedding).row(row);
                dequantize_into(row, scale, out)?;
            }
        }
        Ok(())
    }

    /// `out = W x`; `bytes` is scratch of [`LlamaConfig::quantized_len`].
    pub(super) fn product(
        &self,
        out: &mut [f32],
        tensor: Tensor,
        x: &[f32],
        bytes: &mut [i8],
    ) -> Result<(), KernelError> {
        match self {
            Self::F32(model) => Ok(matvec(out, model.matrix(tensor), x)?),
            Self::Int8(model) => int8_product(out, model.matrix(tensor), x, bytes),
        }
    }

    /// Logits of every token, or the logarithms of their probabilities.
    pub(super) fn logits(
        &self,
        hidden: &[f32],
        logits: &mut [f32],
        scratch: &mut [f32],
        bytes: &mut [i8],
    ) -> Result<(), KernelError> {
        match self {
            Self::F32(model) => model.output().logits(hidden, logits, scratch),
            Self::Int8(model) => int8_product(logits, model.output(), hidden, bytes),
        }
    }
}

/// `out = W x`, the vector quantised on the way.
fn int8_product(
    out: &mut [f32],
    w: int8::Int8Ref<'_>,
    x: &[f32],
    bytes: &mut [i8],
) -> Result<(), KernelError> {
    let bytes = take(bytes, x.len())?;
    let scale = quantize_into(x, bytes)?;
    Ok(int8::matvec(out, w, bytes, scale)?)
}
