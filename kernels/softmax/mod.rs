//! Softmax, log-sum-exp and cross-entropy.
//!
//! All three subtract the row's maximum first, so that no exponential overflows and the largest
//! one is 1. Each row takes one pass for the maximum and one for the exponentials and their sum
//! (and one to scale, where probabilities or gradients are wanted), every pass over sixteen lanes
//! and four independent accumulators.

use crate::error::{KernelError, ShapeError};
use crate::exp::{exp_of_one, exp_with};
use crate::mat::{MatMut, MatRef};
use crate::simd::{Kernel, LANES, Simd, dispatch};

/// `x[i] = e^(x[i]) / sum_j e^(x[j])`.
///
/// # Precision
/// Probabilities within `1e-6` relative of the exact ones for rows of some 1e5 values and
/// differences up to 10 (the subtraction of the maximum rounds: `6e-8` more for each unit beyond
/// that). NaN anywhere, `+inf`, or nothing but `-inf` has no softmax: the row then holds NaN.
/// Equal bits within a rounding class.
///
/// ```
/// let mut x = [0.0, 2.0_f32.ln(), f32::NEG_INFINITY];
/// barelm_kernels::softmax::softmax_in_place(&mut x);
/// assert!((x[0] - 1.0 / 3.0).abs() < 1e-6 && (x[1] - 2.0 / 3.0).abs() < 1e-6 && x[2] == 0.0);
/// ```
pub fn softmax_in_place(x: &mut [f32]) {
    dispatch(Softmax { x });
}

/// `ln sum_i e^(x[i])`, in nats; `-inf` for an empty slice.
///
/// # Precision
/// Within `1e-6` of the exact value, and its own rounding. NaN for NaN; `+inf` where `x` holds it
/// (and no NaN). Equal bits within a rounding class.
///
/// ```
/// assert_eq!(barelm_kernels::softmax::log_sum_exp(&[1000.0]), 1000.0);
/// ```
pub fn log_sum_exp(x: &[f32]) -> f32 {
    dispatch(LogSumExp { x })
}

/// `losses[i] = log_sum_exp(row i of logits) - logits[i][targets[i]]`: `-ln p(target)` in nats.
///
/// `logits` is `rows x classes`; `targets` and `losses` hold one value a row.
///
/// # Errors
/// [`ShapeError`] when the lengths differ from the number of rows or a target is not a class.
///
/// # Precision
/// As [`log_sum_exp`].
///
/// ```
/// use barelm_kernels::{mat::MatRef, softmax::cross_entropy};
/// let mut losses = [0.0];
/// cross_entropy(MatRef::new(&[7.0, 7.0], 1, 2)?, &[1], &mut losses)?;
/// assert!((losses[0] - 2.0_f32.ln()).abs() < 1e-6);
/// # Ok::<(), barelm_kernels::error::KernelError>(())
/// ```
pub fn cross_entropy(
    logits: MatRef<'_>,
    targets: &[u32],
    losses: &mut [f32],
) -> Result<(), KernelError> {
    check(logits.rows(), logits.cols(), targets, losses)?;
    dispatch(CrossEntropy {
        logits,
        targets,
        losses,
    });
    Ok(())
}

/// [`cross_entropy`] and its gradient: `logits = scale * (softmax(logits) - onehot(target))`.
///
/// `scale` is usually 1 / (number of targets in the batch).
///
/// # Errors
/// [`ShapeError`], before anything is written, when the lengths differ from the number of rows or
/// a target is not a class.
///
/// # Precision
/// As [`log_sum_exp`] and [`softmax_in_place`].
///
/// ```
/// use barelm_kernels::{mat::MatMut, softmax::cross_entropy_in_place};
/// let (mut logits, mut losses) = ([7.0, 7.0], [0.0]);
/// cross_entropy_in_place(MatMut::new(&mut logits, 1, 2)?, &[1], 1.0, &mut losses)?;
/// assert_eq!(logits, [0.5, -0.5]);
/// # Ok::<(), barelm_kernels::error::KernelError>(())
/// ```
pub fn cross_entropy_in_place(
    logits: MatMut<'_>,
    targets: &[u32],
    scale: f32,
    losses: &mut [f32],
) -> Result<(), KernelError> {
    check(logits.rows(), logits.cols(), targets, losses)?;
    dispatch(CrossEntropyInPlace {
        logits,
        targets,
        scale,
        losses,
    });
    Ok(())
}

fn check(rows: usize, classes: usize, targets: &[u32], losses: &[f32]) -> Result<(), ShapeError> {
    let fits = targets.len() == rows
        && losses.len() == rows
        && targets.iter().all(|target| (*target as usize) < classes);
    fits.then_some(()).ok_or(ShapeError)
}

struct Softmax<'a> {
    x: &'a mut [f32],
}

impl Kernel for Softmax<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let shift = finite_max_with(simd, self.x);
        let sum = exp_of_difference_with(simd, self.x, shift);
        multiply(simd, self.x, 1.0 / sum);
    }
}

/// `x = e^(x - max x)`, and one over their sum, or 0 for a sum of 0: the weights of attention.
pub(crate) struct Exponentials<'a> {
    pub(crate) x: &'a mut [f32],
}

impl Kernel for Exponentials<'_> {
    type Output = f32;
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> f32 {
        let shift = finite_max_with(simd, self.x);
        let sum = exp_of_difference_with(simd, self.x, shift);
        if sum == 0.0 { 0.0 } else { 1.0 / sum }
    }
}

struct LogSumExp<'a> {
    x: &'a [f32],
}

impl Kernel for LogSumExp<'_> {
    type Output = f32;
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> f32 {
        let shift = finite_max_with(simd, self.x);
        shift + libm::logf(sum_exp_of_difference(simd, self.x, shift))
    }
}

struct CrossEntropy<'a> {
    logits: MatRef<'a>,
    targets: &'a [u32],
    losses: &'a mut [f32],
}

impl Kernel for CrossEntropy<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for (i, (loss, target)) in self.losses.iter_mut().zip(self.targets).enumerate() {
            let row = self.logits.row(i);
            let shift = finite_max_with(simd, row);
            let sum = sum_exp_of_difference(simd, row, shift);
            *loss = (shift - element(row, *target)) + libm::logf(sum);
        }
    }
}

struct CrossEntropyInPlace<'a> {
    logits: MatMut<'a>,
    targets: &'a [u32],
    scale: f32,
    losses: &'a mut [f32],
}

impl Kernel for CrossEntropyInPlace<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        for (i, (loss, target)) in self.losses.iter_mut().zip(self.targets).enumerate() {
            let row = self.logits.row_mut(i);
            let shift = finite_max_with(simd, row);
            let below = shift - element(row, *target);
            let sum = exp_of_difference_with(simd, row, shift);
            *loss = below + libm::logf(sum);
            multiply(simd, row, self.scale / sum);
            if let Some(x) = row.get_mut(*target as usize) {
                *x -= self.scale;
            }
        }
    }
}

#[inline(always)]
fn element(row: &[f32], i: u32) -> f32 {
    row.get(i as usize).copied().unwrap_or(f32::NAN)
}

/// Largest element, NaN aside, brought into the finite range: `x - finite_max` is then NaN only
/// where `x` is.
#[inline(always)]
fn finite_max_with<S: Simd>(simd: S, x: &[f32]) -> f32 {
    if const { S::REGISTERS < 4 } {
        let max = |max, x: &f32| if *x > max { *x } else { max };
        return x.iter().fold(f32::MIN, max).min(f32::MAX);
    }
    let mut max = [simd.splat(f32::MIN); 4];
    let (chunks, tail) = x.as_chunks::<LANES>();
    let (blocks, rest) = chunks.as_chunks::<4>();
    for block in blocks {
        for (max, x) in max.iter_mut().zip(block) {
            *max = simd.max(simd.load(x), *max);
        }
    }
    for (max, x) in max.iter_mut().zip(rest) {
        *max = simd.max(simd.load(x), *max);
    }
    let [m0, m1, m2, m3] = max;
    let max = simd.reduce_max(simd.max(simd.max(m0, m1), simd.max(m2, m3)));
    let max = tail.iter().fold(max, |max, x| max.max(*x));
    max.min(f32::MAX)
}

/// `sum_i e^(x[i] - shift)`.
#[inline(always)]
fn sum_exp_of_difference<S: Simd>(simd: S, x: &[f32], shift: f32) -> f32 {
    if const { S::REGISTERS < 4 } {
        let exponentials = x.iter().map(|x| exp_of_one(*x - shift));
        return narrow_sum(simd, x.len(), exponentials);
    }
    let shift = simd.splat(shift);
    let mut sums = [simd.splat(0.0); 4];
    let (chunks, tail) = x.as_chunks::<LANES>();
    let (blocks, rest) = chunks.as_chunks::<4>();
    for block in blocks {
        for (sum, x) in sums.iter_mut().zip(block) {
            *sum = simd.add(*sum, exp_with(simd, simd.sub(simd.load(x), shift)));
        }
    }
    for (sum, x) in sums.iter_mut().zip(rest) {
        *sum = simd.add(*sum, exp_with(simd, simd.sub(simd.load(x), shift)));
    }
    let last = exp_with(simd, simd.sub(load_or_minus_infinity(simd, tail), shift));
    fold(simd, sums, last)
}

/// `x[i] = e^(x[i] - shift)`; returns the sum, in the order of [`sum_exp_of_difference`].
#[inline(always)]
fn exp_of_difference_with<S: Simd>(simd: S, x: &mut [f32], shift: f32) -> f32 {
    if const { S::REGISTERS < 4 } {
        return narrow_exp_of_difference(simd, x, shift);
    }
    let shift = simd.splat(shift);
    let mut sums = [simd.splat(0.0); 4];
    let (chunks, tail) = x.as_chunks_mut::<LANES>();
    let (blocks, rest) = chunks.as_chunks_mut::<4>();
    for block in blocks {
        for (sum, x) in sums.iter_mut().zip(block) {
            let y = exp_with(simd, simd.sub(simd.load(x), shift));
            simd.store(y, x);
            *sum = simd.add(*sum, y);
        }
    }
    for (sum, x) in sums.iter_mut().zip(rest) {
        let y = exp_with(simd, simd.sub(simd.load(x), shift));
        simd.store(y, x);
        *sum = simd.add(*sum, y);
    }
    let last = exp_with(simd, simd.sub(load_or_minus_infinity(simd, tail), shift));
    simd.store_partial(last, tail);
    fold(simd, sums, last)
}

/// The sum of exponentials where registers hold two vectors: number by number, the same sums, in a
/// frame of its own.
#[inline(never)]
fn narrow_sum<S: Simd>(simd: S, len: usize, exponentials: impl Iterator<Item = f32>) -> f32 {
    let (mut sums, mut last) = ([[0.0; LANES]; 4], [0.0; LANES]);
    let full = len / LANES * LANES;
    for (i, x) in exponentials.enumerate() {
        let lanes = if i < full {
            &mut sums[i / LANES % 4]
        } else {
            &mut last
        };
        lanes[i % LANES] += x;
    }
    narrow_fold(simd, &sums, last)
}

/// [`exp_of_difference_with`] in the manner of [`narrow_sum`].
#[inline(never)]
fn narrow_exp_of_difference<S: Simd>(simd: S, x: &mut [f32], shift: f32) -> f32 {
    for x in x.iter_mut() {
        *x = exp_of_one(*x - shift);
    }
    let (mut sums, mut last) = ([[0.0; LANES]; 4], [0.0; LANES]);
    let (chunks, tail) = x.as_chunks::<LANES>();
    for block in chunks.chunks(4) {
        add_lanes(sums.as_flattened_mut(), block.as_flattened());
    }
    add_lanes(&mut last, tail);
    narrow_fold(simd, &sums, last)
}

/// [`fold`] without vectors.
#[inline(always)]
fn narrow_fold<S: Simd>(simd: S, sums: &[[f32; LANES]; 4], mut last: [f32; LANES]) -> f32 {
    let [s0, s1, s2, s3] = sums;
    for (i, last) in last.iter_mut().enumerate() {
        *last += (s0[i] + s1[i]) + (s2[i] + s3[i]);
    }
    simd.reduce_sum(simd.load(&last))
}

#[inline(always)]
fn add_lanes(sums: &mut [f32], x: &[f32]) {
    for (sum, x) in sums.iter_mut().zip(x) {
        *sum += *x;
    }
}

#[inline(always)]
fn fold<S: Simd>(simd: S, sums: [S::V; 4], last: S::V) -> f32 {
    let [s0, s1, s2, s3] = sums;
    let sum = simd.add(simd.add(s0, s1), simd.add(s2, s3));
    simd.reduce_sum(simd.add(sum, last))
}

/// Missing lanes are `-inf`, whose exponential is 0.
#[inline(always)]
fn load_or_minus_infinity<S: Simd>(simd: S, x: &[f32]) -> S::V {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for (lane, x) in lanes.iter_mut().zip(x) {
        *lane = *x;
    }
    simd.load(&lanes)
}

#[inline(always)]
fn multiply<S: Simd>(simd: S, x: &mut [f32], factor: f32) {
    let splat = simd.splat(factor);
    let (chunks, tail) = x.as_chunks_mut::<LANES>();
    for chunk in chunks {
        simd.store(simd.mul(simd.load(chunk), splat), chunk);
    }
    for x in tail {
        *x *= factor;
    }
}

#[cfg(test)]
mod tests;
