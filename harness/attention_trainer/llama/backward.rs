//! Back through all layers: from the gradient of the hidden vectors to that of every parameter.
//!
//! For `y = x + f(rms_norm(x)) W^T`, with `n` what `W` multiplied:
//!
//! ```text
//! dn = dy W          dW += dy^T n          dx = dy + (the gradient through f and rms_norm)
//! ```
//! so one tensor carries the gradient of the stream, and every branch adds to it. With dropout a
//! branch's `dy` is multiplied by the factors that its output had.

use super::activations::{
    Activations, Angles, Layer, Normed, attention_inputs, heads, sequences, turned,
};
use super::dropout::Dropout;
use crate::attention_trainer::columns::{rows_of, rows_of_mut};
use crate::kernels::attention::{
    AttentionGradients, attention_backward, attention_backward_workspace_len,
};
use crate::kernels::blas1::axpy;
use crate::kernels::mat::MatRef;
use crate::kernels::matmul::{Accum, matmul, matmul_tn, matmul_workspace_len};
use crate::kernels::model::{LlamaConfig, LlamaRef, Tensor};
use crate::kernels::rms_norm::rms_norm_backward;
use crate::kernels::rope::rope_backward;
use crate::kernels::swiglu::swiglu_backward;

/// Gradients on the way back, `rows x` the width that is said, used again by every layer.
#[derive(Debug)]
pub(super) struct Backward {
    /// Of what the output layer reads, and of other normalised vectors: `d`.
    pub(super) dnormed: Vec<f32>,
    /// Of the residual stream, `d`.
    dstream: Vec<f32>,
    /// Of what a branch adds to it, `d`, if dropout makes that another.
    dbranch: Vec<f32>,
    /// Of queries, keys and values apart, for heads that share keys add to them.
    dq: Vec<f32>,
    dk: Vec<f32>,
    dv: Vec<f32>,
    /// The same side by side, `qkv_width`.
    dqkv: Vec<f32>,
    /// `query_width`.
    dheads: Vec<f32>,
    /// `2 hidden`.
    dgate_up: Vec<f32>,
    /// `hidden`.
    dgated: Vec<f32>,
    scratch: Vec<f32>,
}

impl Backward {
    /// Room for `rows` tokens.
    pub(super) fn new(config: &LlamaConfig, rows: usize) -> Self {
        let (d, t, w) = (config.dim, config.context.min(rows), config.head_width);
        let (queries, keys) = (config.query_width(), config.key_width());
        let widths = [
            config.qkv_width(),
            queries,
            2 * config.hidden,
            config.hidden,
        ];
        let product = |(m, n, k)| matmul_workspace_len(m, n, k);
        let shapes = widths.map(|width| {
            [
                (rows, width, d),
                (rows, d, width),
                (d, width, rows),
                (width, d, rows),
            ]
        });
        let products = shapes.into_iter().flatten().map(product);
        let attention = attention_backward_workspace_len(t, t, w, w);
        let tensor = |width| vec![0.0; rows * width];
        Self {
            dnormed: tensor(d),
            dstream: tensor(d),
            dbranch: Vec::new(),
            dq: tensor(queries),
            dk: tensor(keys),
            dv: tensor(keys),
            dqkv: tensor(config.qkv_width()),
            dheads: tensor(queries),
            dgate_up: tensor(2 * config.hidden),
            dgated: tensor(config.hidden),
            scratch: vec![0.0; products.fold(attention, usize::max)],
        }
    }

    /// Adds to `gradient` what follows from `dnormed`, the gradient of the hidden vectors of
    /// `inputs`, which went through `activations` with the same dropout.
    pub(super) fn run(
        &mut self,
        model: &LlamaRef<'_>,
        angles: &Angles,
        activations: &Activations,
        inputs: &[u32],
        dropout: Option<Dropout>,
        gradient: &mut [f32],
    ) {
        let (rows, config) = (inputs.len(), model.config());
        self.dstream[..rows * config.dim].fill(0.0);
        let last = rows_of(&activations.streams[2 * config.layers], rows, config.dim);
        self.norm(
            model,
            Tensor::FinalNorm,
            last,
            &activations.inverse_rms,
            gradient,
        );
        for l in (0..config.layers).rev() {
            let layer = &activations.layers[l];
            let [x, y] =
                [2 * l, 2 * l + 1].map(|i| rows_of(&activations.streams[i], rows, config.dim));
            self.feed_forward(model, l, layer, y, dropout, gradient);
            self.attention(model, angles, l, layer, x, dropout, gradient);
        }
        if let Some(dropout) = dropout {
            dropout.apply(0, &mut self.dstream[..rows * config.dim], config.dim);
        }
        let embedding = &mut gradient[config.range(Tensor::Embedding)];
        for (id, row) in inputs.iter().zip(self.dstream.chunks_exact(config.dim)) {
            let sum = &mut embedding[*id as usize * config.dim..][..config.dim];
            axpy(1.0, row, sum).expect("equal widths");
        }
    }

    /// Through a normalisation of `x`: from `dnormed` to the stream and to its weights.
    fn norm(
        &mut self,
        model: &LlamaRef<'_>,
        weight: Tensor,
        x: MatRef<'_>,
        inverse_rms: &[f32],
        gradient: &mut [f32],
    ) {
        let (rows, d) = (x.rows(), x.cols());
        let dx = rows_of_mut(&mut self.dstream, rows, d);
        let dweight = &mut gradient[model.config().range(weight)];
        let dout = rows_of(&self.dnormed, rows, d);
        let inverse_rms = &inverse_rms[..rows];
        rms_norm_backward(dx, dweight, dout, x, model.vector(weight), inverse_rms)
            .expect("shapes fit");
    }

    fn feed_forward(
        &mut self,
        model: &LlamaRef<'_>,
        l: usize,
        layer: &Layer,
        x: MatRef<'_>,
        dropout: Option<Dropout>,
        gradient: &mut [f32],
    ) {
        let (rows, d, f) = (x.rows(), x.cols(), model.config().hidden);
        let (down, gate_up) = (Tensor::Down(l), Tensor::GateUp(l));
        let Self {
            dstream,
            dbranch,
            dgated,
            dgate_up,
            dnormed,
            scratch,
            ..
        } = self;
        let mut linear = Linear {
            model,
            gradient,
            scratch,
        };
        let dropout = dropout.map(|dropout| (dropout, 2 * l + 2));
        let dy = branch(&dstream[..rows * d], dropout, d, dbranch);
        linear.backward(down, (dy, d), (&layer.gated, f), dgated, rows);
        swiglu_backward(
            rows_of_mut(dgate_up, rows, 2 * f),
            rows_of(dgated, rows, f),
            rows_of(&layer.gate_up, rows, 2 * f),
        )
        .expect("shapes fit");
        let Normed { out, inverse_rms } = &layer.hidden_norm;
        linear.backward(gate_up, (dgate_up, 2 * f), (out, d), dnormed, rows);
        self.norm(model, Tensor::HiddenNorm(l), x, inverse_rms, gradient);
    }

    #[allow(clippy::too_many_arguments)]
    fn attention(
        &mut self,
        model: &LlamaRef<'_>,
        angles: &Angles,
        l: usize,
        layer: &Layer,
        x: MatRef<'_>,
        dropout: Option<Dropout>,
        gradient: &mut [f32],
    ) {
        let (rows, d, config) = (x.rows(), x.cols(), model.config());
        let (queries, qkv) = (config.query_width(), config.qkv_width());
        let (project, output) = (Tensor::QueryKeyValue(l), Tensor::AttentionOutput(l));
        let Self {
            dstream,
            dbranch,
            dheads,
            scratch,
            ..
        } = self;
        let mut linear = Linear {
            model,
            gradient,
            scratch,
        };
        let dropout = dropout.map(|dropout| (dropout, 2 * l + 1));
        let dy = branch(&dstream[..rows * d], dropout, d, dbranch);
        linear.backward(output, (dy, d), (&layer.heads, queries), dheads, rows);
        self.heads(config, layer, rows);
        self.put_side_by_side(config, angles, rows);
        let Normed { out, inverse_rms } = &layer.attention_norm;
        let Self {
            dqkv,
            dnormed,
            scratch,
            ..
        } = self;
        let mut linear = Linear {
            model,
            gradient,
            scratch,
        };
        linear.backward(project, (dqkv, qkv), (out, d), dnormed, rows);
        self.norm(model, Tensor::AttentionNorm(l), x, inverse_rms, gradient);
    }

    /// Through the attention of every head, to `dq`, `dk` and `dv`.
    fn heads(&mut self, config: &LlamaConfig, layer: &Layer, rows: usize) {
        let Self {
            dq,
            dk,
            dv,
            dheads,
            scratch,
            ..
        } = self;
        for gradient in [&mut *dq, dk, dv] {
            gradient.fill(0.0);
        }
        for head in heads(config, rows) {
            let [q, k, v] = head.apart;
            let gradients = AttentionGradients {
                dq: q.of_mut(dq),
                dk: k.of_mut(dk),
                dv: v.of_mut(dv),
                dbias: None,
            };
            let inputs = attention_inputs(config, &layer.qkv, &head);
            let (dout, out) = (q.of(dheads), q.of(&layer.heads));
            let log_sums = &layer.log_sums[head.log_sums];
            attention_backward(gradients, dout, out, log_sums, inputs, scratch)
                .expect("shapes fit");
        }
    }

    /// `dq`, `dk` and `dv` side by side, the first two turned back.
    fn put_side_by_side(&mut self, config: &LlamaConfig, angles: &Angles, rows: usize) {
        let (queries, keys) = (config.query_width(), config.key_width());
        let parts = self
            .dq
            .chunks_exact(queries)
            .zip(self.dk.chunks_exact(keys));
        let parts = parts.zip(self.dv.chunks_exact(keys));
        for (row, ((q, k), v)) in self.dqkv.chunks_exact_mut(config.qkv_width()).zip(parts) {
            row[..queries].copy_from_slice(q);
            row[queries..][..keys].copy_from_slice(k);
            row[queries + keys..].copy_from_slice(v);
        }
        for (row, rows) in sequences(config, rows) {
            let [cos, sin] = angles.of(rows);
            let turned = turned(config, row, rows);
            rope_backward(turned.of_mut(&mut self.dqkv), cos, sin).expect("shapes fit");
        }
    }
}

/// The gradient of what a branch added to a stream of gradient `dstream`.
fn branch<'a>(
    dstream: &'a [f32],
    dropout: Option<(Dropout, usize)>,
    d: usize,
    dbranch: &'a mut Vec<f32>,
) -> &'a [f32] {
    let Some((dropout, stream)) = dropout else {
        return dstream;
    };
    dbranch.clear();
    dbranch.extend_from_slice(dstream);
    dropout.apply(stream, dbranch, d);
    dbranch
}

/// What a matrix needs on the way back.
struct Linear<'a, 'm> {
    model: &'a LlamaRef<'m>,
    gradient: &'a mut [f32],
    scratch: &'a mut [f32],
}

impl Linear<'_, '_> {
    /// Of `y = x W^T`: `dW += dy^T x` and `dx = dy W`. A pair is a tensor and its width.
    fn backward(
        &mut self,
        w: Tensor,
        (dy, n): (&[f32], usize),
        (x, k): (&[f32], usize),
        dx: &mut [f32],
        rows: usize,
    ) {
        let (dy, x) = (rows_of(dy, rows, n), rows_of(x, rows, k));
        let dw = &mut self.gradient[self.model.config().range(w)];
        let dw = rows_of_mut(dw, n, k);
        matmul_tn(dw, dy, x, Accum::Add, self.scratch).expect("shapes fit");
        let (dx, w) = (rows_of_mut(dx, rows, k), self.model.matrix(w));
        matmul(dx, dy, w, Accum::Replace, self.scratch).expect("shapes fit");
    }
}
