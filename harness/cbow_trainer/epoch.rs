//! One pass over the text, on several threads that own different slices.
//!
//! Every thread runs through the same windows and computes the same steps from the sum of all
//! partial scores; it differs from the others only in the slices that it reads and changes. The
//! first thread also reports.

use super::exchange::Exchange;
use super::parameters::ParameterSlice;
use super::windows::{Batch, Windows};
use super::{CbowOptions, EpochReport};
use crate::kernels::cbow::{activate, damp, damp_workspace_len, forward_slice, update_slice};
use crate::progress::Progress;
use crate::{Error, Result};
use std::f64::consts::LN_2;
use std::time::Instant;

/// Tokens between two reports of progress.
const REPORT_EVERY: u64 = 20_000;

/// The linear fall of the learning rate over all epochs.
#[derive(Clone, Copy)]
pub(super) struct Schedule {
    pub(super) start: f32,
    pub(super) floor: f32,
    /// Tokens that earlier epochs read.
    pub(super) tokens_before: u64,
    /// Tokens that all epochs will read.
    pub(super) tokens_total: u64,
}

impl Schedule {
    fn rate(&self, tokens_read: u64) -> f32 {
        let done = (self.tokens_before + tokens_read) as f64 / (self.tokens_total + 1) as f64;
        self.start * (1.0 - done as f32).max(self.floor)
    }
}

/// Sums over the windows so far.
#[derive(Clone, Copy, Default)]
struct Totals {
    tokens: u64,
    windows: u64,
    loss: f64,
}

/// Trains one epoch.
///
/// # Errors
/// [`Error::Failed`] when the loss rises above `highest_loss`, or those of [`Progress::advance`].
pub(super) fn run(
    mut parameters: &mut [ParameterSlice],
    windows: &Windows<'_>,
    schedule: Schedule,
    options: &CbowOptions,
    highest_loss: f64,
    progress: &Progress,
) -> Result<EpochReport> {
    let start = Instant::now();
    let slices = parameters.len();
    let threads = options.threads.clamp(1, slices.max(1));
    let exchange = Exchange::new(slices, threads);
    let mut workers = Vec::with_capacity(threads);
    for thread in 0..threads {
        let first = slices - parameters.len();
        let share = parameters.len() / (threads - thread);
        let (own, others) = parameters.split_at_mut(share);
        parameters = others;
        workers.push(Worker {
            x: own.iter().map(|_| Vec::new()).collect(),
            workspace: [0.0; damp_workspace_len()],
            slices: own,
            first,
            exchange: &exchange,
            windows: windows.clone(),
            schedule,
            options,
        });
    }
    let totals = std::thread::scope(|scope| {
        let mut workers = workers.into_iter();
        let reporter = workers.next().expect("there is at least one thread");
        for worker in workers {
            scope.spawn(move || worker.run(|_, _| Ok(())));
        }
        reporter.run(report_to(progress, highest_loss))
    })?;
    Ok(epoch_report(totals, start.elapsed().as_secs_f64()))
}

fn epoch_report(totals: Totals, seconds: f64) -> EpochReport {
    let loss = totals.loss / totals.windows.max(1) as f64;
    EpochReport {
        tokens: totals.tokens,
        windows: totals.windows,
        loss_nats: loss,
        loss_bits: loss / LN_2,
        seconds,
        tokens_per_second: totals.tokens as f64 / seconds.max(1e-9),
    }
}

/// Reports the mean loss of the windows since the report before, and refuses to go on when it is
/// no number, or one that only vectors that grow without end can give.
fn report_to(progress: &Progress, highest_loss: f64) -> impl FnMut(&Totals, bool) -> Result<()> {
    let mut last = Totals::default();
    move |now, end| {
        if now.tokens - last.tokens < REPORT_EVERY && !end {
            return Ok(());
        }
        let loss = (now.loss - last.loss) / (now.windows - last.windows).max(1) as f64;
        if loss.is_nan() || loss > highest_loss {
            let message = format!(
                "training diverged: the loss rose to {loss:.3e} nats; lower the learning rate (--alpha)"
            );
            return Err(Error::Failed(message));
        }
        progress.note(format!(
            "loss {loss:.3} nats ({:.2} bits) a word",
            loss / LN_2
        ));
        progress.advance(now.tokens - last.tokens)?;
        last = *now;
        Ok(())
    }
}

/// A thread: the slices that it owns, and its own run through the windows.
struct Worker<'a> {
    slices: &'a mut [ParameterSlice],
    first: usize,
    x: Vec<Vec<f32>>,
    workspace: [f32; damp_workspace_len()],
    exchange: &'a Exchange,
    windows: Windows<'a>,
    schedule: Schedule,
    options: &'a CbowOptions,
}

impl Worker<'_> {
    /// All batches; `report` sees the totals after each and at the end, and can stop all threads.
    fn run(mut self, mut report: impl FnMut(&Totals, bool) -> Result<()>) -> Result<Totals> {
        let _guard = self.exchange.guard();
        let (mut totals, mut batch, mut sums) = (Totals::default(), Batch::default(), vec![]);
        for round in 0.. {
            self.windows.next_batch(&mut batch);
            if batch.len() == 0 {
                break;
            }
            self.forward(&batch, round);
            let reported = report(&totals, false);
            if self.exchange.meet(round, reported.is_err()) {
                return reported.map(|()| totals);
            }
            self.exchange.sum_into(round, &mut sums);
            totals.loss += self.update(&batch, &mut sums);
            totals.windows += batch.len() as u64;
            totals.tokens = self.windows.tokens_read();
        }
        report(&totals, true)?;
        Ok(totals)
    }

    /// Partial sums of this thread's slices, into the exchange.
    fn forward(&mut self, batch: &Batch, round: usize) {
        for (i, (slice, x)) in self.slices.iter().zip(&mut self.x).enumerate() {
            let mut partials = self.exchange.partial(round, self.first + i);
            x.resize(batch.len() * slice.width(), 0.0);
            partials.resize(batch.view().partials_len(), 0.0);
            let projection = self.options.projection;
            forward_slice(slice.view(), batch.view(), projection, x, &mut partials)
                .expect("tokens and nodes come from the vocabulary");
        }
    }

    /// Turns the sums into steps, and takes them on this thread's slices; returns the loss.
    fn update(&mut self, batch: &Batch, sums: &mut [f32]) -> f64 {
        let rate = self.schedule.rate(self.windows.tokens_read());
        let view = batch.view();
        let (steps, squares) = sums.split_at_mut(view.scores_len());
        let loss = activate(steps, batch.signs(), rate, self.options.sigmoid)
            .expect("there is a sign for every score");
        damp(steps, view, squares, rate, &mut self.workspace)
            .expect("there is a square for every window");
        for (slice, x) in self.slices.iter_mut().zip(&self.x) {
            update_slice(slice.view_mut(), view, self.options.projection, x, steps)
                .expect("`forward` was given the same shapes");
        }
        loss
    }
}
