//! Configuration *llama*: layers of attention and gated feed-forward, tensor for tensor the
//! `LlamaForCausalLM` of Hugging Face.
//!
//! ```text
//! x = E[token]
//! for each layer:
//!     q, k, v = Wqkv rms_norm(x)          cut into heads; q and k turned by their position (RoPE)
//!     x += Wo attention(q, k, v)          several heads of q share one of k and v
//!     x += Wdown (silu(Wgate n) * Wup n)      with n = rms_norm(x)
//! h = rms_norm(x)                         logit(w) = h . E[w], or another output layer
//! ```
//! In the first layer `q`, `k` and `v` depend on the token alone, but for the turn: they are the
//! tables of configuration seed, computed when they are needed.
//!
//! Source: Touvron et al., LLaMA, 2023; Ainslie et al., GQA, 2023 (the shared heads).

mod cache;
mod int8;
mod layout;
mod stored;
#[cfg(test)]
mod tests;

pub(super) use cache::{Cache, Observer, workspace_len};
pub use int8::LlamaInt8Ref;
pub use layout::{LlamaConfig, Tensor};
pub(super) use stored::Stored;

use super::OutputKind;
use super::output::OutputRef;
use crate::error::ShapeError;
use crate::huffman::HuffmanRef;
use crate::mat::MatRef;

/// The weights of a model of configuration llama: one slice, cut as [`LlamaConfig::range`] says.
#[derive(Clone, Copy, Debug)]
pub struct LlamaRef<'a> {
    config: LlamaConfig,
    weights: &'a [f32],
    tree: Option<HuffmanRef<'a>>,
}

impl<'a> LlamaRef<'a> {
    /// Puts shape, weights and (for an output of that kind) the tree together.
    ///
    /// # Errors
    /// [`ShapeError`] when the configuration makes no sense or the parts do not fit it.
    ///
    /// # Example
    /// ```
    /// use barelm_kernels::model::{LlamaConfig, LlamaRef, OutputKind, Tensor};
    /// let config = LlamaConfig {
    ///     vocab_size: 5,
    ///     dim: 4,
    ///     layers: 1,
    ///     heads: 2,
    ///     kv_heads: 1,
    ///     head_width: 2,
    ///     hidden: 8,
    ///     context: 16,
    ///     theta: 1e4,
    ///     epsilon: 1e-5,
    ///     output: OutputKind::Tied,
    /// };
    /// let weights = vec![1.0; config.checked_len().unwrap()];
    /// let model = LlamaRef::new(config, &weights, None)?;
    /// assert_eq!(model.matrix(Tensor::QueryKeyValue(0)).rows(), 8);
    /// assert!(LlamaRef::new(config, &weights[1..], None).is_err());
    /// # Ok::<(), barelm_kernels::error::ShapeError>(())
    /// ```
    pub fn new(
        config: LlamaConfig,
        weights: &'a [f32],
        tree: Option<HuffmanRef<'a>>,
    ) -> Result<Self, ShapeError> {
        let vocab_size = tree.map(|tree| tree.vocab_size());
        let wanted = (config.output == OutputKind::Tree).then_some(config.vocab_size);
        let fits = config.checked_len() == Some(weights.len()) && vocab_size == wanted;
        let model = Self {
            config,
            weights,
            tree,
        };
        fits.then_some(model).ok_or(ShapeError)
    }

    /// The shape.
    #[inline(always)]
    pub fn config(&self) -> &LlamaConfig {
        &self.config
    }

    /// All weights.
    #[inline(always)]
    pub fn weights(&self) -> &'a [f32] {
        self.weights
    }

    /// A tensor's elements, row by row; empty if there is none.
    pub fn vector(&self, tensor: Tensor) -> &'a [f32] {
        let range = self.config.range(tensor);
        self.weights.get(range).unwrap_or(&[])
    }

    /// A tensor as a matrix.
    pub fn matrix(&self, tensor: Tensor) -> MatRef<'a> {
        let (rows, cols) = self.config.shape(tensor);
        MatRef::new(self.vector(tensor), rows, cols).unwrap_or_default()
    }

    /// The output layer.
    pub fn output(&self) -> OutputRef<'a> {
        match self.tree {
            Some(tree) => OutputRef::Tree {
                thetas: self.matrix(Tensor::Output),
                tree,
            },
            None if self.config.output == OutputKind::Tied => {
                OutputRef::Table(self.matrix(Tensor::Embedding))
            }
            None => OutputRef::Table(self.matrix(Tensor::Output)),
        }
    }
}
