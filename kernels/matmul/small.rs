//! Small products: both operands are read where they lie, for copying them would take longer than
//! it saves. The sums are the same chains, so the bits are those of the packed form. For backends that
//! hold a tile of six rows in registers.

use super::tile::{add_tile, rows_of_a};
use super::{Accum, BLOCK_K};
use crate::mat::{MatMut, MatRef};
use crate::simd::{Kernel, LANES, Simd};
use core::ops::Range;

/// Most elements of `b`. Of 128 rows of 128 columns, as of any power of two, a vector's lines fall on few
/// places of the first cache level, and the packed form is as fast.
const MAX_ELEMENTS: usize = 96 * 96;

/// A product of non-empty operands whose shapes were checked.
pub(super) struct SmallProduct<'a> {
    pub(super) dst: MatMut<'a>,
    pub(super) a: MatRef<'a>,
    pub(super) b: MatRef<'a>,
    pub(super) accum: Accum,
}

/// Whether a product with `k x n` elements of `b`, in rows, is small.
pub(super) fn is_small(k: usize, n: usize) -> bool {
    k <= BLOCK_K && k.saturating_mul(n) <= MAX_ELEMENTS
}

impl Kernel for SmallProduct<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        self.in_tiles::<S, 6, 4, 2>(simd);
    }
}

impl SmallProduct<'_> {
    /// `R` rows by a vector a tile, `R2` or `R3` rows at the lower edge.
    #[inline(always)]
    fn in_tiles<S: Simd, const R: usize, const R2: usize, const R3: usize>(mut self, simd: S) {
        let (m, n) = (self.a.rows(), self.b.cols());
        for column in (0..n).step_by(LANES) {
            let columns = column..n.min(column + LANES);
            for row in (0..m).step_by(R) {
                match m - row {
                    left if left > R2 => self.tile::<S, R>(simd, row, &columns),
                    left if left > R3 => self.tile::<S, R2>(simd, row, &columns),
                    _ => self.tile::<S, R3>(simd, row, &columns),
                }
            }
        }
    }

    #[inline(always)]
    fn tile<S: Simd, const R: usize>(&mut self, simd: S, row: usize, columns: &Range<usize>) {
        let a = rows_of_a::<R>(self.a, row, self.b.rows());
        let sums = match columns.len() {
            LANES => full_sums(simd, a, self.b, columns.start),
            _ => edge_sums(simd, a, self.b, columns),
        };
        add_tile(simd, &mut self.dst, row, columns, self.accum, sums);
    }
}

/// `sum over steps p of a[r][p] * b[p][column ..]`, a vector of columns.
#[inline(always)]
#[expect(clippy::needless_range_loop)]
fn full_sums<S: Simd, const R: usize>(
    simd: S,
    a: [&[f32]; R],
    b: MatRef<'_>,
    column: usize,
) -> [[S::V; 1]; R] {
    let mut sums = [[simd.splat(0.0)]; R];
    if !has_rows_of(a, b.rows()) {
        return sums;
    }
    let mut rest = b.data().get(column..).unwrap_or(&[]);
    for p in 0..b.rows() {
        let Some(b_row) = rest.first_chunk() else {
            break;
        };
        let b_row = simd.load(b_row);
        for r in 0..R {
            sums[r][0] = simd.mul_add(simd.splat(a[r][p]), b_row, sums[r][0]);
        }
        rest = rest.get(b.stride()..).unwrap_or(&[]);
    }
    sums
}

/// [`full_sums`] of fewer columns than a vector has.
#[inline(always)]
#[expect(clippy::needless_range_loop)]
fn edge_sums<S: Simd, const R: usize>(
    simd: S,
    a: [&[f32]; R],
    b: MatRef<'_>,
    columns: &Range<usize>,
) -> [[S::V; 1]; R] {
    let mut sums = [[simd.splat(0.0)]; R];
    if !has_rows_of(a, b.rows()) {
        return sums;
    }
    for p in 0..b.rows() {
        let b_row = simd.load_partial(b.row(p).get(columns.clone()).unwrap_or(&[]));
        for r in 0..R {
            sums[r][0] = simd.mul_add(simd.splat(a[r][p]), b_row, sums[r][0]);
        }
    }
    sums
}

/// Always so; it shows the compiler that every `a[r][p]` is in range.
#[inline(always)]
fn has_rows_of<const R: usize>(a: [&[f32]; R], len: usize) -> bool {
    let mut all = true;
    for row in a {
        all &= row.len() == len;
    }
    all
}
