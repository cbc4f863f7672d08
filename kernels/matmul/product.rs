//! The loops around the tile: blocks of the inner dimension, of columns, of rows; then panels.

use super::pack::{pack_columns, pack_rows, packed_steps};
use super::tile::{add_tile, panel_of_a, rows_of_a, tile};
use super::{Accum, BLOCK_K, BLOCK_M, BLOCK_N, columns_packed, min};
use crate::mat::{MatMut, MatRef};
use crate::simd::{Kernel, LANES, Simd};
use core::ops::Range;

/// A matrix as the product sees it: what is stored, or its transpose.
#[derive(Clone, Copy)]
pub(super) struct Operand<'a> {
    stored: MatRef<'a>,
    is_transposed: bool,
}

impl<'a> Operand<'a> {
    pub(super) fn rows(stored: MatRef<'a>) -> Self {
        let is_transposed = false;
        Self {
            stored,
            is_transposed,
        }
    }

    pub(super) fn transposed(stored: MatRef<'a>) -> Self {
        let is_transposed = true;
        Self {
            stored,
            is_transposed,
        }
    }

    pub(super) fn shape(&self) -> (usize, usize) {
        match self.is_transposed {
            false => (self.stored.rows(), self.stored.cols()),
            true => (self.stored.cols(), self.stored.rows()),
        }
    }
}

/// A product of non-empty operands whose shapes were checked.
pub(super) struct Product<'a> {
    dst: MatMut<'a>,
    a: Operand<'a>,
    b: Operand<'a>,
    accum: Accum,
    packed_a: &'a mut [f32],
    packed_b: &'a mut [f32],
}

impl<'a> Product<'a> {
    /// `workspace` holds `matmul_workspace_len` elements.
    pub(super) fn new(
        dst: MatMut<'a>,
        a: Operand<'a>,
        b: Operand<'a>,
        accum: Accum,
        workspace: &'a mut [f32],
    ) -> Self {
        let (k, n) = b.shape();
        let (packed_b, packed_a) = workspace.split_at_mut(min(k, BLOCK_K) * columns_packed(n));
        Self {
            dst,
            a,
            b,
            accum,
            packed_a,
            packed_b,
        }
    }

    /// Tiles of `R` rows by `C` vectors (`C` at most 4), and narrower ones at the right edge.
    #[inline(always)]
    fn in_tiles<S: Simd, const R: usize, const C: usize>(mut self, simd: S) {
        let ((_, k), (_, n)) = (self.a.shape(), self.b.shape());
        for steps in blocks(k, BLOCK_K) {
            for columns in blocks(n, BLOCK_N) {
                let edge = columns.end - columns.len() % (C * LANES);
                let (wide, rest) = (columns.start..edge, edge..columns.end);
                self.stripe::<S, R, C>(simd, &steps, &wide);
                match rest.len().div_ceil(LANES) {
                    0 => {}
                    1 => self.stripe::<S, R, 1>(simd, &steps, &rest),
                    2 => self.stripe::<S, R, 2>(simd, &steps, &rest),
                    3 => self.stripe::<S, R, 3>(simd, &steps, &rest),
                    _ => self.stripe::<S, R, C>(simd, &steps, &rest),
                }
            }
            self.accum = Accum::Add;
        }
    }

    /// Columns that fit the workspace, with all rows: packs `b`, then goes down the rows.
    #[inline(always)]
    fn stripe<S: Simd, const R: usize, const C: usize>(
        &mut self,
        simd: S,
        steps: &Range<usize>,
        columns: &Range<usize>,
    ) {
        match self.b.is_transposed {
            false => pack_rows::<LANES, C>(self.packed_b, self.b.stored, steps, columns),
            true => pack_columns::<LANES, C>(self.packed_b, self.b.stored, steps, columns),
        }
        for rows in blocks(self.a.shape().0, BLOCK_M) {
            self.block::<S, R, C>(simd, &rows, columns, steps);
        }
    }

    /// One block of the result: every panel of packed `b` with every tile of rows.
    #[inline(always)]
    fn block<S: Simd, const R: usize, const C: usize>(
        &mut self,
        simd: S,
        rows: &Range<usize>,
        columns: &Range<usize>,
        steps: &Range<usize>,
    ) {
        if self.a.is_transposed {
            pack_rows::<R, 1>(self.packed_a, self.a.stored, steps, rows);
        }
        let panels = packed_steps::<LANES, C>(self.packed_b).chunks_exact(steps.len());
        for (column, b) in columns.clone().step_by(C * LANES).zip(panels) {
            let columns = column..columns.end.min(column + C * LANES);
            for (i, row) in rows.clone().step_by(R).enumerate() {
                let sums = match self.a.is_transposed {
                    false => {
                        let a = rows_of_a::<R>(self.a.stored, row, steps.start, b.len());
                        tile::<S, R, C>(simd, |r, p| a[r][p], b)
                    }
                    true => {
                        let a = panel_of_a::<R>(self.packed_a, i, b.len());
                        tile::<S, R, C>(simd, |r, p| a[p][0][r], b)
                    }
                };
                add_tile(simd, &mut self.dst, row, &columns, self.accum, sums);
            }
        }
    }
}

impl Kernel for Product<'_> {
    type Output = ();
    /// Chooses the tile: its sums, a step of `b` and one of `a` must fit the registers.
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        if S::REGISTERS >= 32 {
            self.in_tiles::<S, 6, 4>(simd);
        } else if S::REGISTERS >= 8 {
            self.in_tiles::<S, 6, 1>(simd);
        } else {
            self.in_tiles::<S, 2, 1>(simd);
        }
    }
}

/// `0 .. len` in blocks of `size`, the last one shorter.
#[inline(always)]
fn blocks(len: usize, size: usize) -> impl Iterator<Item = Range<usize>> {
    (0..len)
        .step_by(size)
        .map(move |start| start..len.min(start + size))
}
