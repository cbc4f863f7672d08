//! A part of a batch, forward and backward on one thread: whole sequences, nothing shared.
//!
//! Shards are cut by the options alone, never by the number of threads, so that every sum is
//! added up in the same order at any thread count.

use super::activations::{Activations, Angles};
use super::backward::Backward;
use super::dropout::Dropout;
use crate::attention_trainer::columns::rows_of;
use crate::attention_trainer::output_layer::OutputGradient;
use crate::kernels::model::{LlamaConfig, LlamaRef, OutputKind, Tensor};

/// Tokens that go through the layers at a time, if the shard has as many: enough rows for fast
/// matrix products, few enough that their activations stay in the caches.
const ROWS: usize = 512;

/// Some sequences of a batch, and their gradient after [`Shard::run`].
#[derive(Debug)]
pub(super) struct Shard {
    /// The tokens read, sequence by sequence.
    pub(super) inputs: Vec<u32>,
    /// The token after each of them.
    pub(super) targets: Vec<u32>,
    pub(super) losses: Vec<f32>,
    /// Of every parameter.
    pub(super) gradient: Vec<f32>,
    /// Tokens at a time.
    rows: usize,
    pub(super) activations: Activations,
    output: OutputGradient,
    backward: Backward,
}

impl Shard {
    /// Room for `windows` sequences.
    pub(super) fn new(model: &LlamaRef<'_>, windows: usize) -> Self {
        let config = model.config();
        let rows = (ROWS / config.context).clamp(1, windows) * config.context;
        let tokens = windows * config.context;
        Self {
            inputs: vec![0; tokens],
            targets: vec![0; tokens],
            losses: vec![0.0; tokens],
            gradient: vec![0.0; model.weights().len()],
            rows,
            activations: Activations::new(config, rows, config.layers),
            output: OutputGradient::new(model.output(), config.dim, rows),
            backward: Backward::new(config, rows),
        }
    }

    /// Losses of all targets, and the gradient of `scale` times their sum.
    pub(super) fn run(
        &mut self,
        model: &LlamaRef<'_>,
        angles: &Angles,
        scale: f32,
        dropout: Option<Dropout>,
    ) {
        let Self {
            inputs,
            targets,
            losses,
            gradient,
            activations,
            output,
            backward,
            ..
        } = self;
        gradient.fill(0.0);
        let table = output_range(model.config());
        let chunks = inputs.chunks(self.rows).zip(targets.chunks(self.rows));
        let chunks = chunks.zip(losses.chunks_mut(self.rows));
        for (i, ((inputs, targets), losses)) in chunks.enumerate() {
            let dropout = dropout.map(|dropout| dropout.further(i * self.rows));
            activations.forward(model, angles, inputs, dropout);
            let h = rows_of(&activations.hidden, inputs.len(), model.config().dim);
            let dh = &mut backward.dnormed[..h.rows() * h.cols()];
            output.forward_backward(model.output(), h, targets, scale, losses, dh);
            output.add_parameters(model.output(), h, targets, &mut gradient[table.clone()]);
            backward.run(model, angles, activations, inputs, dropout, gradient);
        }
    }
}

/// Where the output layer's own parameters lie.
fn output_range(config: &LlamaConfig) -> std::ops::Range<usize> {
    config.range(match config.output {
        OutputKind::Tied => Tensor::Embedding,
        OutputKind::Table | OutputKind::Tree => Tensor::Output,
    })
}
