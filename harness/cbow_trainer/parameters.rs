//! Vectors and thetas, stored slice by slice.

use crate::embeddings::Embeddings;
use crate::huge::HugeSlice;
use crate::kernels::cbow::{Slice, SliceMut, slices};
use crate::kernels::mat::{MatMut, MatRef};
use crate::kernels::rng::Rng;
use crate::progress::human;
use crate::{Error, Result};
use std::collections::HashMap;
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

    /// How many of the dimensions are no padding.
    fn real(&self, dim: usize) -> usize {
        self.dims.end.min(dim) - self.dims.start
    }

    fn vector_mut(&mut self, row: usize) -> &mut [f32] {
        let width = self.width();
        &mut self.vectors[row * width..(row + 1) * width]
    }

    /// Both tables, as a checkpoint holds them.
    pub(super) fn tables(&mut self) -> [&mut [f32]; 2] {
        [&mut self.vectors, &mut self.thetas]
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
pub(super) fn initial(
    vocab_size: usize,
    outputs: usize,
    dim: usize,
    seed: u64,
) -> Result<Vec<ParameterSlice>> {
    let mut all = zeroed(vocab_size, outputs, dim)?;
    let mut rng = Rng::new(seed);
    for row in 0..vocab_size {
        for slice in &mut all {
            let real = slice.real(dim);
            for element in &mut slice.vector_mut(row)[..real] {
                *element = (rng.uniform() - 0.5) / dim as f32;
            }
        }
    }
    Ok(all)
}

/// All slices, with zeros everywhere.
///
/// # Errors
/// [`Error::Failed`] when the system has not as much memory.
pub(super) fn zeroed(vocab_size: usize, outputs: usize, dim: usize) -> Result<Vec<ParameterSlice>> {
    let slice = |dims: Range<usize>| {
        Ok(ParameterSlice {
            vectors: zeros(vocab_size.saturating_mul(dims.len()))?,
            thetas: zeros(outputs.saturating_mul(dims.len()))?,
            dims,
        })
    };
    slices(dim).map(slice).collect()
}

/// Overwrites the vectors of those words that `start` has.
pub(super) fn copy_from(parameters: &mut [ParameterSlice], words: &[Vec<u8>], start: &Embeddings) {
    let of_start: HashMap<&[u8], usize> =
        (0..).zip(&start.words).map(|(i, w)| (&w[..], i)).collect();
    for (row, word) in words.iter().enumerate() {
        let Some(i) = of_start.get(&word[..]) else {
            continue;
        };
        for slice in &mut *parameters {
            let (from, real) = (slice.dims.start, slice.real(start.dim));
            slice.vector_mut(row)[..real].copy_from_slice(&start.vector(*i)[from..from + real]);
        }
    }
}

/// Fills one of [`ParameterSlice::tables`] slice by slice from another table that lies as it does:
/// `fill` has the width, the other table's rows, and the rows to fill.
pub(super) fn fill_from(
    parameters: &mut [ParameterSlice],
    table: usize,
    mut other: &[f32],
    fill: impl Fn(usize, &[f32], &mut [f32]),
) {
    let padded: usize = parameters.iter().map(|slice| slice.width()).sum();
    let rows = other.len() / padded;
    for slice in parameters {
        let width = slice.width();
        let (from, rest) = other.split_at(rows * width);
        fill(width, from, slice.tables()[table]);
        other = rest;
    }
}

/// Vectors and thetas row by row, without padding. The slices of each go as they are copied.
pub(super) fn gather(mut slices: Vec<ParameterSlice>, dim: usize) -> (Vec<f32>, Vec<f32>) {
    let mut of = |table: fn(&mut ParameterSlice) -> &mut Table| {
        let rows = slices.first_mut().map_or(0, |s| table(s).len() / s.width());
        let mut all = vec![0.0; rows * dim];
        for slice in &mut slices {
            let (width, start, real) = (slice.width(), slice.dims.start, slice.real(dim));
            let table = std::mem::take(table(slice));
            for (row, out) in table.chunks(width).zip(all.chunks_mut(dim)) {
                out[start..start + real].copy_from_slice(&row[..real]);
            }
        }
        all
    };
    (
        of(|slice| &mut slice.vectors),
        of(|slice| &mut slice.thetas),
    )
}
