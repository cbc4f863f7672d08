//! The loops around the tile: blocks of the inner dimension, of columns, of rows; then panels.

use super::pack::{pack_rows, pack_transposed, panel};
use super::tile::{add_tile, rows_of_a, tile};
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

    /// Rows and steps of `a`, in place.
    #[inline(always)]
    fn block(&self, rows: &Range<usize>, steps: &Range<usize>) -> MatRef<'a> {
        let (stride, data) = (self.stored.stride(), self.stored.data());
        let data = data.get(rows.start * stride + steps.start..).unwrap_or(&[]);
        // The block lies within the matrix, so the view fits.
        MatRef::with_stride(data, rows.len(), steps.len(), stride).unwrap_or(self.stored)
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

    /// A block of the result is finished, step block by step block, before the next is begun.
    #[inline(always)]
    fn in_tiles<S: Simd, const R: usize, const C: usize>(mut self, simd: S) {
        let ((m, k), (_, n)) = (self.a.shape(), self.b.shape());
        for columns in blocks(n, BLOCK_N) {
            for rows in blocks(m, BLOCK_M) {
                for steps in blocks(k, BLOCK_K) {
                    let (rows, columns) = (rows.clone(), columns.clone());
                    self.block::<S, R, C>(
                        simd,
                        Block {
                            rows,
                            columns,
                            steps,
                        },
                    );
                }
            }
        }
    }

    /// One block in stripes as wide as the tile: `C` vectors, at most three, and fewer at the
    /// right edge.
    #[inline(always)]
    fn block<S: Simd, const R: usize, const C: usize>(&mut self, simd: S, block: Block) {
        if self.a.is_transposed {
            pack_rows::<R, 1>(self.packed_a, self.a.stored, &block.steps, &block.rows);
        }
        let (wide, edge) = block.split_columns(C * LANES);
        self.stripe::<S, R, C>(simd, &wide, 0);
        let packed = wide.columns.len() * wide.steps.len();
        match edge.columns.len().div_ceil(LANES) {
            0 => {}
            1 => self.stripe::<S, R, 1>(simd, &edge, packed),
            2 => self.stripe::<S, R, 2>(simd, &edge, packed),
            _ => self.stripe::<S, R, C>(simd, &edge, packed),
        }
    }

    /// Every panel of `b` in the block, packed from element `at` on, with every tile of rows.
    #[inline(always)]
    fn stripe<S: Simd, const R: usize, const C: usize>(
        &mut self,
        simd: S,
        block: &Block,
        at: usize,
    ) {
        self.pack_b::<S, C>(simd, block, at);
        let (k, accum) = (block.steps.len(), self.accum_at(block.steps.start));
        for (j, column) in block.columns.clone().step_by(C * LANES).enumerate() {
            let columns = column..block.columns.end.min(column + C * LANES);
            for (i, row) in block.rows.clone().step_by(R).enumerate() {
                let b = panel::<LANES, C>(&self.packed_b[at..], j, k);
                let sums = if self.a.is_transposed {
                    let a = panel::<R, 1>(self.packed_a, i, k);
                    tile::<S, R, C>(simd, |r, p| a[p][0][r], b)
                } else {
                    let a = rows_of_a::<R>(self.a.block(&block.rows, &block.steps), i * R, k);
                    tile::<S, R, C>(simd, |r, p| a[r][p], b)
                };
                add_tile(simd, &mut self.dst, row, &columns, accum, sums);
            }
        }
    }

    /// Packs a stripe of `b`, unless the rows above left it there.
    #[inline(always)]
    fn pack_b<S: Simd, const C: usize>(&mut self, simd: S, block: &Block, at: usize) {
        let is_packed = block.rows.start > 0 && self.b.shape().0 <= BLOCK_K;
        let packed = self.packed_b.get_mut(at..).unwrap_or(&mut []);
        match self.b.is_transposed {
            _ if is_packed => {}
            false => pack_rows::<LANES, C>(packed, self.b.stored, &block.steps, &block.columns),
            true => {
                pack_transposed::<S, C>(simd, packed, self.b.stored, &block.steps, &block.columns);
            }
        }
    }

    /// The first steps replace the old content, if that is wanted; all others add.
    fn accum_at(&self, step: usize) -> Accum {
        if step == 0 { self.accum } else { Accum::Add }
    }
}

/// Part of a product: a block of the result, and some of the steps that lead to it.
struct Block {
    rows: Range<usize>,
    columns: Range<usize>,
    steps: Range<usize>,
}

impl Block {
    /// The columns that fill panels of `width`, and those that are left.
    #[inline(always)]
    fn split_columns(self, width: usize) -> (Self, Self) {
        let edge = self.columns.end - self.columns.len() % width;
        let with = |columns| Self {
            rows: self.rows.clone(),
            columns,
            steps: self.steps.clone(),
        };
        (with(self.columns.start..edge), with(edge..self.columns.end))
    }
}

impl Kernel for Product<'_> {
    type Output = ();
    /// Chooses the tile: its sums, a step of `b` and one of `a` must fit the registers.
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        if S::REGISTERS >= 32 {
            self.in_tiles::<S, 8, 3>(simd);
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
