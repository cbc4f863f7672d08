//! Losses of the output layer, and their gradients: softmax over a table, or a Huffman tree.

use super::columns::{Columns, rows_of_mut};
use crate::kernels::blas1::{axpy, dot};
use crate::kernels::huffman::HuffmanRef;
use crate::kernels::mat::{MatMut, MatRef};
use crate::kernels::matmul::{Accum, matmul, matmul_nt, matmul_tn, matmul_workspace_len};
use crate::kernels::model::OutputRef;
use crate::kernels::sigmoid::{SigmoidMethod, sigmoid_in_place, softplus_in_place};
use crate::kernels::softmax::{cross_entropy, cross_entropy_in_place};
use std::ops::Range;

/// Rows of logits that exist at a time when only losses are wanted.
const LOSS_ROWS: usize = 128;

/// Elements from one row of logits to the next: no power of two, which would let the rows of a tile
/// take each other's places in the caches.
fn logits_stride(vocab_size: usize) -> usize {
    vocab_size + 16
}

fn logits_columns(rows: usize, vocab_size: usize, tokens: Range<usize>) -> Columns {
    Columns {
        row: 0,
        rows,
        stride: logits_stride(vocab_size),
        column: tokens.start,
        width: tokens.len(),
    }
}

/// What the output layer of one shard keeps for the gradient of its parameters.
#[derive(Debug)]
pub(super) struct OutputGradient {
    /// Softmax: the gradient of every logit, `rows x V`, at [`logits_stride`].
    logits: Vec<f32>,
    /// Tree: the gradient of the score of each node on the rows' paths, one after another.
    pub(super) scores: Vec<f32>,
    scratch: Vec<f32>,
}

impl OutputGradient {
    /// Room for `rows` tokens.
    pub(super) fn new(output: OutputRef<'_>, d: usize, rows: usize) -> Self {
        let (logits, scratch) = match output {
            OutputRef::Table(u) => {
                let vocab_size = u.rows();
                let shapes = [
                    matmul_workspace_len(rows, vocab_size, d),
                    matmul_workspace_len(rows, d, vocab_size),
                    matmul_workspace_len(vocab_size, d, rows),
                ];
                (
                    rows * logits_stride(vocab_size),
                    shapes.into_iter().fold(0, usize::max),
                )
            }
            OutputRef::Tree { .. } => (0, 0),
        };
        Self {
            logits: vec![0.0; logits],
            scores: Vec::new(),
            scratch: vec![0.0; scratch],
        }
    }

    /// Losses of the targets in nats, and the gradient of `scale * sum of losses` with respect to
    /// the hidden vectors (`dh`) and scores (kept).
    pub(super) fn forward_backward(
        &mut self,
        output: OutputRef<'_>,
        h: MatRef<'_>,
        targets: &[u32],
        scale: f32,
        losses: &mut [f32],
        dh: &mut [f32],
    ) {
        match output {
            OutputRef::Table(u) => self.softmax(u, h, targets, scale, losses, dh),
            OutputRef::Tree { thetas, tree } => {
                self.scores.clear();
                dh.fill(0.0);
                let rows = targets
                    .iter()
                    .zip(losses)
                    .zip(dh.chunks_exact_mut(h.cols()));
                for (row, ((target, loss), dh)) in rows.enumerate() {
                    let x = h.row(row);
                    *loss = walk(tree, thetas, *target, x, scale, dh, &mut self.scores);
                }
            }
        }
    }

    fn softmax(
        &mut self,
        u: MatRef<'_>,
        h: MatRef<'_>,
        targets: &[u32],
        scale: f32,
        losses: &mut [f32],
        dh: &mut [f32],
    ) {
        let (rows, vocab_size) = (h.rows(), u.rows());
        let all = logits_columns(rows, vocab_size, 0..vocab_size);
        let mut logits = all.of_mut(&mut self.logits);
        let dh = rows_of_mut(dh, rows, h.cols());
        let scratch = &mut self.scratch;
        matmul_nt(logits.reborrow(), h, u, Accum::Replace, scratch).expect("shapes fit");
        cross_entropy_in_place(logits.reborrow(), targets, scale, losses).expect("shapes fit");
        matmul(dh, logits.as_ref(), u, Accum::Replace, scratch).expect("shapes fit");
    }
}

impl OutputGradient {
    /// The gradient of some tokens' logits in the first rows.
    pub(super) fn logits(
        &self,
        rows: usize,
        vocab_size: usize,
        tokens: Range<usize>,
    ) -> MatRef<'_> {
        logits_columns(rows, vocab_size, tokens).of(&self.logits)
    }

    /// Adds the gradient of the output layer's own parameters, which
    /// [`OutputGradient::forward_backward`] of the same rows left behind, to `gradient`.
    pub(super) fn add_parameters(
        &mut self,
        output: OutputRef<'_>,
        h: MatRef<'_>,
        targets: &[u32],
        gradient: &mut [f32],
    ) {
        let d = h.cols();
        match output {
            OutputRef::Table(u) => {
                let all = logits_columns(h.rows(), u.rows(), 0..u.rows());
                let logits = all.of(&self.logits);
                let gradient = rows_of_mut(gradient, u.rows(), d);
                matmul_tn(gradient, logits, h, Accum::Add, &mut self.scratch).expect("shapes fit");
            }
            OutputRef::Tree { tree, .. } => {
                let nodes = targets.iter().zip(0..).flat_map(|(target, row)| {
                    tree.path(*target).0.iter().map(move |node| (*node, row))
                });
                for ((node, row), score) in nodes.zip(&self.scores) {
                    let theta = &mut gradient[node as usize * d..][..d];
                    axpy(*score, h.row(row), theta).expect("equal widths");
                }
            }
        }
    }
}

/// One token's path: returns its loss, adds to `dh`, appends a gradient a node to `scores`.
fn walk(
    tree: HuffmanRef<'_>,
    thetas: MatRef<'_>,
    target: u32,
    x: &[f32],
    scale: f32,
    dh: &mut [f32],
    scores: &mut Vec<f32>,
) -> f32 {
    let (path, code) = tree.path(target);
    let start = scores.len();
    let mut losses = [0.0; crate::kernels::huffman::MAX_CODE_LEN];
    for (i, node) in path.iter().enumerate() {
        let score = dot(thetas.row(*node as usize), x).expect("equal widths");
        scores.push(score);
        losses[i] = if code >> i & 1 == 1 { -score } else { score };
    }
    let scores = &mut scores[start..];
    sigmoid_in_place(SigmoidMethod::Polynomial, scores);
    for (i, (score, node)) in scores.iter_mut().zip(path).enumerate() {
        *score = scale * (*score - (code >> i & 1) as f32);
        axpy(*score, thetas.row(*node as usize), dh).expect("equal widths");
    }
    let losses = &mut losses[..path.len()];
    softplus_in_place(losses);
    losses.iter().sum()
}

/// `-ln p(target)` of every row, in nats.
pub(super) fn losses(output: OutputRef<'_>, h: MatRef<'_>, targets: &[u32]) -> Vec<f32> {
    let mut losses = vec![0.0; targets.len()];
    match output {
        OutputRef::Table(u) => {
            let rows = LOSS_ROWS.min(h.rows());
            let mut logits = vec![0.0; rows * u.rows()];
            let mut scratch = vec![0.0; matmul_workspace_len(rows, u.rows(), h.cols())];
            let blocks = targets.chunks(LOSS_ROWS).zip(losses.chunks_mut(LOSS_ROWS));
            for (block, (targets, losses)) in blocks.enumerate() {
                let h = h.rows_from(block * LOSS_ROWS, LOSS_ROWS);
                let logits = &mut logits[..h.rows() * u.rows()];
                let mut logits = MatMut::new(logits, h.rows(), u.rows()).expect("made for it");
                matmul_nt(logits.reborrow(), h, u, Accum::Replace, &mut scratch)
                    .expect("shapes fit");
                cross_entropy(logits.as_ref(), targets, losses).expect("shapes fit");
            }
        }
        OutputRef::Tree { thetas, tree } => {
            for (row, (target, loss)) in targets.iter().zip(&mut losses).enumerate() {
                *loss = -tree
                    .log_probability(*target, h.row(row), thetas)
                    .expect("shapes fit");
            }
        }
    }
    losses
}
