//! From scores to steps and losses, sixteen at a time.

use crate::error::ShapeError;
use crate::sigmoid::{SigmoidMethod, sigmoid_in_place_with, softplus_in_place_with};
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
/// Each loss within 5e-7 of its value; added up sixteen at a time in `f32`, then in `f64`.
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

/// [`activate`] over the common prefix, for use inside other kernels.
#[inline(always)]
pub(super) fn activate_with<S: Simd>(
    simd: S,
    scores: &mut [f32],
    signs: &[f32],
    learning_rate: f32,
    sigmoid: SigmoidMethod,
) -> f64 {
    let mut loss = 0.0;
    for (scores, signs) in scores.chunks_mut(LANES).zip(signs.chunks(LANES)) {
        let mut lanes = [0.0; LANES];
        let (u, sign) = (&mut lanes, simd.load_partial(signs));
        let minus_sign = simd.sub(simd.splat(0.0), sign);
        simd.store(simd.mul(minus_sign, simd.load_partial(scores)), u);
        let mut losses = *u;
        softplus_in_place_with(simd, &mut losses);
        sigmoid_in_place_with(simd, sigmoid, u);
        let rate = simd.mul(sign, simd.splat(learning_rate));
        simd.store_partial(simd.mul(rate, simd.load(u)), scores);
        let losses = losses.get(..scores.len()).unwrap_or_default();
        loss += f64::from(simd.reduce_sum(simd.load_partial(losses)));
    }
    loss
}
