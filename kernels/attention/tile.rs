//! The products of attention, a tile at a time: `R` rows of `V` vectors that stay in registers.
//!
//! The left operand's elements are broadcast straight from row-major memory, so keys and values
//! are never packed. The right operand is read `V` vectors at a time, once for `R` rows. Every
//! element of a result is one chain of multiply-adds in the order of the steps, so its bits depend
//! neither on the shape of the tile nor on the backend (within a rounding class).

use super::row::{self, Diagonal, Row, Stored};
use crate::mat::{MatMut, MatRef};
use crate::simd::{Kernel, LANES, Simd};

/// `R` rows of `V` vectors.
type Tile<S, const R: usize, const V: usize> = [Row<S, V>; R];

/// `out = a b`: the sums run along the rows of `a`.
///
/// `out` is written in tiles of `R` rows, or fewer at its end; past the rows of `a` it repeats the
/// last.
pub(super) struct RowsTimes<'a, const R: usize, const V: usize> {
    pub(super) a: MatRef<'a>,
    pub(super) b: &'a [Stored<V>],
    pub(super) out: &'a mut [Stored<V>],
}

impl<const R: usize, const V: usize> Kernel for RowsTimes<'_, R, V> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let (tiles, rest) = self.out.as_chunks_mut::<R>();
        let whole = tiles.len() * R;
        for (t, out) in tiles.iter_mut().enumerate() {
            if t * R < self.a.rows() {
                rows_times(simd, self.a, t * R, self.b, out);
            }
        }
        let (edges, _) = rest.as_chunks_mut::<EDGE>();
        for (t, out) in edges.iter_mut().enumerate() {
            if whole + t * EDGE < self.a.rows() {
                rows_times(simd, self.a, whole + t * EDGE, self.b, out);
            }
        }
    }
}

/// Rows of a tile where fewer than `R` are left.
const EDGE: usize = 4;

/// The rows of `a b` from `first` on.
#[inline(always)]
fn rows_times<S: Simd, const R: usize, const V: usize>(
    simd: S,
    a: MatRef<'_>,
    first: usize,
    b: &[Stored<V>],
    out: &mut [Stored<V>; R],
) {
    let zeros = [row::splat(simd, 0.0); R];
    let tile = add_rows_times::<S, R, V>(simd, zeros, tile_of_rows(a, first), b);
    store(simd, tile, out);
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

/// `tile[r] + sum_k rows[r][k] b[k]`.
#[inline(always)]
fn add_rows_times<S: Simd, const R: usize, const V: usize>(
    simd: S,
    mut tile: Tile<S, R, V>,
    rows: [&[f32]; R],
    b: &[Stored<V>],
) -> Tile<S, R, V> {
    for row in rows {
        // Tells the compiler that every `rows[r][k]` below is in range.
        if row.len() != b.len() {
            return tile;
        }
    }
    for k in 0..b.len() {
        let mut factors = [0.0; R];
        for r in 0..R {
            factors[r] = if const { S::REGISTERS < 4 } {
                // Single rows are unrolled before their length is known to be the same.
                rows[r].get(k).copied().unwrap_or(0.0)
            } else {
                rows[r][k]
            };
        }
        tile = step(simd, tile, &factors, &b[k]);
    }
    tile
}

/// `out += a b`, with sums that run along the rows of `a`, where `out` is a row-major matrix: the
/// sums go to its rows from `row` on, and to its columns from `column` on as far as there are any.
pub(super) struct AddRowsTimes<'a, const R: usize, const V: usize> {
    pub(super) a: MatRef<'a>,
    pub(super) b: &'a [Stored<V>],
    pub(super) out: MatMut<'a>,
    pub(super) row: usize,
    pub(super) column: usize,
}

impl<const R: usize, const V: usize> Kernel for AddRowsTimes<'_, R, V> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        for first in (0..self.a.rows()).step_by(R) {
            let mut tile = [row::splat(simd, 0.0); R];
            for (tile, row) in tile.iter_mut().zip(self.rows_from(first)) {
                *tile = row::load_from(simd, row);
            }
            let rows = tile_of_rows(self.a, first);
            tile = add_rows_times::<S, R, V>(simd, tile, rows, self.b);
            for (tile, row) in tile.into_iter().zip(self.rows_from(first)) {
                row::store_to(simd, tile, row);
            }
        }
    }
}

impl<const R: usize, const V: usize> AddRowsTimes<'_, R, V> {
    /// Where the rows of the product from `first` on go, as far as `out` holds their columns.
    #[inline(always)]
    fn rows_from(&mut self, first: usize) -> impl Iterator<Item = &mut [f32]> {
        let width = (V * LANES).min(self.out.cols().saturating_sub(self.column));
        let count = self.a.rows().saturating_sub(first);
        let stride = self.out.stride().max(1);
        let start = (self.row + first) * stride + self.column;
        let rows = self.out.data_mut().get_mut(start..).unwrap_or(&mut []);
        let rows = rows.chunks_mut(stride).take(count);
        rows.map(move |row| row.get_mut(..width).unwrap_or(&mut []))
    }
}

/// `out = decay out + a^T b`: the sums run down the columns of `a`, which are the rows of `out`.
///
/// From row `clear` on, a row of `a` (a key) reaches only the lanes that see it: the others keep
/// their bits even if it holds NaN. Row 0 is the key at position `key`, lane 0 the query at
/// position `query`.
pub(super) struct AddColumnsTimes<'a, const R: usize, const V: usize> {
    pub(super) a: MatRef<'a>,
    pub(super) b: &'a [Stored<V>],
    pub(super) out: &'a mut [Stored<V>],
    pub(super) decay: Stored<V>,
    pub(super) clear: usize,
    pub(super) key: usize,
    pub(super) query: usize,
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
        let (clear, hidden) = self.b.split_at_checked(self.clear).unwrap_or((self.b, &[]));
        tile = add_columns_times(simd, tile, self.a, column, clear);
        if !hidden.is_empty() {
            let a = self.a.rows_from(self.clear, hidden.len());
            let diagonal = Diagonal::new(simd, self.query);
            let first = self.key + self.clear;
            tile = add_seen_columns_times(simd, tile, a, column, hidden, &diagonal, first);
        }
        store(simd, tile, out);
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
                tile = step(simd, tile, factors, b);
            }
        }
    }
    for (k, b) in b.iter().enumerate().skip(whole * UNROLL) {
        let row = a.row(k).get(column..).unwrap_or(&[]);
        if let Some(factors) = row.first_chunk::<R>() {
            tile = step(simd, tile, factors, b);
        }
    }
    tile
}

/// Steps between two looks at the end of a loop.
const UNROLL: usize = 4;

/// `tile[r] + factors[r] b`.
#[inline(always)]
fn step<S: Simd, const R: usize, const V: usize>(
    simd: S,
    mut tile: Tile<S, R, V>,
    factors: &[f32; R],
    b: &Stored<V>,
) -> Tile<S, R, V> {
    let b = row::load(simd, b);
    for r in 0..R {
        tile[r] = row::mul_add(simd, simd.splat(factors[r]), b, tile[r]);
    }
    tile
}

/// [`add_columns_times`] where step `k` reaches only the lanes that see key `first + k`.
#[inline(always)]
fn add_seen_columns_times<S: Simd, const R: usize, const V: usize>(
    simd: S,
    mut tile: Tile<S, R, V>,
    a: MatRef<'_>,
    column: usize,
    b: &[Stored<V>],
    diagonal: &Diagonal<S, V>,
    first: usize,
) -> Tile<S, R, V> {
    for (k, b) in b.iter().enumerate() {
        let row = a.row(k).get(column..).unwrap_or(&[]);
        let Some(factors) = row.first_chunk::<R>() else {
            break;
        };
        let b = row::load(simd, b);
        let limit = diagonal.limit(simd, first + k);
        for r in 0..R {
            let sum = row::mul_add(simd, simd.splat(factors[r]), b, tile[r]);
            tile[r] = diagonal.select(simd, limit, sum, tile[r]);
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
