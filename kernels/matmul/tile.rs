//! The tile: `R` rows by `C` vectors of the result, held in registers.

use super::Accum;
use super::pack::Step;
use crate::mat::{MatMut, MatRef};
use crate::simd::{LANES, Simd};
use core::array::from_fn;
use core::ops::Range;

/// `sum over steps p of a(r, p) * b[p][c]`, one chain an element.
#[inline(always)]
pub(super) fn tile<S: Simd, const R: usize, const C: usize>(
    simd: S,
    a: impl Fn(usize, usize) -> f32,
    b: &[Step<LANES, C>],
) -> [[S::V; C]; R] {
    let mut sums = [[simd.splat(0.0); C]; R];
    for (p, b) in b.iter().enumerate() {
        let b: [S::V; C] = from_fn(|c| simd.load(&b[c]));
        for (r, sums) in sums.iter_mut().enumerate() {
            let a = simd.splat(a(r, p));
            for (sum, b) in sums.iter_mut().zip(b) {
                *sum = simd.mul_add(a, b, *sum);
            }
        }
    }
    sums
}

/// The first `len` steps of `R` rows from `row` on; rows past the end repeat the last one.
#[inline(always)]
pub(super) fn rows_of_a<const R: usize>(a: MatRef<'_>, row: usize, len: usize) -> [&[f32]; R] {
    let last = a.rows().saturating_sub(1);
    // A loop, because `from_fn` is not inlined and hides from the tile that all lengths are equal.
    let mut rows: [&[f32]; R] = [&[]; R];
    for (r, slot) in rows.iter_mut().enumerate() {
        *slot = &a.row((row + r).min(last))[..len];
    }
    rows
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
    for (r, sums) in sums.into_iter().enumerate() {
        // Rows past the last one are empty.
        let Some(dst) = dst.row_mut(row + r).get_mut(columns.clone()) else {
            return;
        };
        let (vectors, _) = dst.as_chunks_mut::<LANES>();
        match vectors.first_chunk_mut::<C>() {
            Some(full) => add_full(simd, full, accum, sums),
            None => add_partial(simd, dst, accum, sums),
        }
    }
}

#[inline(always)]
fn add_full<S: Simd, const C: usize>(
    simd: S,
    dst: &mut [[f32; LANES]; C],
    accum: Accum,
    sums: [S::V; C],
) {
    for (dst, sum) in dst.iter_mut().zip(sums) {
        match accum {
            Accum::Replace => simd.store(sum, dst),
            Accum::Add => simd.store(simd.add(simd.load(dst), sum), dst),
        }
    }
}

#[inline(always)]
fn add_partial<S: Simd, const C: usize>(simd: S, dst: &mut [f32], accum: Accum, sums: [S::V; C]) {
    for (dst, sum) in dst.chunks_mut(LANES).zip(sums) {
        match accum {
            Accum::Replace => simd.store_partial(sum, dst),
            Accum::Add => simd.store_partial(simd.add(simd.load_partial(dst), sum), dst),
        }
    }
}
