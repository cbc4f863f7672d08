//! Packing: a block of an operand, copied to where the tile reads it front to back.
//!
//! A panel is as wide as a tile (`C` pieces of `W` elements: vectors of columns of `b`, or `R`
//! rows of `a`) and as long as the block has steps; what belongs to one step lies side by side.

use crate::mat::MatRef;
use crate::simd::{LANES, Simd};
use crate::square::columns_of;
use core::ops::Range;

/// What a tile reads of a panel at one step.
pub(super) type Step<const W: usize, const C: usize> = [[f32; W]; C];

/// Panel `j` of packed elements, of `k` steps.
#[inline(always)]
pub(super) fn panel<const W: usize, const C: usize>(
    packed: &[f32],
    j: usize,
    k: usize,
) -> &[Step<W, C>] {
    // In range: the workspace holds every panel of a block.
    let steps = packed.as_chunks::<W>().0.as_chunks::<C>().0;
    let panel = steps.get(j * k..).unwrap_or(&[]);
    panel.get(..k).unwrap_or(&[])
}

#[inline(always)]
fn steps_mut<const W: usize, const C: usize>(packed: &mut [f32]) -> &mut [Step<W, C>] {
    packed.as_chunks_mut::<W>().0.as_chunks_mut::<C>().0
}

/// Packs some columns of a matrix whose rows are steps; the last panel is filled up with zeros.
///
/// Rows are read to their end, one after the other, as they lie in memory.
#[inline(always)]
pub(super) fn pack_rows<const W: usize, const C: usize>(
    packed: &mut [f32],
    src: MatRef,
    steps: &Range<usize>,
    columns: &Range<usize>,
) {
    let packed = steps_mut::<W, C>(packed);
    for (p, step) in steps.clone().enumerate() {
        let row = src.row(step).get(columns.clone()).unwrap_or(&[]);
        for (j, row) in row.chunks(W * C).enumerate() {
            let Some(packed) = packed.get_mut(j * steps.len() + p) else {
                return;
            };
            match row.as_chunks::<W>().0.as_array::<C>() {
                Some(full) => *packed = *full,
                None => copy_padded(packed.as_flattened_mut(), row),
            }
        }
    }
}

/// Packs some steps of the rows of `a`; the last panel repeats the last row.
#[inline(always)]
pub(super) fn pack_tiles<const R: usize>(
    packed: &mut [f32],
    a: MatRef,
    rows: &Range<usize>,
    steps: &Range<usize>,
) {
    let packed = steps_mut::<R, 1>(packed);
    for (i, row) in rows.clone().step_by(R).enumerate() {
        let mut lines: [&[f32]; R] = [&[]; R];
        for (r, line) in lines.iter_mut().enumerate() {
            let row = a.row((row + r).min(rows.end - 1));
            *line = row.get(steps.clone()).unwrap_or(&[]);
        }
        let packed = packed.get_mut(i * steps.len()..).unwrap_or(&mut []);
        for (p, step) in packed.iter_mut().enumerate().take(steps.len()) {
            for (to, line) in step[0].iter_mut().zip(lines) {
                *to = line.get(p).copied().unwrap_or(0.0);
            }
        }
    }
}

#[inline(always)]
fn copy_padded(packed: &mut [f32], row: &[f32]) {
    let padding = core::iter::repeat(&0.0);
    for (to, from) in packed.iter_mut().zip(row.iter().chain(padding)) {
        *to = *from;
    }
}

/// Packs some columns of `b` from the rows of `b^T`, in transposed squares of lanes; the last
/// vector is filled up with zeros.
#[inline(always)]
pub(super) fn pack_transposed<S: Simd, const C: usize>(
    simd: S,
    packed: &mut [f32],
    b: MatRef,
    steps: &Range<usize>,
    columns: &Range<usize>,
) {
    let packed = steps_mut::<LANES, C>(packed);
    if const { S::REGISTERS < 4 } {
        return pack_one_by_one(packed, b, steps, columns);
    }
    for (c, column) in columns.clone().step_by(LANES).enumerate() {
        let rows = b.rows_from(column, LANES.min(columns.end - column));
        for (p, step) in steps.clone().step_by(LANES).enumerate() {
            let len = LANES.min(steps.end - step);
            let square = columns_of(simd, rows, step..step + len);
            let first = c / C * steps.len() + p * LANES;
            let packed = packed.get_mut(first..).unwrap_or(&mut []);
            for (packed, vector) in packed.iter_mut().zip(square).take(len) {
                simd.store(vector, &mut packed[c % C]);
            }
        }
    }
}

/// [`pack_transposed`] number by number, where squares of vectors would lie on the stack.
#[inline(always)]
fn pack_one_by_one<const C: usize>(
    packed: &mut [Step<LANES, C>],
    b: MatRef,
    steps: &Range<usize>,
    columns: &Range<usize>,
) {
    for (c, column) in columns.clone().step_by(LANES).enumerate() {
        for (p, step) in steps.clone().enumerate() {
            let Some(packed) = packed.get_mut(c / C * steps.len() + p) else {
                return;
            };
            for (x, row) in packed[c % C].iter_mut().zip(column..) {
                let row = if row < columns.end { b.row(row) } else { &[] };
                *x = row.get(step).copied().unwrap_or(0.0);
            }
        }
    }
}
