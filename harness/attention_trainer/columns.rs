//! A part of a row-major tensor: some columns of some rows, such as one head of one sequence.

use crate::kernels::mat::{MatMut, MatRef};

/// Columns `column .. column + width` of the rows `row .. row + rows` of tensors of width `stride`.
#[derive(Clone, Copy)]
pub(super) struct Columns {
    pub(super) row: usize,
    pub(super) rows: usize,
    pub(super) stride: usize,
    pub(super) column: usize,
    pub(super) width: usize,
}

impl Columns {
    /// This part of a tensor.
    pub(super) fn of<'a>(&self, tensor: &'a [f32]) -> MatRef<'a> {
        let data = &tensor[self.row * self.stride + self.column..];
        MatRef::with_stride(data, self.rows, self.width, self.stride)
            .expect("the tensor has the rows")
    }

    /// This part of a tensor, to write.
    pub(super) fn of_mut<'a>(&self, tensor: &'a mut [f32]) -> MatMut<'a> {
        let data = &mut tensor[self.row * self.stride + self.column..];
        MatMut::with_stride(data, self.rows, self.width, self.stride)
            .expect("the tensor has the rows")
    }
}

/// The first `rows` rows of a tensor of width `cols`.
pub(super) fn rows_of(tensor: &[f32], rows: usize, cols: usize) -> MatRef<'_> {
    MatRef::new(&tensor[..rows * cols], rows, cols).expect("the tensor has the rows")
}

/// The first `rows` rows of a tensor of width `cols`, to write.
pub(super) fn rows_of_mut(tensor: &mut [f32], rows: usize, cols: usize) -> MatMut<'_> {
    MatMut::new(&mut tensor[..rows * cols], rows, cols).expect("the tensor has the rows")
}
