//! Packing: a block of an operand, copied into panels that the tile reads front to back.
//!
//! A panel is `width` lines of the outer dimension (columns of `b`, rows of `a`) wide and all
//! steps of the block long; a step's `width` elements lie side by side. The last panel is filled
//! up with zeros.

use crate::mat::MatRef;
use core::ops::Range;

/// Packs a matrix whose rows are steps.
#[inline(always)]
pub(super) fn pack_rows(
    packed: &mut [f32],
    src: MatRef,
    steps: Range<usize>,
    lines: Range<usize>,
    width: usize,
) {
    let panels = packed.chunks_exact_mut(width * steps.len());
    for (panel, start) in panels.zip(lines.clone().step_by(width)) {
        let lines = start..lines.end.min(start + width);
        for (packed, step) in panel.chunks_exact_mut(width).zip(steps.clone()) {
            let row = src.row(step).get(lines.clone()).unwrap_or(&[]);
            let (filled, zeros) = packed.split_at_mut(row.len());
            filled.copy_from_slice(row);
            zeros.fill(0.0);
        }
    }
}

/// Packs a matrix whose columns are steps: each panel is a transpose.
#[inline(always)]
pub(super) fn pack_columns(
    packed: &mut [f32],
    src: MatRef,
    steps: Range<usize>,
    lines: Range<usize>,
    width: usize,
) {
    let panels = packed.chunks_exact_mut(width * steps.len());
    for (panel, start) in panels.zip(lines.clone().step_by(width)) {
        if start + width > lines.end {
            panel.fill(0.0);
        }
        for (i, line) in (start..lines.end).take(width).enumerate() {
            let row = src.row(line).get(steps.clone()).unwrap_or(&[]);
            for (packed, x) in panel.iter_mut().skip(i).step_by(width).zip(row) {
                *packed = *x;
            }
        }
    }
}
