//! Matrix-vector products: one dot product a row, four rows at a time, or one axpy a row.

use crate::blas1::{HALF, axpy_with, narrow_reduce_sum, narrow_sums};
use crate::error::ShapeError;
use crate::mat::MatRef;
use crate::simd::{Kernel, LANES, Simd, dispatch};

/// `dst = A x`: `m` from `m x n` and `n`.
///
/// # Errors
/// [`ShapeError`] when `x.len() != a.cols()` or `dst.len() != a.rows()`.
///
/// # Precision
/// Each element is one chain of multiply-adds in each of sixteen lanes, then the sum over the lanes;
/// equal bits within a rounding class and for every partition of the rows.
///
/// # Example
/// ```
/// use barelm_kernels::{mat::MatRef, matmul::matvec};
/// let mut y = [0.0; 2];
/// matvec(&mut y, MatRef::new(&[1.0, 2.0, 3.0, 4.0], 2, 2)?, &[1.0, 10.0])?;
/// assert_eq!(y, [21.0, 43.0]);
/// # Ok::<(), barelm_kernels::error::ShapeError>(())
/// ```
pub fn matvec(dst: &mut [f32], a: MatRef, x: &[f32]) -> Result<(), ShapeError> {
    if x.len() != a.cols() || dst.len() != a.rows() {
        return Err(ShapeError);
    }
    dispatch(Matvec { dst, a, x });
    Ok(())
}

/// `dst = A^T x`: `n` from `m x n` and `m`.
///
/// # Errors
/// [`ShapeError`] when `x.len() != a.rows()` or `dst.len() != a.cols()`.
///
/// # Precision
/// Each element is one chain of multiply-adds from zero over the rows; equal bits within a
/// rounding class and for every partition of the columns.
///
/// # Example
/// ```
/// use barelm_kernels::{mat::MatRef, matmul::matvec_t};
/// let mut y = [0.0; 2];
/// matvec_t(&mut y, MatRef::new(&[1.0, 2.0, 3.0, 4.0], 2, 2)?, &[1.0, 10.0])?;
/// assert_eq!(y, [31.0, 42.0]);
/// # Ok::<(), barelm_kernels::error::ShapeError>(())
/// ```
pub fn matvec_t(dst: &mut [f32], a: MatRef, x: &[f32]) -> Result<(), ShapeError> {
    if x.len() != a.rows() || dst.len() != a.cols() {
        return Err(ShapeError);
    }
    dispatch(MatvecT { dst, a, x });
    Ok(())
}

pub(super) struct Matvec<'a> {
    pub(super) dst: &'a mut [f32],
    pub(super) a: MatRef<'a>,
    pub(super) x: &'a [f32],
}

impl Kernel for Matvec<'_> {
    type Output = ();
    /// Four rows at a time: they share what is read of `x`, and the sums over lanes.
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        if const { S::REGISTERS < 4 } {
            return self.narrow();
        }
        let (fours, last) = self.dst.as_chunks_mut::<4>();
        let first_of_last = 4 * fours.len();
        for (i, four) in fours.iter_mut().enumerate() {
            let [a, b, c, d] = [0, 1, 2, 3].map(|row| self.a.row(4 * i + row));
            *four = simd.reduce_sum_of_four(lanes_of_dots(simd, [a, b, c, d], self.x));
        }
        for (i, dst) in last.iter_mut().enumerate() {
            let [lanes] = lanes_of_dots(simd, [self.a.row(first_of_last + i)], self.x);
            *dst = simd.reduce_sum(lanes);
        }
    }
}

impl Matvec<'_> {
    /// Where registers hold two vectors: half a vector of two rows at a time, the same sums.
    #[inline(never)]
    pub(super) fn narrow(self) {
        let (a, x) = (self.a, self.x);
        let (twos, last) = self.dst.as_chunks_mut::<2>();
        let first_of_last = 2 * twos.len();
        for (i, two) in twos.iter_mut().enumerate() {
            *two = narrow_dots([a.row(2 * i), a.row(2 * i + 1)], x);
        }
        for dst in last {
            [*dst] = narrow_dots([a.row(first_of_last)], x);
        }
    }
}

/// The dot product of each row and `x`.
#[inline(always)]
fn narrow_dots<const R: usize>(rows: [&[f32]; R], x: &[f32]) -> [f32; R] {
    let low = narrow_sums(rows, x, 0, LANES);
    let high = narrow_sums(rows, x, HALF, LANES);
    let mut dots = [0.0; R];
    for (r, dot) in dots.iter_mut().enumerate() {
        *dot = narrow_reduce_sum([low[r], high[r]]);
    }
    dots
}

/// For each row, the products with `x` of every sixteenth element, summed up.
#[inline(always)]
fn lanes_of_dots<S: Simd, const R: usize>(simd: S, rows: [&[f32]; R], x: &[f32]) -> [S::V; R] {
    let mut sums = [simd.splat(0.0); R];
    let (groups, last) = x.as_chunks::<LANES>();
    let (mut row_groups, mut row_lasts) = ([&[][..]; R], [&[][..]; R]);
    for ((groups, last), row) in row_groups.iter_mut().zip(&mut row_lasts).zip(rows) {
        (*groups, *last) = row.get(..x.len()).unwrap_or(&[]).as_chunks::<LANES>();
    }
    for (i, x) in groups.iter().enumerate() {
        let x = simd.load(x);
        for (sum, groups) in sums.iter_mut().zip(row_groups) {
            if let Some(row) = groups.get(i) {
                *sum = simd.mul_add(simd.load(row), x, *sum);
            }
        }
    }
    if !last.is_empty() {
        let x = simd.load_partial(last);
        for (sum, row) in sums.iter_mut().zip(row_lasts) {
            *sum = simd.mul_add(simd.load_partial(row), x, *sum);
        }
    }
    sums
}

pub(super) struct MatvecT<'a> {
    pub(super) dst: &'a mut [f32],
    pub(super) a: MatRef<'a>,
    pub(super) x: &'a [f32],
}

impl Kernel for MatvecT<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        self.dst.fill(0.0);
        for (i, x) in self.x.iter().enumerate() {
            axpy_with(simd, *x, self.a.row(i), self.dst);
        }
    }
}
