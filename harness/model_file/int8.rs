//! Weights in eight bits, with a scale a row: a quarter of the room of `f32`.
//!
//! The loss is a rounding of each weight to the nearest of 255 steps of its row
//! ([`crate::kernels::int8`]); a session rounds its vectors likewise, before every product.

use crate::kernels::int8::{dequantize_into, quantize_into};
use crate::kernels::model::{LlamaConfig, LlamaInt8Ref, LlamaRef, Network};
use crate::{Error, Result};

/// The weights of a model of configuration llama in eight bits.
#[derive(Clone, Debug)]
pub struct LlamaInt8 {
    config: LlamaConfig,
    norms: Vec<f32>,
    scales: Vec<f32>,
    values: Vec<i8>,
}

impl LlamaInt8 {
    /// Quantises a model.
    ///
    /// # Errors
    /// [`Error::Usage`] for one of another configuration, or with a Huffman output.
    pub fn quantize(network: Network<'_>) -> Result<Self> {
        let usage = |message: &str| Error::Usage(message.into());
        let Network::Llama(model) = network else {
            return Err(usage("only models of --config llama have weights in int8"));
        };
        let config = *model.config();
        let lens = LlamaInt8Ref::lens(&config).ok_or_else(|| {
            usage(
                "int8 has no Huffman output and no rows above 131,071 numbers; \
                 train with --output tied or softmax",
            )
        })?;
        let [norms, scales, values] = lens;
        let mut int8 = Self {
            config,
            norms: Vec::with_capacity(norms),
            scales: Vec::with_capacity(scales),
            values: Vec::with_capacity(values),
        };
        int8.fill(&model);
        Ok(int8)
    }

    fn fill(&mut self, model: &LlamaRef<'_>) {
        for tensor in self.config.tensors() {
            if self.config.is_norm(tensor) {
                self.norms.extend(model.vector(tensor));
                continue;
            }
            let matrix = model.matrix(tensor);
            for i in 0..matrix.rows() {
                let start = self.values.len();
                self.values.resize(start + matrix.cols(), 0);
                let scale = quantize_into(matrix.row(i), &mut self.values[start..]);
                self.scales.push(scale.expect("equal lengths"));
            }
        }
    }

    /// The model that the kernels run.
    pub fn view(&self) -> LlamaInt8Ref<'_> {
        LlamaInt8Ref::new(self.config, &self.norms, &self.scales, &self.values)
            .expect("made for its shape")
    }
}

/// The numbers that the weights stand for, laid out as a [`LlamaRef`] has them.
pub(super) fn dequantize(model: &LlamaInt8Ref<'_>) -> Vec<f32> {
    let config = model.config();
    let len = config
        .tensors()
        .map(|tensor| config.range(tensor).end)
        .max();
    let mut weights = vec![0.0; len.unwrap_or(0)];
    for tensor in config.tensors() {
        let out = &mut weights[config.range(tensor)];
        if config.is_norm(tensor) {
            out.copy_from_slice(model.norm(tensor));
            continue;
        }
        let matrix = model.matrix(tensor);
        for (i, out) in out.chunks_exact_mut(matrix.cols()).enumerate() {
            let (row, scale) = matrix.row(i);
            dequantize_into(row, scale, out).expect("equal lengths");
        }
    }
    weights
}
