//! A run under way: step after step, with evaluations and checkpoints in between.

mod checkpoint;
mod log;
mod report;
mod speed;

use super::evaluate::{bits_per_byte, glance};
use super::optimiser::{Optimiser, Pace};
use super::parameters::Parameters;
use super::schedule::Schedule;
use super::windows::Windows;
use super::{Batch, Evaluation, Figures, LmOptions, TrainedLm, Training, fill, new_batch};
use crate::progress::{Progress, note};
use crate::{Error, Result};
use checkpoint::Parts;
use log::Log;
use serde::{Deserialize, Serialize};
use speed::Speed;
use std::time::Instant;

/// Largest norm of a gradient; a longer one is scaled down to it.
const CLIP: f64 = 1.0;
/// Weight of the newest step in the running loss.
const LOSS_DECAY: f64 = 0.05;

/// How far a run is, numbers a parameter aside.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) step: u64,
    schedule: Schedule,
    /// Running mean of the training loss.
    loss: Option<f64>,
    history: Vec<Evaluation>,
    /// Seconds of steps.
    training_seconds: f64,
    /// Seconds of all, up to the last start of the process.
    seconds: f64,
}

/// The parameters of the best evaluation so far.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) step: u64,
    pub(super) bits_per_byte: f64,
    pub(super) values: Vec<f32>,
}

/// A run under way.
pub(super) struct Run<'a> {
    training: &'a Training<'a>,
    options: LmOptions,
    job: String,
    parameters: Parameters,
    batch: Box<dyn Batch>,
    step_tokens: u64,
    optimiser: Optimiser,
    windows: Windows<'a>,
    threads: usize,
    state: State,
    kept: Option<Kept>,
    log: Option<Log>,
    speed: Speed,
    start: Instant,
    saved: Instant,
    /// Steps and their seconds up to the line of the log before.
    logged: (u64, f64),
}

impl<'a> Run<'a> {
    /// A run at its start, or where its checkpoint was written.
    pub(super) fn new(
        training: &'a Training<'a>,
        parameters: Parameters,
        options: LmOptions,
    ) -> Result<Self> {
        let mut batch = new_batch(&parameters, &options);
        let tokens = batch.tokens();
        let step_tokens = tokens.iter().map(|[inputs, _]| inputs.len() as u64).sum();
        let threads = options.threads();
        let now = Instant::now();
        let mut run = Self {
            training,
            job: String::new(),
            batch,
            step_tokens,
            optimiser: Optimiser::new(parameters.parts(options.optimizer)),
            windows: Windows::new(training.stream, options.context, options.seed),
            threads,
            state: State {
                step: 0,
                schedule: Schedule::new(options.steps, options.minutes),
                loss: None,
                history: Vec::new(),
                training_seconds: 0.0,
                seconds: 0.0,
            },
            kept: None,
            log: None,
            speed: Speed::measure(&parameters, training.counts, threads),
            start: now,
            saved: now,
            logged: (0, 0.0),
            parameters,
            options,
        };
        run.resume()?;
        let open = |path| Log::open(path, run.state.step);
        run.log = training.log.map(open).transpose()?;
        run.logged = (run.state.step, run.state.training_seconds);
        Ok(run)
    }

    /// Takes over the checkpoint, if there is one to go on from.
    fn resume(&mut self) -> Result<()> {
        let training = self.training;
        let Some(checkpoints) = &training.checkpoints else {
            return Ok(());
        };
        checkpoints.clean();
        let texts = [Some(training.stream), training.valid.map(|(text, _)| text)];
        self.job = checkpoint::job(&self.options, texts, training.vectors, training.counts);
        let job = self.job.clone();
        if checkpoints.resume && checkpoint::load(checkpoints, &job, self.parts())? {
            note(format!("goes on after step {}", self.state.step));
        }
        Ok(())
    }

    fn parts(&mut self) -> Parts<'_, 'a> {
        Parts {
            state: &mut self.state,
            values: &mut self.parameters.values,
            optimiser: self.optimiser.state(),
            kept: &mut self.kept,
            windows: &mut self.windows,
        }
    }

    fn save(&mut self) -> Result<()> {
        let training = self.training;
        let Some(checkpoints) = &training.checkpoints else {
            return Ok(());
        };
        let (job, seconds) = (self.job.clone(), self.seconds());
        let mut state = self.state.clone();
        state.seconds = seconds;
        let parts = Parts {
            state: &mut state,
            ..self.parts()
        };
        checkpoint::save(checkpoints, &job, parts)?;
        self.saved = Instant::now();
        Ok(())
    }

    /// Trains; whoever interrupts it finds a checkpoint, if there is a place for one.
    pub(super) fn run_to_end(mut self) -> Result<TrainedLm> {
        let outcome = self.take_steps().and_then(|()| self.measure());
        if let (Err(Error::Interrupted), Some(checkpoints)) = (&outcome, &self.training.checkpoints)
        {
            self.save()?;
            let (step, folder) = (self.state.step, checkpoints.folder.display());
            note(format!(
                "step {step} is kept in {folder}: --resume goes on from there"
            ));
        }
        let bits_per_byte = outcome?;
        self.finish(bits_per_byte)
    }

    fn take_steps(&mut self) -> Result<()> {
        let mut steps = self.steps();
        let mut progress = self.progress(steps);
        loop {
            if self.steps() != steps {
                steps = self.steps();
                progress = self.progress(steps);
            }
            if self.evaluation_is_due(steps) {
                self.evaluate(steps, &progress)?;
                self.save()?;
            }
            if steps == Some(self.state.step) {
                break;
            }
            self.take_step(Schedule::rate(self.state.step, steps))?;
            progress.note(self.figures());
            progress.advance(self.step_tokens)?;
            self.save_if_due()?;
        }
        progress.finish();
        Ok(())
    }

    /// Number of steps, if it is known.
    fn steps(&mut self) -> Option<u64> {
        let seconds = self.seconds();
        self.state.schedule.steps(self.state.step, seconds)
    }

    /// Seconds of the run so far.
    fn seconds(&self) -> f64 {
        self.state.seconds + self.start.elapsed().as_secs_f64()
    }

    /// Progress over the steps to come, if their number is known.
    fn progress(&self, steps: Option<u64>) -> Progress {
        let steps = steps.map_or(0, |steps| steps - self.state.step);
        Progress::new("attention model", steps * self.step_tokens, "tokens")
    }

    fn take_step(&mut self, share: f32) -> Result<()> {
        let start = Instant::now();
        fill(&mut *self.batch, &mut self.windows, self.options.context);
        self.update(share)?;
        self.state.training_seconds += start.elapsed().as_secs_f64();
        self.state.step += 1;
        Ok(())
    }

    /// Losses, gradients and update for the batch, at a share of the peak learning rates.
    fn update(&mut self, share: f32) -> Result<()> {
        let (step, threads) = (self.state.step, self.threads);
        let Figures { loss, norm } = self.batch.compute_gradient(&self.parameters, step, threads);
        let old = self.state.loss.unwrap_or(loss);
        self.state.loss = Some(old + LOSS_DECAY * (loss - old));
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
            .update(&mut self.parameters, gradient, pace, threads);
        Ok(())
    }

    fn save_if_due(&mut self) -> Result<()> {
        let checkpoints = self.training.checkpoints.as_ref();
        match checkpoints.is_some_and(|c| self.saved.elapsed() >= c.every) {
            true => self.save(),
            false => Ok(()),
        }
    }

    fn evaluation_is_due(&self, steps: Option<u64>) -> bool {
        let State { step, history, .. } = &self.state;
        history.last().is_none_or(|last| last.step < *step)
            && Schedule::evaluates(self.options.eval_every, *step, steps)
    }

    fn evaluate(&mut self, steps: Option<u64>, progress: &Progress) -> Result<()> {
        let network = self.parameters.network();
        let glance = |(stream, bytes)| glance(network, stream, bytes, self.threads);
        let evaluation = Evaluation {
            step: self.state.step,
            train_loss: self.state.loss.unwrap_or(f64::NAN),
            bits_per_byte: self.training.valid.map(glance).transpose()?,
        };
        let sample = self.training.sample.map(|sample| sample(network));
        self.state.history.push(evaluation);
        self.keep(evaluation);
        self.log(evaluation, steps, None)?;
        if let Some(sample) = sample {
            progress.line(&format!("step {}: {sample}", evaluation.step));
        }
        Ok(())
    }

    /// Keeps the parameters of the best evaluation, of the first one among equals.
    fn keep(
        &mut self,
        Evaluation {
            step,
            bits_per_byte,
            ..
        }: Evaluation,
    ) {
        let is_best = |bits: &f64| {
            let best = self.kept.as_ref().map(|kept| kept.bits_per_byte);
            bits.is_finite() && best.is_none_or(|best| *bits < best)
        };
        let Some(bits_per_byte) = bits_per_byte.filter(is_best) else {
            return;
        };
        let values = self.kept.take().map_or(Vec::new(), |kept| kept.values);
        self.kept = Some(Kept {
            step,
            bits_per_byte,
            values: replaced(values, &self.parameters.values),
        });
    }

    /// Puts the kept parameters in place, and measures them on all of the held-out text.
    fn measure(&mut self) -> Result<Option<f64>> {
        if let Some(kept) = &mut self.kept
            && kept.step < self.state.step
        {
            self.parameters.values.copy_from_slice(&kept.values);
        }
        let network = self.parameters.network();
        let measure = |(stream, bytes)| bits_per_byte(network, stream, bytes, self.threads);
        self.training.valid.map(measure).transpose()
    }

    fn finish(mut self, bits_per_byte: Option<f64>) -> Result<TrainedLm> {
        let steps = self.state.step;
        let kept_step = self.kept.as_ref().map_or(steps, |kept| kept.step);
        if let Some(last) = self.state.history.last().copied() {
            let evaluation = Evaluation {
                bits_per_byte,
                ..last
            };
            self.log(evaluation, Some(steps), Some(kept_step))?;
        }
        let tokens_per_second = self.tokens_per_second((0, 0.0));
        Ok(TrainedLm {
            parameters: self.parameters,
            options: LmOptions {
                steps: Some(steps),
                minutes: None,
                ..self.options
            },
            steps,
            kept_step,
            history: self.state.history,
            bits_per_byte,
            tokens_per_second,
            flops_per_token: self.speed.flops_per_token,
            share_of_peak: self.speed.share_of_peak(tokens_per_second),
        })
    }
}

/// A vector with other values, in the same memory if it has room.
fn replaced(mut vector: Vec<f32>, values: &[f32]) -> Vec<f32> {
    vector.clear();
    vector.extend_from_slice(values);
    vector
}
