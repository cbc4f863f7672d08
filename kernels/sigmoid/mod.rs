//! The logistic function `s(x) = 1 / (1 + exp(-x))` by table and by polynomial, and losses by
//! softplus.
//!
//! Both methods compute `s(|x|)`, which lies in `0.5 ..= 1`, and mirror it for negative `x`. There
//! `1 - s` is exact (Sterbenz), so `s(-x) = 1 - s(x)` holds bit for bit for every `x`. The price:
//! below -17 the result is 0, with an absolute, not a relative error. Gradients want no more, and
//! a loss must never be `-ln(1 - s)`: it is `softplus`, exact in both tails.
//!
//! | method | error | cost |
//! |---|---|---|
//! | [`SigmoidMethod::Polynomial`] | 2e-7 | 16 values at a time: the choice wherever there is SIMD |
//! | [`SigmoidMethod::Table`] | [`TABLE_MAX_ERROR`] | 516 bytes, no exponential: small cores |

mod table;

use crate::exp::exp_with;
use crate::simd::{Kernel, LANES, Simd, dispatch};
pub use table::{INTERVALS, LIMIT, TABLE_BYTES, TABLE_MAX_ERROR};

/// How to compute a sigmoid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SigmoidMethod {
    /// Linear interpolation in a table of 516 bytes.
    Table,
    /// The polynomial of the exponential, and a division.
    #[default]
    Polynomial,
}

/// `1 / (1 + exp(-x))`; 0 and 1 at the infinities, NaN for NaN.
///
/// # Precision
/// Absolute error below [`TABLE_MAX_ERROR`] or 2e-7; `s(-x) = 1 - s(x)` exactly. The table returns
/// the same bits everywhere, the polynomial equal bits within a rounding class.
///
/// ```
/// use barelm_kernels::sigmoid::{SigmoidMethod, sigmoid};
/// assert_eq!(sigmoid(SigmoidMethod::Table, 0.0), 0.5);
/// assert_eq!(sigmoid(SigmoidMethod::Polynomial, f32::INFINITY), 1.0);
/// ```
#[inline]
pub fn sigmoid(method: SigmoidMethod, x: f32) -> f32 {
    let mut values = [x];
    sigmoid_in_place(method, &mut values);
    values[0]
}

/// [`sigmoid`] of every element.
///
/// ```
/// use barelm_kernels::sigmoid::{SigmoidMethod, sigmoid_in_place};
/// let mut x = [0.0, -40.0, f32::INFINITY];
/// sigmoid_in_place(SigmoidMethod::Table, &mut x);
/// assert_eq!(x, [0.5, 0.0, 1.0]);
/// ```
#[inline]
pub fn sigmoid_in_place(method: SigmoidMethod, values: &mut [f32]) {
    match method {
        SigmoidMethod::Table => table_in_place(values),
        SigmoidMethod::Polynomial => dispatch(SigmoidInPlace(values)),
    }
}

/// `ln(1 + exp(x))`: the loss `-ln s(-x)` of a sigmoid, exact in both tails.
///
/// # Precision
/// Relative error below 5e-7 wherever the result is a normal number; infinity at infinity, 0 at
/// minus infinity, NaN for NaN.
///
/// ```
/// use barelm_kernels::sigmoid::softplus;
/// assert!((softplus(0.0) - core::f32::consts::LN_2).abs() < 1e-7);
/// assert_eq!(softplus(1e4), 1e4);
/// ```
#[inline]
pub fn softplus(x: f32) -> f32 {
    let mut values = [x];
    softplus_in_place(&mut values);
    values[0]
}

/// [`softplus`] of every element.
///
/// ```
/// let mut x = [f32::NEG_INFINITY, f32::INFINITY];
/// barelm_kernels::sigmoid::softplus_in_place(&mut x);
/// assert_eq!(x, [0.0, f32::INFINITY]);
/// ```
#[inline]
pub fn softplus_in_place(values: &mut [f32]) {
    dispatch(SoftplusInPlace(values));
}

fn table_in_place(values: &mut [f32]) {
    values.iter_mut().for_each(|x| *x = table::lookup(*x));
}

struct SigmoidInPlace<'a>(&'a mut [f32]);

impl Kernel for SigmoidInPlace<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let (chunks, tail) = self.0.as_chunks_mut::<LANES>();
        for chunk in chunks {
            simd.store(sigmoid_with(simd, simd.load(chunk)), chunk);
        }
        if !tail.is_empty() {
            simd.store_partial(sigmoid_with(simd, simd.load_partial(tail)), tail);
        }
    }
}

struct SoftplusInPlace<'a>(&'a mut [f32]);

impl Kernel for SoftplusInPlace<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let (chunks, tail) = self.0.as_chunks_mut::<LANES>();
        for chunk in chunks {
            simd.store(softplus_with(simd, simd.load(chunk)), chunk);
        }
        if !tail.is_empty() {
            simd.store_partial(softplus_with(simd, simd.load_partial(tail)), tail);
        }
    }
}

/// [`sigmoid_in_place`] for use inside other kernels.
#[inline(always)]
pub(crate) fn sigmoid_in_place_with<S: Simd>(simd: S, method: SigmoidMethod, values: &mut [f32]) {
    match method {
        SigmoidMethod::Table => table_in_place(values),
        SigmoidMethod::Polynomial => SigmoidInPlace(values).run(simd),
    }
}

/// [`softplus_in_place`] for use inside other kernels.
#[inline(always)]
pub(crate) fn softplus_in_place_with<S: Simd>(simd: S, values: &mut [f32]) {
    SoftplusInPlace(values).run(simd);
}

/// The sigmoid in each lane.
#[inline(always)]
pub(crate) fn sigmoid_with<S: Simd>(simd: S, x: S::V) -> S::V {
    let one = simd.splat(1.0);
    let upper = simd.div(one, simd.add(one, exp_of_minus_abs(simd, x)));
    simd.select_gt(x, simd.splat(0.0), upper, simd.sub(one, upper))
}

/// `max(x, 0) + ln(1 + exp(-|x|))` in each lane.
#[inline(always)]
fn softplus_with<S: Simd>(simd: S, x: S::V) -> S::V {
    let tail = ln_1p_with(simd, exp_of_minus_abs(simd, x));
    simd.add(simd.max(simd.splat(0.0), x), tail)
}

/// `ln(1 + z)` for `z` in `0 ..= 1`: the series of `2 artanh(z / (2 + z))`.
#[inline(always)]
fn ln_1p_with<S: Simd>(simd: S, z: S::V) -> S::V {
    let r = simd.div(z, simd.add(z, simd.splat(2.0)));
    let square = simd.mul(r, r);
    let mut sum = simd.splat(0.0);
    for odd in [15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0, 1.0] {
        sum = simd.mul_add(sum, square, simd.splat(2.0 / odd));
    }
    simd.mul(sum, r)
}

/// The sigmoid in each lane; and what the losses `softplus(x)` are made of: `max(x, 0)` is added to
/// `linear`, and `1 + exp(-|x|)`, which lies in `1 ..= 2`, multiplied to `product`, so that many
/// logarithms become one.
#[inline(always)]
pub(crate) fn sigmoid_and_loss_with<S: Simd>(
    simd: S,
    method: SigmoidMethod,
    x: S::V,
    (linear, product): (&mut S::V, &mut S::V),
) -> S::V {
    let (zero, one) = (simd.splat(0.0), simd.splat(1.0));
    let sum = simd.add(one, exp_of_minus_abs(simd, x));
    *linear = simd.add(*linear, simd.max(zero, x));
    *product = simd.mul(*product, sum);
    match method {
        SigmoidMethod::Polynomial => {
            let upper = simd.div(one, sum);
            simd.select_gt(x, zero, upper, simd.sub(one, upper))
        }
        SigmoidMethod::Table => {
            let mut lanes = [0.0; LANES];
            simd.store(x, &mut lanes);
            table_in_place(&mut lanes);
            simd.load(&lanes)
        }
    }
}

/// `exp(-|x|)`; 0 once that is below the normal numbers, NaN for NaN.
#[inline(always)]
fn exp_of_minus_abs<S: Simd>(simd: S, x: S::V) -> S::V {
    let x = simd.min(x, simd.sub(simd.splat(0.0), x));
    exp_with(simd, x)
}

#[cfg(test)]
mod tests;
