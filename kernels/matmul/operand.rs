//! An operand of a product: a matrix, or one that is stored as its transpose.

use crate::aligned::LINE;
use crate::mat::MatRef;
use core::ops::Range;

/// A matrix as the product sees it: what is stored, or its transpose.
#[derive(Clone, Copy)]
pub(super) struct Operand<'a> {
    stored: &'a MatRef<'a>,
    is_transposed: bool,
}

impl<'a> Operand<'a> {
    pub(super) fn rows(stored: &'a MatRef<'a>) -> Self {
        let is_transposed = false;
        Self {
            stored,
            is_transposed,
        }
    }

    pub(super) fn transposed(stored: &'a MatRef<'a>) -> Self {
        let is_transposed = true;
        Self {
            stored,
            is_transposed,
        }
    }

    /// What is stored.
    #[inline(always)]
    pub(super) fn stored(&self) -> MatRef<'a> {
        *self.stored
    }

    #[inline(always)]
    pub(super) fn is_transposed(&self) -> bool {
        self.is_transposed
    }

    /// Elements between the starts of stored rows.
    #[inline(always)]
    pub(super) fn stride(&self) -> usize {
        self.stored.stride()
    }

    /// Whether all stored rows begin with a cache line.
    #[inline(always)]
    pub(super) fn lies_on_lines(&self) -> bool {
        let start = self.stored.data().as_ptr();
        start.align_offset(LINE) == 0 && self.stride().is_multiple_of(LINE / size_of::<f32>())
    }

    /// What is stored, from an element of the operand on.
    #[inline(always)]
    pub(super) fn elements_from(&self, row: usize, column: usize) -> &'a [f32] {
        let (row, column) = match self.is_transposed {
            false => (row, column),
            true => (column, row),
        };
        let start = row * self.stored.stride() + column;
        self.stored.data().get(start..).unwrap_or(&[])
    }

    #[inline(always)]
    pub(super) fn shape(&self) -> (usize, usize) {
        match self.is_transposed {
            false => (self.stored.rows(), self.stored.cols()),
            true => (self.stored.cols(), self.stored.rows()),
        }
    }

    /// Some rows and columns of an operand that is no transpose, in place.
    #[inline(always)]
    pub(super) fn block(&self, rows: &Range<usize>, columns: &Range<usize>) -> MatRef<'a> {
        let data = self.elements_from(rows.start, columns.start);
        // The block lies within the matrix, so the view fits.
        MatRef::with_stride(data, rows.len(), columns.len(), self.stride()).unwrap_or(*self.stored)
    }
}
