//! Vectors and thetas, stored slice by slice.

use crate::kernels::cbow::{Slice, SliceMut, slices};
use crate::kernels::mat::{MatMut, MatRef};
use crate::kernels::rng::Rng;
use std::ops::Range;

/// Values that start on a cache line.
struct Aligned {
    buffer: Vec<f32>,
    start: usize,
    len: usize,
}

/// `f32` values of a cache line.
const LINE: usize = 16;

impl Aligned {
    fn zeros(len: usize) -> Self {
        let buffer = vec![0.0; len + LINE];
        let start = buffer
            .as_ptr()
            .align_offset(LINE * size_of::<f32>())
            .min(LINE);
        Self { buffer, start, len }
    }

    fn as_slice(&self) -> &[f32] {
        &self.buffer[self.start..self.start + self.len]
    }

    fn as_mut_slice(&mut self) -> &mut [f32] {
        &mut self.buffer[self.start..self.start + self.len]
    }
}

/// A slice of the dimensions of every row.
pub(super) struct ParameterSlice {
    dims: Range<usize>,
    vectors: Aligned,
    thetas: Aligned,
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

fn view(values: &Aligned, width: usize) -> MatRef<'_> {
    let rows = values.len / width;
    MatRef::new(values.as_slice(), rows, width).expect("rows are whole")
}

fn view_mut(values: &mut Aligned, width: usize) -> MatMut<'_> {
    let rows = values.len / width;
    MatMut::new(values.as_mut_slice(), rows, width).expect("rows are whole")
}

/// All slices at the start: vectors even in `-1/2 .. 1/2`, over `dim`; thetas zero.
pub(super) fn initial(vocab_size: usize, dim: usize, seed: u64) -> Vec<ParameterSlice> {
    let mut all: Vec<ParameterSlice> = slices(dim)
        .map(|dims| ParameterSlice {
            vectors: Aligned::zeros(vocab_size * dims.len()),
            thetas: Aligned::zeros(vocab_size.saturating_sub(1) * dims.len()),
            dims,
        })
        .collect();
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
    all
}

/// Vectors and thetas row by row, without padding.
pub(super) fn gather(slices: Vec<ParameterSlice>, dim: usize) -> (Vec<f32>, Vec<f32>) {
    let of = |table: fn(&ParameterSlice) -> &Aligned| {
        let rows = slices.first().map_or(0, |s| table(s).len / s.width());
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
