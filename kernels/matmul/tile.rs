//! The tile: `R` rows by `C` vectors of the result, held in registers.

use super::Accum;
use crate::mat::{MatMut, MatRef};
use crate::simd::{LANES, Simd};
use core::array::from_fn;
use core::ops::Range;

/// A step of packed `b`: the vectors of one panel.
pub(super) type Step<const C: usize> = [[f32; LANES]; C];

/// `sum over steps of a[step] (column of R) * b[step] (row of C vectors)`, one chain an element.
#[inline(always)]
pub(super) fn tile<S: Simd, const R: usize, const C: usize>(
    simd: S,
    a: impl Iterator<Item = [f32; R]>,
    b: &[Step<C>],
) -> [[S::V; C]; R] {
    let mut sums = [[simd.splat(0.0); C]; R];
    for (a, b) in a.zip(b) {
        let b: [S::V; C] = from_fn(|c| simd.load(&b[c]));
        for (sums, a) in sums.iter_mut().zip(a) {
            let a = simd.splat(a);
            for (sum, b) in sums.iter_mut().zip(b) {
                *sum = simd.mul_add(a, b, *sum);
            }
        }
    }
    sums
}

/// Panel `j` of packed `b`.
#[inline(always)]
pub(super) fn panel_of_b<const C: usize>(packed: &[f32], j: usize, k: usize) -> &[Step<C>] {
    let (vectors, _) = packed.as_chunks::<LANES>();
    let (steps, _) = vectors.as_chunks::<C>();
    steps.get(j * k..(j + 1) * k).unwrap_or(&[])
}

/// Steps of `R` rows of `a` from `row` on, read in place; rows past the end repeat the last one.
#[inline(always)]
pub(super) fn steps_of_rows<'a, const R: usize>(
    a: MatRef<'a>,
    row: usize,
    steps: Range<usize>,
) -> impl Iterator<Item = [f32; R]> + 'a {
    let (last, len) = (a.rows().saturating_sub(1), steps.len());
    let rows: [&[f32]; R] = from_fn(|r| {
        let row = a.row((row + r).min(last));
        row.get(steps.clone()).unwrap_or(&[])
    });
    let rows = rows.map(|row| &row[..len.min(row.len())]);
    (0..len).map(move |p| rows.map(|row| row[p]))
}

/// Steps of panel `i` of packed `a`.
#[inline(always)]
pub(super) fn steps_of_packed<const R: usize>(
    packed: &[f32],
    i: usize,
    k: usize,
) -> impl Iterator<Item = [f32; R]> {
    let (steps, _) = packed.as_chunks::<R>();
    steps.get(i * k..(i + 1) * k).unwrap_or(&[]).iter().copied()
}

/// Writes the part of a tile that lies within `dst` and `columns`.
#[inline(always)]
pub(super) fn add_tile<S: Simd, const R: usize, const C: usize>(
    simd: S,
    dst: &mut MatMut,
    row: usize,
    columns: Range<usize>,
    accum: Accum,
    sums: [[S::V; C]; R],
) {
    for (r, sums) in sums.iter().enumerate() {
        let dst = dst.row_mut(row + r);
        let Some(dst) = dst.get_mut(columns.clone()) else {
            return; // Past the last row.
        };
        let (vectors, rest) = dst.as_chunks_mut::<LANES>();
        let full = vectors.len();
        for (dst, sum) in vectors.iter_mut().zip(sums) {
            let sum = match accum {
                Accum::Replace => *sum,
                Accum::Add => simd.add(simd.load(dst), *sum),
            };
            simd.store(sum, dst);
        }
        if let Some(sum) = sums.get(full).filter(|_| !rest.is_empty()) {
            let sum = match accum {
                Accum::Replace => *sum,
                Accum::Add => simd.add(simd.load_partial(rest), *sum),
            };
            simd.store_partial(sum, rest);
        }
    }
}
