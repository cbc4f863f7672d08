//! The job: epoch after epoch, with checkpoints in between.

use super::checkpoint::{self, State, Vocabulary};
use super::earlier::CarriedOver;
use super::epoch::{self, Pass, Schedule, Totals, report_to};
use super::exchange::Wish;
use super::objective::Objective;
use super::parameters::{self, ParameterSlice};
use super::windows::{Place, Windows, keep_chances};
use super::{CbowOptions, Earlier, EpochReport, TokenSource, Trained, memory};
use crate::checkpoints::Checkpoints;
use crate::embeddings::Embeddings;
use crate::progress::{self, Progress, human};
use crate::token_stream::Ids;
use crate::{Error, Result};
use std::f64::consts::LN_2;
use std::time::Instant;

/// A loss this many times that of untrained vectors is no learning any more.
const DIVERGED: f64 = 4.0;
const NOTHING_TO_LEARN: &str = "no word of the text has another one beside it: those outside the vocabulary are left out, and frequent ones by \
     chance; train on more text, lower --min-count, or raise --sample (0 keeps all words)";
/// Random numbers of the text that is held out; epochs have those from 1 on.
const HELD_OUT_STREAM: u64 = 1 << 40;

/// What training goes on with, instead of chance.
#[derive(Clone, Copy, Debug)]
pub enum Start<'a> {
    /// Vectors of those of their words that the vocabulary has, too. Others start at random, and so
    /// does the output table, which no file of vectors holds.
    Vectors(&'a Embeddings),
    /// Vectors and output table of an earlier training, all words of which the vocabulary has.
    Earlier(&'a Earlier),
}

/// Vectors to be trained, and how.
///
/// # Example
/// ```
/// use barelm::cbow_trainer::{CbowOptions, Loss, Start, Training, WordStream};
/// use barelm::corpus::Corpus;
/// let text = "the cat sat on the mat\nthe dog sat on the rug\n".repeat(50);
/// let stream = WordStream::new(&Corpus::from_bytes("pets", text.into()), 1, 100)?;
/// let loss = Loss::Softmax;
/// let options = CbowOptions { dim: 8, loss, sample: 0.0, ..CbowOptions::default() };
/// let mut training = Training::new(stream.source(), stream.words().to_vec(), &options);
/// training.memory = Some(1 << 20);
/// let first = training.run()?;
/// let mut again = Training::new(stream.source(), stream.words().to_vec(), &options);
/// again.start = Some(Start::Vectors(&first.embeddings));
/// assert!(again.run()?.epochs[0].loss_nats < first.epochs[0].loss_nats);
/// # Ok::<(), barelm::Error>(())
/// ```
#[derive(Debug)]
pub struct Training<'a> {
    /// The text.
    pub source: TokenSource<'a>,
    /// The tokens' spellings.
    pub words: Vec<Vec<u8>>,
    /// How to train.
    pub options: &'a CbowOptions,
    /// What to start from.
    pub start: Option<Start<'a>>,
    /// Where to write checkpoints.
    pub checkpoints: Option<Checkpoints>,
    /// Bytes of memory that training may take.
    pub memory: Option<u64>,
}

/// The text that is learned, the text that is measured, and what all passes share.
struct Plan<'a> {
    learned: Ids<'a>,
    held_out: Ids<'a>,
    /// Tokens of an epoch.
    tokens: u64,
    keep: Vec<u32>,
    keep_all: Vec<u32>,
    objective: Objective,
    highest_loss: f64,
    carried_over: CarriedOver<'a>,
}

impl<'a> Training<'a> {
    /// Training from random vectors, without checkpoints and limits.
    pub fn new(source: TokenSource<'a>, words: Vec<Vec<u8>>, options: &'a CbowOptions) -> Self {
        Self {
            source,
            words,
            options,
            start: None,
            checkpoints: None,
            memory: None,
        }
    }

    /// Trains.
    ///
    /// # Errors
    /// [`Error::Usage`] for senseless options or too little memory, [`Error::Failed`] when training
    /// overflows or the vocabulary has fewer than two tokens, [`Error::Data`] for a checkpoint that
    /// is damaged or of another job, [`Error::Io`], [`Error::Interrupted`].
    pub fn run(self) -> Result<Trained> {
        let plan = self.plan()?;
        let mut parameters = self.start_parameters(&plan)?;
        let mut state = self.start_state(&mut parameters)?;
        let done = plan.tokens * state.epochs.len() as u64 + state.totals.tokens;
        let total = plan.tokens * self.options.epochs as u64;
        let progress = Progress::new("Training vectors", total, "words");
        progress.advance(done)?;
        while state.epochs.len() < self.options.epochs {
            let is_done = self.learn(&plan, &mut parameters, &mut state, &progress)?;
            if is_done && state.totals.windows == 0 {
                return Err(Error::Failed(NOTHING_TO_LEARN.into()));
            }
            if is_done {
                self.end_epoch(&plan, &mut parameters, &mut state)?;
            }
            if let Some(checkpoints) = &self.checkpoints {
                let vocabulary = self.vocabulary(&plan);
                checkpoint::save(checkpoints, &state, &vocabulary, &parameters)?;
            }
        }
        progress.finish();
        let dim = self.options.dim;
        let (data, thetas) = parameters::gather(parameters, dim);
        let words = self.words;
        Ok(Trained {
            embeddings: Embeddings { words, dim, data },
            thetas,
            tree: match plan.objective {
                Objective::Tree(tree) => Some(tree),
                _ => None,
            },
            epochs: state.epochs,
        })
    }

    fn plan(&self) -> Result<Plan<'a>> {
        let Self {
            source,
            words,
            options,
            ..
        } = self;
        options.validate()?;
        let counts = source.counts;
        if counts.len() < 2 || words.len() != counts.len() {
            let message = format!("{} tokens with {} spellings", counts.len(), words.len());
            return Err(Error::Failed(format!("cannot train vectors of {message}")));
        }
        let carried_over = match self.start {
            Some(Start::Earlier(earlier)) => earlier.carry_over(words, counts, options)?,
            _ => CarriedOver::nothing(counts),
        };
        let objective = Objective::new(counts, options.loss)?;
        let needed = memory::needed(words, options.dim, &objective);
        memory::check(needed, self.memory)?;
        let (size, tokens) = (human(needed as f64), words.len());
        progress::note(format_args!(
            "Training needs some {size}B of memory for {tokens} tokens."
        ));
        let len = source.ids.len();
        let learned = len - (len as f64 * options.hold_out) as usize;
        let (learned, held_out) = source.ids.split_at(learned);
        let mut tokens = 0;
        learned.for_each(|id| tokens += u64::from((id as usize) < counts.len()));
        Ok(Plan {
            learned,
            held_out,
            tokens,
            keep: keep_chances(counts, options.sample),
            keep_all: keep_chances(counts, 0.0),
            highest_loss: DIVERGED * objective.untrained_loss(counts).max(1.0),
            objective,
            carried_over,
        })
    }

    fn start_parameters(&self, plan: &Plan<'_>) -> Result<Vec<ParameterSlice>> {
        let (tokens, dim) = (self.words.len(), self.options.dim);
        let rows = plan.objective.rows(tokens);
        let mut parameters = parameters::initial(tokens, rows, self.options)?;
        match self.start {
            Some(Start::Vectors(start)) if start.dim != dim => {
                return Err(Error::Usage(format!(
                    "the vectors to start from have dimension {}, not {dim}; say --dim {}",
                    start.dim, start.dim
                )));
            }
            Some(Start::Vectors(start)) => {
                parameters::copy_from(&mut parameters, &self.words, start);
            }
            Some(Start::Earlier(earlier)) => {
                earlier.fill(
                    &mut parameters,
                    &plan.carried_over.ids,
                    plan.objective.tree(),
                )?;
            }
            None => {}
        }
        Ok(parameters)
    }

    /// The state of the checkpoint, which replaces the parameters; or the first.
    fn start_state(&self, parameters: &mut [ParameterSlice]) -> Result<State> {
        let first = |job| State {
            job,
            architecture: self.options.architecture,
            loss: self.options.loss,
            dim: self.options.dim,
            place: self.place(0),
            totals: Totals::default(),
            seconds: 0.0,
            epochs: Vec::new(),
        };
        let Some(checkpoints) = &self.checkpoints else {
            return Ok(first(String::new()));
        };
        checkpoints.clean();
        let job = checkpoint::job(self.options, self.source, self.start)?;
        let saved = match checkpoints.resume {
            true => checkpoint::load(checkpoints, &job, parameters)?,
            false => None,
        };
        Ok(saved.unwrap_or_else(|| first(job)))
    }

    fn vocabulary<'p>(&'p self, plan: &'p Plan<'_>) -> Vocabulary<'p> {
        Vocabulary {
            words: &self.words,
            counts: &plan.carried_over.counts,
            tree: plan.objective.tree(),
        }
    }

    /// Where an epoch begins.
    fn place(&self, epoch: usize) -> Place {
        Place::start(self.options.seed, 1 + epoch as u64)
    }

    /// Learns to the end of the epoch, or until it is time for a checkpoint; returns which.
    fn learn(
        &self,
        plan: &Plan<'_>,
        parameters: &mut [ParameterSlice],
        state: &mut State,
        progress: &Progress,
    ) -> Result<bool> {
        let start = Instant::now();
        let every = self.checkpoints.as_ref().map(|c| c.every);
        let pause = || every.is_some_and(|every| start.elapsed() >= every);
        let (options, place) = (self.options, state.place.clone());
        let pass = Pass {
            windows: Windows::new(plan.learned, &plan.objective, &plan.keep, options, place),
            totals: state.totals,
            schedule: Some(Schedule {
                start: options.alpha,
                floor: options.alpha_floor,
                tokens_before: plan.tokens * state.epochs.len() as u64,
                tokens_total: plan.tokens * options.epochs as u64,
            }),
            options,
        };
        let report = report_to(progress, state.totals, plan.highest_loss, pause);
        let passed = epoch::run(parameters, &pass, report)?;
        state.place = passed.place;
        state.totals = passed.totals;
        state.seconds += start.elapsed().as_secs_f64();
        Ok(passed.is_done)
    }

    fn end_epoch(
        &self,
        plan: &Plan<'_>,
        parameters: &mut [ParameterSlice],
        state: &mut State,
    ) -> Result<()> {
        let (totals, seconds) = (state.totals, state.seconds);
        state.epochs.push(EpochReport {
            tokens: totals.tokens,
            windows: totals.windows,
            loss_nats: totals.mean(),
            loss_bits: totals.mean() / LN_2,
            held_out_nats: self.measure(plan, parameters)?,
            seconds,
            tokens_per_second: totals.tokens as f64 / seconds.max(1e-9),
        });
        state.place = self.place(state.epochs.len());
        (state.totals, state.seconds) = (Totals::default(), 0.0);
        Ok(())
    }

    /// Mean loss of the text that is held out, none of its words left out; nothing if it has no window.
    fn measure(&self, plan: &Plan<'_>, parameters: &mut [ParameterSlice]) -> Result<Option<f64>> {
        if self.options.hold_out == 0.0 {
            return Ok(None);
        }
        let (options, place) = (
            self.options,
            Place::start(self.options.seed, HELD_OUT_STREAM),
        );
        let pass = Pass {
            windows: Windows::new(
                plan.held_out,
                &plan.objective,
                &plan.keep_all,
                options,
                place,
            ),
            totals: Totals::default(),
            schedule: None,
            options,
        };
        let go_on = |_: &Totals, _| progress::check().map(|()| Wish::GoOn);
        let totals = epoch::run(parameters, &pass, go_on)?.totals;
        Ok((totals.windows > 0).then(|| totals.mean()))
    }
}
