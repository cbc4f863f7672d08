//! The tile: `R` rows by `C` vectors of the result, held in registers.

use super::Accum;
use super::pack::Step;
use crate::mat::{MatMut, MatRef};
use crate::simd::{LANES, Simd};
use core::array::from_fn;
use core::ops::Range;

/// `sum over steps p of a[r][p] * b[p][c]`, one chain an element.
#[inline(always)]
pub(super) fn tile<S: Simd, const R: usize, const C: usize>(
    simd: S,
    a: [&[f32]; R],
    b: &[Step<LANES, C>],
) -> [[S::V; C]; R] {
    let mut sums = [[simd.splat(0.0); C]; R];
    for row in a {
        // Tells the compiler that every `a[r].get(p)` below is in range.
        if row.len() != b.len() {
            return sums;
        }
    }
    for (p, b) in b.iter().enumerate() {
        let element = |r: usize| a[r].get(p).copied().unwrap_or(0.0);
        add_step::<S, R, C>(simd, element, b, &mut sums);
    }
    sums
}

/// Steps between two looks at the end of a panel.
const UNROLL: usize = 4;

/// [`tile`] with packed rows.
#[inline(always)]
pub(super) fn packed_tile<S: Simd, const P: usize, const R: usize, const C: usize>(
    simd: S,
    a: &[Step<P, 1>],
    b: &[Step<LANES, C>],
) -> [[S::V; C]; R] {
    let mut sums = [[simd.splat(0.0); C]; R];
    let (unrolled, last) = b.as_chunks::<UNROLL>();
    let (a_unrolled, a_last) = a.as_chunks::<UNROLL>();
    for (a, b) in a_unrolled.iter().zip(unrolled) {
        for ([a], b) in a.iter().zip(b) {
            add_step::<S, R, C>(simd, |r| a[r], b, &mut sums);
        }
    }
    for ([a], b) in a_last.iter().zip(last) {
        add_step::<S, R, C>(simd, |r| a[r], b, &mut sums);
    }
    sums
}

/// Adds a step to each of the sums.
#[inline(always)]
pub(super) fn add_step<S: Simd, const R: usize, const C: usize>(
    simd: S,
    a: impl Fn(usize) -> f32,
    b: &Step<LANES, C>,
    sums: &mut [[S::V; C]; R],
) {
    let b: [S::V; C] = from_fn(|c| simd.load(&b[c]));
    for (r, sums) in sums.iter_mut().enumerate() {
        let a = simd.splat(a(r));
        for (sum, b) in sums.iter_mut().zip(b) {
            *sum = simd.mul_add(a, b, *sum);
        }
    }
}

/// The first `len` steps of `R` rows from `row` on; rows past the end repeat the last one.
#[inline(always)]
pub(super) fn rows_of_a<const R: usize>(a: MatRef<'_>, row: usize, len: usize) -> [&[f32]; R] {
    let last = a.rows().saturating_sub(1);
    // A loop, because `from_fn` is not inlined and hides from the tile that all lengths are equal.
    let mut rows: [&[f32]; R] = [&[]; R];
    for (r, slot) in rows.iter_mut().enumerate() {
        *slot = a.row((row + r).min(last)).get(..len).unwrap_or(&[]);
    }
    rows
}

/// Asks for where a tile will be written, while it is computed.
#[inline(always)]
pub(super) fn prefetch_tile<S: Simd, const R: usize>(
    simd: S,
    dst: &MatMut,
    row: usize,
    columns: &Range<usize>,
) {
    for r in 0..R {
        let line = dst.as_ref().row(row + r).get(columns.clone());
        simd.prefetch(line.unwrap_or(&[]));
    }
}

/// Writes the part of a tile that lies within `dst` and `columns`.
#[inline(always)]
pub(super) fn add_tile<S: Simd, const R: usize, const C: usize>(
    simd: S,
    dst: &mut MatMut,
    row: usize,
    columns: &Range<usize>,
    accum: Accum,
    sums: [[S::V; C]; R],
) {
    let (stride, width) = (dst.stride(), columns.end.saturating_sub(columns.start));
    let start = row * stride + columns.start;
    // The data ends with the last row.
    let rest = dst.data_mut().get_mut(start..).unwrap_or_default();
    // The choice stands before the loop, which stays so short that it is unrolled, and the sums in registers.
    match accum {
        _ if width < C * LANES => add_part(simd, rest, stride, width, accum, sums),
        Accum::Replace => add_whole(rest, stride, |sum, out| simd.store(sum, out), sums),
        Accum::Add => {
            let add = |sum, out: &mut _| simd.store(simd.add(simd.load(out), sum), out);
            add_whole(rest, stride, add, sums);
        }
    }
}

/// Rows of `C` vectors, which start `stride` elements apart.
#[inline(always)]
#[expect(clippy::needless_range_loop)]
fn add_whole<V: Copy, const R: usize, const C: usize>(
    mut rest: &mut [f32],
    stride: usize,
    add: impl Fn(V, &mut [f32; LANES]),
    sums: [[V; C]; R],
) {
    for r in 0..R {
        let Some(vectors) = rest.as_chunks_mut().0.first_chunk_mut::<C>() else {
            return;
        };
        for c in 0..C {
            add(sums[r][c], &mut vectors[c]);
        }
        rest = rest.get_mut(stride..).unwrap_or_default();
    }
}

/// Rows of `width` elements, which start `stride` elements apart.
#[inline(always)]
#[expect(clippy::needless_range_loop)]
fn add_part<S: Simd, const R: usize, const C: usize>(
    simd: S,
    mut rest: &mut [f32],
    stride: usize,
    width: usize,
    accum: Accum,
    sums: [[S::V; C]; R],
) {
    for r in 0..R {
        let Some(line) = rest.get_mut(..width) else {
            return;
        };
        for c in 0..C {
            let columns = c * LANES..width.min((c + 1) * LANES);
            let part = line.get_mut(columns).unwrap_or_default();
            match accum {
                Accum::Replace => simd.store_partial(sums[r][c], part),
                Accum::Add => {
                    simd.store_partial(simd.add(simd.load_partial(part), sums[r][c]), part);
                }
            }
        }
        rest = rest.get_mut(stride..).unwrap_or_default();
    }
}
