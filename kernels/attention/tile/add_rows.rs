//! Sums that run along rows, added to a matrix: the gradients of keys and values.

use super::super::row::{self, Stored};
use super::add_rows_times;
use crate::mat::MatMut;
use crate::simd::{Kernel, LANES, Simd};

/// `out += a b`, with sums that run along the rows of `a`, where `out` is a row-major matrix: the
/// sums go to its rows from `row` on, and to its columns from `column` on as far as there are any.
///
/// Rows of `a` hold `G` blocks of queries; those from `first` on belong to the rows of `b`.
pub(in crate::attention) struct AddRowsTimes<'a, const R: usize, const V: usize, const G: usize> {
    pub(in crate::attention) a: &'a [[Stored<V>; G]],
    pub(in crate::attention) b: &'a [Stored<V>],
    pub(in crate::attention) first: usize,
    pub(in crate::attention) out: MatMut<'a>,
    pub(in crate::attention) row: usize,
    pub(in crate::attention) column: usize,
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
        let mut left = rows.iter().map(|row| self.factors(row));
        let mut row = left.next().unwrap_or(&[]);
        for factors in &mut factors {
            // The last row stands for those that are missing; what it gives there is not written.
            *factors = row;
            row = left.next().unwrap_or(row);
        }
        tile = add_rows_times::<S, R, V, 0>(simd, tile, factors, self.b);
        for (r, sums) in tile.into_iter().enumerate().take(rows.len()) {
            row::store_to(simd, sums, self.sums(r));
        }
    }

    /// The numbers of a row of `a` that meet the rows of `b`.
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
