//! Rows of a slice as arrays of groups of sixteen: what the loops over a batch are made of.
//!
//! Two slices may lie side by side in one table. A window then reads and changes rows of both in one
//! go, and a product has a sum for each of the two, as if they lay apart.

use crate::mat::MatRef;
use crate::simd::{Kernel, LANES, Simd};

/// How many windows ahead rows of a slice are asked for; half as many where they are twice as long.
pub(super) const AHEAD: usize = 4;

/// How many nodes of a window are asked for: those of a path are ever rarer, so the last ones. (To stop
/// at one that must be in a cache would be a branch that is hard to foresee, and cost more than hints.)
const RAREST: usize = 6;

/// How many words: the last ones, for the others are in windows before, as a rule.
const NEWEST: usize = 2;

/// Most groups of sixteen dimensions in a slice.
pub(super) const MAX_GROUPS: usize = 4;

/// A row of `G` groups.
pub(super) type Row<const G: usize> = [[f32; LANES]; G];

/// A loop over a batch, compiled for every width of its rows.
pub(super) trait BatchLoop {
    /// One slice, or two side by side.
    const SLICES: usize = 1;
    /// Elements of a row.
    fn width(&self) -> usize;
    /// The loop over rows of `G` groups.
    fn groups<S: Simd, const G: usize>(self, simd: S);
}

impl<L: BatchLoop> Kernel for L {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        match self.width() / LANES {
            1 if L::SLICES == 1 => self.groups::<S, 1>(simd),
            2 => self.groups::<S, 2>(simd),
            3 => self.groups::<S, 3>(simd),
            4 => self.groups::<S, 4>(simd),
            5 if L::SLICES == 2 => self.groups::<S, 5>(simd),
            6 if L::SLICES == 2 => self.groups::<S, 6>(simd),
            7 if L::SLICES == 2 => self.groups::<S, 7>(simd),
            8 if L::SLICES == 2 => self.groups::<S, 8>(simd),
            _ => {}
        }
    }
}

// Loops instead of `map` over arrays: a closure that the compiler chooses not to inline is compiled
// without the backend's instructions, and costs a hundred times as much.

/// All rows, of `G` groups each; the checks rule out other widths and gaps.
#[inline(always)]
pub(super) fn rows<const G: usize>(matrix: MatRef<'_>) -> &[Row<G>] {
    matrix.data().as_chunks().0.as_chunks().0
}

#[inline(always)]
pub(super) fn rows_mut<const G: usize>(elements: &mut [f32]) -> &mut [Row<G>] {
    elements.as_chunks_mut().0.as_chunks_mut().0
}

/// `T` groups of a row, from one on.
#[inline(always)]
pub(super) fn part_of<const G: usize, const T: usize>(
    rows: &[Row<G>],
    row: u32,
    from: usize,
) -> Option<&Row<T>> {
    rows.get(row as usize)?.get(from..)?.first_chunk()
}

/// The same, to be changed.
#[inline(always)]
pub(super) fn part_of_mut<const G: usize, const T: usize>(
    rows: &mut [Row<G>],
    row: u32,
    from: usize,
) -> Option<&mut Row<T>> {
    rows.get_mut(row as usize)?
        .get_mut(from..)?
        .first_chunk_mut()
}

/// Which of `P` slices side by side has a group of a row of `G`: the first may be narrower.
#[inline(always)]
pub(super) const fn slice_of<const G: usize, const P: usize>(group: usize) -> usize {
    if P == 2 && group >= G / 2 { 1 } else { 0 }
}

/// The dot product: in each slice one sum of sixteen lanes over its groups, then over the lanes.
#[inline(always)]
pub(super) fn dot<S: Simd, const G: usize, const P: usize>(
    simd: S,
    row: &Row<G>,
    x: &[S::V; G],
) -> f32 {
    let mut sums = [simd.splat(0.0); P];
    for (g, (row, x)) in row.iter().zip(x).enumerate() {
        if let Some(sum) = sums.get_mut(slice_of::<G, P>(g)) {
            *sum = simd.mul_add(simd.load(row), *x, *sum);
        }
    }
    let mut dot = 0.0;
    for sum in &sums {
        dot += simd.reduce_sum(*sum);
    }
    dot
}

/// Four such products at the end: from their sums of lanes in each slice.
#[inline(always)]
pub(super) fn reduce_sums<S: Simd, const P: usize>(simd: S, sums: &[[S::V; 4]; P]) -> [f32; 4] {
    match &sums[..] {
        [one] => simd.reduce_sum_of_four(*one),
        [first, second] => simd.reduce_sums_of_four(*first, *second),
        _ => [0.0; 4],
    }
}

/// [`dot`] of two rows in memory, for machines whose registers do not hold one.
#[inline(always)]
pub(super) fn narrow_dot<S: Simd, const G: usize, const P: usize>(
    simd: S,
    a: &Row<G>,
    b: &Row<G>,
) -> f32 {
    let ((a, more_a), (b, more_b)) = (a.split_at(G / P), b.split_at(G / P));
    let mut dot = narrow_dot_of_slice(simd, a, b);
    if const { P == 2 } {
        dot += narrow_dot_of_slice(simd, more_a, more_b);
    }
    dot
}

#[inline(never)]
fn narrow_dot_of_slice<S: Simd>(simd: S, a: &[[f32; LANES]], b: &[[f32; LANES]]) -> f32 {
    let mut sums = [0.0; LANES];
    for (a, b) in a.iter().zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    simd.reduce_sum(simd.load(&sums))
}

/// Scores of nodes, with [`narrow_dot`].
#[inline(always)]
pub(super) fn narrow_scores<S: Simd, const G: usize, const P: usize>(
    simd: S,
    x: &Row<G>,
    thetas: &[Row<G>],
    nodes: &[u32],
    scores: &mut [f32],
) {
    for (node, score) in nodes.iter().zip(scores) {
        if let Some(theta) = thetas.get(*node as usize) {
            *score = narrow_dot::<S, G, P>(simd, theta, x);
        }
    }
}

/// Reads a row.
#[inline(always)]
pub(super) fn loaded<S: Simd, const G: usize>(simd: S, row: &Row<G>) -> [S::V; G] {
    let mut groups = [simd.splat(0.0); G];
    for (group, row) in groups.iter_mut().zip(row) {
        *group = simd.load(row);
    }
    groups
}

/// Asks for rows of a window, while those before it are worked on.
#[inline(always)]
pub(super) fn prefetch<S: Simd, const G: usize>(
    simd: S,
    (vectors, thetas): (&[Row<G>], &[Row<G>]),
    (context, nodes): (&[u32], &[u32]),
) {
    prefetch_last::<S, G, NEWEST>(simd, vectors, context);
    prefetch_last::<S, G, RAREST>(simd, thetas, nodes);
}

/// Asks for the last `N` rows of a list.
#[inline(always)]
fn prefetch_last<S: Simd, const G: usize, const N: usize>(simd: S, rows: &[Row<G>], list: &[u32]) {
    for i in list.iter().rev().take(N) {
        if let Some(row) = rows.get(*i as usize) {
            for line in row {
                simd.prefetch(line);
            }
        }
    }
}
