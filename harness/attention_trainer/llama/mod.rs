//! Configuration llama: whole sequences through the layers and back, by matrix products.
//!
//! A shard holds some sequences of a batch and a gradient of every parameter. It takes them a few
//! at a time, so that what the forward pass leaves behind stays near, and adds to its gradient.
//! Nothing is shared between shards until they are done: no thread waits inside a layer.

mod activations;
mod backward;
mod dropout;
mod shard;
#[cfg(test)]
mod tests;

use super::optimiser::{Part, Rule};
use super::parameters::{Parameters, bell, copy_scaled};
use super::{Batch, Figures, LmOptions, Optimizer, Output};
use crate::kernels::blas1::{axpy, dot};
use crate::kernels::model::{LlamaConfig, LlamaRef, Network, OutputKind, Tensor};
use crate::kernels::rng::Rng;
use crate::parallel;
use activations::{Activations, Angles};
use dropout::Dropout;
use shard::Shard;

/// Base of the position's frequencies, and what is added to mean squares: those of LLaMA.
const THETA: f32 = 1e4;
const EPSILON: f32 = 1e-5;
/// Tokens of a shard, if the batch has as many: enough work beside adding up a gradient.
const SHARD_TOKENS: usize = 1024;
/// Most shards of a batch, for each has a gradient as large as the model.
const MAX_SHARDS: usize = 8;
/// Parameters that one task adds up.
const BLOCK: usize = 1 << 16;

/// The shape that effective options ask for.
pub(super) fn config(vocab_size: usize, options: &LmOptions) -> LlamaConfig {
    LlamaConfig {
        vocab_size,
        dim: options.dim,
        layers: options.layers,
        heads: options.heads,
        kv_heads: options.kv_heads,
        head_width: options.dim / options.heads,
        hidden: options.hidden,
        context: options.context,
        theta: THETA,
        epsilon: EPSILON,
        output: match options.output {
            Output::Softmax => OutputKind::Table,
            Output::Tied => OutputKind::Tied,
            Output::Huffman => OutputKind::Tree,
        },
    }
}

/// Whether a tensor is the weights of a normalisation.
fn is_norm(tensor: Tensor) -> bool {
    matches!(
        tensor,
        Tensor::AttentionNorm(_) | Tensor::HiddenNorm(_) | Tensor::FinalNorm
    )
}

/// The tensors' parts, and how each is updated: under Muon, matrices of the blocks by it, those
/// that lie one below the other each on its own.
pub(super) fn parts(config: &LlamaConfig, optimizer: Optimizer) -> Vec<Part> {
    let parts = config.tensors().flat_map(|tensor| {
        let (rows, cols) = config.shape(tensor);
        let stacked = match tensor {
            Tensor::QueryKeyValue(_) => {
                vec![config.query_width(), config.key_width(), config.key_width()]
            }
            Tensor::GateUp(_) => vec![config.hidden; 2],
            _ => vec![rows],
        };
        let of_block = !is_norm(tensor) && !matches!(tensor, Tensor::Embedding | Tensor::Output);
        stacked.into_iter().map(move |rows| Part {
            len: rows * cols,
            rule: match optimizer {
                Optimizer::Muon if of_block => Rule::Muon(rows, cols),
                _ => Rule::AdamW {
                    decays: !is_norm(tensor),
                },
            },
        })
    });
    parts.collect()
}

/// Random matrices of the deviation `scale`, smaller where they add to the residual stream, so that
/// it does not grow with the layers (as in Radford et al., Language Models are Unsupervised
/// Multitask Learners, 2019); normalisations by 1. The embedding may start from word vectors.
pub(super) fn initial(
    config: &LlamaConfig,
    rng: &mut Rng,
    vectors: Option<&[f32]>,
    scale: f32,
) -> Vec<f32> {
    let mut values = vec![1.0; config.range(Tensor::Output).end];
    let residual = scale / (2.0 * config.layers as f32).sqrt();
    for tensor in config.tensors().filter(|tensor| !is_norm(*tensor)) {
        let deviation = match tensor {
            Tensor::AttentionOutput(_) | Tensor::Down(_) => residual,
            _ => scale,
        };
        let values = &mut values[config.range(tensor)];
        values.iter_mut().for_each(|x| *x = deviation * bell(rng));
    }
    if let Some(vectors) = vectors {
        copy_scaled(vectors, scale, &mut values[config.range(Tensor::Embedding)]);
    }
    values
}

/// The shards of a batch, and the sum of their gradients.
#[derive(Debug)]
pub(super) struct LlamaBatch {
    angles: Angles,
    shards: Vec<Shard>,
    gradient: Vec<f32>,
    /// Probability of dropout, and the seed of its draws.
    dropout: (f32, u64),
}

impl LlamaBatch {
    pub(super) fn new(model: &LlamaRef<'_>, options: &LmOptions) -> Self {
        let windows = options.windows();
        let each = SHARD_TOKENS.div_ceil(options.context).min(windows);
        let each = each.max(windows.div_ceil(MAX_SHARDS));
        let shards = windows.div_ceil(each);
        Self {
            angles: Angles::new(model.config()),
            shards: (0..shards).map(|_| Shard::new(model, each)).collect(),
            gradient: vec![0.0; model.weights().len()],
            dropout: (options.dropout, options.seed),
        }
    }

    /// Adds up the shards' gradients, in their order; returns the norm of the sum.
    fn add_up(&mut self, threads: usize) -> f64 {
        let shards = &self.shards;
        let blocks = self.gradient.chunks_mut(BLOCK).enumerate().collect();
        let squares = parallel::map(threads, blocks, |(i, block): (usize, &mut [f32])| {
            block.fill(0.0);
            for shard in shards {
                let part = &shard.gradient[i * BLOCK..][..block.len()];
                axpy(1.0, part, block).expect("equal lengths");
            }
            f64::from(dot(block, block).expect("equal lengths"))
        });
        squares.iter().sum::<f64>().sqrt()
    }
}

impl Batch for LlamaBatch {
    fn tokens(&mut self) -> Vec<[&mut [u32]; 2]> {
        let shards = self.shards.iter_mut();
        shards
            .map(|shard| [&mut shard.inputs[..], &mut shard.targets[..]])
            .collect()
    }

    fn compute_gradient(&mut self, parameters: &Parameters, step: u64, threads: usize) -> Figures {
        let Network::Llama(model) = parameters.network() else {
            unreachable!("made for parameters of this configuration");
        };
        let tokens: usize = self.shards.iter().map(|shard| shard.inputs.len()).sum();
        let (scale, angles) = (1.0 / tokens as f32, &self.angles);
        let (p, seed) = self.dropout;
        let dropout = Dropout::new(p, seed, step);
        let shards: Vec<_> = self.shards.iter_mut().enumerate().collect();
        parallel::map(threads, shards, |(i, shard): (usize, &mut Shard)| {
            // All shards are equally long.
            let dropout = dropout.map(|dropout| dropout.further(i * shard.inputs.len()));
            shard.run(&model, angles, scale, dropout);
        });
        let losses = self.shards.iter().flat_map(|shard| &shard.losses);
        Figures {
            loss: losses.map(|loss| f64::from(*loss)).sum::<f64>() / tokens as f64,
            norm: self.add_up(threads),
        }
    }

    fn gradient(&self) -> &[f32] {
        &self.gradient
    }
}

/// The hidden vectors after each of `inputs`, one window.
pub(super) fn hidden(model: &LlamaRef<'_>, inputs: &[u32]) -> Vec<f32> {
    let mut activations = Activations::new(model.config(), inputs.len(), 1);
    activations.forward(model, &Angles::new(model.config()), inputs, None);
    activations.hidden
}
