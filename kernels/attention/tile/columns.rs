//! Sums that run down columns, added to what is there: outputs, and the gradients of queries.

use super::super::row::{self, Diagonal, Stored};
use super::{EDGE, Tile, UNROLL, step};
use crate::mat::MatRef;
use crate::simd::{Kernel, Simd};

/// `out = decay out + a^T b`: the sums run down the columns of `a`, which are the rows of `out`.
///
/// From row `clear` on, a row of `a` (a key) reaches only the lanes that see it: the others keep
/// their bits even if it holds NaN. Row 0 is the key at position `key`, lane 0 the query at
/// position `query`; the lanes of vector `v` see nothing past the first `seen[v]` rows.
pub(in crate::attention) struct AddColumnsTimes<'a, const R: usize, const V: usize> {
    pub(in crate::attention) a: MatRef<'a>,
    pub(in crate::attention) b: &'a [Stored<V>],
    pub(in crate::attention) out: &'a mut [Stored<V>],
    pub(in crate::attention) decay: Stored<V>,
    pub(in crate::attention) clear: usize,
    pub(in crate::attention) seen: [usize; V],
    pub(in crate::attention) key: usize,
    pub(in crate::attention) query: usize,
}

impl<const R: usize, const V: usize> Kernel for AddColumnsTimes<'_, R, V> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let out = core::mem::take(&mut self.out);
        let whole = out.len() / R * R;
        let (tiles, rest) = out.as_chunks_mut::<R>();
        for (t, out) in tiles.iter_mut().enumerate() {
            self.tile(simd, t * R, out);
        }
        let (edges, last) = rest.as_chunks_mut::<EDGE>();
        for (t, out) in edges.iter_mut().enumerate() {
            self.tile(simd, whole + t * EDGE, out);
        }
        let edges = edges.len() * EDGE;
        for (c, out) in last.iter_mut().enumerate() {
            self.tile(simd, whole + edges + c, core::array::from_mut(out));
        }
    }
}

impl<const R: usize, const V: usize> AddColumnsTimes<'_, R, V> {
    #[inline(always)]
    fn tile<S: Simd, const N: usize>(&self, simd: S, column: usize, out: &mut [Stored<V>; N]) {
        let mut tile = load(simd, out);
        for row in &mut tile {
            *row = row::mul(simd, *row, row::load(simd, &self.decay));
        }
        let clear = self.b.get(..self.clear).unwrap_or(self.b);
        tile = add_columns_times(simd, tile, self.a, column, clear);
        if clear.len() < self.b.len() {
            tile = self.add_seen::<S, N, 0>(simd, tile, column);
            if const { V > 1 } {
                tile = self.add_seen::<S, N, 1>(simd, tile, column);
            }
            if const { V > 2 } {
                tile = self.add_seen::<S, N, 2>(simd, tile, column);
            }
            if const { V > 3 } {
                tile = self.add_seen::<S, N, 3>(simd, tile, column);
            }
        }
        store(simd, tile, out);
    }

    /// Adds the keys past `clear` that vectors from `FROM` on see, and none before.
    #[inline(always)]
    fn add_seen<S: Simd, const N: usize, const FROM: usize>(
        &self,
        simd: S,
        mut tile: Tile<S, N, V>,
        column: usize,
    ) -> Tile<S, N, V> {
        let first = match FROM {
            0 => self.clear,
            _ => self.clear.max(self.seen[FROM - 1]),
        };
        let diagonal = Diagonal::<S, V>::new(simd, self.query);
        for k in first..self.seen[FROM] {
            let factors = self.a.row(k).get(column..).unwrap_or(&[]);
            let (Some(factors), Some(b)) = (factors.first_chunk::<N>(), self.b.get(k)) else {
                break;
            };
            let b = row::load(simd, b);
            let limit = diagonal.limit(simd, self.key + k);
            for r in 0..N {
                let factor = simd.splat(factors[r]);
                for v in FROM..V {
                    let sum = simd.mul_add(factor, b[v], tile[r][v]);
                    tile[r][v] = diagonal.select(simd, v, limit, sum, tile[r][v]);
                }
            }
        }
        tile
    }
}

/// `tile[r] + sum_k a[k][column + r] b[k]`.
#[inline(always)]
fn add_columns_times<S: Simd, const R: usize, const V: usize>(
    simd: S,
    mut tile: Tile<S, R, V>,
    a: MatRef<'_>,
    column: usize,
    b: &[Stored<V>],
) -> Tile<S, R, V> {
    let stride = a.stride().max(1);
    let data = a.data().get(column..).unwrap_or(&[]);
    // The last row is not followed by a whole stride, and so never part of a group.
    let groups = data.chunks_exact((UNROLL * stride).max(1));
    let whole = groups.len().min(b.len() / UNROLL);
    for (group, b) in groups.zip(b.as_chunks::<UNROLL>().0) {
        for (i, b) in b.iter().enumerate() {
            if let Some(factors) = group.get(i * stride..).unwrap_or(&[]).first_chunk::<R>() {
                tile = step::<S, R, V, 0>(simd, tile, factors, b);
            }
        }
    }
    for (k, b) in b.iter().enumerate().skip(whole * UNROLL) {
        let row = a.row(k).get(column..).unwrap_or(&[]);
        if let Some(factors) = row.first_chunk::<R>() {
            tile = step::<S, R, V, 0>(simd, tile, factors, b);
        }
    }
    tile
}

#[inline(always)]
fn load<S: Simd, const R: usize, const V: usize>(
    simd: S,
    stored: &[Stored<V>; R],
) -> Tile<S, R, V> {
    let mut tile = [row::splat(simd, 0.0); R];
    for (row, stored) in tile.iter_mut().zip(stored) {
        *row = row::load(simd, stored);
    }
    tile
}

#[inline(always)]
fn store<S: Simd, const R: usize, const V: usize>(
    simd: S,
    tile: Tile<S, R, V>,
    stored: &mut [Stored<V>; R],
) {
    for (row, stored) in tile.into_iter().zip(stored) {
        row::store(simd, row, stored);
    }
}
