//! Sums that run along rows: scores, and the gradients of weights.

use super::super::row::{self, Stored};
use super::{EDGE, add_rows_times};
use crate::mat::MatRef;
use crate::simd::{Kernel, Simd};

/// `out = a b`: the sums run along the rows of `a`.
///
/// `out` is written in tiles of `R` rows, or fewer at its end; past the rows of `a` it repeats the
/// last. Vector `v` of the lanes needs only the first `seen[v]` rows, each at least as many as the
/// one before: of a tile that it does not need nothing is written there.
pub(in crate::attention) struct RowsTimes<'a, const R: usize, const V: usize> {
    pub(in crate::attention) a: MatRef<'a>,
    pub(in crate::attention) b: &'a [Stored<V>],
    pub(in crate::attention) out: &'a mut [Stored<V>],
    pub(in crate::attention) seen: [usize; V],
}

impl<const R: usize, const V: usize> Kernel for RowsTimes<'_, R, V> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let (tiles, rest) = core::mem::take(&mut self.out).as_chunks_mut::<R>();
        let whole = tiles.len() * R;
        for (t, out) in tiles.iter_mut().enumerate() {
            self.tile(simd, t * R, out);
        }
        let (edges, _) = rest.as_chunks_mut::<EDGE>();
        for (t, out) in edges.iter_mut().enumerate() {
            self.tile(simd, whole + t * EDGE, out);
        }
    }
}

impl<const R: usize, const V: usize> RowsTimes<'_, R, V> {
    /// The rows from `first` on.
    #[inline(always)]
    fn tile<S: Simd, const N: usize>(&self, simd: S, first: usize, out: &mut [Stored<V>; N]) {
        match self.seen.iter().take_while(|seen| **seen <= first).count() {
            0 => self.tile_from::<S, N, 0>(simd, first, out),
            1 if const { V > 1 } => self.tile_from::<S, N, 1>(simd, first, out),
            2 if const { V > 2 } => self.tile_from::<S, N, 2>(simd, first, out),
            3 if const { V > 3 } => self.tile_from::<S, N, 3>(simd, first, out),
            _ => {}
        }
    }

    /// [`RowsTimes::tile`] of the vectors from `FROM` on.
    #[inline(always)]
    fn tile_from<S: Simd, const N: usize, const FROM: usize>(
        &self,
        simd: S,
        first: usize,
        out: &mut [Stored<V>; N],
    ) {
        let zeros = [row::splat(simd, 0.0); N];
        let rows = tile_of_rows(self.a, first);
        let tile = add_rows_times::<S, N, V, FROM>(simd, zeros, rows, self.b);
        for (row, stored) in tile.into_iter().zip(out) {
            for v in FROM..V {
                simd.store(row[v], &mut stored[v]);
            }
        }
    }
}

/// `R` rows from `first` on; past the last that repeats.
#[inline(always)]
fn tile_of_rows<const R: usize>(a: MatRef<'_>, first: usize) -> [&[f32]; R] {
    let last = a.rows().saturating_sub(1);
    let mut rows: [&[f32]; R] = [&[]; R];
    for (r, row) in rows.iter_mut().enumerate() {
        *row = a.row(last.min(first + r));
    }
    rows
}
