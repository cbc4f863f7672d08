//! Attention over a batch: rows gathered from the tables, then head by head, sequence by sequence.

use crate::attention_trainer::columns::Columns;
use crate::kernels::attention::{
    AttentionInputs, Mask, attention_forward, attention_forward_workspace_len,
};
use crate::kernels::mat::MatRef;
use crate::kernels::model::SeedRef;

/// What the forward pass leaves behind for a number of rows (one a token).
#[derive(Debug)]
pub(in crate::attention_trainer) struct Activations {
    /// Queries, keys and values, `rows x d` each.
    pub(in crate::attention_trainer) q: Vec<f32>,
    pub(in crate::attention_trainer) k: Vec<f32>,
    pub(in crate::attention_trainer) v: Vec<f32>,
    /// Hidden vectors, `rows x d`.
    pub(in crate::attention_trainer) h: Vec<f32>,
    /// Log-sum-exp of each row of scores: by sequence, then head, then position.
    pub(in crate::attention_trainer) log_sums: Vec<f32>,
    scratch: Vec<f32>,
}

/// The heads of all sequences of up to `context` rows, with the number of each, and the range of
/// its log-sums.
pub(in crate::attention_trainer) fn heads(
    model: &SeedRef<'_>,
    rows: usize,
) -> impl Iterator<Item = (usize, Columns, std::ops::Range<usize>)> + use<> {
    let (dim, heads, context) = (model.dim(), model.heads(), model.context());
    let width = dim / heads;
    (0..rows).step_by(context).flat_map(move |start| {
        let len = context.min(rows - start);
        (0..heads).map(move |head| {
            let view = Columns {
                row: start,
                rows: len,
                stride: dim,
                column: head * width,
                width,
            };
            let first = start * heads + head * len;
            (head, view, first..first + len)
        })
    })
}

impl Activations {
    /// Room for `rows` tokens.
    pub(in crate::attention_trainer) fn new(model: &SeedRef<'_>, rows: usize) -> Self {
        let width = model.head_width();
        let tensor = || vec![0.0; rows * model.dim()];
        Self {
            q: tensor(),
            k: tensor(),
            v: tensor(),
            h: tensor(),
            log_sums: vec![0.0; rows * model.heads()],
            scratch: vec![0.0; attention_forward_workspace_len(width, width)],
        }
    }

    /// Computes the hidden vectors of `inputs`, sequences of `context` tokens one after another
    /// (the last one may be shorter).
    pub(in crate::attention_trainer) fn forward(&mut self, model: &SeedRef<'_>, inputs: &[u32]) {
        let [q, k, v] = model.tables();
        gather(q, inputs, &mut self.q);
        gather(k, inputs, &mut self.k);
        gather(v, inputs, &mut self.v);
        for (head, view, log_sums) in heads(model, inputs.len()) {
            let inputs = attention_inputs([&self.q, &self.k, &self.v], model, head, view);
            let out = view.of_mut(&mut self.h);
            let log_sums = &mut self.log_sums[log_sums];
            attention_forward(out, log_sums, inputs, &mut self.scratch).expect("shapes fit");
        }
    }
}

/// What attention of one head reads of queries, keys and values.
pub(in crate::attention_trainer) fn attention_inputs<'a>(
    [q, k, v]: [&'a [f32]; 3],
    model: &SeedRef<'a>,
    head: usize,
    view: Columns,
) -> AttentionInputs<'a> {
    let mask = Mask::Causal { offset: 0 };
    let (bias, scale) = (model.bias(head), model.scale());
    AttentionInputs::new(view.of(q), view.of(k), view.of(v), mask, scale, bias).expect("shapes fit")
}

/// Copies the rows of `ids` out of a table.
fn gather(table: MatRef<'_>, ids: &[u32], rows: &mut [f32]) {
    for (id, row) in ids.iter().zip(rows.chunks_exact_mut(table.cols())) {
        row.copy_from_slice(table.row(*id as usize));
    }
}
