//! Packing: a block of an operand, copied into panels that the tile reads front to back.
//!
//! A panel is as wide as a tile and as long as the block has steps; a step is `C` pieces of `W`
//! elements that lie side by side in the outer dimension (columns of `b`, rows of `a`). The last
//! panel is filled up with zeros.

use crate::mat::MatRef;
use core::ops::Range;

/// What a tile reads at one step of a panel.
pub(super) type Step<const W: usize, const C: usize> = [[f32; W]; C];

/// Panel `i` of packed elements, of `k` steps.
#[inline(always)]
pub(super) fn panel<const W: usize, const C: usize>(
    packed: &[f32],
    i: usize,
    k: usize,
) -> &[Step<W, C>] {
    // In range: the workspace holds every panel of a block.
    &packed.as_chunks::<W>().0.as_chunks::<C>().0[i * k..][..k]
}

#[inline(always)]
fn steps_mut<const W: usize, const C: usize>(packed: &mut [f32]) -> &mut [Step<W, C>] {
    packed.as_chunks_mut::<W>().0.as_chunks_mut::<C>().0
}

/// Packs a matrix whose rows are steps. Source rows are read to their end, one after the other.
#[inline(always)]
pub(super) fn pack_rows<const W: usize, const C: usize>(
    packed: &mut [f32],
    src: MatRef,
    steps: &Range<usize>,
    lines: &Range<usize>,
) {
    let packed = steps_mut::<W, C>(packed);
    for (p, step) in steps.clone().enumerate() {
        let row = src.row(step).get(lines.clone()).unwrap_or(&[]);
        let panels = packed.iter_mut().skip(p).step_by(steps.len());
        for (packed, line) in panels.zip(row.chunks(W * C)) {
            *packed = match line.as_chunks::<W>().0.first_chunk::<C>() {
                Some(full) => *full,
                None => padded(line),
            };
        }
    }
}

/// A step that ends early.
#[inline(always)]
fn padded<const W: usize, const C: usize>(line: &[f32]) -> Step<W, C> {
    let mut step = [[0.0; W]; C];
    for (packed, x) in step.as_flattened_mut().iter_mut().zip(line) {
        *packed = *x;
    }
    step
}

/// Packs a matrix whose columns are steps: each panel is a transpose.
#[inline(always)]
pub(super) fn pack_columns<const W: usize, const C: usize>(
    packed: &mut [f32],
    src: MatRef,
    steps: &Range<usize>,
    lines: &Range<usize>,
) {
    let panels = steps_mut::<W, C>(packed).chunks_exact_mut(steps.len());
    for (panel, start) in panels.zip(lines.clone().step_by(W * C)) {
        if start + W * C > lines.end {
            panel.as_flattened_mut().fill([0.0; W]);
        }
        for (i, line) in (start..lines.end).take(W * C).enumerate() {
            let row = src.row(line).get(steps.clone()).unwrap_or(&[]);
            for (packed, x) in panel.iter_mut().zip(row) {
                packed.as_flattened_mut()[i] = *x;
            }
        }
    }
}
