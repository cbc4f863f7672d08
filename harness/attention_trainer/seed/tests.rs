//! The whole model against a naive one in `f64`.

use super::{Layout, Table};
use crate::attention_trainer::tests::{check_gradient, naive_dot, naive_token_loss, seeds};
use crate::attention_trainer::{Output, parameters};

fn row<'a>(layout: &Layout, values: &'a [f64], table: Table, row: u32) -> &'a [f64] {
    &values[layout.range(table)][row as usize * layout.dim..][..layout.dim]
}

/// The hidden vector of the last of `inputs`.
fn naive_hidden(layout: &Layout, values: &[f64], inputs: &[u32]) -> Vec<f64> {
    let width = layout.dim / layout.heads;
    let bias = &values[layout.range(Table::Bias)];
    let last = inputs.len() - 1;
    let mut h = vec![0.0; layout.dim];
    for head in 0..layout.heads {
        let part = |table, token| &row(layout, values, table, token)[head * width..][..width];
        let q = part(Table::Query, inputs[last]);
        let weights: Vec<f64> = (0..=last)
            .map(|s| {
                let bias = bias.get(head * layout.context + last - s).unwrap_or(&0.0);
                let score = naive_dot(q, part(Table::Key, inputs[s])) / (width as f64).sqrt();
                (score + bias).exp()
            })
            .collect();
        let total: f64 = weights.iter().sum();
        for (weight, token) in weights.iter().zip(inputs) {
            let v = part(Table::Value, *token);
            for (h, v) in h[head * width..].iter_mut().zip(v) {
                *h += weight / total * v;
            }
        }
    }
    h
}

#[test]
fn gradients_agree_with_finite_differences_in_f64() {
    for options in seeds() {
        check_gradient(&options, 1e-6, |parameters, values, _, inputs, targets| {
            let parameters::Layout::Seed(layout) = &parameters.layout else {
                panic!("another configuration");
            };
            let table = match layout.output {
                Output::Softmax => Table::Output,
                Output::Tied => Table::Value,
                Output::Huffman => Table::Tree,
            };
            let row = |i| row(layout, values, table, i).to_vec();
            let loss = |(t, target): (usize, &u32)| {
                let h = naive_hidden(layout, values, &inputs[..=t]);
                naive_token_loss(parameters.tree.as_ref(), row, &h, *target)
            };
            targets.iter().enumerate().map(loss).sum()
        });
    }
}
