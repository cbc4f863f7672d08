//! Between row-major operands and blocks whose lanes are queries.

use super::row::Stored;
use crate::mat::{MatMut, MatRef};
use crate::simd::{Kernel, LANES, Simd};
use crate::square::columns_of;

/// Cuts `len` elements off the front of `buffer`; nothing if it holds fewer.
#[inline(always)]
pub(super) fn carve<'a>(buffer: &mut &'a mut [f32], len: usize) -> &'a mut [f32] {
    buffer.split_off_mut(..len).unwrap_or(&mut [])
}

/// Asks for every line of `rows`, but on machines so small that they have no caches.
#[inline(always)]
pub(super) fn prefetch_rows<S: Simd>(simd: S, rows: MatRef<'_>) {
    if const { S::REGISTERS < 4 } {
        return;
    }
    for i in 0..rows.rows() {
        for line in rows.row(i).chunks(LANES) {
            simd.prefetch(line);
        }
    }
}

/// `block[c][i] = factor * rows[i][c]`, zeros in lanes without a row.
pub(super) struct TransposeInto<'a, const V: usize> {
    pub(super) block: &'a mut [Stored<V>],
    pub(super) rows: MatRef<'a>,
    pub(super) factor: f32,
}

impl<const V: usize> Kernel for TransposeInto<'_, V> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        if const { S::REGISTERS < 4 } {
            return self.narrow();
        }
        let factor = simd.splat(self.factor);
        for v in 0..V {
            let rows = self.rows.rows_from(v * LANES, LANES);
            for (t, block) in self.block.chunks_mut(LANES).enumerate() {
                let columns = t * LANES..t * LANES + block.len();
                for (x, stored) in columns_of(simd, rows, columns).into_iter().zip(block) {
                    simd.store(simd.mul(x, factor), &mut stored[v]);
                }
            }
        }
    }
}

impl<const V: usize> TransposeInto<'_, V> {
    /// Number by number, where squares of vectors would lie on the stack.
    #[inline(always)]
    fn narrow(self) {
        for (c, stored) in self.block.iter_mut().enumerate() {
            for (i, x) in stored.as_flattened_mut().iter_mut().enumerate() {
                *x = self.rows.row(i).get(c).copied().unwrap_or(0.0) * self.factor;
            }
        }
    }
}

/// `rows[i][c] = block[c][i]`, or with `ADD`, `+=`.
pub(super) struct TransposeFrom<'a, const V: usize, const ADD: bool> {
    pub(super) block: &'a [Stored<V>],
    /// The rows from `first` on, `count` of them.
    pub(super) rows: MatMut<'a>,
    pub(super) first: usize,
    pub(super) count: usize,
}

impl<const V: usize, const ADD: bool> Kernel for TransposeFrom<'_, V, ADD> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        if const { S::REGISTERS < 4 } {
            return self.narrow();
        }
        for v in 0..V {
            let first = self.first + v * LANES;
            let count = self.count.saturating_sub(v * LANES).min(LANES);
            for (t, block) in self.block.chunks(LANES).enumerate() {
                let mut square = [simd.splat(0.0); LANES];
                for (x, stored) in square.iter_mut().zip(block) {
                    *x = simd.load(&stored[v]);
                }
                let square = simd.transpose(square);
                if count == LANES && block.len() == LANES {
                    self.write_whole(simd, square, first, t * LANES);
                    continue;
                }
                for (i, x) in square.into_iter().enumerate().take(count) {
                    let row = self.rows.row_mut(first + i);
                    write_part::<S, ADD>(simd, x, row.get_mut(t * LANES..).unwrap_or(&mut []));
                }
            }
        }
    }
}

impl<const V: usize, const ADD: bool> TransposeFrom<'_, V, ADD> {
    /// Whole vectors to sixteen rows: a loop this short is unrolled, and stays in registers.
    #[inline(always)]
    fn write_whole<S: Simd>(&mut self, simd: S, square: [S::V; LANES], row: usize, column: usize) {
        for (i, x) in square.into_iter().enumerate() {
            let row = self.rows.row_mut(row + i).get_mut(column..);
            if let Some(whole) = row.unwrap_or(&mut []).first_chunk_mut() {
                let x = if ADD {
                    simd.add(simd.load(whole), x)
                } else {
                    x
                };
                simd.store(x, whole);
            }
        }
    }

    /// Number by number, where squares of vectors would lie on the stack.
    #[inline(always)]
    fn narrow(mut self) {
        for (c, stored) in self.block.iter().enumerate() {
            for (i, x) in stored.as_flattened().iter().enumerate().take(self.count) {
                if let Some(y) = self.rows.row_mut(self.first + i).get_mut(c) {
                    *y = if ADD { *y + *x } else { *x };
                }
            }
        }
    }
}

/// `row = x`, or with `ADD`, `+=`, as far as the row goes.
#[inline(always)]
fn write_part<S: Simd, const ADD: bool>(simd: S, x: S::V, row: &mut [f32]) {
    let x = if ADD {
        simd.add(simd.load_partial(row), x)
    } else {
        x
    };
    simd.store_partial(x, row);
}

/// Copies the columns of `rows` in panels of `V` vectors, `panel_rows` rows each: panel `p` holds
/// the columns from `16 V p` on, zeros beyond the last.
#[inline(always)]
pub(super) fn copy_panels<const V: usize>(
    panels: &mut [Stored<V>],
    panel_rows: usize,
    rows: MatRef<'_>,
) {
    for (p, panel) in panels.chunks_mut(panel_rows).enumerate() {
        for (i, stored) in panel.iter_mut().enumerate().take(rows.rows()) {
            let row = rows.row(i).get(p * V * LANES..).unwrap_or(&[]);
            let stored = stored.as_flattened_mut();
            let len = row.len().min(stored.len());
            let (filled, rest) = stored.split_at_mut(len);
            filled.copy_from_slice(&row[..len]);
            rest.fill(0.0);
        }
    }
}
