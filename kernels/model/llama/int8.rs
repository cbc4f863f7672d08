//! The weights of configuration llama in eight bits: every matrix has a scale a row, the weights of
//! the normalisations stay `f32`.

use super::{LlamaConfig, Tensor};
use crate::error::ShapeError;
use crate::int8::{Int8Ref, MAX_LEN};
use crate::model::OutputKind;
use core::ops::Range;

/// Where the quantised tensors lie: in the order of [`LlamaConfig::tensors`], values without the
/// normalisations, scales without them, and the normalisations by themselves.
impl LlamaConfig {
    /// Whether a tensor is one of the normalisations, which are not quantised.
    pub fn is_norm(&self, tensor: Tensor) -> bool {
        matches!(
            tensor,
            Tensor::AttentionNorm(_) | Tensor::HiddenNorm(_) | Tensor::FinalNorm
        )
    }

    /// A normalisation among all of them.
    pub fn norm_range(&self, tensor: Tensor) -> Range<usize> {
        let start = self.norms_before(tensor) * self.dim;
        start..start + self.dim
    }

    /// A matrix among the values.
    pub fn int8_range(&self, tensor: Tensor) -> Range<usize> {
        let Range { start, end } = self.range(tensor);
        let before = self.norms_before(tensor) * self.dim;
        start - before..end - before
    }

    /// A matrix's scales among all of them.
    pub fn scales_range(&self, tensor: Tensor) -> Range<usize> {
        let (d, qkv) = (self.dim, self.qkv_width());
        let layer = |l| self.vocab_size + l * (qkv + 2 * self.hidden + 2 * d);
        let start = match tensor {
            Tensor::Embedding => 0,
            Tensor::AttentionNorm(l) | Tensor::QueryKeyValue(l) => layer(l),
            Tensor::AttentionOutput(l) => layer(l) + qkv,
            Tensor::HiddenNorm(l) | Tensor::GateUp(l) => layer(l) + qkv + d,
            Tensor::Down(l) => layer(l) + qkv + d + 2 * self.hidden,
            Tensor::FinalNorm | Tensor::Output => layer(self.layers),
        };
        let rows = match self.is_norm(tensor) {
            true => 0,
            false => self.shape(tensor).0,
        };
        start..start + rows
    }

    fn norms_before(&self, tensor: Tensor) -> usize {
        match tensor {
            Tensor::Embedding => 0,
            Tensor::AttentionNorm(l) => 2 * l,
            Tensor::QueryKeyValue(l) | Tensor::AttentionOutput(l) | Tensor::HiddenNorm(l) => {
                2 * l + 1
            }
            Tensor::GateUp(l) | Tensor::Down(l) => 2 * l + 2,
            Tensor::FinalNorm => 2 * self.layers,
            Tensor::Output => 2 * self.layers + 1,
        }
    }
}

/// The weights of a model of configuration llama, in eight bits.
#[derive(Clone, Copy, Debug)]
pub struct LlamaInt8Ref<'a> {
    config: LlamaConfig,
    norms: &'a [f32],
    scales: &'a [f32],
    values: &'a [i8],
}

impl<'a> LlamaInt8Ref<'a> {
    /// Puts shape and weights together.
    ///
    /// # Errors
    /// [`ShapeError`] when the configuration makes no sense, has a Huffman output or rows above
    /// [`MAX_LEN`], or when the parts do not fit it.
    ///
    /// # Example
    /// ```
    /// use barelm_kernels::model::{LlamaConfig, LlamaInt8Ref, OutputKind, Tensor};
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
    /// let [norms, scales, values] = LlamaInt8Ref::lens(&config).unwrap();
    /// let (norms, scales, values) = (vec![1.0; norms], vec![0.1; scales], vec![1; values]);
    /// let model = LlamaInt8Ref::new(config, &norms, &scales, &values)?;
    /// assert_eq!(model.matrix(Tensor::QueryKeyValue(0)).row(7), (&[1; 4][..], 0.1));
    /// # Ok::<(), barelm_kernels::error::ShapeError>(())
    /// ```
    pub fn new(
        config: LlamaConfig,
        norms: &'a [f32],
        scales: &'a [f32],
        values: &'a [i8],
    ) -> Result<Self, ShapeError> {
        let lens = [norms.len(), scales.len(), values.len()];
        let model = Self {
            config,
            norms,
            scales,
            values,
        };
        let fits = Self::lens(&config) == Some(lens);
        fits.then_some(model).ok_or(ShapeError)
    }

    /// Numbers of normalisations, scales and values of a shape that can be quantised.
    pub fn lens(config: &LlamaConfig) -> Option<[usize; 3]> {
        config.checked_len()?;
        let longest = config.dim.max(config.query_width()).max(config.hidden);
        let supported = config.output != OutputKind::Tree && longest <= MAX_LEN;
        supported.then(|| {
            [
                config.norm_range(Tensor::FinalNorm).end,
                config.scales_range(Tensor::Output).end,
                config.int8_range(Tensor::Output).end,
            ]
        })
    }

    /// The shape.
    #[inline(always)]
    pub fn config(&self) -> &LlamaConfig {
        &self.config
    }

    /// All normalisations, all scales, all values.
    pub fn parts(&self) -> (&'a [f32], &'a [f32], &'a [i8]) {
        (self.norms, self.scales, self.values)
    }

    /// The weights of a normalisation.
    pub fn norm(&self, tensor: Tensor) -> &'a [f32] {
        self.norms
            .get(self.config.norm_range(tensor))
            .unwrap_or(&[])
    }

    /// A tensor as a matrix; empty for a normalisation.
    pub fn matrix(&self, tensor: Tensor) -> Int8Ref<'a> {
        if self.config.is_norm(tensor) {
            return Int8Ref::default();
        }
        let values = self.values.get(self.config.int8_range(tensor));
        let scales = self.scales.get(self.config.scales_range(tensor));
        let (values, scales) = (values.unwrap_or(&[]), scales.unwrap_or(&[]));
        Int8Ref::new(values, scales, self.config.shape(tensor).1).unwrap_or_default()
    }

    /// The table of the output layer.
    pub fn output(&self) -> Int8Ref<'a> {
        self.matrix(match self.config.output {
            OutputKind::Tied => Tensor::Embedding,
            _ => Tensor::Output,
        })
    }
}
