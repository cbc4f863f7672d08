//! Vector kernels: dot product, axpy, and the fused dot-and-update of hierarchical softmax.
//!
//! A dot product keeps four running sums of sixteen lanes (chunk `i` of sixteen goes to sum
//! `i % 4`; the last, short chunk is filled with zeros), enough to hide the latency of an addition.
//! They are combined as `(s0 + s1) + (s2 + s3)` and the lanes folded in halves.

use crate::error::ShapeError;
use crate::simd::{Kernel, LANES, Simd, dispatch};

/// `sum_i a[i] * b[i]`.
///
/// # Errors
/// [`ShapeError`] when the lengths differ.
///
/// # Precision
/// Within `1e-6 * sum |a_i b_i|` of the exact sum for lengths up to 4096; equal bits within a
/// rounding class.
///
/// ```
/// assert_eq!(barelm_kernels::blas1::dot(&[1.0, 2.0], &[3.0, 4.0]), Ok(11.0));
/// ```
#[inline]
pub fn dot(a: &[f32], b: &[f32]) -> Result<f32, ShapeError> {
    if a.len() != b.len() {
        return Err(ShapeError);
    }
    Ok(dispatch(Dot { a, b }))
}

/// `y += alpha * x`.
///
/// # Errors
/// [`ShapeError`] when the lengths differ.
///
/// # Precision
/// One rounding an element in the fused class, two in the unfused.
///
/// ```
/// let mut y = [1.0, 1.0];
/// barelm_kernels::blas1::axpy(2.0, &[3.0, 4.0], &mut y)?;
/// assert_eq!(y, [7.0, 9.0]);
/// # Ok::<(), barelm_kernels::error::ShapeError>(())
/// ```
#[inline]
pub fn axpy(alpha: f32, x: &[f32], y: &mut [f32]) -> Result<(), ShapeError> {
    if x.len() != y.len() {
        return Err(ShapeError);
    }
    dispatch(Axpy { alpha, x, y });
    Ok(())
}

/// With the old `theta`: `gradient += g * theta`, then `theta += g * x`, in one pass.
///
/// This is the inner step of hierarchical softmax: `g` is `learning_rate * (d - sigmoid)`,
/// `gradient` is word2vec.c's `neu1e`, `theta` a row of its `syn1`, `x` its `neu1`.
///
/// # Errors
/// [`ShapeError`] when the lengths differ.
///
/// # Precision
/// One rounding an element in the fused class, two in the unfused.
///
/// ```
/// let (mut theta, mut gradient) = ([1.0, 2.0], [0.0, 0.0]);
/// barelm_kernels::blas1::update(0.5, &[2.0, 2.0], &mut theta, &mut gradient)?;
/// assert_eq!((theta, gradient), ([2.0, 3.0], [0.5, 1.0]));
/// # Ok::<(), barelm_kernels::error::ShapeError>(())
/// ```
#[inline]
pub fn update(
    g: f32,
    x: &[f32],
    theta: &mut [f32],
    gradient: &mut [f32],
) -> Result<(), ShapeError> {
    if x.len() != theta.len() || x.len() != gradient.len() {
        return Err(ShapeError);
    }
    dispatch(Update {
        g,
        x,
        theta,
        gradient,
    });
    Ok(())
}

struct Dot<'a> {
    a: &'a [f32],
    b: &'a [f32],
}

impl Kernel for Dot<'_> {
    type Output = f32;
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> f32 {
        dot_with(simd, self.a, self.b)
    }
}

/// The dot product of the common prefix of `a` and `b`, for use inside other kernels.
#[inline(always)]
pub(crate) fn dot_with<S: Simd>(simd: S, a: &[f32], b: &[f32]) -> f32 {
    if const { S::REGISTERS < 4 } {
        return narrow_dot(a, b);
    }
    let mut sums = [simd.splat(0.0); 4];
    let (a_chunks, a_tail) = a.as_chunks::<LANES>();
    let (b_chunks, b_tail) = b.as_chunks::<LANES>();
    let (a_blocks, a_rest) = a_chunks.as_chunks::<4>();
    let (b_blocks, b_rest) = b_chunks.as_chunks::<4>();
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum = simd.mul_add(simd.load(a), simd.load(b), *sum);
        }
    }
    for ((sum, a), b) in sums.iter_mut().zip(a_rest).zip(b_rest) {
        *sum = simd.mul_add(simd.load(a), simd.load(b), *sum);
    }
    if !a_tail.is_empty()
        && let Some(sum) = sums.get_mut(a_rest.len())
    {
        *sum = simd.mul_add(simd.load_partial(a_tail), simd.load_partial(b_tail), *sum);
    }
    let [s0, s1, s2, s3] = sums;
    simd.reduce_sum(simd.add(simd.add(s0, s1), simd.add(s2, s3)))
}

/// [`dot_with`] where registers hold two vectors: half of each vector at a time, and one of the four
/// sums after the other.
#[inline(never)]
fn narrow_dot(a: &[f32], b: &[f32]) -> f32 {
    let mut folded = [[0.0; HALF]; 2];
    for (h, folded) in folded.iter_mut().enumerate() {
        let mut sums = [[0.0; HALF]; 4];
        for (i, sum) in sums.iter_mut().enumerate() {
            [*sum] = narrow_sums([a], b, i * LANES + h * HALF, 4 * LANES);
        }
        let [s0, s1, s2, s3] = sums;
        for (i, folded) in folded.iter_mut().enumerate() {
            *folded = (s0[i] + s1[i]) + (s2[i] + s3[i]);
        }
    }
    narrow_reduce_sum(folded)
}

/// Lanes that such a machine's registers hold beside their operands.
pub(crate) const HALF: usize = LANES / 2;

/// The products of each row with `x`, from element `start` on, eight out of `step`, in a sum for each
/// of the eight: what lanes of a vector would hold. Unfused.
#[inline(always)]
pub(crate) fn narrow_sums<const R: usize>(
    rows: [&[f32]; R],
    x: &[f32],
    start: usize,
    step: usize,
) -> [[f32; HALF]; R] {
    let mut sums = [[0.0; HALF]; R];
    let mut at = start;
    while let Some(x) = x.get(at..).filter(|x| !x.is_empty()) {
        for (sums, row) in sums.iter_mut().zip(rows) {
            let row = row.get(at..).unwrap_or(&[]);
            match (row.first_chunk::<HALF>(), x.first_chunk::<HALF>()) {
                (Some(row), Some(x)) => add_products(sums, row, x),
                _ => add_products(sums, row, x),
            }
        }
        at += step;
    }
    sums
}

/// As many as there are; a loop without branches where the compiler sees how many.
#[inline(always)]
fn add_products(sums: &mut [f32; HALF], row: &[f32], x: &[f32]) {
    for ((sum, row), x) in sums.iter_mut().zip(row).zip(x) {
        *sum += row * x;
    }
}

/// The sum over the lanes of a vector in halves, by the tree of every backend.
#[inline(always)]
pub(crate) fn narrow_reduce_sum([low, high]: [[f32; HALF]; 2]) -> f32 {
    let [c0, c1, c2, c3, c4, c5, c6, c7] = core::array::from_fn(|i| low[i] + high[i]);
    ((c0 + c4) + (c2 + c6)) + ((c1 + c5) + (c3 + c7))
}

struct Axpy<'a> {
    alpha: f32,
    x: &'a [f32],
    y: &'a mut [f32],
}

impl Kernel for Axpy<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        axpy_with(simd, self.alpha, self.x, self.y);
    }
}

/// `y += alpha * x` over the common prefix, for use inside other kernels.
#[inline(always)]
pub(crate) fn axpy_with<S: Simd>(simd: S, alpha: f32, x: &[f32], y: &mut [f32]) {
    let alpha = simd.splat(alpha);
    let (x_chunks, x_tail) = x.as_chunks::<LANES>();
    let (y_chunks, y_tail) = y.as_chunks_mut::<LANES>();
    for (x, y) in x_chunks.iter().zip(y_chunks) {
        simd.store(simd.mul_add(alpha, simd.load(x), simd.load(y)), y);
    }
    if !y_tail.is_empty() {
        let y = simd.mul_add(alpha, simd.load_partial(x_tail), simd.load_partial(y_tail));
        simd.store_partial(y, y_tail);
    }
}

struct Update<'a> {
    g: f32,
    x: &'a [f32],
    theta: &'a mut [f32],
    gradient: &'a mut [f32],
}

impl Kernel for Update<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        update_with(simd, self.g, self.x, self.theta, self.gradient);
    }
}

/// The fused update over the common prefix, for use inside other kernels.
#[inline(always)]
pub(crate) fn update_with<S: Simd>(
    simd: S,
    g: f32,
    x: &[f32],
    theta: &mut [f32],
    gradient: &mut [f32],
) {
    let g = simd.splat(g);
    let (x_chunks, x_tail) = x.as_chunks::<LANES>();
    let (t_chunks, t_tail) = theta.as_chunks_mut::<LANES>();
    let (e_chunks, e_tail) = gradient.as_chunks_mut::<LANES>();
    for ((x, t), e) in x_chunks.iter().zip(t_chunks).zip(e_chunks) {
        let old = simd.load(t);
        simd.store(simd.mul_add(g, old, simd.load(e)), e);
        simd.store(simd.mul_add(g, simd.load(x), old), t);
    }
    if !x_tail.is_empty() {
        let old = simd.load_partial(t_tail);
        simd.store_partial(simd.mul_add(g, old, simd.load_partial(e_tail)), e_tail);
        simd.store_partial(simd.mul_add(g, simd.load_partial(x_tail), old), t_tail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Backend, Portable};
    use crate::testing::{LENGTHS, assert_close, on_every_backend, tolerance, values};

    fn naive_dot(a: &[f32], b: &[f32]) -> f32 {
        a.iter()
            .zip(b)
            .map(|(a, b)| f64::from(*a) * f64::from(*b))
            .sum::<f64>() as f32
    }

    fn magnitude(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(a, b)| (a * b).abs()).sum()
    }

    #[test]
    fn dot_agrees_with_the_naive_sum() {
        on_every_backend(|backend| {
            for len in LENGTHS {
                let (a, b) = (values(len, 1), values(len, 2));
                let got = backend.run(Dot { a: &a, b: &b });
                assert_close(got, naive_dot(&a, &b), tolerance::LINEAR, magnitude(&a, &b));
            }
        });
    }

    #[test]
    fn dot_is_bit_equal_within_a_class() {
        for len in LENGTHS {
            let (a, b) = (values(len, 3), values(len, 4));
            let mut of_class = [None; 2];
            on_every_backend(|backend| {
                let bits = backend.run(Dot { a: &a, b: &b }).to_bits();
                let class = &mut of_class[usize::from(backend.is_fused())];
                assert_eq!(*class.get_or_insert(bits), bits, "length {len}");
            });
        }
    }

    #[test]
    fn half_vectors_give_the_bits_of_whole_ones() {
        let portable = Backend::Portable(Portable);
        for len in LENGTHS {
            let (a, b) = (values(len, 3), values(len, 4));
            let wanted = portable.run(Dot { a: &a, b: &b });
            assert_eq!(
                narrow_dot(&a, &b).to_bits(),
                wanted.to_bits(),
                "length {len}"
            );
        }
    }

    #[test]
    fn dot_passes_nan_and_infinity_on() {
        on_every_backend(|backend| {
            for at in [0, 20, 33] {
                let mut a = values(34, 5);
                a[at] = f32::NAN;
                assert!(
                    backend
                        .run(Dot {
                            a: &a,
                            b: &values(34, 6)
                        })
                        .is_nan()
                );
                a[at] = f32::INFINITY;
                assert_eq!(
                    backend.run(Dot {
                        a: &a,
                        b: &[1.0; 34]
                    }),
                    f32::INFINITY
                );
            }
        });
    }

    #[test]
    fn axpy_and_update_agree_with_the_naive_loops() {
        on_every_backend(|backend| {
            for len in LENGTHS {
                let (x, theta, gradient) = (values(len, 1), values(len, 2), values(len, 3));
                let mut y = theta.clone();
                backend.run(Axpy {
                    alpha: 0.7,
                    x: &x,
                    y: &mut y,
                });
                let (mut t, mut e) = (theta.clone(), gradient.clone());
                backend.run(Update {
                    g: -0.3,
                    x: &x,
                    theta: &mut t,
                    gradient: &mut e,
                });
                for i in 0..len {
                    assert_close(y[i], theta[i] + 0.7 * x[i], tolerance::LINEAR, 2.0);
                    assert_close(t[i], theta[i] - 0.3 * x[i], tolerance::LINEAR, 2.0);
                    assert_close(e[i], gradient[i] - 0.3 * theta[i], tolerance::LINEAR, 2.0);
                }
            }
        });
    }

    #[test]
    fn lengths_that_differ_are_errors() {
        assert_eq!(dot(&[1.0], &[]), Err(ShapeError));
        assert_eq!(axpy(1.0, &[1.0], &mut []), Err(ShapeError));
        assert_eq!(update(1.0, &[1.0], &mut [1.0], &mut []), Err(ShapeError));
    }
}
