//! Matrix and matrix-vector products.
//!
//! The idea: lanes are columns of the result. A tile of `R` rows by `C` vectors stays in
//! registers while the inner dimension runs: each step multiplies `C` vectors of `b` by one
//! broadcast element of each of the `R` rows of `a` (`tile`). Both operands are read where they lie
//! (`in_place`), unless `b` is stored as its transpose, registers are few, or operands so large that
//! it pays to copy them first (`product` knows the limits, `packed` does it): then the inner
//! dimension is cut into blocks of `BLOCK_K`, the columns into what the workspace holds, and `b` is
//! copied once per block into panels as wide as a tile (`pack`), so that the tile reads it in order
//! and the first cache level keeps a panel while all rows of a block pass by; the second cache level
//! keeps those, copied likewise where many columns pay for it (K. Goto and R. van de Geijn, "Anatomy
//! of high-performance matrix multiplication", 2008).
//!
//! ```text
//! for each block of BLOCK_N columns and BLOCK_K steps: pack b
//!     for each block of BLOCK_M rows: pack a; for each panel of b, for each tile of rows:
//!         tile = 0; for each step: tile += a[row, step] * b[step, panel]
//!         dst += tile
//! ```
//!
//! # Precision
//! Every element of the result is accumulated in one order: a chain of multiply-adds from zero
//! over each block of `BLOCK_K` steps, and the blocks added in order. It depends neither on
//! the other dimensions nor on the tile, so backends of one rounding class agree bit for bit, and
//! so do products whose rows or columns are shared out among threads.

mod in_place;
mod matvec;
mod operand;
mod pack;
mod packed;
mod product;
mod tile;

pub use matvec::{matvec, matvec_t};

use crate::aligned::ALIGN_SLACK;
use crate::error::{KernelError, ShapeError, take};
use crate::mat::{MatMut, MatRef};
use crate::simd::{LANES, dispatch};
use core::ops::Range;
use operand::Operand;
use product::Product;

/// Steps of the inner dimension that one chain of multiply-adds covers. Part of the result's
/// definition (its rounding), and chosen so that a panel of `b` fills half of the first cache
/// level where a tile is one vector wide (three wide, with AVX-512, it is 48 KiB: not measured).
const BLOCK_K: usize = 256;
/// Columns packed at a time.
const BLOCK_N: usize = 528;
/// Rows that pass by before the next panel of `b` is taken up.
const BLOCK_M: usize = 192;
/// A multiple of every backend's panel of `a`, which divides [`BLOCK_M`].
const PANEL_M: usize = 24;
/// Rows of `a` are packed for more columns than this, which pay for it.
const FEW_COLUMNS: usize = 48;

/// What becomes of the old content of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accum {
    /// `dst = product`; `dst` is not read.
    Replace,
    /// `dst = dst + product`.
    Add,
}

/// Elements of workspace that a product of `m x k` by `k x n` needs: less than 181 Ki (724 KiB).
///
/// The same for [`matmul`], [`matmul_nt`] and [`matmul_tn`], where `m x n` is the result and `k`
/// the inner dimension; it grows with each of them, so the largest shape's serves all.
pub const fn matmul_workspace_len(m: usize, n: usize, k: usize) -> usize {
    let k = min(k, BLOCK_K);
    k * (columns_packed(n) + min(m, BLOCK_M).next_multiple_of(PANEL_M)) + ALIGN_SLACK
}

/// Columns of packed `b`, in whole vectors.
const fn columns_packed(n: usize) -> usize {
    min(n, BLOCK_N).next_multiple_of(LANES)
}

const fn min(a: usize, b: usize) -> usize {
    if a < b { a } else { b }
}

/// `dst = a . b`, or `dst += a . b`: `m x n` from `m x k` and `k x n`.
///
/// # Errors
/// [`KernelError::Shape`] when the shapes do not fit; [`KernelError::Buffer`] when `workspace` is
/// shorter than [`matmul_workspace_len`].
///
/// # Precision
/// Within `1e-6 * sum |a_ip b_pj|` of the exact product for `k` up to 4096 and random signs; equal
/// bits within a rounding class and for every partition of rows and columns.
///
/// # Example
/// ```
/// use barelm_kernels::mat::{MatMut, MatRef};
/// use barelm_kernels::matmul::{Accum, matmul, matmul_workspace_len};
/// let a = MatRef::new(&[1.0, 2.0], 1, 2)?;
/// let b = MatRef::new(&[1.0, 0.0, 10.0, 1.0], 2, 2)?;
/// let (mut c, mut workspace) = ([0.0; 2], [0.0; matmul_workspace_len(1, 2, 2)]);
/// matmul(MatMut::new(&mut c, 1, 2)?, a, b, Accum::Replace, &mut workspace)?;
/// assert_eq!(c, [21.0, 2.0]);
/// # Ok::<(), barelm_kernels::error::KernelError>(())
/// ```
pub fn matmul(
    dst: MatMut,
    a: MatRef,
    b: MatRef,
    accum: Accum,
    workspace: &mut [f32],
) -> Result<(), KernelError> {
    let (a, b) = (Operand::rows(&a), Operand::rows(&b));
    product(dst, a, b, accum, workspace)
}

/// `dst = a . b^T`, or `dst += a . b^T`: `m x n` from `m x k` and `n x k`.
///
/// # Errors
/// As [`matmul`].
///
/// # Precision
/// As [`matmul`], whose bits it returns for the transposed operand.
///
/// # Example
/// ```
/// use barelm_kernels::mat::{MatMut, MatRef};
/// use barelm_kernels::matmul::{Accum, matmul_nt, matmul_workspace_len};
/// let a = MatRef::new(&[1.0, 2.0], 1, 2)?;
/// let b = MatRef::new(&[1.0, 10.0, 0.0, 1.0], 2, 2)?;
/// let (mut c, mut workspace) = ([0.0; 2], [0.0; matmul_workspace_len(1, 2, 2)]);
/// matmul_nt(MatMut::new(&mut c, 1, 2)?, a, b, Accum::Replace, &mut workspace)?;
/// assert_eq!(c, [21.0, 2.0]);
/// # Ok::<(), barelm_kernels::error::KernelError>(())
/// ```
pub fn matmul_nt(
    dst: MatMut,
    a: MatRef,
    b: MatRef,
    accum: Accum,
    workspace: &mut [f32],
) -> Result<(), KernelError> {
    let (a, b) = (Operand::rows(&a), Operand::transposed(&b));
    product(dst, a, b, accum, workspace)
}

/// `dst = a^T . b`, or `dst += a^T . b`: `m x n` from `k x m` and `k x n`.
///
/// # Errors
/// As [`matmul`].
///
/// # Precision
/// As [`matmul`], whose bits it returns for the transposed operand.
///
/// # Example
/// ```
/// use barelm_kernels::mat::{MatMut, MatRef};
/// use barelm_kernels::matmul::{Accum, matmul_tn, matmul_workspace_len};
/// let a = MatRef::new(&[1.0, 2.0], 2, 1)?;
/// let b = MatRef::new(&[1.0, 0.0, 10.0, 1.0], 2, 2)?;
/// let (mut c, mut workspace) = ([0.0; 2], [0.0; matmul_workspace_len(1, 2, 2)]);
/// matmul_tn(MatMut::new(&mut c, 1, 2)?, a, b, Accum::Replace, &mut workspace)?;
/// assert_eq!(c, [21.0, 2.0]);
/// # Ok::<(), barelm_kernels::error::KernelError>(())
/// ```
pub fn matmul_tn(
    dst: MatMut,
    a: MatRef,
    b: MatRef,
    accum: Accum,
    workspace: &mut [f32],
) -> Result<(), KernelError> {
    let (a, b) = (Operand::transposed(&a), Operand::rows(&b));
    product(dst, a, b, accum, workspace)
}

/// Checks the shapes and runs the product on this processor's best backend.
fn product(
    mut dst: MatMut,
    a: Operand,
    b: Operand,
    accum: Accum,
    workspace: &mut [f32],
) -> Result<(), KernelError> {
    let (m, n, k) = check(&dst, a, b)?;
    let workspace = take(workspace, matmul_workspace_len(m, n, k))?;
    if k == 0 && accum == Accum::Replace {
        dst.fill(0.0);
    }
    if m > 0 && n > 0 && k > 0 {
        let dst = &mut dst;
        #[rustfmt::skip]
        dispatch(Product { dst, a, b, accum, workspace });
    }
    Ok(())
}

/// `(m, n, k)` of a product whose operands fit each other.
fn check(dst: &MatMut, a: Operand, b: Operand) -> Result<(usize, usize, usize), ShapeError> {
    let ((m, k), (b_rows, n)) = (a.shape(), b.shape());
    if b_rows != k || (dst.rows(), dst.cols()) != (m, n) {
        return Err(ShapeError);
    }
    Ok((m, n, k))
}

/// `0 .. len` in blocks of `size`, the last one shorter.
#[inline(always)]
fn blocks(len: usize, size: usize) -> impl Iterator<Item = Range<usize>> {
    (0..len)
        .step_by(size)
        .map(move |start| start..len.min(start + size))
}

#[cfg(test)]
mod tests;
