//! How many steps to take, and the learning rate of each.
//!
//! Linear warm-up, a flat stretch up to 30 % of the steps, a straight line down to 2 %.
//!
//! A run with a time limit does not know its length at first. Nothing before the end of the flat
//! stretch depends on the length, so the run stays flat until 30 % of the *time* is used up, takes
//! the step reached as 30 % of its steps, and then runs exactly that many. Told that number with
//! `--steps`, another run computes the same rates, and so the same bits.

use std::time::{Duration, Instant};

/// Steps until the learning rate is at its peak.
const WARM_UP: u64 = 50;
/// Tenths of the run before the rate falls.
const FLAT_TENTHS: u64 = 3;
/// Share of the peak rate that the last step has.
const LAST: f64 = 0.02;

/// The length of a run, fixed from the start or once the flat stretch has been timed.
#[derive(Debug)]
pub(super) enum Schedule {
    Steps(u64),
    Timing { start: Instant, limit: Duration },
}

impl Schedule {
    /// A run of that many steps, or of that many minutes.
    pub(super) fn new(steps: Option<u64>, minutes: Option<f64>) -> Self {
        match (steps, minutes) {
            (None, Some(minutes)) => Self::Timing {
                start: Instant::now(),
                limit: Duration::from_secs_f64(minutes * 60.0),
            },
            _ => Self::Steps(steps.unwrap_or(super::LmOptions::DEFAULT_STEPS)),
        }
    }

    /// Number of steps, if it is known; called before step `step` (from 0).
    pub(super) fn steps(&mut self, step: u64) -> Option<u64> {
        if let Self::Timing { start, limit } = self
            && step > 0
            && 10.0 * start.elapsed().as_secs_f64() >= FLAT_TENTHS as f64 * limit.as_secs_f64()
        {
            *self = Self::Steps(shortest_run(step));
        }
        match self {
            Self::Steps(steps) => Some(*steps),
            Self::Timing { .. } => None,
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
        let mut schedule = Schedule::new(None, Some(1e-9));
        assert_eq!(schedule.steps(0), None);
        assert_eq!(schedule.steps(3), Some(10));
        assert_eq!(schedule.steps(4), Some(10));
        assert_eq!(Schedule::new(Some(7), None).steps(0), Some(7));
    }
}
