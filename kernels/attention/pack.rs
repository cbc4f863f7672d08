//! Between row-major operands and blocks whose lanes are queries.

use super::AttentionInputs;
use super::row::Stored;
use crate::mat::MatRef;
use crate::simd::LANES;
use core::f32::consts::LOG2_E;

/// Bytes in a cache line: rows that start on one are read without crossing into the next.
const LINE: usize = 64;

/// Elements that [`align`] may drop.
pub(super) const ALIGN_SLACK: usize = LINE / size_of::<f32>() - 1;

/// The buffer from its first cache line on.
#[inline(always)]
pub(super) fn align(buffer: &mut [f32]) -> &mut [f32] {
    let skipped = buffer.as_ptr().align_offset(LINE).min(ALIGN_SLACK);
    buffer.get_mut(skipped..).unwrap_or(&mut [])
}

/// Cuts `len` elements off the front of `buffer`; nothing if it holds fewer.
#[inline(always)]
pub(super) fn carve<'a>(buffer: &mut &'a mut [f32], len: usize) -> &'a mut [f32] {
    buffer.split_off_mut(..len).unwrap_or(&mut [])
}

/// `block[c][i] = factor * rows[i][c]`, zeros in lanes without a row.
#[inline(always)]
pub(super) fn transpose_into<const V: usize>(
    block: &mut [Stored<V>],
    rows: MatRef<'_>,
    factor: f32,
) {
    if rows.rows() < V * LANES {
        block.fill([[0.0; LANES]; V]);
    }
    for i in 0..rows.rows() {
        for (lanes, x) in block.iter_mut().zip(rows.row(i)) {
            if let Some(lane) = lanes.as_flattened_mut().get_mut(i) {
                *lane = factor * x;
            }
        }
    }
}

/// `row[c] = block[c][lane]`.
#[inline(always)]
pub(super) fn copy_lane<const V: usize>(row: &mut [f32], block: &[Stored<V>], lane: usize) {
    for (x, lanes) in row.iter_mut().zip(block) {
        if let Some(value) = lanes.as_flattened().get(lane) {
            *x = *value;
        }
    }
}

/// The bias of a block of scores as a strip: those of the key `r` rows into the block are the
/// `width` elements from `keys - 1 - r` on, one a lane, times `log2(e)`.
///
/// `first` is the position of the query in lane 0, `last` that of the last key.
#[inline(always)]
pub(super) fn fill_bias_strip(
    strip: &mut [f32],
    inputs: &AttentionInputs<'_>,
    first: usize,
    last: usize,
) {
    let bias = inputs.bias.unwrap_or(&[]);
    for (t, x) in strip.iter_mut().enumerate() {
        // Distances that the bias lacks are masked, or belong to lanes without a query.
        let distance = first.saturating_add(t).abs_diff(last);
        *x = LOG2_E * bias.get(distance).copied().unwrap_or(0.0);
    }
}

/// `V` vectors of a strip from `start` on.
#[inline(always)]
pub(super) fn strip_row<const V: usize>(strip: &[f32], start: usize) -> Option<&Stored<V>> {
    let rows: &[Stored<V>] = strip.get(start..)?.as_chunks().0.as_chunks().0;
    rows.first()
}
