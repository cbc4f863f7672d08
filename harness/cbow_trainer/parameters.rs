//! Vectors and thetas, stored slice by slice, or two slices side by side where one thread has both.

use super::{Architecture, CbowOptions};
use crate::embeddings::Embeddings;
use crate::huge::HugeSlice;
use crate::kernels::cbow::{
    BatchRef, Projection, Slice, SliceMut, are_neighbours, forward_slice, forward_two_slices,
    slices, two_are_faster, update_slice, update_two_slices,
};
use crate::kernels::mat::{MatMut, MatRef};
use crate::kernels::rng::Rng;
use crate::progress::human;
use crate::{Error, Result};
use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

/// Rows that are read all over.
type Table = HugeSlice<f32>;
/// Places of [`ParameterSlice`]'s tables.
pub(super) const VECTORS: usize = 0;
pub(super) const THETAS: usize = 1;

fn zeros(len: usize) -> Result<Table> {
    Table::zeros(len).map_err(|e| {
        let size = human(len as f64 * size_of::<f32>() as f64);
        Error::Failed(format!(
            "{size}B for vectors: {e}; lower the dimension or the vocabulary"
        ))
    })
}

/// A slice of the dimensions of every row, or two of them side by side.
pub(crate) struct ParameterSlice {
    slices: Vec<Range<usize>>,
    /// Vectors and thetas.
    tables: [Table; 2],
}

impl ParameterSlice {
    fn zeros(vocab_size: usize, outputs: usize, slices: Vec<Range<usize>>) -> Result<Self> {
        let width: usize = slices.iter().map(Range::len).sum();
        Ok(Self {
            tables: [
                zeros(vocab_size.saturating_mul(width))?,
                zeros(outputs.saturating_mul(width))?,
            ],
            slices,
        })
    }

    /// How many slices it is.
    pub(super) fn slices(&self) -> usize {
        self.slices.len()
    }

    pub(crate) fn width(&self) -> usize {
        self.slices.iter().map(Range::len).sum()
    }

    /// Its first dimension, and how many of its dimensions are no padding.
    fn real(&self, dim: usize) -> (usize, usize) {
        let (start, end) = (self.slices[0].start, self.slices[0].start + self.width());
        (start, end.min(dim) - start)
    }

    fn vector_mut(&mut self, row: usize) -> &mut [f32] {
        let width = self.width();
        &mut self.tables[VECTORS][row * width..(row + 1) * width]
    }

    /// Elements of the vectors (table 0) or of the thetas (1).
    pub(super) fn table_len(&self, table: usize) -> usize {
        self.tables[table].len()
    }

    /// The columns of a slice in every row.
    fn columns(&self, slice: usize) -> Range<usize> {
        let start = self.slices[slice].start - self.slices[0].start;
        start..start + self.slices[slice].len()
    }

    /// The rows of a slice of a table, one after the other.
    pub(super) fn rows_of(&self, table: usize, slice: usize) -> Cow<'_, [f32]> {
        let whole = &self.tables[table];
        if self.slices.len() == 1 {
            return Cow::Borrowed(whole);
        }
        let (columns, mut own) = (self.columns(slice), Vec::new());
        own.reserve_exact(whole.len() / self.width() * columns.len());
        for row in whole.chunks(self.width()) {
            own.extend_from_slice(&row[columns.clone()]);
        }
        Cow::Owned(own)
    }

    /// Changes the rows of a slice of a table, one after the other.
    fn change_rows_of(&mut self, table: usize, slice: usize, change: impl FnOnce(&mut [f32])) {
        if self.slices.len() == 1 {
            return change(&mut self.tables[table]);
        }
        let mut own = self.rows_of(table, slice).into_owned();
        change(&mut own);
        let (columns, width) = (self.columns(slice), self.width());
        let whole = &mut self.tables[table];
        for (row, own) in whole.chunks_mut(width).zip(own.chunks(columns.len())) {
            row[columns.clone()].copy_from_slice(own);
        }
    }

    fn view(&self) -> Slice<'_> {
        Slice {
            vectors: view(&self.tables[VECTORS], self.width()),
            thetas: view(&self.tables[THETAS], self.width()),
        }
    }

    fn view_mut(&mut self) -> SliceMut<'_> {
        let width = self.width();
        let [vectors, thetas] = &mut self.tables;
        SliceMut {
            vectors: view_mut(vectors, width),
            thetas: view_mut(thetas, width),
        }
    }

    /// `x` of all windows of a batch, and its own part of each sum.
    pub(crate) fn forward(
        &self,
        batch: BatchRef<'_>,
        projection: Projection,
        x: &mut [f32],
        partials: &mut [f32],
    ) {
        let forward = match self.slices() {
            1 => forward_slice,
            _ => forward_two_slices,
        };
        forward(self.view(), batch, projection, x, partials)
            .expect("tokens and rows come from the vocabulary");
    }

    /// Takes the steps of a batch, with the `x` that [`ParameterSlice::forward`] left.
    pub(crate) fn update(
        &mut self,
        batch: BatchRef<'_>,
        projection: Projection,
        x: &mut [f32],
        steps: &[f32],
    ) {
        let update = match self.slices() {
            1 => update_slice,
            _ => update_two_slices,
        };
        update(self.view_mut(), batch, projection, x, steps)
            .expect("`forward` was given the same shapes");
    }
}

fn view(table: &Table, width: usize) -> MatRef<'_> {
    MatRef::new(table, table.len() / width, width).expect("rows are whole")
}

fn view_mut(table: &mut Table, width: usize) -> MatMut<'_> {
    let rows = table.len() / width;
    MatMut::new(table, rows, width).expect("rows are whole")
}

/// How many slices each thread owns.
pub(super) fn shares(slices: usize, threads: usize) -> impl Iterator<Item = usize> {
    let threads = threads.clamp(1, slices.max(1));
    (0..threads).map(move |thread| slices * (thread + 1) / threads - slices * thread / threads)
}

/// The slices of each thread. An even one and the next lie side by side where a thread owns both and that
/// is faster.
fn side_by_side(options: &CbowOptions) -> Vec<Vec<Range<usize>>> {
    let slices: Vec<_> = slices(options.dim).collect();
    let may_join = options.architecture == Architecture::Cbow && two_are_faster();
    let (mut all, mut start) = (Vec::new(), 0);
    for share in shares(slices.len(), options.threads) {
        let end = start + share;
        while start < end {
            let is_pair = may_join
                && start % 2 == 0
                && start + 1 < end
                && are_neighbours(&slices[start], &slices[start + 1]);
            let len = 1 + usize::from(is_pair);
            all.push(slices[start..start + len].to_vec());
            start += len;
        }
    }
    all
}

/// All slices at the start: vectors even in `-1/2 .. 1/2`, over `dim`; thetas zero.
///
/// # Errors
/// [`Error::Failed`] when the system has not as much memory.
pub(crate) fn initial(
    vocab_size: usize,
    outputs: usize,
    options: &CbowOptions,
) -> Result<Vec<ParameterSlice>> {
    let dim = options.dim;
    let slices = side_by_side(options).into_iter();
    let zeros = slices.map(|slices| ParameterSlice::zeros(vocab_size, outputs, slices));
    let mut all: Vec<_> = zeros.collect::<Result<_>>()?;
    let mut rng = Rng::new(options.seed);
    for row in 0..vocab_size {
        for slice in &mut all {
            let (_, real) = slice.real(dim);
            for element in &mut slice.vector_mut(row)[..real] {
                *element = (rng.uniform() - 0.5) / dim as f32;
            }
        }
    }
    Ok(all)
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
            let (from, real) = slice.real(start.dim);
            slice.vector_mut(row)[..real].copy_from_slice(&start.vector(*i)[from..from + real]);
        }
    }
}

/// Fills the vectors (table 0) or the thetas (1) slice by slice from another table that has its slices one
/// after the other: `fill` has the width, the other table's rows, and the rows to fill.
pub(super) fn fill_from(
    parameters: &mut [ParameterSlice],
    table: usize,
    mut other: &[f32],
    fill: impl Fn(usize, &[f32], &mut [f32]),
) {
    let padded: usize = parameters.iter().map(|slice| slice.width()).sum();
    let rows = other.len() / padded;
    for own in parameters {
        for slice in 0..own.slices() {
            let width = own.slices[slice].len();
            let (from, rest) = other.split_at(rows * width);
            own.change_rows_of(table, slice, |rows| fill(width, from, rows));
            other = rest;
        }
    }
}

/// Vectors and thetas row by row, without padding. The slices of each go as they are copied.
pub(super) fn gather(mut slices: Vec<ParameterSlice>, dim: usize) -> (Vec<f32>, Vec<f32>) {
    let mut of = |table: usize| {
        let rows = slices.first().map_or(0, |s| s.table_len(table) / s.width());
        let mut all = vec![0.0; rows * dim];
        for slice in &mut slices {
            let (width, (start, real)) = (slice.width(), slice.real(dim));
            let table = std::mem::take(&mut slice.tables[table]);
            for (row, out) in table.chunks(width).zip(all.chunks_mut(dim)) {
                out[start..start + real].copy_from_slice(&row[..real]);
            }
        }
        all
    };
    (of(VECTORS), of(THETAS))
}
