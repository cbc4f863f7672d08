//! The shape of a model of configuration llama, and where each tensor lies among its weights.

use crate::attention::cached_capacity;
use crate::huffman::probabilities_workspace_len;
use crate::model::{CacheType, OutputKind};
use core::ops::Range;

/// Shape of a model of configuration llama.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LlamaConfig {
    /// Number of tokens `V`.
    pub vocab_size: usize,
    /// Width `d` of the residual stream.
    pub dim: usize,
    /// Number of layers.
    pub layers: usize,
    /// Number of query heads.
    pub heads: usize,
    /// Number of key and value heads; divides `heads`.
    pub kv_heads: usize,
    /// Width of one head, even; usually `dim / heads`.
    pub head_width: usize,
    /// Width of the feed-forward layer.
    pub hidden: usize,
    /// Most tokens that a prediction looks at.
    pub context: usize,
    /// Base of the position's frequencies.
    pub theta: f32,
    /// Added to mean squares before their root is taken.
    pub epsilon: f32,
    /// The output layer.
    pub output: OutputKind,
}

/// A tensor; those of a layer carry its number. All are row-major, and `y = W x`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tensor {
    /// One row a token, `V x d`.
    Embedding,
    /// Weights of the normalisation before attention, `d`.
    AttentionNorm(usize),
    /// Queries, keys and values, one below the other: `(heads + 2 kv_heads) head_width x d`.
    QueryKeyValue(usize),
    /// From the heads back to the stream, `d x heads head_width`.
    AttentionOutput(usize),
    /// Weights of the normalisation before the feed-forward layer, `d`.
    HiddenNorm(usize),
    /// Gates, and the ups below them: `2 hidden x d`.
    GateUp(usize),
    /// From the feed-forward layer back to the stream, `d x hidden`.
    Down(usize),
    /// Weights of the last normalisation, `d`.
    FinalNorm,
    /// The output's own table, `V x d`, or its tree's parameters, `V - 1 x d`; none if tied.
    Output,
}

/// Largest size of anything.
const MAX: usize = 1 << 24;

impl LlamaConfig {
    /// Number of weights; `None` when the shape makes no sense or is too large for this machine.
    pub fn checked_len(&self) -> Option<usize> {
        let sizes = [
            self.vocab_size,
            self.dim,
            self.layers,
            self.heads,
            self.kv_heads,
            self.head_width,
            self.hidden,
            self.context,
        ];
        let sizes = sizes.iter().all(|size| (1..=MAX).contains(size));
        let heads =
            sizes && self.heads.is_multiple_of(self.kv_heads) && self.head_width.is_multiple_of(2);
        let numbers = self.theta >= 1.0 && self.theta.is_finite();
        let epsilon = self.epsilon >= 0.0 && self.epsilon.is_finite();
        (heads && numbers && epsilon).then_some(())?;
        // Both of these must be addressable: weights here, a cache in a session.
        let width = self.heads.checked_mul(4)?.checked_mul(self.head_width)?;
        let layer = width.checked_add(self.hidden.checked_mul(4)?)?;
        let rows = self.layers.checked_mul(layer.checked_add(2)?)?;
        let rows = rows.checked_add(self.vocab_size.checked_mul(2)?)?;
        rows.checked_add(1)?.checked_mul(self.dim)?;
        let positions = self.layers.checked_mul(cached_capacity(self.context))?;
        positions.checked_mul(width)?;
        Some(self.range(Tensor::Output).end)
    }

    /// Width of all query heads together.
    pub const fn query_width(&self) -> usize {
        self.heads * self.head_width
    }

    /// Width of all key heads, or of all value heads, together.
    pub const fn key_width(&self) -> usize {
        self.kv_heads * self.head_width
    }

    /// Keys, or values, in a session's cache for one layer.
    pub(super) const fn layer_cache_len(&self) -> usize {
        cached_capacity(self.context) * self.key_width()
    }

    /// Width of queries, keys and values side by side.
    pub const fn qkv_width(&self) -> usize {
        self.query_width() + 2 * self.key_width()
    }

    /// `1 / sqrt(head_width)`, the factor of the scores.
    pub fn scale(&self) -> f32 {
        1.0 / libm::sqrtf(self.head_width as f32)
    }

    /// Elements of workspace of a [`Session`](crate::model::Session) over a model of this shape, whose
    /// weights are in eight bits or not: known when firmware is compiled, so that its buffer can be a
    /// static.
    ///
    /// # Example
    /// ```
    /// use barelm_kernels::model::{CacheType, LlamaConfig, OutputKind};
    /// const MODEL: LlamaConfig = LlamaConfig {
    ///     vocab_size: 1024,
    ///     dim: 64,
    ///     layers: 4,
    ///     heads: 4,
    ///     kv_heads: 2,
    ///     head_width: 16,
    ///     hidden: 160,
    ///     context: 128,
    ///     theta: 1e4,
    ///     epsilon: 1e-5,
    ///     output: OutputKind::Tied,
    /// };
    /// const LEN: usize = MODEL.session_workspace_len(true, CacheType::F16);
    /// static WORKSPACE: [f32; LEN] = [0.0; LEN];
    /// ```
    pub const fn session_workspace_len(&self, is_int8: bool, cache: CacheType) -> usize {
        let output = match self.output {
            OutputKind::Tree => probabilities_workspace_len(self.vocab_size),
            OutputKind::Table | OutputKind::Tied => 0,
        };
        // Weights of the queries that share a head.
        let weights = match self.heads.checked_div(self.kv_heads) {
            Some(group) => group * self.context,
            None => 0,
        };
        let mut len = if output > weights { output } else { weights };
        let parts = self.session_parts(is_int8, cache);
        let mut i = 0;
        while i < parts.len() {
            len += parts[i];
            i += 1;
        }
        len
    }

    /// Elements of each part of a session's workspace but the last, scratch: keys, values, four rows of
    /// the network's width or of all heads, three of the hidden width, three of angles, bytes.
    pub(super) const fn session_parts(&self, is_int8: bool, cache: CacheType) -> [usize; 13] {
        let numbers = self.layers * self.layer_cache_len();
        let cached = match cache {
            CacheType::F32 => numbers,
            CacheType::F16 => numbers.div_ceil(2),
        };
        let (d, f, angles) = (self.dim, self.hidden, self.head_width / 2);
        let (qkv, queries) = (self.qkv_width(), self.query_width());
        let bytes = if is_int8 { self.quantized_len() } else { 0 };
        #[rustfmt::skip]
        let parts = [cached, cached, d, d, d, qkv, queries, 2 * f, f, angles, angles, angles, bytes];
        parts
    }

    /// Room for the longest vector in eight bits, in elements of `f32`.
    pub(super) const fn quantized_len(&self) -> usize {
        let (queries, hidden) = (self.query_width(), self.hidden);
        let longest = if queries > hidden { queries } else { hidden };
        let longest = if self.dim > longest {
            self.dim
        } else {
            longest
        };
        longest.div_ceil(size_of::<f32>())
    }

    /// Every tensor, in the order in which they lie among the weights.
    pub fn tensors(&self) -> impl Iterator<Item = Tensor> + use<> {
        let layer = |l| {
            [
                Tensor::AttentionNorm(l),
                Tensor::QueryKeyValue(l),
                Tensor::AttentionOutput(l),
                Tensor::HiddenNorm(l),
                Tensor::GateUp(l),
                Tensor::Down(l),
            ]
        };
        let layers = (0..self.layers).flat_map(layer);
        let ends = [Tensor::FinalNorm, Tensor::Output];
        core::iter::once(Tensor::Embedding)
            .chain(layers)
            .chain(ends)
    }

    /// Rows and columns of a tensor.
    pub fn shape(&self, tensor: Tensor) -> (usize, usize) {
        let d = self.dim;
        match tensor {
            Tensor::Embedding => (self.vocab_size, d),
            Tensor::AttentionNorm(_) | Tensor::HiddenNorm(_) | Tensor::FinalNorm => (1, d),
            Tensor::QueryKeyValue(_) => (self.qkv_width(), d),
            Tensor::AttentionOutput(_) => (d, self.query_width()),
            Tensor::GateUp(_) => (2 * self.hidden, d),
            Tensor::Down(_) => (d, self.hidden),
            Tensor::Output => match self.output {
                OutputKind::Table => (self.vocab_size, d),
                OutputKind::Tied => (0, d),
                OutputKind::Tree => (self.vocab_size.saturating_sub(1), d),
            },
        }
    }

    /// Where a tensor lies. One of its sides is always `d`, so places are counted in rows of `d`.
    pub fn range(&self, tensor: Tensor) -> Range<usize> {
        let (rows, cols) = self.shape(tensor);
        let start = self.first_row(tensor) * self.dim;
        start..start + rows * cols
    }

    fn first_row(&self, tensor: Tensor) -> usize {
        let (qkv, attention, hidden) = (self.qkv_width(), self.query_width(), self.hidden);
        let layer = |l| self.vocab_size + l * (2 + qkv + attention + 3 * hidden);
        match tensor {
            Tensor::Embedding => 0,
            Tensor::AttentionNorm(l) => layer(l),
            Tensor::QueryKeyValue(l) => layer(l) + 1,
            Tensor::AttentionOutput(l) => layer(l) + 1 + qkv,
            Tensor::HiddenNorm(l) => layer(l) + 1 + qkv + attention,
            Tensor::GateUp(l) => layer(l) + 2 + qkv + attention,
            Tensor::Down(l) => layer(l) + 2 + qkv + attention + 2 * hidden,
            Tensor::FinalNorm => layer(self.layers),
            Tensor::Output => layer(self.layers) + 1,
        }
    }
}
