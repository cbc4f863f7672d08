//! A pass over the text, on several threads that own different slices.
//!
//! Every thread makes the same batches and computes the same steps from the sum of all partial
//! scores; it differs from the others only in the slices that it reads and changes. The first
//! thread, whose slices are never wider than the others', also reports.

use super::CbowOptions;
use super::batch::Batch;
use super::exchange::{Exchange, Wish};
use super::parameters::{ParameterSlice, shares};
use super::windows::{Place, Windows};
use crate::huge::on_lines;
use crate::kernels::cbow::{activate, damp, damp_workspace_len};
use crate::kernels::mat::MatMut;
use crate::kernels::softmax::cross_entropy_in_place;
use crate::progress::Progress;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::f64::consts::LN_2;

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
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Totals {
    pub(super) tokens: u64,
    pub(super) windows: u64,
    pub(super) loss: f64,
}

impl Totals {
    /// Mean loss of a window, in nats.
    pub(super) fn mean(&self) -> f64 {
        self.loss / self.windows.max(1) as f64
    }
}

/// What a pass does, and how far it is.
pub(super) struct Pass<'a> {
    pub(super) windows: Windows<'a>,
    pub(super) totals: Totals,
    /// How fast to learn; without it nothing changes, and the loss alone is measured.
    pub(super) schedule: Option<Schedule>,
    pub(super) options: &'a CbowOptions,
}

/// Where a pass ended.
pub(super) struct Passed {
    pub(super) place: Place,
    pub(super) totals: Totals,
    pub(super) is_done: bool,
}

/// Sees the totals before each batch, and those at the end, which its second argument says.
type Report<'a> = &'a mut dyn FnMut(&Totals, bool) -> Result<Wish>;

/// Runs a pass to its end, or until `report` wishes to pause.
///
/// # Errors
/// Those of `report`.
pub(super) fn run(
    mut parameters: &mut [ParameterSlice],
    pass: &Pass<'_>,
    mut report: impl FnMut(&Totals, bool) -> Result<Wish>,
) -> Result<Passed> {
    let slices = parameters.iter().map(ParameterSlice::slices).sum();
    let shares: Vec<_> = shares(slices, pass.options.threads).collect();
    let exchange = Exchange::new(slices, shares.len());
    let (mut workers, mut first) = (Vec::new(), 0);
    for share in shares {
        let own = parameters.split_off_mut(..tables_of(share, parameters));
        let own = own.expect("tables were made for as many threads");
        workers.push(Worker {
            x: vec![Vec::new(); own.len()],
            workspace: Vec::new(),
            losses: Vec::new(),
            slices: own,
            first,
            exchange: &exchange,
            pass,
        });
        first += share;
    }
    std::thread::scope(|scope| {
        let mut workers = workers.into_iter();
        let leader = workers.next().expect("there is at least one thread");
        for worker in workers {
            scope.spawn(move || worker.run(None));
        }
        leader.run(Some(&mut report))
    })
}

/// How many of the next tables hold so many slices.
fn tables_of(mut slices: usize, parameters: &[ParameterSlice]) -> usize {
    let within = |own: &&ParameterSlice| {
        let more = slices > 0;
        slices = slices.saturating_sub(own.slices());
        more
    };
    parameters.iter().take_while(within).count()
}

/// Reports the mean loss of the windows since the report before, and refuses to go on when it is
/// no number, or one that only vectors that grow without end can give.
pub(super) fn report_to<'p>(
    progress: &'p Progress,
    before: Totals,
    highest_loss: f64,
    mut pause: impl FnMut() -> bool + 'p,
) -> impl FnMut(&Totals, bool) -> Result<Wish> + 'p {
    let mut last = before;
    move |now, end| {
        if now.tokens - last.tokens < REPORT_EVERY && !end {
            return Ok(Wish::GoOn);
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
        Ok(if pause() { Wish::Pause } else { Wish::GoOn })
    }
}

/// A thread, and the slices that it owns.
struct Worker<'a> {
    slices: &'a mut [ParameterSlice],
    first: usize,
    x: Vec<Vec<f32>>,
    workspace: Vec<f32>,
    losses: Vec<f32>,
    exchange: &'a Exchange,
    pass: &'a Pass<'a>,
}

impl Worker<'_> {
    /// All batches, until they end or the first thread wishes to pause or to stop.
    fn run(mut self, mut report: Option<Report<'_>>) -> Result<Passed> {
        let exchange = self.exchange;
        let _guard = exchange.guard();
        let (mut windows, mut batch) = (self.pass.windows.clone(), Batch::default());
        let (mut sums, mut totals) = (vec![], self.pass.totals);
        let mut report = |totals: &Totals, end| match &mut report {
            Some(report) => report(totals, end),
            None => Ok(Wish::GoOn),
        };
        let mut is_done = false;
        for round in 0.. {
            windows.next_batch(&mut batch);
            is_done = batch.len() == 0;
            if is_done {
                report(&totals, true)?;
                break;
            }
            self.forward(&batch, round);
            let wish = report(&totals, false);
            let met = exchange.meet(round, *wish.as_ref().unwrap_or(&Wish::Stop));
            if met == Wish::Stop {
                wish?;
                break;
            }
            exchange.sum_into(round, &mut sums);
            totals.loss += self.update(&batch, &mut sums);
            totals.windows += batch.len() as u64;
            totals.tokens = batch.tokens_read();
            if met == Wish::Pause {
                break;
            }
        }
        let place = windows.into_place();
        #[rustfmt::skip]
        let passed = Passed { place, totals, is_done };
        Ok(passed)
    }

    /// Partial sums of this thread's slices, into the exchange.
    fn forward(&mut self, batch: &Batch, round: usize) {
        let (view, projection) = (batch.view(), self.pass.options.projection);
        let mut first = self.first;
        for (own, x) in self.slices.iter().zip(&mut self.x) {
            let mut partials = self.exchange.partial(round, first);
            let x = on_lines(x, view.x_rows() * own.width());
            partials.resize(view.partials_len(), 0.0);
            own.forward(view, projection, x, &mut partials);
            first += own.slices();
        }
    }

    /// Turns the sums into steps, and takes them on this thread's slices; returns the loss.
    fn update(&mut self, batch: &Batch, sums: &mut [f32]) -> f64 {
        let schedule = self.pass.schedule;
        let rate = schedule.map_or(0.0, |s| s.rate(batch.tokens_read()));
        let view = batch.view();
        let (steps, squares) = sums.split_at_mut(view.scores_len());
        let loss = self.activate(batch, steps, rate);
        if schedule.is_none() {
            return loss;
        }
        let workspace = damp_workspace_len(steps.len());
        self.workspace
            .resize(workspace.max(self.workspace.len()), 0.0);
        damp(steps, view, squares, rate, &mut self.workspace)
            .expect("there is a square for every window");
        for (slice, x) in self.slices.iter_mut().zip(&mut self.x) {
            let x = on_lines(x, view.x_rows() * slice.width());
            let projection = self.pass.options.projection;
            slice.update(view, projection, x, steps);
        }
        loss
    }

    /// Turns scores into steps; returns the loss.
    fn activate(&mut self, batch: &Batch, scores: &mut [f32], rate: f32) -> f64 {
        if !batch.signs().is_empty() {
            let sigmoid = self.pass.options.sigmoid;
            return activate(scores, batch.signs(), rate, sigmoid)
                .expect("there is a sign for every score");
        }
        let targets = batch.targets();
        self.losses.resize(targets.len(), 0.0);
        let rows = scores.len() / targets.len().max(1);
        let scores = MatMut::new(scores, targets.len(), rows).expect("all rows for each window");
        cross_entropy_in_place(scores, targets, -rate, &mut self.losses)
            .expect("targets come from the vocabulary");
        self.losses.iter().map(|loss| f64::from(*loss)).sum()
    }
}
