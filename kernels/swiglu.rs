//! The gate of a feed-forward layer: `silu(gate) * up`, forward and backward.
//!
//! ```text
//! s = 1 / (1 + e^(-gate))     out = gate s up
//! dgate = dout up s (1 + gate (1 - s))        dup = dout gate s
//! ```
//! Gates and ups stand side by side in a row, as one matrix product writes them.
//!
//! Source: Shazeer, GLU Variants Improve Transformer, 2020.

use crate::error::ShapeError;
use crate::mat::{MatMut, MatRef};
use crate::sigmoid::sigmoid_with;
use crate::simd::{Kernel, LANES, Simd, dispatch};

/// `out = silu(gate) * up`, element by element.
///
/// # Shapes
/// `out`: `n x f`; `gate_up`: `n x 2f`, gates first.
///
/// # Errors
/// [`ShapeError`] when the shapes do not fit.
///
/// # Precision
/// Within `1e-6` of the exact value, relative to `|gate up|`; equal bits within a rounding class.
///
/// # Example
/// ```
/// use barelm_kernels::{mat::{MatMut, MatRef}, swiglu::swiglu_forward};
/// let mut out = [0.0];
/// swiglu_forward(MatMut::new(&mut out, 1, 1)?, MatRef::new(&[40.0, 2.0], 1, 2)?)?;
/// assert_eq!(out, [80.0]);
/// # Ok::<(), barelm_kernels::error::ShapeError>(())
/// ```
pub fn swiglu_forward(out: MatMut<'_>, gate_up: MatRef<'_>) -> Result<(), ShapeError> {
    let gates = out.cols().checked_mul(2);
    if gates != Some(gate_up.cols()) || out.rows() != gate_up.rows() {
        return Err(ShapeError);
    }
    dispatch(Forward { out, gate_up });
    Ok(())
}

/// The gradient of `sum dout * out` with respect to gates and ups.
///
/// # Shapes
/// `dgate_up`, `gate_up`: `n x 2f`, gates first; `dout`: `n x f`.
///
/// # Errors
/// [`ShapeError`] when the shapes do not fit.
///
/// # Precision
/// As [`swiglu_forward`].
///
/// # Example
/// ```
/// use barelm_kernels::{mat::{MatMut, MatRef}, swiglu::swiglu_backward};
/// let mut dgate_up = [0.0; 2];
/// let (dout, gate_up) = (MatRef::new(&[1.0], 1, 1)?, MatRef::new(&[0.0, 2.0], 1, 2)?);
/// swiglu_backward(MatMut::new(&mut dgate_up, 1, 2)?, dout, gate_up)?;
/// assert_eq!(dgate_up, [1.0, 0.0]);
/// # Ok::<(), barelm_kernels::error::ShapeError>(())
/// ```
pub fn swiglu_backward(
    dgate_up: MatMut<'_>,
    dout: MatRef<'_>,
    gate_up: MatRef<'_>,
) -> Result<(), ShapeError> {
    let gates = dout.cols().checked_mul(2);
    let same = (dgate_up.rows(), dgate_up.cols()) == (gate_up.rows(), gate_up.cols());
    if gates != Some(gate_up.cols()) || dout.rows() != gate_up.rows() || !same {
        return Err(ShapeError);
    }
    dispatch(Backward {
        dgate_up,
        dout,
        gate_up,
    });
    Ok(())
}

struct Forward<'a> {
    out: MatMut<'a>,
    gate_up: MatRef<'a>,
}

impl Kernel for Forward<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let f = self.out.cols();
        for t in 0..self.out.rows() {
            let (gate, up) = halves(self.gate_up.row(t), f);
            let out = self.out.row_mut(t);
            for at in (0..f).step_by(LANES) {
                let (g, u) = (simd.load_from(gate, at), simd.load_from(up, at));
                let silu = simd.mul(g, sigmoid_with(simd, g));
                simd.store_from(simd.mul(silu, u), out, at);
            }
        }
    }
}

struct Backward<'a> {
    dgate_up: MatMut<'a>,
    dout: MatRef<'a>,
    gate_up: MatRef<'a>,
}

impl Kernel for Backward<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let (f, one) = (self.dout.cols(), simd.splat(1.0));
        for t in 0..self.dout.rows() {
            let (gate, up) = halves(self.gate_up.row(t), f);
            let (dout, row) = (self.dout.row(t), self.dgate_up.row_mut(t));
            let (dgate, dup) = row.split_at_mut_checked(f).unwrap_or_default();
            for at in (0..f).step_by(LANES) {
                let (g, u) = (simd.load_from(gate, at), simd.load_from(up, at));
                let (s, dout) = (sigmoid_with(simd, g), simd.load_from(dout, at));
                let slope = simd.mul_add(simd.mul(g, s), simd.sub(one, s), s);
                simd.store_from(simd.mul(simd.mul(dout, u), slope), dgate, at);
                simd.store_from(simd.mul(dout, simd.mul(g, s)), dup, at);
            }
        }
    }
}

/// Gates and ups of a row.
#[inline(always)]
fn halves(row: &[f32], f: usize) -> (&[f32], &[f32]) {
    row.split_at_checked(f).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{LENGTHS, assert_close, on_every_backend, tolerance, values};
    use std::vec;
    use std::vec::Vec;

    const ROWS: usize = 3;

    fn naive_forward(gate: f64, up: f64) -> f64 {
        gate / (1.0 + (-gate).exp()) * up
    }

    /// Gates and ups in -8 .. 8.
    fn inputs(f: usize) -> Vec<f32> {
        values(ROWS * 2 * f, 1).iter().map(|x| 8.0 * x).collect()
    }

    #[test]
    fn forward_agrees_with_the_formula() {
        on_every_backend(|backend| {
            for f in LENGTHS {
                let gate_up = inputs(f);
                let mut out = vec![f32::NAN; ROWS * f];
                backend.run(Forward {
                    out: MatMut::new(&mut out, ROWS, f).unwrap(),
                    gate_up: MatRef::new(&gate_up, ROWS, 2 * f).unwrap(),
                });
                for (i, got) in out.iter().enumerate() {
                    let at = i / f * 2 * f + i % f;
                    let (gate, up) = (gate_up[at], gate_up[at + f]);
                    let want = naive_forward(gate.into(), up.into()) as f32;
                    assert_close(*got, want, tolerance::ELEMENTWISE, (gate * up).abs());
                }
            }
        });
    }

    #[test]
    fn gradients_are_the_slopes_of_the_formula() {
        on_every_backend(|backend| {
            for f in [1, 15, 16, 17, 100] {
                let (gate_up, dout) = (inputs(f), values(ROWS * f, 2));
                let mut dgate_up = vec![f32::NAN; ROWS * 2 * f];
                backend.run(Backward {
                    dgate_up: MatMut::new(&mut dgate_up, ROWS, 2 * f).unwrap(),
                    dout: MatRef::new(&dout, ROWS, f).unwrap(),
                    gate_up: MatRef::new(&gate_up, ROWS, 2 * f).unwrap(),
                });
                for (i, dout) in dout.iter().enumerate() {
                    let at = i / f * 2 * f + i % f;
                    let [g, u] = [gate_up[at], gate_up[at + f]].map(f64::from);
                    let slope = |a: f64, b: f64| (a - b) / 2e-5 * f64::from(*dout);
                    let dg = slope(naive_forward(g + 1e-5, u), naive_forward(g - 1e-5, u));
                    let du = slope(naive_forward(g, u + 1e-5), naive_forward(g, u - 1e-5));
                    assert_close(dgate_up[at], dg as f32, tolerance::ELEMENTWISE, 10.0);
                    assert_close(dgate_up[at + f], du as f32, tolerance::ELEMENTWISE, 10.0);
                }
            }
        });
    }

    #[test]
    fn bits_are_equal_within_a_class() {
        let (f, dout) = (33, values(ROWS * 33, 2));
        let gate_up = inputs(f);
        let mut of_class = [None, None];
        on_every_backend(|backend| {
            let (mut out, mut gradient) = (vec![0.0; ROWS * f], vec![0.0; ROWS * 2 * f]);
            let gate_up = MatRef::new(&gate_up, ROWS, 2 * f).unwrap();
            backend.run(Forward {
                out: MatMut::new(&mut out, ROWS, f).unwrap(),
                gate_up,
            });
            backend.run(Backward {
                dgate_up: MatMut::new(&mut gradient, ROWS, 2 * f).unwrap(),
                dout: MatRef::new(&dout, ROWS, f).unwrap(),
                gate_up,
            });
            out.extend(gradient);
            let class = &mut of_class[usize::from(backend.is_fused())];
            assert_eq!(*class.get_or_insert(out.clone()), out);
        });
    }

    #[test]
    fn shapes_that_differ_are_errors() {
        let x = [0.0; 12];
        let mut buffer = [0.0; 12];
        let view = |rows, cols| MatRef::new(&x[..rows * cols], rows, cols).unwrap();
        let mut out = |rows, cols, gate_up| {
            let out = MatMut::new(&mut buffer[..rows * cols], rows, cols).unwrap();
            swiglu_forward(out, gate_up)
        };
        assert_eq!(out(2, 3, view(2, 6)), Ok(()));
        assert_eq!(out(2, 3, view(2, 5)), Err(ShapeError));
        assert_eq!(out(2, 2, view(3, 4)), Err(ShapeError));
        let mut back = |rows, cols, dout, gate_up| {
            let dgate_up = MatMut::new(&mut buffer[..rows * cols], rows, cols).unwrap();
            swiglu_backward(dgate_up, dout, gate_up)
        };
        assert_eq!(back(2, 6, view(2, 3), view(2, 6)), Ok(()));
        assert_eq!(back(2, 4, view(2, 3), view(2, 6)), Err(ShapeError));
        assert_eq!(back(2, 6, view(2, 2), view(2, 6)), Err(ShapeError));
        assert_eq!(back(2, 6, view(3, 3), view(2, 6)), Err(ShapeError));
    }
}
