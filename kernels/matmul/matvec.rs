//! Matrix-vector products: one dot product a row, or one axpy a row.

use crate::blas1::{axpy_with, dot_with};
use crate::error::ShapeError;
use crate::mat::MatRef;
use crate::simd::{Kernel, Simd, dispatch};

/// `dst = A x`: `m` from `m x n` and `n`.
///
/// # Errors
/// [`ShapeError`] when `x.len() != a.cols()` or `dst.len() != a.rows()`.
///
/// # Precision
/// Each element is the [`dot`](crate::blas1::dot) of a row and `x`, bit for bit.
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
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for (i, dst) in self.dst.iter_mut().enumerate() {
            *dst = dot_with(simd, self.a.row(i), self.x);
        }
    }
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
