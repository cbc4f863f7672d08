//! Drawing a token from logits: temperature, then the `k` likeliest, then the nucleus.
//!
//! Weights are `exp((logit - largest) / temperature)`, never normalised: a uniform number is
//! scaled by their sum and walked off along them. Sums are `f64`, so that the tail of a large
//! vocabulary is not lost.
//!
//! Source: A. Holtzman et al., "The Curious Case of Neural Text Degeneration", 2020 (nucleus).

use crate::error::{BufferTooSmall, take};
use crate::heap;
use crate::rng::Rng;
use core::fmt;

/// How to draw. The default draws from the plain softmax.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Logits are divided by it; 0 chooses the largest logit, 1 leaves them as they are.
    pub temperature: f32,
    /// Only this many of the likeliest are left; 0 is off.
    pub top_k: usize,
    /// Of these, only the fewest likeliest whose probability reaches this; 1 is off.
    pub top_p: f32,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
        }
    }
}

/// Why nothing could be drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SampleError {
    /// Every logit is NaN or minus infinity, or there is none.
    NoCandidate,
    /// The temperature is not a number from 0 on, `top_p` not one in `0 ..= 1`, or a penalty not
    /// one above 0.
    BadSampling,
    /// `order` is shorter than the logits.
    Buffer(BufferTooSmall),
}

impl fmt::Display for SampleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCandidate => f.write_str("no logit is a number above minus infinity"),
            Self::BadSampling => {
                f.write_str("temperature must be >= 0, top-p within 0 and 1, the penalty above 0")
            }
            Self::Buffer(e) => e.fmt(f),
        }
    }
}

impl core::error::Error for SampleError {}

impl From<BufferTooSmall> for SampleError {
    fn from(e: BufferTooSmall) -> Self {
        Self::Buffer(e)
    }
}

/// Draws an index of `logits` with probability `softmax(logits / temperature)`, cut by `top_k` and
/// then `top_p`.
///
/// `logits` are scratch, too, and overwritten, except at temperature 0; `order` is scratch of the same
/// length. Logits of NaN and minus infinity are never drawn; among logits of plus infinity each is
/// as likely. Ties at a cut go to the smaller index. `top_p` keeps at least one candidate.
///
/// # Errors
/// [`SampleError`] as its variants say.
///
/// # Example
/// ```
/// use barelm_kernels::{rng::Rng, sample::{Sampling, sample}};
/// let (mut logits, mut order) = ([0.0, 2.0, f32::NAN, 2.5], [0; 4]);
/// let greedy = Sampling { temperature: 0.0, ..Sampling::default() };
/// assert_eq!(sample(&mut logits, &mut order, &greedy, &mut Rng::new(1)), Ok(3));
/// ```
pub fn sample(
    logits: &mut [f32],
    order: &mut [u32],
    sampling: &Sampling,
    rng: &mut Rng,
) -> Result<u32, SampleError> {
    let order = take(order, logits.len())?;
    if !(0.0..f32::INFINITY).contains(&sampling.temperature)
        || !(0.0..=1.0).contains(&sampling.top_p)
    {
        return Err(SampleError::BadSampling);
    }
    let (best, largest) = argmax(logits).ok_or(SampleError::NoCandidate)?;
    if sampling.temperature == 0.0 {
        return Ok(best);
    }
    let cut = Cut::new(sampling, logits.len());
    if cut.is_off() {
        let weigh = |logit| weight(logit, largest, sampling.temperature);
        for x in logits.iter_mut() {
            *x = weigh(*x);
        }
        return Ok(draw((0..).zip(logits.iter().copied()), rng).unwrap_or(best));
    }
    let likeliest = cut.likeliest(logits, order);
    // The weights of those alone.
    for i in likeliest.iter() {
        if let Some(x) = logits.get_mut(*i as usize) {
            *x = weight(*x, largest, sampling.temperature);
        }
    }
    let kept = cut.nucleus(logits, likeliest);
    let weighed = |i: &u32| (*i, element(logits, *i));
    Ok(draw(kept.iter().map(weighed), rng).unwrap_or(best))
}

/// Makes tokens that were seen less likely, before [`sample`]: a positive logit is divided by
/// `penalty`, a negative one multiplied with it. 1 changes nothing, below 1 makes them likelier.
///
/// `seen` holds a flag a token. Source: N. Keskar et al., "CTRL", 2019.
///
/// # Errors
/// [`SampleError::BadSampling`] unless the penalty is a number above 0; [`SampleError::Buffer`] when
/// `seen` is shorter than the logits.
///
/// # Example
/// ```
/// let mut logits = [1.0, -1.0, 3.0];
/// barelm_kernels::sample::penalize(&mut logits, &[true, true, false], 2.0)?;
/// assert_eq!(logits, [0.5, -2.0, 3.0]);
/// # Ok::<(), barelm_kernels::sample::SampleError>(())
/// ```
pub fn penalize(logits: &mut [f32], seen: &[bool], penalty: f32) -> Result<(), SampleError> {
    if !(penalty > 0.0 && penalty.is_finite()) {
        return Err(SampleError::BadSampling);
    }
    let needed = logits.len();
    let seen = seen.get(..needed).ok_or(BufferTooSmall { needed })?;
    if penalty == 1.0 {
        return Ok(());
    }
    for (logit, _) in logits.iter_mut().zip(seen).filter(|(_, seen)| **seen) {
        *logit = match *logit > 0.0 {
            true => *logit / penalty,
            false => *logit * penalty,
        };
    }
    Ok(())
}

/// Index and value of the largest logit above minus infinity, the first of equals.
fn argmax(logits: &[f32]) -> Option<(u32, f32)> {
    let mut best = (None, f32::NEG_INFINITY);
    for (i, logit) in (0..).zip(logits) {
        if *logit > best.1 {
            best = (Some(i), *logit);
        }
    }
    best.0.map(|i| (i, best.1))
}

/// The weight of a logit, at most 1; that of NaN is 0.
fn weight(logit: f32, largest: f32, temperature: f32) -> f32 {
    match logit {
        logit if logit == largest => 1.0,
        logit if logit.is_nan() => 0.0,
        logit => libm::expf((logit - largest) / temperature),
    }
}

/// An element; the least for an index that there is not.
fn element(x: &[f32], index: u32) -> f32 {
    x.get(index as usize).copied().unwrap_or(f32::NEG_INFINITY)
}

/// The first index whose running sum of weights passes a uniform share of the whole sum.
fn draw(candidates: impl Iterator<Item = (u32, f32)> + Clone, rng: &mut Rng) -> Option<u32> {
    let total: f64 = candidates.clone().map(|(_, w)| f64::from(w)).sum();
    let share = (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
    let mut left = share * total;
    let mut drawn = None;
    for (index, weight) in candidates.filter(|(_, weight)| *weight > 0.0) {
        drawn = Some(index);
        left -= f64::from(weight);
        if left < 0.0 {
            break;
        }
    }
    drawn
}

/// What is left of the candidates.
struct Cut {
    count: usize,
    len: usize,
    mass: f32,
}

impl Cut {
    fn new(sampling: &Sampling, len: usize) -> Self {
        let count = match sampling.top_k {
            0 => len,
            k => k.min(len),
        };
        let mass = sampling.top_p;
        Self { count, len, mass }
    }

    fn is_off(&self) -> bool {
        self.count == self.len && self.mass >= 1.0
    }

    /// The likeliest candidates, as many as may be left, the likeliest first; NaN counts as minus
    /// infinity.
    ///
    /// A heap holds the likeliest so far, the least likely on top: most of the others do not get past it.
    fn likeliest<'a>(&self, logits: &mut [f32], order: &'a mut [u32]) -> &'a [u32] {
        let kept = order.get_mut(..self.count).unwrap_or_default();
        for ((i, slot), x) in (0..).zip(kept.iter_mut()).zip(logits.iter_mut()) {
            *slot = i;
            if x.is_nan() {
                *x = f32::NEG_INFINITY;
            }
        }
        let less_likely = |a: &u32, b: &u32| {
            let (x, y) = (element(logits, *a), element(logits, *b));
            x < y || (x == y && a > b)
        };
        heap::build(kept, less_likely);
        // NaN is no more than anything. Equal ones come too late: the smaller index is in already.
        let mut least = kept.first().map_or(f32::INFINITY, |i| element(logits, *i));
        for (i, x) in (0..).zip(logits.iter()).skip(self.count) {
            if *x > least {
                heap::replace_first(kept, i, less_likely);
                least = kept.first().map_or(f32::INFINITY, |i| element(logits, *i));
            }
        }
        let mut left = kept.len();
        while heap::pop(kept, &mut left, less_likely).is_some() {}
        kept
    }

    /// The first of `order` that hold `mass` of the weight of all of it.
    fn nucleus<'a>(&self, weights: &[f32], order: &'a [u32]) -> &'a [u32] {
        let each = || order.iter().map(|i| f64::from(element(weights, *i)));
        let wanted = f64::from(self.mass) * each().sum::<f64>();
        let mut sum = 0.0;
        let reached = each().position(|weight| {
            sum += weight;
            sum >= wanted
        });
        let count = reached.map_or(order.len(), |last| last + 1);
        order.get(..count).unwrap_or(order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    /// Natural logarithms of `weights`.
    fn logits(weights: &[f32]) -> Vec<f32> {
        weights.iter().map(|w| libm::logf(*w)).collect()
    }

    /// How often each index is drawn in `n` draws.
    fn counts(logits: &[f32], sampling: &Sampling, n: usize) -> Vec<usize> {
        let (mut rng, mut order) = (Rng::new(7), vec![0; logits.len()]);
        let mut counts = vec![0; logits.len()];
        for _ in 0..n {
            let index = sample(&mut logits.to_vec(), &mut order, sampling, &mut rng).unwrap();
            counts[index as usize] += 1;
        }
        counts
    }

    /// Pearson's statistic of `counts` against probabilities proportional to `weights`.
    fn chi_square(counts: &[usize], weights: &[f32]) -> f32 {
        let n = counts.iter().sum::<usize>() as f32 / weights.iter().sum::<f32>();
        let term =
            |(count, weight): (&usize, &f32)| (*count as f32 - n * weight).powi(2) / (n * weight);
        counts.iter().zip(weights).map(term).sum()
    }

    #[test]
    fn draws_follow_the_softmax() {
        let weights = [0.4, 0.05, 0.3, 0.2, 0.05];
        let counts = counts(&logits(&weights), &Sampling::default(), 20_000);
        // 99.9 % of honest samples with four degrees of freedom lie below 18.5.
        assert!(chi_square(&counts, &weights) < 18.5, "{counts:?}");
    }

    #[test]
    fn temperature_sharpens_the_softmax() {
        let weights = [0.5_f32, 0.3, 0.2];
        let half = Sampling {
            temperature: 0.5,
            ..Sampling::default()
        };
        let counts = counts(&logits(&weights), &half, 20_000);
        let squared = weights.map(|w| w * w);
        // 99.9 % with two degrees of freedom.
        assert!(chi_square(&counts, &squared) < 13.8, "{counts:?}");
    }

    #[test]
    fn top_k_and_top_p_cut_exactly() {
        let weights = [0.1, 0.4, 0.1, 0.25, 0.15];
        let drawn = |top_k, top_p| {
            let sampling = Sampling {
                top_k,
                top_p,
                ..Sampling::default()
            };
            let counts = counts(&logits(&weights), &sampling, 2_000);
            (0..5).filter(|i| counts[*i] > 0).collect::<Vec<_>>()
        };
        assert_eq!(drawn(1, 1.0), [1]);
        assert_eq!(drawn(2, 1.0), [1, 3]);
        assert_eq!(drawn(4, 1.0), [0, 1, 3, 4], "ties go to the smaller index");
        assert_eq!(drawn(9, 1.0), [0, 1, 2, 3, 4]);
        assert_eq!(drawn(0, 0.0), [1], "at least one is kept");
        assert_eq!(drawn(0, 0.39), [1]);
        assert_eq!(drawn(0, 0.64), [1, 3]);
        assert_eq!(drawn(0, 0.66), [1, 3, 4]);
        // The share is of what top-k left: 0.4 of 0.8 is enough.
        assert_eq!(drawn(3, 0.499), [1]);
    }

    #[test]
    fn zero_temperature_takes_the_largest_and_keeps_the_logits() {
        let greedy = Sampling {
            temperature: 0.0,
            ..Sampling::default()
        };
        let mut logits = [1.0, f32::NAN, 7.0, 7.0];
        let (mut order, mut rng) = ([0; 4], Rng::new(1));
        assert_eq!(sample(&mut logits, &mut order, &greedy, &mut rng), Ok(2));
        assert_eq!(logits[2..], [7.0, 7.0]);
        assert_eq!(rng, Rng::new(1), "no randomness is used up");
    }

    #[test]
    fn nan_and_infinities_are_survived() {
        let inf = f32::INFINITY;
        let drawn = counts(&[f32::NAN, 0.0, -inf, 1e4, -1e4], &Sampling::default(), 500);
        assert_eq!(drawn, [0, 0, 0, 500, 0]);
        let drawn = counts(&[inf, f32::NAN, inf, 3.0], &Sampling::default(), 500);
        assert!(
            drawn[0] > 150 && drawn[2] > 150 && drawn[3] == 0,
            "{drawn:?}"
        );
        let nucleus = Sampling {
            top_p: 0.9,
            ..Sampling::default()
        };
        let drawn = counts(&[f32::NAN, -inf, 0.5, -inf], &nucleus, 50);
        assert_eq!(drawn, [0, 0, 50, 0]);
    }

    #[test]
    fn what_cannot_be_drawn_is_an_error() {
        let draw = |logits: &[f32], sampling: Sampling| {
            sample(
                &mut logits.to_vec(),
                &mut [0; 3],
                &sampling,
                &mut Rng::new(1),
            )
        };
        let plain = Sampling::default();
        let none = Err(SampleError::NoCandidate);
        assert_eq!(draw(&[], plain), none);
        assert_eq!(draw(&[f32::NAN, f32::NEG_INFINITY], plain), none);
        for temperature in [-1.0, f32::NAN, f32::INFINITY] {
            let bad = draw(
                &[1.0],
                Sampling {
                    temperature,
                    ..plain
                },
            );
            assert_eq!(bad, Err(SampleError::BadSampling));
        }
        for top_p in [-0.1, 1.1, f32::NAN] {
            let bad = draw(&[1.0], Sampling { top_p, ..plain });
            assert_eq!(bad, Err(SampleError::BadSampling));
        }
        let short = Err(SampleError::Buffer(BufferTooSmall { needed: 4 }));
        assert_eq!(draw(&[1.0; 4], plain), short);
    }

    #[test]
    fn a_penalty_lowers_what_was_seen_and_keeps_what_cannot_be_drawn() {
        let (inf, seen) = (f32::INFINITY, [true, true, false, true, true]);
        let mut logits = [2.0, -3.0, 2.0, -inf, f32::NAN];
        penalize(&mut logits, &seen, 4.0).unwrap();
        assert_eq!(logits[..4], [0.5, -12.0, 2.0, -inf]);
        assert!(logits[4].is_nan());
        for penalty in [0.0, -1.0, f32::NAN, inf] {
            let bad = penalize(&mut logits, &seen, penalty);
            assert_eq!(bad, Err(SampleError::BadSampling));
        }
        let short = Err(SampleError::Buffer(BufferTooSmall { needed: 5 }));
        assert_eq!(penalize(&mut logits, &seen[1..], 2.0), short);
    }

    #[test]
    fn the_same_seed_draws_the_same_tokens() {
        let logits = logits(&[0.2, 0.5, 0.3]);
        let sampling = Sampling {
            top_p: 0.95,
            top_k: 3,
            temperature: 0.8,
        };
        assert_eq!(
            counts(&logits, &sampling, 100),
            counts(&logits, &sampling, 100)
        );
    }
}
