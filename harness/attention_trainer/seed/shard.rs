//! A part of a batch, forward and backward on one thread: whole sequences, nothing shared.
//!
//! Shards are cut by the options alone, never by the number of threads, so that every sum is
//! added up in the same order at any thread count.

use super::forward::{Activations, attention_inputs, heads};
use crate::attention_trainer::output_layer::OutputGradient;
use crate::kernels::attention::{
    AttentionGradients, attention_backward, attention_backward_workspace_len,
};
use crate::kernels::mat::MatRef;
use crate::kernels::model::SeedRef;

/// Tokens that a shard has at least, if the batch does: enough rows for fast matrix products.
const SHARD_TOKENS: usize = 256;

/// Windows of a shard.
pub(super) fn windows_of_a_shard(windows: usize, context: usize) -> usize {
    SHARD_TOKENS.div_ceil(context).min(windows)
}

/// Some sequences of a batch, and their gradients after [`Shard::run`].
#[derive(Debug)]
pub(super) struct Shard {
    /// The tokens read, sequence by sequence.
    pub(super) inputs: Vec<u32>,
    /// The token after each of them.
    pub(super) targets: Vec<u32>,
    pub(super) losses: Vec<f32>,
    pub(super) activations: Activations,
    pub(super) output: OutputGradient,
    /// Gradients of the rows of queries, keys and values, `rows x d`.
    pub(super) dq: Vec<f32>,
    pub(super) dk: Vec<f32>,
    pub(super) dv: Vec<f32>,
    /// Gradient of the position bias, `heads x context`; empty without one.
    pub(super) dbias: Vec<f32>,
    dh: Vec<f32>,
    scratch: Vec<f32>,
}

impl Shard {
    /// Room for `windows` sequences.
    pub(super) fn new(model: &SeedRef<'_>, windows: usize) -> Self {
        let (t, width) = (model.context(), model.head_width());
        let rows = windows * t;
        let tensor = || vec![0.0; rows * model.dim()];
        let bias = model.bias(0).map_or(0, |bias| bias.len() * model.heads());
        Self {
            inputs: vec![0; rows],
            targets: vec![0; rows],
            losses: vec![0.0; rows],
            activations: Activations::new(model, rows),
            output: OutputGradient::new(model.output(), model.dim(), rows),
            dq: tensor(),
            dk: tensor(),
            dv: tensor(),
            dbias: vec![0.0; bias],
            dh: tensor(),
            scratch: vec![0.0; attention_backward_workspace_len(t, t, width, width)],
        }
    }

    /// Losses of all targets, and the gradients of `scale` times their sum.
    pub(super) fn run(&mut self, model: &SeedRef<'_>, scale: f32) {
        self.activations.forward(model, &self.inputs);
        let rows = self.inputs.len();
        let h = MatRef::new(&self.activations.h, rows, model.dim()).expect("made for it");
        self.output.forward_backward(
            model.output(),
            h,
            &self.targets,
            scale,
            &mut self.losses,
            &mut self.dh,
        );
        self.attention_backward(model);
    }

    fn attention_backward(&mut self, model: &SeedRef<'_>) {
        let Self {
            dq, dk, dv, dbias, ..
        } = self;
        for gradient in [&mut *dq, dk, dv, dbias] {
            gradient.fill(0.0);
        }
        let Activations { q, k, v, .. } = &self.activations;
        let context = model.context();
        for (head, view, log_sums) in heads(model, self.inputs.len()) {
            let gradients = AttentionGradients {
                dq: view.of_mut(dq),
                dk: view.of_mut(dk),
                dv: view.of_mut(dv),
                dbias: dbias.chunks_mut(context).nth(head),
            };
            attention_backward(
                gradients,
                view.of(&self.dh),
                view.of(&self.activations.h),
                &self.activations.log_sums[log_sums],
                attention_inputs([q, k, v], model, head, view),
                &mut self.scratch,
            )
            .expect("shapes fit");
        }
    }
}
