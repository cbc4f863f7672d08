//! Root-mean-square normalisation, forward and backward.
//!
//! ```text
//! r = 1 / sqrt(mean_j x_j^2 + epsilon)         y_i = w_i (r x_i)
//! dx_i += r w_i dy_i - x_i r^3 mean_j(w_j dy_j x_j)        dw_i += dy_i r x_i
//! ```
//! A row is read once for its sum and once more, from the first cache level, for the rest.
//!
//! Source: Zhang and Sennrich, Root Mean Square Layer Normalization, 2019.

use crate::blas1::dot_with;
use crate::error::ShapeError;
use crate::mat::{MatMut, MatRef};
use crate::simd::{Kernel, LANES, Simd, dispatch};

/// `out[t] = weight * x[t] / rms(x[t])` for every row `t`; keeps `1 / rms` for the way back.
///
/// # Shapes
/// `out`, `x`: `n x d`; `inverse_rms`: `n`; `weight`: `d`.
///
/// # Errors
/// [`ShapeError`] when the shapes differ.
///
/// # Precision
/// Within `1e-6` of the largest output; equal bits within a rounding class.
///
/// # Example
/// ```
/// use barelm_kernels::mat::{MatMut, MatRef};
/// use barelm_kernels::rms_norm::rms_norm_forward;
/// let (mut out, mut inverse_rms) = ([0.0; 2], [0.0]);
/// let (view, x) = (MatMut::new(&mut out, 1, 2)?, MatRef::new(&[1.0, -7.0], 1, 2)?);
/// rms_norm_forward(view, &mut inverse_rms, x, &[1.0, 2.0], 0.0)?;
/// assert_eq!((out, inverse_rms), ([0.2, -2.8], [0.2]));
/// # Ok::<(), barelm_kernels::error::ShapeError>(())
/// ```
pub fn rms_norm_forward(
    out: MatMut<'_>,
    inverse_rms: &mut [f32],
    x: MatRef<'_>,
    weight: &[f32],
    epsilon: f32,
) -> Result<(), ShapeError> {
    let shape = (x.rows(), x.cols());
    if (out.rows(), out.cols()) != shape || (inverse_rms.len(), weight.len()) != shape {
        return Err(ShapeError);
    }
    dispatch(Forward {
        out,
        inverse_rms,
        x,
        weight,
        epsilon,
    });
    Ok(())
}

/// Adds the gradients of `sum dout * out` to `dx` and `dweight`; `inverse_rms` is what
/// [`rms_norm_forward`] kept.
///
/// # Shapes
/// `dx`, `dout`, `x`: `n x d`; `dweight`, `weight`: `d`; `inverse_rms`: `n`.
///
/// # Errors
/// [`ShapeError`] when the shapes differ.
///
/// # Precision
/// Within `1e-6` of the magnitudes that a gradient adds up; equal bits within a rounding class.
///
/// # Example
/// ```
/// use barelm_kernels::mat::{MatMut, MatRef};
/// use barelm_kernels::rms_norm::rms_norm_backward;
/// let (mut dx, mut dweight) = ([0.0; 2], [0.0; 2]);
/// let (x, dout) = (MatRef::new(&[3.0, 3.0], 1, 2)?, MatRef::new(&[1.0, 1.0], 1, 2)?);
/// rms_norm_backward(MatMut::new(&mut dx, 1, 2)?, &mut dweight, dout, x, &[1.0; 2], &[1.0 / 3.0])?;
/// // The direction of `x` itself: a longer `x` has the same output.
/// assert!(dx.iter().all(|dx| dx.abs() < 1e-6) && dweight == [1.0; 2]);
/// # Ok::<(), barelm_kernels::error::ShapeError>(())
/// ```
pub fn rms_norm_backward(
    dx: MatMut<'_>,
    dweight: &mut [f32],
    dout: MatRef<'_>,
    x: MatRef<'_>,
    weight: &[f32],
    inverse_rms: &[f32],
) -> Result<(), ShapeError> {
    let shape = (x.rows(), x.cols());
    let matrices = (dx.rows(), dx.cols()) == shape && (dout.rows(), dout.cols()) == shape;
    if !matrices || (inverse_rms.len(), weight.len()) != shape || dweight.len() != shape.1 {
        return Err(ShapeError);
    }
    dispatch(Backward {
        dx,
        dweight,
        dout,
        x,
        weight,
        inverse_rms,
    });
    Ok(())
}

struct Forward<'a> {
    out: MatMut<'a>,
    inverse_rms: &'a mut [f32],
    x: MatRef<'a>,
    weight: &'a [f32],
    epsilon: f32,
}

impl Kernel for Forward<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let d = self.x.cols();
        for (t, inverse_rms) in self.inverse_rms.iter_mut().enumerate() {
            let (x, out) = (self.x.row(t), self.out.row_mut(t));
            let mean_square = dot_with(simd, x, x) / d as f32;
            *inverse_rms = 1.0 / libm::sqrtf(mean_square + self.epsilon);
            let r = simd.splat(*inverse_rms);
            for at in (0..d).step_by(LANES) {
                let unit = simd.mul(simd.load_from(x, at), r);
                let weight = simd.load_from(self.weight, at);
                simd.store_from(simd.mul(weight, unit), out, at);
            }
        }
    }
}

struct Backward<'a> {
    dx: MatMut<'a>,
    dweight: &'a mut [f32],
    dout: MatRef<'a>,
    x: MatRef<'a>,
    weight: &'a [f32],
    inverse_rms: &'a [f32],
}

impl Kernel for Backward<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let d = self.x.cols();
        for (t, r) in self.inverse_rms.iter().enumerate() {
            let (x, dout, dx) = (self.x.row(t), self.dout.row(t), self.dx.row_mut(t));
            let dot = sum_of_products(simd, self.weight, dout, x);
            let (r, pull) = (simd.splat(*r), simd.splat(-r * r * r * (dot / d as f32)));
            for at in (0..d).step_by(LANES) {
                let (x, dout) = (simd.load_from(x, at), simd.load_from(dout, at));
                let scaled = simd.mul(dout, r);
                let dw = simd.mul_add(scaled, x, simd.load_from(self.dweight, at));
                simd.store_from(dw, self.dweight, at);
                let sum = simd.mul_add(pull, x, simd.load_from(dx, at));
                let sum = simd.mul_add(simd.load_from(self.weight, at), scaled, sum);
                simd.store_from(sum, dx, at);
            }
        }
    }
}

/// `sum_i a[i] b[i] c[i]` in two chains.
#[cfg_attr(target_pointer_width = "32", inline(never))]
#[cfg_attr(not(target_pointer_width = "32"), inline(always))]
fn sum_of_products<S: Simd>(simd: S, a: &[f32], b: &[f32], c: &[f32]) -> f32 {
    if const { S::REGISTERS < 4 } {
        let mut sums = [[0.0; LANES]; 2];
        for (i, ((a, b), c)) in a.iter().zip(b).zip(c).enumerate() {
            sums[i / LANES % 2][i % LANES] += a * b * c;
        }
        let [even, odd] = sums;
        return simd.reduce_sum(simd.add(simd.load(&even), simd.load(&odd)));
    }
    let [mut even, mut odd] = [simd.splat(0.0); 2];
    for at in (0..a.len()).step_by(2 * LANES) {
        let ab = simd.mul(simd.load_from(a, at), simd.load_from(b, at));
        even = simd.mul_add(ab, simd.load_from(c, at), even);
        let at = at + LANES;
        let ab = simd.mul(simd.load_from(a, at), simd.load_from(b, at));
        odd = simd.mul_add(ab, simd.load_from(c, at), odd);
    }
    simd.reduce_sum(simd.add(even, odd))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{LENGTHS, assert_close, on_every_backend, tolerance, values};
    use std::vec;
    use std::vec::Vec;

    const ROWS: usize = 3;
    const EPSILON: f32 = 1e-5;

    /// `(out, 1 / rms)` by the formula, in `f64`.
    fn naive_forward(x: &[f64], weight: &[f32]) -> (Vec<f64>, f64) {
        let mean_square = x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64;
        let r = 1.0 / (mean_square + f64::from(EPSILON)).sqrt();
        let out = x.iter().zip(weight).map(|(x, w)| f64::from(*w) * r * x);
        (out.collect(), r)
    }

    fn row(m: &[f32], stride: usize, t: usize, d: usize) -> Vec<f64> {
        m[t * stride..][..d].iter().map(|x| f64::from(*x)).collect()
    }

    #[test]
    fn forward_agrees_with_the_formula_and_leaves_the_gaps() {
        on_every_backend(|backend| {
            for d in LENGTHS.into_iter().filter(|d| *d > 0) {
                let stride = d + 3;
                let (x, weight) = (values(ROWS * stride, 1), values(d, 2));
                let mut out = vec![7.0; ROWS * stride];
                let mut inverse_rms = [0.0; ROWS];
                backend.run(Forward {
                    out: MatMut::with_stride(&mut out, ROWS, d, stride).unwrap(),
                    inverse_rms: &mut inverse_rms,
                    x: MatRef::with_stride(&x, ROWS, d, stride).unwrap(),
                    weight: &weight,
                    epsilon: EPSILON,
                });
                for t in 0..ROWS {
                    let (want, r) = naive_forward(&row(&x, stride, t, d), &weight);
                    assert_close(inverse_rms[t], r as f32, tolerance::ELEMENTWISE, r as f32);
                    for (got, want) in out[t * stride..].iter().zip(want) {
                        assert_close(*got, want as f32, tolerance::ELEMENTWISE, 2.0);
                    }
                    assert_eq!(out[t * stride + d..][..3], [7.0; 3]);
                }
            }
        });
    }

    #[test]
    fn gradients_are_the_slopes_of_the_formula() {
        on_every_backend(|backend| {
            for d in [1, 2, 15, 16, 17, 33, 100] {
                let (x, weight, dout) = (values(ROWS * d, 1), values(d, 2), values(ROWS * d, 3));
                let (mut dx, mut dweight) = (vec![1.0; ROWS * d], vec![1.0; d]);
                let view = |m| MatRef::new(m, ROWS, d).unwrap();
                let inverse_rms: Vec<f32> = (0..ROWS)
                    .map(|t| naive_forward(&row(&x, d, t, d), &weight).1 as f32)
                    .collect();
                backend.run(Backward {
                    dx: MatMut::new(&mut dx, ROWS, d).unwrap(),
                    dweight: &mut dweight,
                    dout: view(&dout),
                    x: view(&x),
                    weight: &weight,
                    inverse_rms: &inverse_rms,
                });
                let score = |t: usize, x: &[f64]| -> f64 {
                    let (out, _) = naive_forward(x, &weight);
                    out.iter()
                        .zip(row(&dout, d, t, d))
                        .map(|(o, g)| o * g)
                        .sum()
                };
                for t in 0..ROWS {
                    for i in 0..d {
                        let mut moved = row(&x, d, t, d);
                        moved[i] += 1e-5;
                        let above = score(t, &moved);
                        moved[i] -= 2e-5;
                        let slope = (above - score(t, &moved)) / 2e-5;
                        let scale = 1.0 + inverse_rms[t];
                        assert_close(
                            dx[t * d + i] - 1.0,
                            slope as f32,
                            tolerance::GRADIENT,
                            scale,
                        );
                    }
                }
                for i in 0..d {
                    let term = |t| dout[t * d + i] * inverse_rms[t] * x[t * d + i];
                    let want: f32 = (0..ROWS).map(term).sum();
                    assert_close(dweight[i] - 1.0, want, tolerance::GRADIENT, 1.0);
                }
            }
        });
    }

    #[test]
    fn shapes_that_differ_are_errors() {
        let x = [1.0; 6];
        let view = MatRef::new(&x, 2, 3).unwrap();
        let (mut out, mut dw) = ([0.0; 6], [0.0; 3]);
        let mut mat = |rows, cols| {
            let (w, mut r) = ([1.0; 3], [0.0; 2]);
            let out = MatMut::new(&mut out, rows, cols).unwrap();
            rms_norm_forward(out, &mut r, view, &w, 0.0)
        };
        assert_eq!((mat(2, 3), mat(3, 2)), (Ok(()), Err(ShapeError)));
        let mut forward = |weight: &[f32], inverse_rms: &mut [f32]| {
            let out = MatMut::new(&mut out, 2, 3).unwrap();
            rms_norm_forward(out, inverse_rms, view, weight, 0.0)
        };
        assert_eq!(forward(&[1.0; 2], &mut [0.0; 2]), Err(ShapeError));
        assert_eq!(forward(&[1.0; 3], &mut [0.0; 3]), Err(ShapeError));
        let mut backward = |dout, weight: &[f32], inverse_rms: &[f32]| {
            let dx = MatMut::new(&mut out, 2, 3).unwrap();
            rms_norm_backward(dx, &mut dw, dout, view, weight, inverse_rms)
        };
        assert_eq!(backward(view, &[1.0; 3], &[1.0; 2]), Ok(()));
        assert_eq!(backward(view, &[1.0; 4], &[1.0; 2]), Err(ShapeError));
        assert_eq!(backward(view, &[1.0; 3], &[1.0; 1]), Err(ShapeError));
        let other = MatRef::new(&x, 3, 2).unwrap();
        assert_eq!(backward(other, &[1.0; 3], &[1.0; 2]), Err(ShapeError));
    }
}
