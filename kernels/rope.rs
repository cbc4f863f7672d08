//! Rotary position embedding: pairs of elements turned by an angle that grows with the position.
//!
//! With `h` half the width of a head, element `i` and element `i + h` form a pair (the convention
//! of Hugging Face's Llama, "rotate half"), and position `t` turns it by `t f_i`:
//!
//! ```text
//! f_i = theta^(-i / h)          (c, s) = (cos t f_i, sin t f_i)
//! forward    x_i, x_(i+h) = c x_i - s x_(i+h),  c x_(i+h) + s x_i
//! backward   the gradient, turned the other way
//! ```
//! A product of two turned vectors depends on the distance of their positions alone.
//!
//! Source: Su et al., RoFormer: Enhanced Transformer with Rotary Position Embedding, 2021.

use crate::error::ShapeError;
use crate::mat::{MatMut, MatRef};
use crate::simd::{Kernel, LANES, Simd, dispatch};

/// `frequencies[i] = theta^(-i / h)` for the `h` pairs of a head.
///
/// # Precision
/// Computed in `f64` and rounded once.
///
/// # Example
/// ```
/// let mut frequencies = [0.0; 2];
/// barelm_kernels::rope::rope_frequencies_into(1e4, &mut frequencies);
/// assert_eq!(frequencies, [1.0, 0.01]);
/// ```
pub fn rope_frequencies_into(theta: f32, frequencies: &mut [f32]) {
    let step = -libm::log(f64::from(theta)) / frequencies.len() as f64;
    for (i, frequency) in frequencies.iter_mut().enumerate() {
        *frequency = libm::exp(i as f64 * step) as f32;
    }
}

/// Cosines and sines of the angles of one position, for every pair of a head.
///
/// # Errors
/// [`ShapeError`] unless there is one of each a frequency.
///
/// # Precision
/// The angle `t f_i` is rounded to `f32`, as Hugging Face's is; cosine and sine are within one
/// unit in the last place of those of the rounded angle.
///
/// # Example
/// ```
/// let (mut cos, mut sin) = ([0.0], [1.0]);
/// barelm_kernels::rope::rope_angles_into(0, &[1.0], &mut cos, &mut sin)?;
/// assert_eq!((cos, sin), ([1.0], [0.0]));
/// # Ok::<(), barelm_kernels::error::ShapeError>(())
/// ```
pub fn rope_angles_into(
    position: usize,
    frequencies: &[f32],
    cos: &mut [f32],
    sin: &mut [f32],
) -> Result<(), ShapeError> {
    if cos.len() != frequencies.len() || sin.len() != frequencies.len() {
        return Err(ShapeError);
    }
    for ((f, cos), sin) in frequencies.iter().zip(cos).zip(sin) {
        let angle = position as f32 * f;
        (*sin, *cos) = sin_cos(angle);
    }
    Ok(())
}

/// `pi / 2` to 28 bits, so that its products with integers up to 2^25 are exact, and what is left of it.
const HALF_PI: [f64; 2] = [1.570796325802803, 9.920935796805404e-10];
/// `f64` has no digit behind the point from here to twice this: adding it rounds to an integer.
const ROUNDER: f64 = 1.5 * (1_u64 << 52) as f64;

/// Sine and cosine of an angle below 2^25; of a larger one the error grows with it.
///
/// `libm`'s would bring the reduction of angles up to 2^127 with it, which has its price in flash.
/// Here whole quarters of a turn are taken off in two parts (Cody and Waite); for what is left, at
/// most `pi / 4`, Taylor's series to the eleventh power are off by 2e-10 at most.
fn sin_cos(angle: f32) -> (f32, f32) {
    let x = f64::from(angle);
    let rounded = x * core::f64::consts::FRAC_2_PI + ROUNDER;
    let quarters = rounded - ROUNDER;
    let [high, low] = HALF_PI;
    let r = (x - quarters * high) - quarters * low;
    let rr = r * r;
    let sin = 1.0 / 362_880.0 - rr / 39_916_800.0;
    let sin = r - r * rr * (1.0 / 6.0 - rr * (1.0 / 120.0 - rr * (1.0 / 5040.0 - rr * sin)));
    let cos = 1.0 / 40_320.0 - rr / 3_628_800.0;
    let cos = 1.0 - rr * (0.5 - rr * (1.0 / 24.0 - rr * (1.0 / 720.0 - rr * cos)));
    let (sin, cos) = (sin as f32, cos as f32);
    match rounded.to_bits() % 4 {
        0 => (sin, cos),
        1 => (cos, -sin),
        2 => (-sin, -cos),
        _ => (-cos, sin),
    }
}

/// Turns every head of every row forward, in place.
///
/// # Shapes
/// `x`: `n x heads 2h`; `cos`, `sin`: `n x h`, one row a row of `x`.
///
/// # Errors
/// [`ShapeError`] when the rows differ or `2h` does not divide the width of `x`.
///
/// # Precision
/// Two products and a sum an element: within `2e-7` of the pair's length. Equal bits within a
/// rounding class.
///
/// # Example
/// ```
/// use barelm_kernels::{mat::{MatMut, MatRef}, rope::rope_forward};
/// let mut x = [1.0, 2.0]; // one head of one pair, turned by a right angle
/// let (cos, sin) = (MatRef::new(&[0.0], 1, 1)?, MatRef::new(&[1.0], 1, 1)?);
/// rope_forward(MatMut::new(&mut x, 1, 2)?, cos, sin)?;
/// assert_eq!(x, [-2.0, 1.0]);
/// # Ok::<(), barelm_kernels::error::ShapeError>(())
/// ```
pub fn rope_forward(x: MatMut<'_>, cos: MatRef<'_>, sin: MatRef<'_>) -> Result<(), ShapeError> {
    turn(x, cos, sin, 1.0)
}

/// Turns gradients back, in place: the inverse of [`rope_forward`], which is its transpose.
///
/// # Errors
/// As [`rope_forward`].
///
/// # Precision
/// As [`rope_forward`].
///
/// # Example
/// ```
/// use barelm_kernels::{mat::{MatMut, MatRef}, rope::rope_backward};
/// let mut dx = [-2.0, 1.0];
/// let (cos, sin) = (MatRef::new(&[0.0], 1, 1)?, MatRef::new(&[1.0], 1, 1)?);
/// rope_backward(MatMut::new(&mut dx, 1, 2)?, cos, sin)?;
/// assert_eq!(dx, [1.0, 2.0]);
/// # Ok::<(), barelm_kernels::error::ShapeError>(())
/// ```
pub fn rope_backward(dx: MatMut<'_>, cos: MatRef<'_>, sin: MatRef<'_>) -> Result<(), ShapeError> {
    turn(dx, cos, sin, -1.0)
}

fn turn(x: MatMut<'_>, cos: MatRef<'_>, sin: MatRef<'_>, sign: f32) -> Result<(), ShapeError> {
    let shape = (x.rows(), cos.cols());
    let tables = (cos.rows(), cos.cols()) == shape && (sin.rows(), sin.cols()) == shape;
    let heads = x.cols() == 0 || cos.cols() > 0 && x.cols().is_multiple_of(2 * cos.cols());
    if !tables || !heads {
        return Err(ShapeError);
    }
    dispatch(Turn { x, cos, sin, sign });
    Ok(())
}

struct Turn<'a> {
    x: MatMut<'a>,
    cos: MatRef<'a>,
    sin: MatRef<'a>,
    /// 1 forward, -1 back.
    sign: f32,
}

impl Kernel for Turn<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        if const { S::REGISTERS < 4 } {
            return self.narrow();
        }
        let (h, sign) = (self.cos.cols(), simd.splat(self.sign));
        for t in 0..self.x.rows() {
            let (cos, sin) = (self.cos.row(t), self.sin.row(t));
            for head in self.x.row_mut(t).chunks_exact_mut((2 * h).max(1)) {
                let (low, high) = head.split_at_mut_checked(h).unwrap_or_default();
                for at in (0..h).step_by(LANES) {
                    let c = simd.load_from(cos, at);
                    let s = simd.mul(sign, simd.load_from(sin, at));
                    let (a, b) = (simd.load_from(low, at), simd.load_from(high, at));
                    let turned = simd.sub(simd.mul(c, a), simd.mul(s, b));
                    simd.store_from(turned, low, at);
                    simd.store_from(simd.mul_add(s, a, simd.mul(c, b)), high, at);
                }
            }
        }
    }
}

impl Turn<'_> {
    /// Number by number, where vectors would lie on the stack: the same products and sums.
    #[inline(always)]
    fn narrow(mut self) {
        let (h, sign) = (self.cos.cols(), self.sign);
        for t in 0..self.x.rows() {
            let (cos, sin) = (self.cos.row(t), self.sin.row(t));
            for head in self.x.row_mut(t).chunks_exact_mut((2 * h).max(1)) {
                let (low, high) = head.split_at_mut_checked(h).unwrap_or_default();
                for (((a, b), c), s) in low.iter_mut().zip(high).zip(cos).zip(sin) {
                    let s = sign * s;
                    (*a, *b) = (c * *a - s * *b, s * *a + c * *b);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, on_every_backend, tolerance, values};
    use std::vec;
    use std::vec::Vec;

    const ROWS: usize = 4;
    const HEADS: usize = 3;

    /// Cosines and sines of the positions `0 .. ROWS`.
    fn tables(h: usize) -> (Vec<f32>, Vec<f32>) {
        let (mut frequencies, mut cos, mut sin) =
            (vec![0.0; h], vec![0.0; ROWS * h], vec![0.0; ROWS * h]);
        rope_frequencies_into(1e4, &mut frequencies);
        for t in 0..ROWS {
            let (cos, sin) = (&mut cos[t * h..][..h], &mut sin[t * h..][..h]);
            rope_angles_into(t, &frequencies, cos, sin).unwrap();
        }
        (cos, sin)
    }

    /// One head of the formula, in `f64`.
    fn naive_turn(head: &[f32], t: usize) -> Vec<f64> {
        let h = head.len() / 2;
        let mut out = vec![0.0; 2 * h];
        for i in 0..h {
            let angle = t as f64 * 1e4_f64.powf(-(i as f64) / h as f64);
            let (a, b) = (f64::from(head[i]), f64::from(head[i + h]));
            out[i] = a * angle.cos() - b * angle.sin();
            out[i + h] = b * angle.cos() + a * angle.sin();
        }
        out
    }

    #[test]
    fn turning_agrees_with_the_formula_and_backward_turns_back() {
        on_every_backend(|backend| {
            for h in [1, 2, 8, 15, 16, 17, 32, 50] {
                let (width, stride) = (2 * h * HEADS, 2 * h * HEADS + 5);
                let x = values(ROWS * stride, 1);
                let (cos, sin) = tables(h);
                let mut y = x.clone();
                let turn = |sign: f32, y: &mut Vec<f32>| {
                    backend.run(Turn {
                        x: MatMut::with_stride(y, ROWS, width, stride).unwrap(),
                        cos: MatRef::new(&cos, ROWS, h).unwrap(),
                        sin: MatRef::new(&sin, ROWS, h).unwrap(),
                        sign,
                    });
                };
                turn(1.0, &mut y);
                for t in 0..ROWS {
                    for head in 0..HEADS {
                        let at = t * stride + head * 2 * h;
                        let want = naive_turn(&x[at..][..2 * h], t);
                        for (got, want) in y[at..].iter().zip(want) {
                            assert_close(*got, want as f32, tolerance::ELEMENTWISE, 1.0);
                        }
                    }
                }
                turn(-1.0, &mut y);
                for (got, want) in y.iter().zip(&x) {
                    assert_close(*got, *want, tolerance::ELEMENTWISE, 1.0);
                }
            }
        });
    }

    #[test]
    fn sines_and_cosines_are_the_nearest_numbers_or_their_neighbours() {
        let random = values(20_000, 5).into_iter();
        let scales = [1.0, 100.0, 1e4, (1 << 24) as f32].into_iter().cycle();
        let quarters = (0..4000).map(|n| n as f32 * core::f32::consts::FRAC_PI_2);
        for x in random
            .zip(scales)
            .map(|(x, scale)| x * scale)
            .chain(quarters)
        {
            let (sin, cos) = sin_cos(x);
            let exact = f64::from(x).sin_cos();
            for (got, want) in [(sin, exact.0), (cos, exact.1)] {
                let ulp = (want as f32).abs().max(f32::MIN_POSITIVE) * f32::EPSILON;
                let error = (f64::from(got) - want).abs();
                assert!(error <= 0.51 * f64::from(ulp), "{x}: {got} for {want}");
            }
        }
    }

    #[test]
    fn products_depend_on_the_distance_alone() {
        let h = 8;
        let (q, k) = (values(2 * h, 1), values(2 * h, 2));
        let product = |t: usize, s: usize| -> f64 {
            let (q, k) = (naive_turn(&q, t), naive_turn(&k, s));
            q.iter().zip(k).map(|(q, k)| q * k).sum()
        };
        assert!((product(3, 1) - product(103, 101)).abs() < 1e-12);
        assert!((product(3, 1) - product(3, 2)).abs() > 1e-3);
    }

    #[test]
    fn bits_are_equal_within_a_class() {
        let (h, x) = (17, values(ROWS * 34, 1));
        let (cos, sin) = tables(h);
        let mut of_class = [None, None];
        on_every_backend(|backend| {
            let mut y = x.clone();
            backend.run(Turn {
                x: MatMut::new(&mut y, ROWS, 2 * h).unwrap(),
                cos: MatRef::new(&cos, ROWS, h).unwrap(),
                sin: MatRef::new(&sin, ROWS, h).unwrap(),
                sign: 1.0,
            });
            let class = &mut of_class[usize::from(backend.is_fused())];
            assert_eq!(*class.get_or_insert(y.clone()), y);
        });
    }

    #[test]
    fn shapes_that_differ_are_errors() {
        let (table, mut x) = ([0.0; 12], [0.0; 12]);
        let mut turn = |rows, cols, angles: [usize; 2]| {
            let x = MatMut::new(&mut x[..rows * cols], rows, cols).unwrap();
            let [rows, h] = angles;
            let table = MatRef::new(&table[..rows * h], rows, h).unwrap();
            rope_forward(x, table, table)
        };
        assert_eq!(turn(2, 6, [2, 3]), Ok(()));
        assert_eq!(turn(2, 6, [2, 1]), Ok(()));
        assert_eq!(turn(2, 6, [3, 3]), Err(ShapeError));
        assert_eq!(turn(2, 6, [2, 2]), Err(ShapeError));
        assert_eq!(turn(2, 6, [2, 0]), Err(ShapeError));
        assert_eq!(turn(2, 0, [2, 0]), Ok(()));
        let angles = rope_angles_into(1, &[1.0; 2], &mut [0.0; 2], &mut [0.0; 3]);
        assert_eq!(angles, Err(ShapeError));
    }
}
