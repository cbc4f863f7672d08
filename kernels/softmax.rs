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

/// [`exp_of_difference_with`] where registers hold two vectors: number by number, the same sums.
#[inline(always)]
fn narrow_exp_of_difference<S: Simd>(simd: S, x: &mut [f32], shift: f32) -> f32 {
    let (mut sums, mut last) = ([[0.0; LANES]; 4], [0.0; LANES]);
    let full = x.len() / LANES * LANES;
    for (i, x) in x.iter_mut().enumerate() {
        *x = exp_of_one(*x - shift);
        let lanes = if i < full {
            &mut sums[i / LANES % 4]
        } else {
            &mut last
        };
        lanes[i % LANES] += *x;
    }
    fold(simd, sums.map(|sums| simd.load(&sums)), simd.load(&last))
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
mod tests {
    use super::*;
    use crate::testing::{LENGTHS, assert_close, on_every_backend, tolerance, values};
    use std::vec::Vec;

    fn naive_log_sum_exp(x: &[f32]) -> f64 {
        let max = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let max = f64::from(if max.is_finite() { max } else { 0.0 });
        let sum: f64 = x.iter().map(|x| libm::exp(f64::from(*x) - max)).sum();
        max + libm::log(sum)
    }

    fn naive_softmax(x: &[f32]) -> Vec<f64> {
        let log_sum = naive_log_sum_exp(x);
        x.iter()
            .map(|x| libm::exp(f64::from(*x) - log_sum))
            .collect()
    }

    fn scaled(len: usize, seed: u64, scale: f32) -> Vec<f32> {
        values(len, seed).into_iter().map(|x| x * scale).collect()
    }

    #[test]
    fn softmax_and_log_sum_exp_agree_with_f64() {
        on_every_backend(|backend| {
            for len in LENGTHS {
                let x = scaled(len, 1, 20.0);
                let got = backend.run(LogSumExp { x: &x });
                let want = naive_log_sum_exp(&x) as f32;
                assert_close(got, want, tolerance::SOFTMAX, want.abs().max(1.0));
                let mut p = x.clone();
                backend.run(Softmax { x: &mut p });
                for (p, want) in p.iter().zip(naive_softmax(&x)) {
                    assert_close(*p, want as f32, tolerance::SOFTMAX, 1.0);
                }
            }
        });
    }

    #[test]
    fn large_scores_neither_overflow_nor_lose_the_winner() {
        on_every_backend(|backend| {
            let mut x = scaled(100, 2, 1e4);
            x[37] = 1.1e4;
            backend.run(Softmax { x: &mut x });
            assert_eq!(x[37], 1.0);
            assert_eq!(x.iter().sum::<f32>(), 1.0);
        });
    }

    #[test]
    fn infinities_and_nan_give_what_the_documentation_says() {
        on_every_backend(|backend| {
            for len in [1, 17, 80] {
                for at in [0, len - 1] {
                    let with = |odd: f32| {
                        let mut x = values(len, 3);
                        x[at] = odd;
                        x
                    };
                    let lse = |x: &[f32]| backend.run(LogSumExp { x });
                    let softmax = |mut x: Vec<f32>| {
                        backend.run(Softmax { x: &mut x });
                        x
                    };
                    assert!(lse(&with(f32::NAN)).is_nan());
                    assert!(softmax(with(f32::NAN)).iter().all(|p| p.is_nan()));
                    assert_eq!(lse(&with(f32::INFINITY)), f32::INFINITY);
                    assert!(softmax(with(f32::INFINITY))[at].is_nan());
                    if len > 1 {
                        assert_eq!(softmax(with(f32::NEG_INFINITY))[at], 0.0);
                    }
                    assert_eq!(lse(&std::vec![f32::NEG_INFINITY; len]), f32::NEG_INFINITY);
                }
            }
            assert_eq!(backend.run(LogSumExp { x: &[] }), f32::NEG_INFINITY);
        });
    }

    #[test]
    fn cross_entropy_and_its_gradient_agree_with_f64() {
        on_every_backend(|backend| {
            for classes in [1, 2, 15, 16, 17, 64, 65, 300] {
                let (rows, stride) = (3, classes + 5);
                let mut logits = scaled(rows * stride, 4, 5.0);
                let original = logits.clone();
                let view = MatRef::with_stride(&original, rows, classes, stride).unwrap();
                let targets = [0, classes as u32 / 2, classes as u32 - 1];
                let (mut losses, mut again) = ([0.0; 3], [0.0; 3]);
                backend.run(CrossEntropyInPlace {
                    logits: MatMut::with_stride(&mut logits, rows, classes, stride).unwrap(),
                    targets: &targets,
                    scale: 0.25,
                    losses: &mut losses,
                });
                backend.run(CrossEntropy {
                    logits: view,
                    targets: &targets,
                    losses: &mut again,
                });
                assert_eq!(losses, again);
                for (i, target) in targets.into_iter().enumerate() {
                    let row = view.row(i);
                    let want = naive_log_sum_exp(row) - f64::from(row[target as usize]);
                    assert_close(losses[i], want as f32, tolerance::SOFTMAX, 10.0);
                    for (c, p) in naive_softmax(row).into_iter().enumerate() {
                        let want = 0.25 * (p - f64::from(u8::from(c == target as usize)));
                        let got = logits[i * stride + c];
                        assert_close(got, want as f32, tolerance::SOFTMAX, 1.0);
                    }
                }
                assert_eq!(logits[classes..stride], original[classes..stride]);
            }
        });
    }

    #[test]
    fn the_gradient_is_the_slope_of_the_loss() {
        let (classes, target, h) = (9, 4, 1e-5);
        let x = scaled(classes, 5, 3.0);
        let loss = |x: &[f64]| libm::log(x.iter().map(|x| libm::exp(*x)).sum()) - x[target];
        let mut gradient = x.clone();
        let mut losses = [0.0];
        let view = MatMut::new(&mut gradient, 1, classes).unwrap();
        cross_entropy_in_place(view, &[target as u32], 1.0, &mut losses).unwrap();
        for i in 0..classes {
            let mut moved: Vec<f64> = x.iter().map(|x| f64::from(*x)).collect();
            moved[i] += h;
            let above = loss(&moved);
            moved[i] -= 2.0 * h;
            let slope = (above - loss(&moved)) / (2.0 * h);
            assert_close(gradient[i], slope as f32, tolerance::SOFTMAX, 1.0);
        }
    }

    #[test]
    fn all_three_are_bit_equal_within_a_class() {
        for len in LENGTHS {
            let x = scaled(len, 6, 8.0);
            let mut of_class = [None, None];
            on_every_backend(|backend| {
                let mut p = x.clone();
                backend.run(Softmax { x: &mut p });
                let lse = backend.run(LogSumExp { x: &x }).to_bits();
                let bits: Vec<u32> = p.iter().map(|p| p.to_bits()).collect();
                let class = &mut of_class[usize::from(backend.is_fused())];
                let got = (lse, bits);
                assert_eq!(*class.get_or_insert(got.clone()), got);
            });
        }
    }

    #[test]
    fn wrong_targets_and_lengths_are_errors_before_anything_is_written() {
        let (mut logits, mut losses) = ([1.0, 2.0, 3.0, 4.0], [7.0; 2]);
        let shape = Err(KernelError::Shape(ShapeError));
        for targets in [&[0, 2][..], &[0], &[0, u32::MAX]] {
            let view = MatMut::new(&mut logits, 2, 2).unwrap();
            let got = cross_entropy_in_place(view, targets, 1.0, &mut losses);
            assert_eq!(got, shape);
            let view = MatRef::new(&logits, 2, 2).unwrap();
            assert_eq!(cross_entropy(view, targets, &mut losses), shape);
        }
        let view = MatRef::new(&logits, 2, 2).unwrap();
        assert_eq!(cross_entropy(view, &[0, 1], &mut losses[..1]), shape);
        assert_eq!((logits, losses), ([1.0, 2.0, 3.0, 4.0], [7.0; 2]));
        let none = MatRef::new(&[], 0, 0).unwrap();
        assert_eq!(cross_entropy(none, &[], &mut []), Ok(()));
    }
}
