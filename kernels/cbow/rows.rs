//! Rows of a slice as arrays of groups of sixteen: what the loops over a batch are made of.

use crate::mat::MatRef;
use crate::simd::{Kernel, LANES, Simd};

/// How many windows ahead rows are asked for.
pub(super) const AHEAD: usize = 4;

/// How many nodes of a window are asked for: those of a path are ever rarer, so the last ones. (To stop
/// at one that must be in a cache would be a branch that is hard to foresee, and cost more than hints.)
const RAREST: usize = 6;

/// How many words: the last ones, for the others are in windows before, as a rule.
const NEWEST: usize = 2;

/// Most groups of sixteen dimensions in a slice: a slice of `x` and of `e` stay in registers.
pub(super) const MAX_GROUPS: usize = 4;

/// A row of `G` groups.
pub(super) type Row<const G: usize> = [[f32; LANES]; G];

/// A loop over a batch, compiled for every width of a slice.
pub(super) trait BatchLoop {
    /// Elements of a row of the slice.
    fn width(&self) -> usize;
    /// The loop over rows of `G` groups.
    fn groups<S: Simd, const G: usize>(self, simd: S);
}

impl<L: BatchLoop> Kernel for L {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        match self.width() / LANES {
            1 => self.groups::<S, 1>(simd),
            2 => self.groups::<S, 2>(simd),
            3 => self.groups::<S, 3>(simd),
            _ => self.groups::<S, 4>(simd),
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

/// The `at`th `T` groups of a row.
#[inline(always)]
pub(super) fn part_of<const G: usize, const T: usize>(
    rows: &[Row<G>],
    row: u32,
    at: usize,
) -> Option<&Row<T>> {
    rows.get(row as usize)?.as_chunks().0.get(at)
}

/// The same, to be changed.
#[inline(always)]
pub(super) fn part_of_mut<const G: usize, const T: usize>(
    rows: &mut [Row<G>],
    row: u32,
    at: usize,
) -> Option<&mut Row<T>> {
    rows.get_mut(row as usize)?.as_chunks_mut().0.get_mut(at)
}

/// The dot product: one sum of sixteen lanes over the groups, then over the lanes.
#[inline(always)]
pub(super) fn dot<S: Simd, const G: usize>(simd: S, row: &Row<G>, x: &[S::V; G]) -> f32 {
    let mut sum = simd.splat(0.0);
    for (row, x) in row.iter().zip(x) {
        sum = simd.mul_add(simd.load(row), *x, sum);
    }
    simd.reduce_sum(sum)
}

/// [`dot`] of two rows in memory, for machines whose registers do not hold one.
#[inline(never)]
pub(super) fn narrow_dot<S: Simd, const G: usize>(simd: S, a: &Row<G>, b: &Row<G>) -> f32 {
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
pub(super) fn narrow_scores<S: Simd, const G: usize>(
    simd: S,
    x: &Row<G>,
    thetas: &[Row<G>],
    nodes: &[u32],
    scores: &mut [f32],
) {
    for (node, score) in nodes.iter().zip(scores) {
        if let Some(theta) = thetas.get(*node as usize) {
            *score = narrow_dot(simd, theta, x);
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
