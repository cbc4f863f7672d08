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
mod schedule;
mod seed;
#[cfg(test)]
mod tests;
mod windows;

pub use evaluate::{bits_per_byte, token_losses};
use evaluate::{check_text, glance};
pub use options::{Config, LmOptions, Optimizer, Output};

use crate::cbow_trainer::HuffmanTree;
use crate::kernels::model::Network;
use crate::progress::Progress;
use crate::token_stream::TokenStream;
use crate::{Error, Result};
use optimiser::{Optimiser, Pace};
use parameters::{Layout, Parameters};
use schedule::Schedule;
use serde::Serialize;
use std::fmt::Debug;
use std::time::Instant;
use windows::Windows;

/// Largest norm of a gradient; a longer one is scaled down to it.
const CLIP: f64 = 1.0;
/// Weight of the newest step in the running loss.
const LOSS_DECAY: f64 = 0.05;

/// One line of a run's history.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// Steps taken.
    pub step: u64,
    /// Training loss in nats a token, a running mean over some twenty steps.
    pub train_loss: f64,
    /// Bits per byte of the held-out text, if there is one: of its first 32,768 tokens while
    /// training goes on, of all of it at the end.
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
    /// The run, evaluation by evaluation; the last one is of the final model.
    pub history: Vec<Evaluation>,
    /// Tokens trained a second of wall time, evaluations not counted.
    pub tokens_per_second: f64,
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

    /// Bits per byte of the held-out text at the end.
    pub fn bits_per_byte(&self) -> Option<f64> {
        self.history.last().and_then(|last| last.bits_per_byte)
    }
}

/// Trains a model on a stream of tokens.
///
/// `valid` is held-out text as tokens, with the number of bytes that they stand for. `vectors` are
/// word vectors, one row of `dim` a token, from which the value table and the output table (or the
/// embedding) start, scaled as a whole to the standard deviation of the random tables. `counts` are the tokens'
/// counts, for the Huffman tree (not read otherwise).
///
/// # Errors
/// [`Error::Usage`] for options that make no sense or do not fit the text;
/// [`Error::Failed`] when training diverges; [`Error::Interrupted`] and its like.
pub fn train(
    stream: &TokenStream,
    valid: Option<(&TokenStream, u64)>,
    vectors: Option<&[f32]>,
    counts: &[u64],
    options: &LmOptions,
) -> Result<TrainedLm> {
    options.validate()?;
    let options = options.effective();
    check_fit(stream, vectors, counts, &options)?;
    if let Some((valid, bytes)) = valid {
        check_text(stream.vocab_size(), valid, bytes)?;
    }
    let tree = match options.output {
        Output::Huffman => Some(HuffmanTree::from_counts(counts)?),
        _ => None,
    };
    let parameters = Parameters::new(stream.vocab_size(), tree, vectors, &options);
    Trainer::new(parameters, options).run(stream, valid)
}

/// Refuses data that the options do not fit.
fn check_fit(
    stream: &TokenStream,
    vectors: Option<&[f32]>,
    counts: &[u64],
    options: &LmOptions,
) -> Result<()> {
    let (tokens, vocab_size) = (stream.len(), stream.vocab_size());
    let usage = |message: String| Err(Error::Usage(message));
    if tokens <= options.context {
        return usage(format!(
            "the text has {tokens} tokens, and a context of {} needs at least {}; \
             give more text or a smaller --context",
            options.context,
            options.context + 1
        ));
    }
    if vectors.is_some_and(|vectors| vectors.len() != vocab_size * options.dim) {
        return usage(format!(
            "the word vectors are not {vocab_size} rows of {}; train them with the same tokenizer \
             and --dim",
            options.dim
        ));
    }
    if options.output == Output::Huffman && counts.len() != vocab_size {
        return usage(format!(
            "{} token counts do not fit a vocabulary of {vocab_size}",
            counts.len()
        ));
    }
    Ok(())
}

/// What one configuration needs for a step: a batch, cut into shards, and its gradient.
trait Batch: Debug {
    /// Inputs and targets of each shard, whole windows, to be filled.
    fn tokens(&mut self) -> Vec<[&mut [u32]; 2]>;

    /// Computes the gradient of the mean loss.
    fn compute_gradient(&mut self, parameters: &Parameters, threads: usize) -> Figures;

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

/// A run under way.
struct Trainer {
    parameters: Parameters,
    batch: Box<dyn Batch>,
    step_tokens: u64,
    optimiser: Optimiser,
    options: LmOptions,
    threads: usize,
    step: u64,
    loss: f64,
    history: Vec<Evaluation>,
    seconds: f64,
}

impl Trainer {
    fn new(parameters: Parameters, options: LmOptions) -> Self {
        let mut batch = new_batch(&parameters, &options);
        let tokens = batch.tokens();
        Self {
            step_tokens: tokens.iter().map(|[inputs, _]| inputs.len() as u64).sum(),
            batch,
            optimiser: Optimiser::new(parameters.parts(options.optimizer)),
            threads: options.threads(),
            parameters,
            options,
            step: 0,
            loss: f64::NAN,
            history: Vec::new(),
            seconds: 0.0,
        }
    }

    fn run(
        mut self,
        stream: &TokenStream,
        valid: Option<(&TokenStream, u64)>,
    ) -> Result<TrainedLm> {
        let mut schedule = Schedule::new(self.options.steps, self.options.minutes);
        let mut windows = Windows::new(stream, self.options.context, self.options.seed);
        let mut progress = self.progress(schedule.steps(0));
        let mut timing = schedule.steps(0).is_none();
        loop {
            let steps = schedule.steps(self.step);
            if timing && steps.is_some() {
                (timing, progress) = (false, self.progress(steps));
            }
            if steps == Some(self.step) {
                break;
            }
            self.take_step(&mut windows, Schedule::rate(self.step, steps))?;
            progress.advance(self.step_tokens)?;
            if self.evaluation_is_due(steps) {
                let last = steps == Some(self.step);
                self.evaluate(valid, last, &progress)?;
            }
        }
        progress.finish();
        Ok(self.finish())
    }

    /// Progress over the steps to come, if their number is known.
    fn progress(&self, steps: Option<u64>) -> Progress {
        let steps = steps.map_or(0, |steps| steps - self.step);
        Progress::new("attention model", steps * self.step_tokens, "tokens")
    }

    fn take_step(&mut self, windows: &mut Windows<'_>, share: f32) -> Result<()> {
        let start = Instant::now();
        fill(&mut *self.batch, windows, self.options.context);
        self.update(share)?;
        self.seconds += start.elapsed().as_secs_f64();
        self.step += 1;
        Ok(())
    }

    /// Losses, gradients and update for the batch, at a share of the peak learning rates.
    fn update(&mut self, share: f32) -> Result<()> {
        let Figures { loss, norm } = self.batch.compute_gradient(&self.parameters, self.threads);
        self.loss = match self.loss.is_nan() {
            true => loss,
            false => self.loss + LOSS_DECAY * (loss - self.loss),
        };
        if !norm.is_finite() {
            let message = "training diverged; choose a smaller --learning-rate";
            return Err(Error::Failed(message.into()));
        }
        let pace = Pace {
            rate: share * self.options.learning_rate,
            muon_rate: share * self.options.muon_rate,
            decay: self.options.weight_decay,
            gradient_scale: (CLIP / norm.max(CLIP)) as f32,
        };
        let gradient = self.batch.gradient();
        self.optimiser
            .update(&mut self.parameters, gradient, pace, self.threads);
        Ok(())
    }

    fn evaluation_is_due(&self, steps: Option<u64>) -> bool {
        let every = match (self.options.eval_every, steps) {
            (0, Some(steps)) => steps.div_ceil(10),
            (0, None) => LmOptions::DEFAULT_STEPS / 10,
            (every, _) => every,
        };
        self.step.is_multiple_of(every) || steps == Some(self.step)
    }

    fn evaluate(
        &mut self,
        valid: Option<(&TokenStream, u64)>,
        last: bool,
        progress: &Progress,
    ) -> Result<()> {
        let model = self.parameters.network();
        let measure = |(stream, bytes)| match last {
            true => bits_per_byte(model, stream, bytes, self.threads),
            false => glance(model, stream, bytes, self.threads),
        };
        let evaluation = Evaluation {
            step: self.step,
            train_loss: self.loss,
            bits_per_byte: valid.map(measure).transpose()?,
        };
        let mut note = format!("step {}, loss {:.3}", self.step, self.loss);
        if let Some(bits) = evaluation.bits_per_byte {
            note += &format!(", held out {bits:.3} bits per byte");
        }
        progress.note(note);
        self.history.push(evaluation);
        Ok(())
    }

    fn finish(self) -> TrainedLm {
        let tokens = self.step * self.step_tokens;
        let options = LmOptions {
            steps: Some(self.step),
            minutes: None,
            ..self.options
        };
        TrainedLm {
            parameters: self.parameters,
            options,
            steps: self.step,
            history: self.history,
            tokens_per_second: tokens as f64 / self.seconds.max(1e-9),
        }
    }
}
