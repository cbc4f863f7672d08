//! How long a call takes.

use crate::{Result, progress};
use std::time::Instant;

/// Repetitions behind each figure.
const REPETITIONS: usize = 5;

/// Seconds a call in each of five repetitions, shortest first; about `seconds` in all.
///
/// # Errors
/// Those of [`progress::check`].
pub(super) fn sorted_seconds(seconds: f64, mut f: impl FnMut()) -> Result<[f64; REPETITIONS]> {
    let enough = seconds / REPETITIONS as f64;
    let mut time = |calls: u64| {
        let start = Instant::now();
        (0..calls).for_each(|_| f());
        // A clock may stand still for a call; a rate must stay finite.
        start.elapsed().as_secs_f64().max(1e-9)
    };
    // The first call pays for cold caches and new pages.
    time(1);
    let mut calls = 1;
    let mut spent = time(calls);
    while spent < enough / 2.0 {
        calls *= 2;
        spent = time(calls);
    }
    let calls = (calls as f64 * enough / spent).ceil().max(1.0) as u64;
    let mut samples = [0.0; REPETITIONS];
    for sample in &mut samples {
        progress::check()?;
        *sample = time(calls) / calls as f64;
    }
    samples.sort_unstable_by(f64::total_cmp);
    Ok(samples)
}

/// The median of [`sorted_seconds`].
///
/// # Errors
/// Those of [`progress::check`].
pub(super) fn median_seconds(seconds: f64, f: impl FnMut()) -> Result<f64> {
    sorted_seconds(seconds, f).map(|samples| samples[REPETITIONS / 2])
}
