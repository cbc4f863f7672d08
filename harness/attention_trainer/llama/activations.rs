//! Forward through all layers, keeping what the way back needs.

use super::dropout::Dropout;
use crate::attention_trainer::columns::{Columns, rows_of, rows_of_mut};
use crate::kernels::attention::{
    AttentionInputs, Mask, attention_forward, attention_forward_workspace_len,
};
use crate::kernels::blas1::axpy;
use crate::kernels::mat::MatRef;
use crate::kernels::matmul::{Accum, matmul_nt, matmul_workspace_len};
use crate::kernels::model::{LlamaConfig, LlamaRef, Tensor};
use crate::kernels::rms_norm::rms_norm_forward;
use crate::kernels::rope::{rope_angles_into, rope_forward, rope_frequencies_into};
use crate::kernels::swiglu::swiglu_forward;

/// Cosines and sines of every position of a window, `context x head_width / 2` each.
#[derive(Debug)]
pub(super) struct Angles {
    cos: Vec<f32>,
    sin: Vec<f32>,
    pairs: usize,
}

impl Angles {
    pub(super) fn new(config: &LlamaConfig) -> Self {
        let pairs = config.head_width / 2;
        let mut frequencies = vec![0.0; pairs];
        rope_frequencies_into(config.theta, &mut frequencies);
        let mut cos = vec![0.0; config.context * pairs];
        let mut sin = cos.clone();
        let rows = cos.chunks_exact_mut(pairs).zip(sin.chunks_exact_mut(pairs));
        for (position, (cos, sin)) in rows.enumerate() {
            rope_angles_into(position, &frequencies, cos, sin).expect("equal lengths");
        }
        Self { cos, sin, pairs }
    }

    /// Cosines and sines of the first positions.
    pub(super) fn of(&self, positions: usize) -> [MatRef<'_>; 2] {
        [&self.cos, &self.sin].map(|table| rows_of(table, positions, self.pairs))
    }
}

/// Every sequence of up to `context` tokens in `rows`, as its first row and its length.
pub(super) fn sequences(
    config: &LlamaConfig,
    rows: usize,
) -> impl Iterator<Item = (usize, usize)> + use<> {
    let context = config.context;
    let starts = (0..rows).step_by(context);
    starts.map(move |start| (start, context.min(rows - start)))
}

/// Where the heads of all sequences lie.
pub(super) struct Head {
    /// Queries, keys and values among those of the layer, `rows x qkv_width`.
    pub(super) qkv: [Columns; 3],
    /// The same in tensors of their own.
    pub(super) apart: [Columns; 3],
    /// The log-sums of its rows.
    pub(super) log_sums: std::ops::Range<usize>,
}

pub(super) fn heads(config: &LlamaConfig, rows: usize) -> impl Iterator<Item = Head> + use<> {
    let config = *config;
    let (heads, kv_heads, width) = (config.heads, config.kv_heads, config.head_width);
    let of_sequence = move |(row, rows): (usize, usize)| {
        (0..heads).map(move |head| {
            let columns = |stride, head| Columns {
                row,
                rows,
                stride,
                column: head * width,
                width,
            };
            let group = head / (heads / kv_heads);
            let packed = [head, heads + group, heads + kv_heads + group];
            let key = columns(config.key_width(), group);
            let first = row * heads + head * rows;
            Head {
                qkv: packed.map(|head| columns(config.qkv_width(), head)),
                apart: [columns(config.query_width(), head), key, key],
                log_sums: first..first + rows,
            }
        })
    };
    sequences(&config, rows).flat_map(of_sequence)
}

/// What one head reads of a layer's queries, keys and values.
pub(super) fn attention_inputs<'a>(
    config: &LlamaConfig,
    qkv: &'a [f32],
    head: &Head,
) -> AttentionInputs<'a> {
    let [q, k, v] = head.qkv.map(|columns| columns.of(qkv));
    let mask = Mask::Causal { offset: 0 };
    AttentionInputs::new(q, k, v, mask, config.scale(), None).expect("shapes fit")
}

/// A normalisation's result, and the inverse root mean squares of its rows.
#[derive(Debug)]
pub(super) struct Normed {
    pub(super) out: Vec<f32>,
    pub(super) inverse_rms: Vec<f32>,
}

impl Normed {
    fn new(rows: usize, d: usize) -> Self {
        Self {
            out: vec![0.0; rows * d],
            inverse_rms: vec![0.0; rows],
        }
    }

    fn forward(&mut self, model: &LlamaRef<'_>, weight: Tensor, x: MatRef<'_>) {
        let out = rows_of_mut(&mut self.out, x.rows(), x.cols());
        let (inverse_rms, epsilon) = (&mut self.inverse_rms[..x.rows()], model.config().epsilon);
        rms_norm_forward(out, inverse_rms, x, model.vector(weight), epsilon).expect("shapes fit");
    }
}

/// What a layer computes, `rows x` the width that is said.
#[derive(Debug)]
pub(super) struct Layer {
    /// Before attention, `d`.
    pub(super) attention_norm: Normed,
    /// Queries, keys and values, the first two turned by their position.
    pub(super) qkv: Vec<f32>,
    /// Log-sum-exps of the scores: by sequence, then head, then position.
    pub(super) log_sums: Vec<f32>,
    /// What the heads found, `query_width`.
    pub(super) heads: Vec<f32>,
    /// Before the feed-forward layer, `d`.
    pub(super) hidden_norm: Normed,
    /// Gates and ups, `2 hidden`.
    pub(super) gate_up: Vec<f32>,
    /// What the gates let through, `hidden`.
    pub(super) gated: Vec<f32>,
}

impl Layer {
    fn new(config: &LlamaConfig, rows: usize) -> Self {
        let tensor = |width| vec![0.0; rows * width];
        Self {
            attention_norm: Normed::new(rows, config.dim),
            qkv: tensor(config.qkv_width()),
            log_sums: tensor(config.heads),
            heads: tensor(config.query_width()),
            hidden_norm: Normed::new(rows, config.dim),
            gate_up: tensor(2 * config.hidden),
            gated: tensor(config.hidden),
        }
    }
}

/// What the forward pass leaves behind for a number of rows (one a token).
#[derive(Debug)]
pub(super) struct Activations {
    /// The residual stream at the start, then after each half of each layer, `rows x d` each.
    pub(super) streams: Vec<Vec<f32>>,
    pub(super) layers: Vec<Layer>,
    /// Inverse root mean squares of the last stream.
    pub(super) inverse_rms: Vec<f32>,
    /// What the output layer reads, `rows x d`.
    pub(super) hidden: Vec<f32>,
    scratch: Vec<f32>,
}

impl Activations {
    /// Room for `rows` tokens; if there is no way back, `kept` may be one layer instead of all.
    pub(super) fn new(config: &LlamaConfig, rows: usize, kept: usize) -> Self {
        let (d, w) = (config.dim, config.head_width);
        let shapes = [
            (config.qkv_width(), d),
            (d, config.query_width()),
            (2 * config.hidden, d),
            (d, config.hidden),
        ];
        let products = shapes.map(|(n, k)| matmul_workspace_len(rows, n, k));
        let attention = attention_forward_workspace_len(w, w);
        let Normed { out, inverse_rms } = Normed::new(rows, d);
        Self {
            streams: vec![vec![0.0; rows * d]; 2 * config.layers + 1],
            layers: (0..kept).map(|_| Layer::new(config, rows)).collect(),
            inverse_rms,
            hidden: out,
            scratch: vec![0.0; products.into_iter().fold(attention, usize::max)],
        }
    }

    /// Computes the hidden vectors of `inputs`, sequences of `context` tokens one after another
    /// (the last one may be shorter), with or without dropout.
    pub(super) fn forward(
        &mut self,
        model: &LlamaRef<'_>,
        angles: &Angles,
        inputs: &[u32],
        dropout: Option<Dropout>,
    ) {
        let (rows, d) = (inputs.len(), model.config().dim);
        let embedding = model.matrix(Tensor::Embedding);
        for (row, id) in self.streams[0].chunks_exact_mut(d).zip(inputs) {
            row.copy_from_slice(embedding.row(*id as usize));
        }
        if let Some(dropout) = dropout {
            dropout.apply(0, &mut self.streams[0][..rows * d], d);
        }
        for l in 0..model.config().layers {
            self.attention(model, angles, l, rows, dropout);
            self.feed_forward(model, l, rows, dropout);
        }
        let last = &self.streams[2 * model.config().layers];
        let out = rows_of_mut(&mut self.hidden, rows, d);
        let (inverse_rms, weight) = (&mut self.inverse_rms[..rows], Tensor::FinalNorm);
        let (weight, epsilon) = (model.vector(weight), model.config().epsilon);
        rms_norm_forward(out, inverse_rms, rows_of(last, rows, d), weight, epsilon)
            .expect("shapes fit");
    }

    /// `x += Wo attention(Wqkv rms_norm(x))`.
    fn attention(
        &mut self,
        model: &LlamaRef<'_>,
        angles: &Angles,
        l: usize,
        rows: usize,
        dropout: Option<Dropout>,
    ) {
        let (config, scratch) = (model.config(), &mut self.scratch);
        let kept = l % self.layers.len();
        let layer = &mut self.layers[kept];
        let [x, y] = &mut self.streams[2 * l..][..2] else {
            unreachable!("a layer has a stream before and one behind each half");
        };
        layer.attention_norm.forward(
            model,
            Tensor::AttentionNorm(l),
            rows_of(x, rows, config.dim),
        );
        let normed = rows_of(&layer.attention_norm.out, rows, config.dim);
        let qkv = rows_of_mut(&mut layer.qkv, rows, config.qkv_width());
        let w = model.matrix(Tensor::QueryKeyValue(l));
        matmul_nt(qkv, normed, w, Accum::Replace, scratch).expect("shapes fit");
        for (row, rows) in sequences(config, rows) {
            let turned = turned(config, row, rows);
            let [cos, sin] = angles.of(rows);
            rope_forward(turned.of_mut(&mut layer.qkv), cos, sin).expect("shapes fit");
        }
        for head in heads(config, rows) {
            let inputs = attention_inputs(config, &layer.qkv, &head);
            let out = head.apart[0].of_mut(&mut layer.heads);
            let log_sums = &mut layer.log_sums[head.log_sums];
            attention_forward(out, log_sums, inputs, scratch).expect("shapes fit");
        }
        let heads = rows_of(&layer.heads, rows, config.query_width());
        let w = model.matrix(Tensor::AttentionOutput(l));
        let dropout = dropout.map(|dropout| (dropout, 2 * l + 1));
        add_product(x, y, heads, w, dropout, scratch);
    }

    /// `x += Wdown (silu(Wgate n) * Wup n)` with `n = rms_norm(x)`.
    fn feed_forward(
        &mut self,
        model: &LlamaRef<'_>,
        l: usize,
        rows: usize,
        dropout: Option<Dropout>,
    ) {
        let (config, scratch) = (model.config(), &mut self.scratch);
        let kept = l % self.layers.len();
        let layer = &mut self.layers[kept];
        let [x, y] = &mut self.streams[2 * l + 1..][..2] else {
            unreachable!("a layer has a stream before and one behind each half");
        };
        layer
            .hidden_norm
            .forward(model, Tensor::HiddenNorm(l), rows_of(x, rows, config.dim));
        let normed = rows_of(&layer.hidden_norm.out, rows, config.dim);
        let gate_up = rows_of_mut(&mut layer.gate_up, rows, 2 * config.hidden);
        let w = model.matrix(Tensor::GateUp(l));
        matmul_nt(gate_up, normed, w, Accum::Replace, scratch).expect("shapes fit");
        let gate_up = rows_of(&layer.gate_up, rows, 2 * config.hidden);
        swiglu_forward(rows_of_mut(&mut layer.gated, rows, config.hidden), gate_up)
            .expect("shapes fit");
        let gated = rows_of(&layer.gated, rows, config.hidden);
        let dropout = dropout.map(|dropout| (dropout, 2 * l + 2));
        add_product(x, y, gated, model.matrix(Tensor::Down(l)), dropout, scratch);
    }
}

/// Queries and keys of one sequence, side by side: what positions turn.
pub(super) fn turned(config: &LlamaConfig, row: usize, rows: usize) -> Columns {
    Columns {
        row,
        rows,
        stride: config.qkv_width(),
        column: 0,
        width: config.query_width() + config.key_width(),
    }
}

/// `y = x + a W^T`, of which dropout leaves out some elements on the way to a stream.
fn add_product(
    x: &[f32],
    y: &mut [f32],
    a: MatRef<'_>,
    w: MatRef<'_>,
    dropout: Option<(Dropout, usize)>,
    scratch: &mut [f32],
) {
    let (rows, width) = (a.rows(), w.rows());
    let (x, y) = (&x[..rows * width], &mut y[..rows * width]);
    let Some((dropout, stream)) = dropout else {
        y.copy_from_slice(x);
        let y = rows_of_mut(y, rows, width);
        return matmul_nt(y, a, w, Accum::Add, scratch).expect("shapes fit");
    };
    let product = rows_of_mut(y, rows, width);
    matmul_nt(product, a, w, Accum::Replace, scratch).expect("shapes fit");
    dropout.apply(stream, y, width);
    axpy(1.0, x, y).expect("equal lengths");
}
