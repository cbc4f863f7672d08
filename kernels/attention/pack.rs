//! Between row-major operands and blocks whose lanes are queries.

use super::row::Stored;
use crate::mat::MatRef;
use crate::simd::LANES;

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

/// `row[c] += block[c][lane]`.
#[inline(always)]
pub(super) fn add_lane<const V: usize>(row: &mut [f32], block: &[Stored<V>], lane: usize) {
    for (x, lanes) in row.iter_mut().zip(block) {
        if let Some(value) = lanes.as_flattened().get(lane) {
            *x += *value;
        }
    }
}

/// Copies the columns of `rows` in panels of `V` vectors, `panel_rows` rows each: panel `p` holds
/// the columns from `16 V p` on, zeros beyond the last.
#[inline(always)]
pub(super) fn copy_panels<const V: usize>(
    panels: &mut [Stored<V>],
    panel_rows: usize,
    rows: MatRef<'_>,
) {
    for (p, panel) in panels.chunks_mut(panel_rows).enumerate() {
        for (i, stored) in panel.iter_mut().enumerate().take(rows.rows()) {
            let row = rows.row(i).get(p * V * LANES..).unwrap_or(&[]);
            let stored = stored.as_flattened_mut();
            let len = row.len().min(stored.len());
            let (filled, rest) = stored.split_at_mut(len);
            filled.copy_from_slice(&row[..len]);
            rest.fill(0.0);
        }
    }
}
