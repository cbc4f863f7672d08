//! The whole model against a naive one in `f64`.

use super::LlamaBatch;
use super::dropout::Dropout;
use crate::attention_trainer::LmOptions;
use crate::attention_trainer::parameters::{Layout, Parameters};
use crate::attention_trainer::tests::{
    STEP, check_gradient, llamas, naive_dot, naive_token_loss, parameters,
};
use crate::kernels::model::{LlamaConfig, Network, OutputKind, Tensor};

/// The formulas over all positions of a window at once.
struct Naive<'a> {
    config: LlamaConfig,
    values: &'a [f64],
    /// With the first row of the window.
    dropout: Option<Dropout>,
}

impl Naive<'_> {
    fn row(&self, tensor: Tensor, row: usize) -> &[f64] {
        let (_, cols) = self.config.shape(tensor);
        &self.values[self.config.range(tensor)][row * cols..][..cols]
    }

    fn product(&self, tensor: Tensor, x: &[f64]) -> Vec<f64> {
        let (rows, _) = self.config.shape(tensor);
        (0..rows)
            .map(|i| naive_dot(self.row(tensor, i), x))
            .collect()
    }

    fn norm(&self, tensor: Tensor, x: &[f64]) -> Vec<f64> {
        let epsilon = f64::from(self.config.epsilon);
        let rms = (naive_dot(x, x) / x.len() as f64 + epsilon).sqrt();
        x.iter()
            .zip(self.row(tensor, 0))
            .map(|(x, w)| x / rms * w)
            .collect()
    }

    /// Turns queries and keys of a row by its position.
    fn turn(&self, row: &mut [f64], position: usize) {
        let h = self.config.head_width / 2;
        let turned = self.config.query_width() + self.config.key_width();
        for x in row[..turned].chunks_mut(2 * h) {
            for i in 0..h {
                let frequency = f64::from(self.config.theta).powf(-(i as f64) / h as f64);
                let (sin, cos) = (position as f64 * frequency).sin_cos();
                let (a, b) = (x[i], x[i + h]);
                x[i] = a * cos - b * sin;
                x[i + h] = b * cos + a * sin;
            }
        }
    }

    /// What the heads of the last position find.
    fn attend(&self, qkv: &[Vec<f64>]) -> Vec<f64> {
        let config = &self.config;
        let (w, last) = (config.head_width, qkv.len() - 1);
        let part = |t: usize, at: usize| &qkv[t][at * w..][..w];
        let head = |head: usize| -> Vec<f64> {
            let group = head / (config.heads / config.kv_heads);
            let (key, value) = (config.heads + group, config.heads + config.kv_heads + group);
            let score = |s| (naive_dot(part(last, head), part(s, key)) / (w as f64).sqrt()).exp();
            let total: f64 = (0..=last).map(score).sum();
            let element = |i: usize| {
                (0..=last)
                    .map(|s| score(s) / total * part(s, value)[i])
                    .sum()
            };
            (0..w).map(element).collect()
        };
        (0..config.heads).flat_map(head).collect()
    }

    fn feed_forward(&self, l: usize, x: &[f64]) -> Vec<f64> {
        let gate_up = self.product(Tensor::GateUp(l), &self.norm(Tensor::HiddenNorm(l), x));
        let (gate, up) = gate_up.split_at(self.config.hidden);
        let silu = |(g, u): (&f64, &f64)| g / (1.0 + (-g).exp()) * u;
        let gated: Vec<f64> = gate.iter().zip(up).map(silu).collect();
        self.product(Tensor::Down(l), &gated)
    }

    /// What dropout leaves of a position's vector on the way to a stream.
    fn drop(&self, stream: usize, position: usize, mut x: Vec<f64>) -> Vec<f64> {
        if let Some(dropout) = self.dropout {
            let mut factors = vec![1.0; x.len()];
            let len = factors.len();
            dropout.further(position).apply(stream, &mut factors, len);
            let pairs = x.iter_mut().zip(factors);
            pairs.for_each(|(x, factor)| *x *= f64::from(factor));
        }
        x
    }

    /// The hidden vectors of a window.
    fn hidden(&self, inputs: &[u32]) -> Vec<Vec<f64>> {
        let embed = |token: &u32| self.row(Tensor::Embedding, *token as usize).to_vec();
        let embedded = inputs.iter().map(embed).enumerate();
        let embedded = embedded.map(|(t, x)| self.drop(0, t, x));
        let mut stream: Vec<Vec<f64>> = embedded.collect();
        for l in 0..self.config.layers {
            let project = |(t, x): (usize, &Vec<f64>)| {
                let normed = self.norm(Tensor::AttentionNorm(l), x);
                let mut row = self.product(Tensor::QueryKeyValue(l), &normed);
                self.turn(&mut row, t);
                row
            };
            let qkv: Vec<Vec<f64>> = stream.iter().enumerate().map(project).collect();
            for (t, x) in stream.iter_mut().enumerate() {
                let heads = self.attend(&qkv[..=t]);
                let y = self.product(Tensor::AttentionOutput(l), &heads);
                add(x, &self.drop(2 * l + 1, t, y));
                let y = self.feed_forward(l, x);
                add(x, &self.drop(2 * l + 2, t, y));
            }
        }
        stream
            .iter()
            .map(|x| self.norm(Tensor::FinalNorm, x))
            .collect()
    }
}

fn add(x: &mut [f64], y: &[f64]) {
    x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
}

#[test]
fn a_larger_batch_holds_more_ids_but_no_more_activations() {
    let parameters = parameters(&llamas()[0]);
    let Network::Llama(model) = parameters.network() else {
        panic!("another configuration");
    };
    let held = |batch_tokens| {
        let options = LmOptions {
            batch_tokens,
            ..llamas()[0].effective()
        };
        let LlamaBatch { shards, .. } = LlamaBatch::new(&model, &options);
        let activations = shards.iter().map(|shard| shard.activations.hidden.len());
        let ids = shards.iter().map(|shard| shard.inputs.len());
        (ids.sum::<usize>(), activations.sum::<usize>())
    };
    let ((ids, activations), (more_ids, same)) = (held(10_000), held(1_000_000));
    assert!(ids >= 10_000 && more_ids >= 1_000_000 && same == activations);
}

/// Compares every tensor's gradient with finite differences, the draws of dropout held fixed.
fn check_llama(options: &LmOptions) {
    let dropout = Dropout::new(options.dropout, options.seed, STEP);
    // Weights this large make the roundings of three layers show.
    let naive_loss =
        |parameters: &Parameters, values: &[f64], row, inputs: &[u32], targets: &[u32]| {
            let Layout::Llama(config) = parameters.layout else {
                panic!("another configuration");
            };
            let naive = Naive {
                config,
                values,
                dropout: dropout.map(|dropout| dropout.further(row)),
            };
            let table = match config.output {
                OutputKind::Tied => Tensor::Embedding,
                _ => Tensor::Output,
            };
            let row = |i: u32| naive.row(table, i as usize).to_vec();
            let hidden = naive.hidden(inputs);
            let tree = parameters.tree.as_ref();
            let losses = hidden.iter().zip(targets);
            losses
                .map(|(h, target)| naive_token_loss(tree, row, h, *target))
                .sum()
        };
    check_gradient(options, 2e-5, naive_loss);
}

#[test]
fn gradients_of_every_tensor_agree_with_finite_differences_in_f64() {
    llamas().iter().for_each(check_llama);
}

#[test]
fn gradients_agree_with_dropout_as_well() {
    for options in llamas() {
        check_llama(&LmOptions {
            dropout: 0.3,
            ..options
        });
    }
}
