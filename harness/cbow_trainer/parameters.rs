//! Vectors and thetas, stored slice by slice.

use crate::huge::HugeSlice;
use crate::kernels::cbow::{Slice, SliceMut, slices};
use crate::kernels::mat::{MatMut, MatRef};
use crate::kernels::rng::Rng;
use crate::progress::human;
use crate::{Error, Result};
use std::ops::Range;

/// Rows that are read all over.
type Table = HugeSlice<f32>;

fn zeros(len: usize) -> Result<Table> {
    Table::zeros(len).map_err(|e| {
        let size = human(len as f64 * size_of::<f32>() as f64);
        Error::Failed(format!(
            "{size}B for vectors: {e}; lower the dimension or the vocabulary"
        ))
    })
}

/// A slice of the dimensions of every row.
pub(super) struct ParameterSlice {
    dims: Range<usize>,
    vectors: Table,
    thetas: Table,
}

impl ParameterSlice {
    pub(super) fn width(&self) -> usize {
        self.dims.len()
    }

    pub(super) fn view(&self) -> Slice<'_> {
        Slice {
            vectors: view(&self.vectors, self.dims.len()),
            thetas: view(&self.thetas, self.dims.len()),
        }
    }

    pub(super) fn view_mut(&mut self) -> SliceMut<'_> {
        SliceMut {
            vectors: view_mut(&mut self.vectors, self.dims.len()),
            thetas: view_mut(&mut self.thetas, self.dims.len()),
        }
    }
}

fn view(table: &Table, width: usize) -> MatRef<'_> {
    MatRef::new(table, table.len() / width, width).expect("rows are whole")
}

fn view_mut(table: &mut Table, width: usize) -> MatMut<'_> {
    let rows = table.len() / width;
    MatMut::new(table, rows, width).expect("rows are whole")
}

/// All slices at the start: vectors even in `-1/2 .. 1/2`, over `dim`; thetas zero.
///
/// # Errors
/// [`Error::Failed`] when the system has not as much memory.
pub(super) fn initial(vocab_size: usize, dim: usize, seed: u64) -> Result<Vec<ParameterSlice>> {
    let zeros = |dims: Range<usize>| {
        let len = vocab_size.saturating_mul(dims.len());
        Ok(ParameterSlice {
            vectors: zeros(len)?,
            thetas: zeros(len.saturating_sub(dims.len()))?,
            dims,
        })
    };
    let mut all = slices(dim).map(zeros).collect::<Result<Vec<_>>>()?;
    let mut rng = Rng::new(seed);
    for row in 0..vocab_size {
        for slice in &mut all {
            let real = slice.dims.end.min(dim) - slice.dims.start;
            let mut vectors = view_mut(&mut slice.vectors, slice.dims.len());
            for element in &mut vectors.row_mut(row)[..real] {
                *element = (rng.uniform() - 0.5) / dim as f32;
            }
        }
    }
    Ok(all)
}

/// Vectors and thetas row by row, without padding.
pub(super) fn gather(slices: Vec<ParameterSlice>, dim: usize) -> (Vec<f32>, Vec<f32>) {
    let of = |table: fn(&ParameterSlice) -> &Table| {
        let rows = slices.first().map_or(0, |s| table(s).len() / s.width());
        let mut all = Vec::with_capacity(rows * dim);
        for row in 0..rows {
            for slice in &slices {
                let real = slice.dims.end.min(dim) - slice.dims.start;
                all.extend_from_slice(&view(table(slice), slice.width()).row(row)[..real]);
            }
        }
        all
    };
    (of(|slice| &slice.vectors), of(|slice| &slice.thetas))
}
