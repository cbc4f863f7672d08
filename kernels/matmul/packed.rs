//! Products by packed panels. The loops around the tile: blocks of the inner dimension, of columns, of rows;
//! then panels.

use super::operand::Operand;
use super::pack::{Step, pack_rows, pack_tiles, pack_transposed, panel};
use super::product::Product;
use super::tile::{add_tile, packed_tile, prefetch_tile, rows_of_a, tile};
use super::{Accum, BLOCK_K, BLOCK_M, BLOCK_N, FEW_COLUMNS, blocks, columns_packed, min};
use crate::aligned::align;
use crate::mat::{MatMut, MatRef};
use crate::simd::{Kernel, LANES, Simd};
use core::ops::Range;

/// A product of non-empty operands whose shapes were checked.
pub(super) struct Packed<'a, 'd> {
    dst: &'a mut MatMut<'d>,
    a: Operand<'a>,
    b: Operand<'a>,
    accum: Accum,
    packed_a: &'a mut [f32],
    packed_b: &'a mut [f32],
}

impl<'a, 'd> Packed<'a, 'd> {
    pub(super) fn new(product: Product<'a, 'd>) -> Self {
        let Product {
            dst,
            a,
            b,
            accum,
            workspace,
        } = product;
        let (k, n) = b.shape();
        let (packed_b, packed_a) = align(workspace)
            .split_at_mut_checked(min(k, BLOCK_K) * columns_packed(n))
            .unwrap_or_default();
        Self {
            dst,
            a,
            b,
            accum,
            packed_a,
            packed_b,
        }
    }

    /// `R` rows by `C` vectors a tile, `R2` or `R3` rows at the lower edge.
    #[inline(always)]
    fn in_tiles<S: Simd, const R: usize, const R2: usize, const R3: usize, const C: usize>(
        mut self,
        simd: S,
    ) {
        let ((m, k), (_, n)) = (self.a.shape(), self.b.shape());
        for columns in blocks(n, BLOCK_N) {
            for steps in blocks(k, BLOCK_K) {
                for rows in blocks(m, BLOCK_M) {
                    #[rustfmt::skip]
                    let block = Block { rows, columns: columns.clone(), steps: steps.clone() };
                    self.block::<S, R, R2, R3, C>(simd, block);
                }
            }
        }
    }

    /// One block in stripes as wide as the tile: `C` vectors, at most three, and fewer at the
    /// right edge.
    #[inline(always)]
    fn block<S: Simd, const R: usize, const R2: usize, const R3: usize, const C: usize>(
        &mut self,
        simd: S,
        block: Block,
    ) {
        match (self.a.is_transposed(), self.packs_a()) {
            (true, _) => {
                pack_rows::<R, 1>(self.packed_a, self.a.stored(), &block.steps, &block.rows)
            }
            (false, true) => {
                pack_tiles::<R>(self.packed_a, self.a.stored(), &block.rows, &block.steps);
            }
            (false, false) => {}
        }
        let (wide, edge) = block.split_columns(C * LANES);
        self.stripe::<S, R, R2, R3, C>(simd, &wide, 0);
        let packed = wide.columns.len() * wide.steps.len();
        match edge.columns.len().div_ceil(LANES) {
            0 => {}
            1 => self.stripe::<S, R, R2, R3, 1>(simd, &edge, packed),
            2 if const { C > 2 } => self.stripe::<S, R, R2, R3, 2>(simd, &edge, packed),
            _ => self.stripe::<S, R, R2, R3, C>(simd, &edge, packed),
        }
    }

    /// Every panel of `b` in the block, packed from element `at` on, with every tile of rows.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    #[cfg_attr(not(target_pointer_width = "32"), inline(always))]
    fn stripe<S: Simd, const R: usize, const R2: usize, const R3: usize, const C: usize>(
        &mut self,
        simd: S,
        block: &Block,
        at: usize,
    ) {
        self.pack_b::<S, C>(simd, block, at);
        let (k, accum) = (block.steps.len(), self.accum_at(block.steps.start));
        let a = match self.a.is_transposed() || self.packs_a() {
            true => Rows::Packed(self.packed_a, k),
            false => Rows::InPlace(self.a.block(&block.rows, &block.steps)),
        };
        let packed_b = self.packed_b.get(at..).unwrap_or(&[]);
        for (j, column) in block.columns.clone().step_by(C * LANES).enumerate() {
            let columns = column..block.columns.end.min(column + C * LANES);
            let b = panel::<LANES, C>(packed_b, j, k);
            for (i, row) in block.rows.clone().step_by(R).enumerate() {
                let dst = Target {
                    dst: self.dst,
                    row,
                    columns: columns.clone(),
                    accum,
                };
                match block.rows.end - row {
                    left if left > R2 => dst.tile::<S, R, R, C>(simd, a, b, i),
                    left if left > R3 => dst.tile::<S, R, R2, C>(simd, a, b, i),
                    _ => dst.tile::<S, R, R3, C>(simd, a, b, i),
                }
            }
        }
    }

    /// Packs a stripe of `b`, unless the rows above left it there.
    #[inline(always)]
    fn pack_b<S: Simd, const C: usize>(&mut self, simd: S, block: &Block, at: usize) {
        if block.rows.start > 0 {
            return;
        }
        let packed = self.packed_b.get_mut(at..).unwrap_or(&mut []);
        match self.b.is_transposed() {
            false => pack_rows::<LANES, C>(packed, self.b.stored(), &block.steps, &block.columns),
            true => {
                pack_transposed::<S, C>(
                    simd,
                    packed,
                    self.b.stored(),
                    &block.steps,
                    &block.columns,
                );
            }
        }
    }

    /// Whether rows of `a` are packed.
    #[inline(always)]
    fn packs_a(&self) -> bool {
        self.b.shape().1 > FEW_COLUMNS
    }

    /// The first steps replace the old content, if that is wanted; all others add.
    fn accum_at(&self, step: usize) -> Accum {
        if step == 0 { self.accum } else { Accum::Add }
    }
}

/// Panels of so many steps are worth asking for the result's lines ahead.
const LONG: usize = 64;

/// Rows of `a` in a block: in packed panels of so many steps, or in place.
#[derive(Clone, Copy)]
enum Rows<'p> {
    Packed(&'p [f32], usize),
    InPlace(MatRef<'p>),
}

/// Where a tile goes.
struct Target<'t, 'd> {
    dst: &'t mut MatMut<'d>,
    row: usize,
    columns: Range<usize>,
    accum: Accum,
}

impl Target<'_, '_> {
    /// A tile of `T` rows, those of the `i`th panel, which has `R`.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    #[cfg_attr(not(target_pointer_width = "32"), inline(always))]
    fn tile<S: Simd, const R: usize, const T: usize, const C: usize>(
        self,
        simd: S,
        a: Rows<'_>,
        b: &[Step<LANES, C>],
        i: usize,
    ) {
        if b.len() >= LONG {
            prefetch_tile::<S, T>(simd, self.dst, self.row, &self.columns);
        }
        let sums = match a {
            Rows::Packed(packed, k) => {
                packed_tile::<S, R, T, C>(simd, panel::<R, 1>(packed, i, k), b)
            }
            Rows::InPlace(a) => tile::<S, T, C>(simd, rows_of_a::<T>(a, i * R, b.len()), b),
        };
        add_tile(simd, self.dst, self.row, &self.columns, self.accum, sums);
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

impl Kernel for Packed<'_, '_> {
    type Output = ();
    /// Chooses the tile: its sums, a step of `b` and one of `a` must fit the registers.
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        if const { S::REGISTERS >= 32 } {
            self.in_tiles::<S, 8, 4, 2, 3>(simd);
        } else if const { S::REGISTERS >= 8 } {
            self.in_tiles::<S, 6, 4, 2, 1>(simd);
        } else {
            self.in_tiles::<S, 2, 1, 1, 1>(simd);
        }
    }
}
