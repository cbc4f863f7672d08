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
/// last. Vector `v` of the lanes needs only the first `seen[v]` rows, each at least as many as the
/// one before: of a tile that it does not need nothing is written there.
pub(super) struct RowsTimes<'a, const R: usize, const V: usize> {
    pub(super) a: MatRef<'a>,
    pub(super) b: &'a [Stored<V>],
    pub(super) out: &'a mut [Stored<V>],
    pub(super) seen: [usize; V],
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

/// Rows of a tile where fewer than `R` are left.
const EDGE: usize = 4;

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

/// `tile[r] + sum_k rows[r][k] b[k]`, in the vectors from `FROM` on.
#[inline(always)]
fn add_rows_times<S: Simd, const R: usize, const V: usize, const FROM: usize>(
    simd: S,
    mut tile: Tile<S, R, V>,
    rows: [&[f32]; R],
    b: &[Stored<V>],
) -> Tile<S, R, V> {
    let (groups, rest) = b.as_chunks::<UNROLL>();
    let lines = rows.map(|row| row.as_chunks::<UNROLL>().0);
    // Tells the compiler that every look for a factor below finds one.
    for r in 0..R {
        if rows[r].len() != b.len() || lines[r].len() != groups.len() {
            return tile;
        }
    }
    for (k, b) in groups.iter().enumerate() {
        for i in 0..UNROLL {
            let mut factors = [0.0; R];
            for r in 0..R {
                let Some(line) = lines[r].get(k) else {
                    return tile;
                };
                factors[r] = line[i];
            }
            tile = step::<S, R, V, FROM>(simd, tile, &factors, &b[i]);
        }
    }
    for (k, b) in rest.iter().enumerate() {
        let mut factors = [0.0; R];
        for r in 0..R {
            let Some(factor) = rows[r].get(groups.len() * UNROLL + k) else {
                return tile;
            };
            factors[r] = *factor;
        }
        tile = step::<S, R, V, FROM>(simd, tile, &factors, b);
    }
    tile
}

/// `out += a b`, with sums that run along the rows of `a`, where `out` is a row-major matrix: the
/// sums go to its rows from `row` on, and to its columns from `column` on as far as there are any.
///
/// Rows of `a` hold `G` blocks of queries; those from `first` on belong to the rows of `b`.
pub(super) struct AddRowsTimes<'a, const R: usize, const V: usize, const G: usize> {
    pub(super) a: &'a [[Stored<V>; G]],
    pub(super) b: &'a [Stored<V>],
    pub(super) first: usize,
    pub(super) out: MatMut<'a>,
    pub(super) row: usize,
    pub(super) column: usize,
}

impl<const R: usize, const V: usize, const G: usize> Kernel for AddRowsTimes<'_, R, V, G> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let (mut tiles, mut rest) = self.a.as_chunks::<R>();
        if self.column + V * LANES > self.out.cols() {
            (tiles, rest) = (&[], self.a);
        }
        for rows in tiles {
            self.whole_tile(simd, rows);
            self.row += R;
        }
        for rows in rest.chunks(R) {
            self.part_of_tile(simd, rows);
            self.row += R;
        }
    }
}

impl<const R: usize, const V: usize, const G: usize> AddRowsTimes<'_, R, V, G> {
    /// `R` rows of the product, which all lie within `out`.
    #[inline(always)]
    fn whole_tile<S: Simd>(&mut self, simd: S, rows: &[[Stored<V>; G]; R]) {
        let mut tile = [row::splat(simd, 0.0); R];
        for (r, sums) in tile.iter_mut().enumerate() {
            if let Some(stored) = row::first_of_mut(self.sums(r)) {
                *sums = row::load(simd, stored);
            }
        }
        for r in R..2 * R {
            for line in self.sums(r).chunks(LANES).take(V) {
                simd.prefetch(line);
            }
        }
        let factors = core::array::from_fn(|r| self.factors(&rows[r]));
        tile = add_rows_times::<S, R, V, 0>(simd, tile, factors, self.b);
        for (r, sums) in tile.into_iter().enumerate() {
            if let Some(stored) = row::first_of_mut(self.sums(r)) {
                row::store(simd, sums, stored);
            }
        }
    }

    /// As many of these rows and columns as `out` has.
    #[inline(always)]
    fn part_of_tile<S: Simd>(&mut self, simd: S, rows: &[[Stored<V>; G]]) {
        let mut tile = [row::splat(simd, 0.0); R];
        for (r, sums) in tile.iter_mut().enumerate().take(rows.len()) {
            *sums = row::load_from(simd, self.sums(r));
        }
        let mut factors: [&[f32]; R] = [&[]; R];
        let mut last = rows.iter().map(|row| self.factors(row));
        let mut row = last.next().unwrap_or(&[]);
        for factors in &mut factors {
            *factors = row;
            row = last.next().unwrap_or(row);
        }
        tile = add_rows_times::<S, R, V, 0>(simd, tile, factors, self.b);
        for (r, sums) in tile.into_iter().enumerate().take(rows.len()) {
            row::store_to(simd, sums, self.sums(r));
        }
    }

    #[inline(always)]
    fn factors<'r>(&self, row: &'r [Stored<V>; G]) -> &'r [f32] {
        let row = row.as_flattened().as_flattened();
        let row = row.get(self.first..).unwrap_or(row);
        row.get(..self.b.len()).unwrap_or(row)
    }

    /// What `out` holds of row `i` of the tile, to the end of its row.
    #[inline(always)]
    fn sums(&mut self, i: usize) -> &mut [f32] {
        let row = self.out.row_mut(self.row + i);
        row.get_mut(self.column..).unwrap_or(&mut [])
    }
}

/// `out = decay out + a^T b`: the sums run down the columns of `a`, which are the rows of `out`.
///
/// From row `clear` on, a row of `a` (a key) reaches only the lanes that see it: the others keep
/// their bits even if it holds NaN. Row 0 is the key at position `key`, lane 0 the query at
/// position `query`; the lanes of vector `v` see nothing past the first `seen[v]` rows.
pub(super) struct AddColumnsTimes<'a, const R: usize, const V: usize> {
    pub(super) a: MatRef<'a>,
    pub(super) b: &'a [Stored<V>],
    pub(super) out: &'a mut [Stored<V>],
    pub(super) decay: Stored<V>,
    pub(super) clear: usize,
    pub(super) seen: [usize; V],
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

/// Steps between two looks at the end of a loop.
const UNROLL: usize = 4;

/// `tile[r] + factors[r] b`, in the vectors from `FROM` on.
#[inline(always)]
fn step<S: Simd, const R: usize, const V: usize, const FROM: usize>(
    simd: S,
    mut tile: Tile<S, R, V>,
    factors: &[f32; R],
    b: &Stored<V>,
) -> Tile<S, R, V> {
    let b = row::load(simd, b);
    for r in 0..R {
        let factor = simd.splat(factors[r]);
        for v in FROM..V {
            tile[r][v] = simd.mul_add(factor, b[v], tile[r][v]);
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
