//! Trains the attention language model by hand-written gradients.
//!
//! A step, for a batch of windows cut into shards:
//!
//! ```text
//! shard by shard    tokens -> hidden vectors -> output layer -> losses, and back    (seed, llama)
//! block by block    the shards' gradients added up, and their norm
//! part by part      AdamW or Muon                                                   (optimiser)
//! ```
//! Shards and blocks are cut by the options alone and every sum has one order, so equal seeds give
//! equal bits at any number of threads.

mod columns;
mod evaluate;
mod llama;
mod optimiser;
mod options;
mod output_layer;
mod parameters;
mod run;
mod schedule;
mod seed;
#[cfg(test)]
mod tests;
mod training;
mod windows;

pub use crate::checkpoints::Checkpoints;
pub(crate) use evaluate::{Window, windows};
pub use evaluate::{bits_per_byte, token_losses};
pub use options::{Config, LmOptions, Optimizer, Output};
pub use training::{Sample, Training};

use crate::Result;
use crate::kernels::model::Network;
use crate::token_stream::TokenStream;
use parameters::{Layout, Parameters};
use serde::{Deserialize, Serialize};
use std::fmt::Debug;
use windows::Windows;

/// One line of a run's history.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Steps taken.
    pub step: u64,
    /// Training loss in nats a token, a running mean over some twenty steps.
    pub train_loss: f64,
    /// Bits per byte of the first 32,768 tokens of the held-out text, if there is one.
    pub bits_per_byte: Option<f64>,
}

/// What a run leaves behind.
#[derive(Clone, Debug)]
pub struct TrainedLm {
    parameters: Parameters,
    /// The settings that counted, with the steps taken instead of a time limit.
    pub options: LmOptions,
    /// Steps taken.
    pub steps: u64,
    /// Steps that the model had taken that is kept: all of them, or with held-out text those up to
    /// the evaluation that was best.
    pub kept_step: u64,
    /// The run, evaluation by evaluation.
    pub history: Vec<Evaluation>,
    /// Bits per byte of all of the held-out text, if there is one, for the model that is kept.
    pub bits_per_byte: Option<f64>,
    /// Tokens trained a second of wall time, evaluations not counted.
    pub tokens_per_second: f64,
    /// Floating-point operations of training a token: six a parameter of a matrix, and attention.
    pub flops_per_token: f64,
    /// The share of this machine's FMA peak, of as many cores as threads, that training came to.
    pub share_of_peak: f64,
}

impl TrainedLm {
    /// The model, ready to predict.
    pub fn model(&self) -> Network<'_> {
        self.parameters.network()
    }

    /// Number of parameters.
    pub fn parameter_count(&self) -> usize {
        self.parameters.values.len()
    }
}

/// [`Training`] without checkpoints and reports.
///
/// `valid` is held-out text as tokens, with the number of bytes that they stand for. `vectors` are
/// word vectors, one row of `dim` a token, from which the value table and the output table (or the
/// embedding) start, scaled as a whole to the standard deviation of the random tables. `counts` are the tokens'
/// counts, for the Huffman tree (not read otherwise).
///
/// # Errors
/// Those of [`Training::run`].
pub fn train(
    stream: &TokenStream,
    valid: Option<(&TokenStream, u64)>,
    vectors: Option<&[f32]>,
    counts: &[u64],
    options: &LmOptions,
) -> Result<TrainedLm> {
    let training = Training {
        valid,
        vectors,
        ..Training::new(stream, counts, options)
    };
    training.run()
}

/// What one configuration needs for a step: a batch, cut into shards, and its gradient.
trait Batch: Debug {
    /// Inputs and targets of each shard, whole windows, to be filled.
    fn tokens(&mut self) -> Vec<[&mut [u32]; 2]>;

    /// Computes the gradient of the mean loss; draws of chance are those of step `step`.
    fn compute_gradient(&mut self, parameters: &Parameters, step: u64, threads: usize) -> Figures;

    /// The gradient, in the order of the parameters.
    fn gradient(&self) -> &[f32];
}

/// What a step says of its batch.
#[derive(Clone, Copy, Debug)]
struct Figures {
    /// Mean loss in nats.
    loss: f64,
    /// Norm of the gradient.
    norm: f64,
}

fn new_batch(parameters: &Parameters, options: &LmOptions) -> Box<dyn Batch> {
    match (parameters.network(), &parameters.layout) {
        (Network::Seed(model), Layout::Seed(layout)) => {
            Box::new(seed::SeedBatch::new(&model, layout, options))
        }
        (Network::Llama(model), _) => Box::new(llama::LlamaBatch::new(&model, options)),
        _ => unreachable!("a layout has models of its own configuration"),
    }
}

/// Fills a batch with the windows that come next.
fn fill(batch: &mut dyn Batch, windows: &mut Windows<'_>, context: usize) {
    let mut ids = vec![0; context + 1];
    for [inputs, targets] in batch.tokens() {
        let rows = inputs.chunks_exact_mut(context);
        for (inputs, targets) in rows.zip(targets.chunks_exact_mut(context)) {
            windows.next_into(&mut ids);
            inputs.copy_from_slice(&ids[..context]);
            targets.copy_from_slice(&ids[1..]);
        }
    }
}
