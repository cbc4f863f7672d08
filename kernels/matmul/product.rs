//! The loops around the tile: blocks of the inner dimension, of columns, of rows; then panels.

use super::pack::{pack_columns, pack_rows};
use super::tile::{add_tile, panel_of_b, steps_of_packed, steps_of_rows, tile};
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

    #[inline(always)]
    fn in_tiles<S: Simd, const R: usize, const C: usize>(mut self, simd: S) {
        let ((m, k), (_, n)) = (self.a.shape(), self.b.shape());
        for steps in blocks(k, BLOCK_K) {
            for columns in blocks(n, BLOCK_N) {
                self.pack_b(steps.clone(), columns.clone(), C * LANES);
                for rows in blocks(m, BLOCK_M) {
                    self.block::<S, R, C>(simd, rows, columns.clone(), steps.clone());
                }
            }
            self.accum = Accum::Add;
        }
    }

    #[inline(always)]
    fn pack_b(&mut self, steps: Range<usize>, columns: Range<usize>, width: usize) {
        match self.b.is_transposed {
            false => pack_rows(self.packed_b, self.b.stored, steps, columns, width),
            true => pack_columns(self.packed_b, self.b.stored, steps, columns, width),
        }
    }

    /// One block of the result: every panel of packed `b` with every tile of rows.
    #[inline(always)]
    fn block<S: Simd, const R: usize, const C: usize>(
        &mut self,
        simd: S,
        rows: Range<usize>,
        columns: Range<usize>,
        steps: Range<usize>,
    ) {
        if self.a.is_transposed {
            let (rows, steps) = (rows.clone(), steps.clone());
            pack_rows(self.packed_a, self.a.stored, steps, rows, R);
        }
        let k = steps.len();
        for (j, column) in columns.clone().step_by(C * LANES).enumerate() {
            let b = panel_of_b::<C>(self.packed_b, j, k);
            for (i, row) in rows.clone().step_by(R).enumerate() {
                let sums = match self.a.is_transposed {
                    false => {
                        let a = steps_of_rows::<R>(self.a.stored, row, steps.clone());
                        tile::<S, R, C>(simd, a, b)
                    }
                    true => tile::<S, R, C>(simd, steps_of_packed::<R>(self.packed_a, i, k), b),
                };
                let end = columns.end.min(column + C * LANES);
                add_tile(simd, &mut self.dst, row, column..end, self.accum, sums);
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
            self.in_tiles::<S, 8, 2>(simd);
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
