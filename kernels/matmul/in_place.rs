//! Products without packing: both operands are read where they lie, where copying `b` would take longer
//! than it saves. The sums are the same chains, so the bits are those of the packed form. For backends whose
//! registers hold a tile of six rows.
//!
//! A step of a tile is read as whole vectors even at the right edge: behind the end of a row stands the
//! next one, whose products nobody keeps. Only the last rows of the data are read in part.

use super::operand::Operand;
use super::pack::Step;
use super::product::Product;
use super::tile::{add_step, add_tile};
use super::{Accum, BLOCK_K, BLOCK_M, blocks};
use crate::mat::MatMut;
use crate::simd::{Kernel, LANES, Simd};
use core::ops::Range;

/// A product whose `b` lies in rows.
pub(super) struct InPlace<'a, 'd> {
    dst: &'a mut MatMut<'d>,
    a: Operand<'a>,
    b: Operand<'a>,
    accum: Accum,
}

impl<'a, 'd> InPlace<'a, 'd> {
    pub(super) fn new(product: Product<'a, 'd>) -> Self {
        #[rustfmt::skip]
        let Product { dst, a, b, accum, .. } = product;
        Self { dst, a, b, accum }
    }
}

impl Kernel for InPlace<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let ((m, k), (_, n)) = (self.a.shape(), self.b.shape());
        for steps in blocks(k, BLOCK_K) {
            for rows in blocks(m, BLOCK_M) {
                let steps = steps.clone();
                self.in_stripes(simd, &Part { rows, steps }, n);
            }
        }
    }
}

/// Some rows of a result, and some of the steps that lead to it.
struct Part {
    rows: Range<usize>,
    steps: Range<usize>,
}

impl InPlace<'_, '_> {
    /// Part of the product in stripes of columns, as wide as a tile. Tiles have as many sums as registers
    /// hold: they hide how long each multiply-add takes.
    #[inline(always)]
    fn in_stripes<S: Simd>(&mut self, simd: S, part: &Part, n: usize) {
        if const { S::REGISTERS >= 32 } {
            let last = n % (4 * LANES);
            let fours = if last > 3 * LANES { n } else { n - last };
            self.in_tiles::<S, 6, 4, 2, 4>(simd, part, 0..fours);
            match (n - fours).div_ceil(LANES) {
                0 => {}
                1 => self.in_tiles::<S, 16, 8, 4, 1>(simd, part, fours..n),
                2 => self.in_tiles::<S, 12, 8, 4, 2>(simd, part, fours..n),
                _ => self.in_tiles::<S, 8, 4, 2, 3>(simd, part, fours..n),
            }
        } else {
            self.in_tiles::<S, 6, 4, 2, 1>(simd, part, 0..n);
        }
    }

    /// A stripe after the other, by tiles of `R` rows and `C` vectors, `R2` or `R3` rows at the lower edge.
    /// The last stripe may be narrower.
    #[inline(always)]
    fn in_tiles<S: Simd, const R: usize, const R2: usize, const R3: usize, const C: usize>(
        &mut self,
        simd: S,
        part: &Part,
        columns: Range<usize>,
    ) {
        let mut column = columns.start;
        while column < columns.end {
            let columns = column..columns.end.min(column + C * LANES);
            let mut row = part.rows.start;
            while row < part.rows.end {
                match part.rows.end - row {
                    left if left > R2 => self.tile::<S, R, C>(simd, part, row, &columns),
                    left if left > R3 => self.tile::<S, R2, C>(simd, part, row, &columns),
                    _ => self.tile::<S, R3, C>(simd, part, row, &columns),
                }
                row += R;
            }
            column += C * LANES;
        }
    }

    #[inline(always)]
    fn tile<S: Simd, const R: usize, const C: usize>(
        &mut self,
        simd: S,
        part: &Part,
        row: usize,
        columns: &Range<usize>,
    ) {
        let start = part.steps.start;
        let steps = Steps {
            a: self.a.elements_from(row, start),
            a_stride: self.a.stride(),
            b: self.b.elements_from(start, columns.start),
            b_stride: self.b.stride(),
            len: part.steps.end.saturating_sub(start),
        };
        let sums = match self.a.is_transposed() {
            true => steps.sums_of_columns::<S, R, C>(simd),
            // More pointers to rows, or more sums beside them, than there are registers.
            false if const { R > 8 || R * C > 16 } => steps.sums_of_copies::<S, R, C>(simd),
            false => steps.sums_of_rows::<S, R, C>(simd),
        };
        let accum = if start == 0 { self.accum } else { Accum::Add };
        add_tile(simd, self.dst, row, columns, accum, sums);
    }
}

/// The steps of a tile: elements of both operands from the tile's first row, column and step on.
#[derive(Clone, Copy)]
struct Steps<'s> {
    a: &'s [f32],
    a_stride: usize,
    b: &'s [f32],
    b_stride: usize,
    len: usize,
}

impl<'s> Steps<'s> {
    /// `sum over steps p of a[r][p] * b[p][column ..]`, `C` vectors of columns.
    #[inline(always)]
    #[expect(clippy::needless_range_loop)]
    fn sums_of_rows<S: Simd, const R: usize, const C: usize>(mut self, simd: S) -> [[S::V; C]; R] {
        let mut sums = [[simd.splat(0.0); C]; R];
        let rows = self.rows::<R>();
        if !are_as_long(rows, self.len) {
            return sums;
        }
        for p in 0..self.len {
            add_step_at::<S, R, C>(simd, |r| rows[r][p], self.b, &mut sums);
            self.b = behind(self.b, self.b_stride);
        }
        sums
    }

    /// The elements of `a` row by row. Below the last row it stands again, for sums that nobody keeps.
    #[inline(always)]
    fn rows<const R: usize>(&self) -> [&'s [f32]; R] {
        let mut rows: [&[f32]; R] = [&[]; R];
        let mut rest = self.a;
        for row in &mut rows {
            *row = rest.get(..self.len).unwrap_or(&[]);
            let next = behind(rest, self.a_stride);
            if next.len() >= self.len {
                rest = next;
            }
        }
        rows
    }

    /// [`Steps::sums_of_rows`] for so many rows that no registers are left to tell where each of them is:
    /// sixteen steps' elements of `a` are copied side by side.
    #[inline(always)]
    #[expect(clippy::needless_range_loop)]
    fn sums_of_copies<S: Simd, const R: usize, const C: usize>(
        mut self,
        simd: S,
    ) -> [[S::V; C]; R] {
        let mut sums = [[simd.splat(0.0); C]; R];
        for start in (0..self.len).step_by(LANES) {
            let mut vectors = [simd.splat(0.0); R];
            let mut rest = self.a.get(start..).unwrap_or(&[]);
            for vector in &mut vectors {
                // Behind the end of a row stands what no step asks for.
                *vector = simd.load_from(rest, 0);
                rest = behind(rest, self.a_stride);
            }
            let mut copies = [[0.0; LANES]; R];
            for (copy, vector) in copies.iter_mut().zip(vectors) {
                simd.store(vector, copy);
            }
            for p in 0..LANES.min(self.len - start) {
                add_step_at::<S, R, C>(simd, |r| copies[r][p], self.b, &mut sums);
                self.b = behind(self.b, self.b_stride);
            }
        }
        sums
    }

    /// The same sums where `a` is stored as its transpose: a step's elements lie side by side.
    #[inline(always)]
    fn sums_of_columns<S: Simd, const R: usize, const C: usize>(
        mut self,
        simd: S,
    ) -> [[S::V; C]; R] {
        let mut sums = [[simd.splat(0.0); C]; R];
        for _ in 0..self.len {
            let padded;
            let a = match self.a.first_chunk::<R>() {
                Some(a) => a,
                None => {
                    padded = padded_elements(self.a);
                    &padded
                }
            };
            add_step_at::<S, R, C>(simd, |r| a[r], self.b, &mut sums);
            self.a = behind(self.a, self.a_stride);
            self.b = behind(self.b, self.b_stride);
        }
        sums
    }
}

/// Always so; it shows the compiler that every `rows[r][p]` is in range.
#[inline(always)]
fn are_as_long<const R: usize>(rows: [&[f32]; R], len: usize) -> bool {
    let mut all = true;
    for row in rows {
        all &= row.len() == len;
    }
    all
}

/// Adds the step of `b` that begins here to each of the sums.
#[inline(always)]
fn add_step_at<S: Simd, const R: usize, const C: usize>(
    simd: S,
    a: impl Fn(usize) -> f32,
    b: &[f32],
    sums: &mut [[S::V; C]; R],
) {
    let mut padded;
    let b: &Step<LANES, C> = match b.as_chunks().0.first_chunk() {
        Some(b) => b,
        None => {
            padded = [[0.0; LANES]; C];
            for (c, vector) in padded.iter_mut().enumerate() {
                simd.store(simd.load_from(b, c * LANES), vector);
            }
            &padded
        }
    };
    add_step::<S, R, C>(simd, a, b, sums);
}

#[inline(always)]
fn padded_elements<const R: usize>(elements: &[f32]) -> [f32; R] {
    let mut padded = [0.0; R];
    for (to, from) in padded.iter_mut().zip(elements) {
        *to = *from;
    }
    padded
}

/// What is left from the next row on.
#[inline(always)]
fn behind(elements: &[f32], stride: usize) -> &[f32] {
    elements.get(stride..).unwrap_or(&[])
}
