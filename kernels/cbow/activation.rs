//! From scores to steps and losses, sixteen at a time.

use crate::error::ShapeError;
use crate::sigmoid::{SigmoidMethod, sigmoid_and_loss_with};
use crate::simd::{Kernel, LANES, Simd, dispatch};

/// Replaces every score `z` by its step `sign * learning_rate * s(u)`, where `u = -sign * z`, and
/// returns the sum of the losses `softplus(u)`, in nats.
///
/// `sign` is 1 where the bit of the path is 1, and -1 where it is 0.
///
/// # Errors
/// [`ShapeError`] unless there is one sign a score.
///
/// # Precision
/// The sum within 1e-6 of its value: products of up to 32 factors in `f32`, the rest in `f64`.
///
/// ```
/// use barelm_kernels::{cbow::activate, sigmoid::SigmoidMethod};
/// let mut scores = [0.0, 0.0];
/// let loss = activate(&mut scores, &[1.0, -1.0], 0.5, SigmoidMethod::Table)?;
/// assert_eq!(scores, [0.25, -0.25]);
/// assert!((loss - 2.0 * core::f64::consts::LN_2).abs() < 1e-6);
/// # Ok::<(), barelm_kernels::error::ShapeError>(())
/// ```
pub fn activate(
    scores: &mut [f32],
    signs: &[f32],
    learning_rate: f32,
    sigmoid: SigmoidMethod,
) -> Result<f64, ShapeError> {
    if scores.len() != signs.len() {
        return Err(ShapeError);
    }
    Ok(dispatch(Activate {
        scores,
        signs,
        learning_rate,
        sigmoid,
    }))
}

pub(super) struct Activate<'a> {
    pub(super) scores: &'a mut [f32],
    pub(super) signs: &'a [f32],
    pub(super) learning_rate: f32,
    pub(super) sigmoid: SigmoidMethod,
}

impl Kernel for Activate<'_> {
    type Output = f64;
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> f64 {
        activate_with(
            simd,
            self.scores,
            self.signs,
            self.learning_rate,
            self.sigmoid,
        )
    }
}

/// Products of so many factors up to 2 in a lane, and of all lanes in `f64`, stay finite.
const CHUNKS: usize = 32;

/// [`activate`] over the common prefix, for use inside other kernels.
#[cfg_attr(target_pointer_width = "32", inline(never))]
#[cfg_attr(not(target_pointer_width = "32"), inline(always))]
pub(super) fn activate_with<S: Simd>(
    simd: S,
    scores: &mut [f32],
    signs: &[f32],
    learning_rate: f32,
    sigmoid: SigmoidMethod,
) -> f64 {
    let mut loss = 0.0;
    let rate = simd.splat(learning_rate);
    let signs = signs.get(..scores.len()).unwrap_or(signs);
    let parts = scores.chunks_mut(CHUNKS * LANES);
    for (scores, signs) in parts.zip(signs.chunks(CHUNKS * LANES)) {
        let mut sums = (simd.splat(0.0), simd.splat(1.0));
        let (scores, last_scores) = scores.as_chunks_mut::<LANES>();
        let (signs, last_signs) = signs.as_chunks::<LANES>();
        for (scores, signs) in scores.iter_mut().zip(signs) {
            activate_lanes(simd, scores, signs, (rate, sigmoid), &mut sums);
        }
        if !last_scores.is_empty() {
            // Beyond the end are decisions without doubt, which cost nothing.
            let (mut scores, mut signs) = ([f32::INFINITY; LANES], [1.0; LANES]);
            for (lane, score) in scores.iter_mut().zip(&*last_scores) {
                *lane = *score;
            }
            for (lane, sign) in signs.iter_mut().zip(last_signs) {
                *lane = *sign;
            }
            activate_lanes(simd, &mut scores, &signs, (rate, sigmoid), &mut sums);
            for (score, lane) in last_scores.iter_mut().zip(scores) {
                *score = lane;
            }
        }
        let (linear, product) = sums;
        let mut lanes = [0.0; LANES];
        simd.store(product, &mut lanes);
        let product = lanes.iter().fold(1.0, |p, lane| p * f64::from(*lane));
        loss += f64::from(simd.reduce_sum(linear)) + libm::log(product);
    }
    loss
}

/// Steps in place of sixteen scores; adds to what the losses are made of.
#[cfg_attr(target_pointer_width = "32", inline(never))]
#[cfg_attr(not(target_pointer_width = "32"), inline(always))]
fn activate_lanes<S: Simd>(
    simd: S,
    scores: &mut [f32; LANES],
    signs: &[f32; LANES],
    (rate, sigmoid): (S::V, SigmoidMethod),
    (linear, product): &mut (S::V, S::V),
) {
    let sign = simd.load(signs);
    let u = simd.mul(simd.sub(simd.splat(0.0), sign), simd.load(scores));
    let s = sigmoid_and_loss_with(simd, sigmoid, u, (linear, product));
    simd.store(simd.mul(simd.mul(sign, rate), s), scores);
}
