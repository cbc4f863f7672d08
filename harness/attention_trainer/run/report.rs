//! What a run says of itself: a line of the log, figures behind its progress.

use super::log::Line;
use super::{Run, State};
use crate::Result;
use crate::attention_trainer::Evaluation;
use crate::attention_trainer::schedule::Schedule;
use crate::progress::clock;

impl Run<'_> {
    /// Writes an evaluation to the log; with the step that is kept, as its last line.
    pub(super) fn log(
        &mut self,
        evaluation: Evaluation,
        steps: Option<u64>,
        kept_step: Option<u64>,
    ) -> Result<()> {
        let tokens_per_second = match kept_step {
            Some(_) => self.tokens_per_second((0, 0.0)),
            None => self.tokens_per_second(self.logged),
        };
        let step = self.state.step;
        let line = Line {
            evaluation,
            tokens: step * self.step_tokens,
            learning_rate: self.options.learning_rate * Schedule::rate(step - 1, steps),
            tokens_per_second,
            share_of_peak: self.speed.share_of_peak(tokens_per_second),
            seconds: self.seconds(),
            kept_step,
        };
        self.logged = (step, self.state.training_seconds);
        self.log.as_mut().map_or(Ok(()), |log| log.write(&line))
    }

    /// Since that many steps and seconds of steps.
    pub(super) fn tokens_per_second(&self, (steps, seconds): (u64, f64)) -> f64 {
        let tokens = (self.state.step - steps) * self.step_tokens;
        tokens as f64 / (self.state.training_seconds - seconds).max(1e-9)
    }

    /// What is shown behind the figures of progress.
    pub(super) fn figures(&self) -> String {
        let State { loss, history, .. } = &self.state;
        let share = self
            .speed
            .share_of_peak(self.tokens_per_second(self.logged));
        let mut note = format!(
            "{:.0} % of peak, loss {:.3}",
            100.0 * share,
            loss.unwrap_or(f64::NAN)
        );
        if let Some(bits) = history.last().and_then(|last| last.bits_per_byte) {
            note += &format!(", held out {bits:.3} bits per byte");
        }
        match self.state.schedule.seconds_left(self.seconds()) {
            Some(seconds) => note + &format!(", {} left", clock(seconds)),
            None => note,
        }
    }
}
