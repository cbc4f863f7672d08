//! Small products: both operands are read where they lie, for copying them as a whole would take longer
//! than it saves. The sums are the same chains, so the bits are those of the packed form. For backends that
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
    fn run<S: Simd>(mut self, simd: S) {
        let n = self.b.cols();
        if const { S::REGISTERS >= 32 } {
            // As many sums as registers hold: they hide how long each multiply-add takes.
            let (fours, pairs) = (n - n % (4 * LANES), n - n % (2 * LANES));
            self.in_tiles::<S, 6, 4, 2, 4>(simd, 0..fours);
            self.in_tiles::<S, 12, 8, 4, 2>(simd, fours..pairs);
            self.in_tiles::<S, 16, 8, 4, 1>(simd, pairs..n);
        } else {
            self.in_tiles::<S, 6, 4, 2, 1>(simd, 0..n);
        }
    }
}

impl SmallProduct<'_> {
    /// Some columns by tiles of `R` rows and `C` vectors, `R2` or `R3` rows at the lower edge. The last
    /// of single vectors may be shorter.
    #[inline(always)]
    fn in_tiles<S: Simd, const R: usize, const R2: usize, const R3: usize, const C: usize>(
        &mut self,
        simd: S,
        columns: Range<usize>,
    ) {
        let m = self.a.rows();
        for column in columns.clone().step_by(C * LANES) {
            let columns = column..columns.end.min(column + C * LANES);
            for row in (0..m).step_by(R) {
                match m - row {
                    left if left > R2 => self.tile::<S, R, C>(simd, row, &columns),
                    left if left > R3 => self.tile::<S, R2, C>(simd, row, &columns),
                    _ => self.tile::<S, R3, C>(simd, row, &columns),
                }
            }
        }
    }

    #[inline(always)]
    fn tile<S: Simd, const R: usize, const C: usize>(
        &mut self,
        simd: S,
        row: usize,
        columns: &Range<usize>,
    ) {
        if const { S::REGISTERS >= 32 } && columns.len() == C * LANES {
            let sums = copied_sums::<S, R, C>(simd, self.a, row, self.b, columns.start);
            add_tile(simd, &mut self.dst, row, columns, self.accum, sums);
        } else {
            let a = rows_of_a::<R>(self.a, row, self.b.rows());
            let sums = match columns.len() {
                LANES => full_sums(simd, a, self.b, columns.start),
                _ => edge_sums(simd, a, self.b, columns),
            };
            add_tile(simd, &mut self.dst, row, columns, self.accum, sums);
        }
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

/// `sum over steps p of a[row + r][p] * b[p][column ..]`, `C` vectors of columns, for tiles of so many
/// rows that no registers are left to tell where each row is: sixteen steps' elements of `a` are copied
/// side by side.
#[inline(always)]
fn copied_sums<S: Simd, const R: usize, const C: usize>(
    simd: S,
    a: MatRef<'_>,
    row: usize,
    b: MatRef<'_>,
    column: usize,
) -> [[S::V; C]; R] {
    let mut sums = [[simd.splat(0.0); C]; R];
    let mut steps = [[0.0; LANES]; R];
    let mut b_rest = b.data().get(column..).unwrap_or(&[]);
    for p in (0..b.rows()).step_by(LANES) {
        // Behind the end of a row stands what no step asks for.
        let mut a_rest = a.data().get(row * a.stride() + p..).unwrap_or(&[]);
        for steps in &mut steps {
            simd.store(simd.load_from(a_rest, 0), steps);
            a_rest = a_rest.get(a.stride()..).unwrap_or(&[]);
        }
        for i in 0..LANES.min(b.rows() - p) {
            add_step::<S, R, C>(simd, &steps, i, b_rest, &mut sums);
            b_rest = b_rest.get(b.stride()..).unwrap_or(&[]);
        }
    }
    sums
}

/// Adds step `i` of a few to each of the sums.
#[inline(always)]
fn add_step<S: Simd, const R: usize, const C: usize>(
    simd: S,
    a: &[[f32; LANES]; R],
    i: usize,
    b: &[f32],
    sums: &mut [[S::V; C]; R],
) {
    let Some(b) = b.as_chunks().0.first_chunk::<C>() else {
        return;
    };
    let mut vectors = [simd.splat(0.0); C];
    for (vector, b) in vectors.iter_mut().zip(b) {
        *vector = simd.load(b);
    }
    for (sums, a) in sums.iter_mut().zip(a) {
        let a = simd.splat(a[i]);
        for (sum, b) in sums.iter_mut().zip(vectors) {
            *sum = simd.mul_add(a, b, *sum);
        }
    }
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
