//! The products of attention, a tile at a time: `R` rows of `V` vectors that stay in registers.
//!
//! The left operand's elements are broadcast straight from row-major memory, so keys and values
//! are never packed. The right operand is read `V` vectors at a time, once for `R` rows. Every
//! element of a result is one chain of multiply-adds in the order of the steps, so its bits depend
//! neither on the shape of the tile nor on the backend (within a rounding class).

use super::row::{self, Row, Stored};
use crate::simd::Simd;

mod add_rows;
mod columns;
mod rows;

pub(super) use add_rows::AddRowsTimes;
pub(super) use columns::AddColumnsTimes;
pub(super) use rows::RowsTimes;

/// `R` rows of `V` vectors.
type Tile<S, const R: usize, const V: usize> = [Row<S, V>; R];

/// Rows of a tile where fewer than `R` are left.
const EDGE: usize = 4;

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
