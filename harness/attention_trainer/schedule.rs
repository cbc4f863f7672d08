//! How many steps to take, and the learning rate of each.
//!
//! Linear warm-up, a flat stretch up to 30 % of the steps, a straight line down to 2 %.
//!
//! A run with a time limit does not know its length at first. Nothing before the end of the flat
//! stretch depends on the length, so the run stays flat until 30 % of the *time* is used up, takes
//! the step reached as 30 % of its steps, and then runs exactly that many. Told that number with
//! `--steps`, another run computes the same rates, and so the same bits.

use serde::{Deserialize, Serialize};

/// Steps until the learning rate is at its peak.
const WARM_UP: u64 = 50;
/// Tenths of the run before the rate falls.
const FLAT_TENTHS: u64 = 3;
/// Share of the peak rate that the last step has.
const LAST: f64 = 0.02;
/// Evaluations of a run, if each part of it had as many as its end.
const EVALUATIONS: u64 = 10;
/// Steps before the first evaluation of a run whose length does not matter yet.
const FIRST_EVALUATION: u64 = 100;

/// The length of a run, fixed from the start or once the flat stretch has been timed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Schedule {
    steps: Option<u64>,
    /// Seconds that the run may take, while its steps are not known.
    limit: f64,
}

impl Schedule {
    /// A run of that many steps, or of that many minutes.
    pub(super) fn new(steps: Option<u64>, minutes: Option<f64>) -> Self {
        let by_time = steps.is_none() && minutes.is_some();
        let counted = steps.unwrap_or(super::LmOptions::DEFAULT_STEPS);
        Self {
            steps: (!by_time).then_some(counted),
            limit: 60.0 * minutes.unwrap_or(0.0),
        }
    }

    /// Number of steps, if it is known; called before step `step` (from 0), after `seconds`.
    pub(super) fn steps(&mut self, step: u64, seconds: f64) -> Option<u64> {
        if step > 0 && 10.0 * seconds >= FLAT_TENTHS as f64 * self.limit {
            self.steps.get_or_insert(shortest_run(step));
        }
        self.steps
    }

    /// Seconds that are left after `seconds`, while the steps are not known.
    pub(super) fn seconds_left(&self, seconds: f64) -> Option<f64> {
        self.steps.is_none().then_some(self.limit - seconds)
    }

    /// Whether a run of `steps` (if that is known) evaluates after `step` of them: each multiple of
    /// `every`; or, if that is 0, each tenth of the run. As long as the length of a run does not
    /// matter, evaluations do not depend on it either: after 100, 200, 400, 800 steps.
    pub(super) fn evaluates(every: u64, step: u64, steps: Option<u64>) -> bool {
        if step == 0 || steps == Some(step) {
            return step > 0;
        }
        match (every, steps) {
            (0, Some(steps)) if step > flat_end(steps) => {
                step.is_multiple_of(steps.div_ceil(EVALUATIONS))
            }
            (0, _) => {
                step.is_multiple_of(FIRST_EVALUATION) && (step / FIRST_EVALUATION).is_power_of_two()
            }
            (every, _) => step.is_multiple_of(every),
        }
    }

    /// Share of the peak learning rate at `step` of a run of `steps` (if that is known).
    pub(super) fn rate(step: u64, steps: Option<u64>) -> f32 {
        let warm_up = (step + 1) as f64 / WARM_UP as f64;
        let decay = steps.map_or(1.0, |steps| decay(step, steps));
        (warm_up.min(1.0) * decay) as f32
    }
}

/// The last step of the flat stretch of a run.
fn flat_end(steps: u64) -> u64 {
    steps * FLAT_TENTHS / 10
}

/// The shortest run whose flat stretch holds `step` steps.
fn shortest_run(step: u64) -> u64 {
    (10 * step).div_ceil(FLAT_TENTHS)
}

fn decay(step: u64, steps: u64) -> f64 {
    let flat = flat_end(steps);
    if step < flat {
        return 1.0;
    }
    let progress = (step - flat) as f64 / (steps - flat).max(1) as f64;
    1.0 + (LAST - 1.0) * progress
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_warms_up_stays_flat_and_falls() {
        let rate = |step| Schedule::rate(step, Some(1000));
        assert_eq!(rate(0), 0.02);
        assert_eq!((rate(49), rate(299)), (1.0, 1.0));
        assert!((rate(650) - 0.51).abs() < 1e-6);
        assert!(rate(999) > 0.02 && rate(999) < 0.022);
    }

    #[test]
    fn a_timed_run_has_the_rates_of_the_counted_run_that_repeats_it() {
        for step in 1..2000 {
            let steps = shortest_run(step);
            assert!(steps > step && flat_end(steps) >= step);
            for s in 0..step {
                assert_eq!(Schedule::rate(s, None), Schedule::rate(s, Some(steps)));
            }
        }
    }

    #[test]
    fn a_time_limit_fixes_the_steps_once() {
        let mut schedule = Schedule::new(None, Some(1.0));
        assert_eq!(schedule.steps(0, 100.0), None);
        assert_eq!(schedule.steps(2, 17.9), None);
        assert_eq!(schedule.seconds_left(17.0), Some(43.0));
        assert_eq!(schedule.steps(3, 18.0), Some(10));
        assert_eq!(schedule.steps(4, 30.0), Some(10));
        assert_eq!(schedule.seconds_left(30.0), None);
        assert_eq!(Schedule::new(Some(7), None).steps(0, 0.0), Some(7));
        let steps = Schedule::new(None, None).steps(0, 0.0);
        assert_eq!(
            steps,
            Some(crate::attention_trainer::LmOptions::DEFAULT_STEPS)
        );
    }

    #[test]
    fn a_timed_run_evaluates_where_the_counted_run_does_that_repeats_it() {
        let due = |step, steps| Schedule::evaluates(0, step, steps);
        for step in 1..2000 {
            let steps = shortest_run(step);
            for s in 0..step {
                assert_eq!(due(s, None), due(s, Some(steps)));
            }
        }
        let at = |steps| (0..=steps).filter(move |s| due(*s, Some(steps)));
        let tenths = [100, 200, 400, 500, 600, 700, 800, 900, 1000];
        assert!(at(1000).eq(tenths));
        assert!(at(7).eq(3..=7) && at(1).eq(1..=1));
        let every = (0..=7).filter(|s| Schedule::evaluates(3, *s, Some(7)));
        assert!(every.eq([3, 6, 7]));
    }
}
