//! Vectors and thetas, stored slice by slice.

use crate::kernels::cbow::{Slice, SliceMut, slices};
use crate::kernels::mat::{MatMut, MatRef};
use crate::kernels::rng::Rng;
use crate::progress::human;
use crate::{Error, Result};
use memmap2::MmapMut;
use std::ops::Range;

/// Zeros from the system, on huge pages where it has them: rows are read all over the tables, and
/// with pages of 4 KiB their addresses alone would miss the processor's caches.
struct Table(MmapMut);

impl Table {
    fn zeros(len: usize) -> Result<Self> {
        // A mapping of no bytes does not exist.
        let bytes = len.saturating_mul(size_of::<f32>()).max(1);
        let failed = |e| {
            let size = human(bytes as f64);
            Error::Failed(format!(
                "{size}B for vectors: {e}; lower the dimension or the vocabulary"
            ))
        };
        let map = MmapMut::map_anon(bytes).map_err(failed)?;
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::HugePage); // without them it is only slower
        Ok(Self(map))
    }

    fn values(&self) -> &[f32] {
        bytemuck::cast_slice(whole(&self.0))
    }

    fn values_mut(&mut self) -> &mut [f32] {
        let len = whole(&self.0).len();
        bytemuck::cast_slice_mut(&mut self.0[..len])
    }
}

/// The bytes that are whole values.
fn whole(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len() / size_of::<f32>() * size_of::<f32>()]
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
    let values = table.values();
    MatRef::new(values, values.len() / width, width).expect("rows are whole")
}

fn view_mut(table: &mut Table, width: usize) -> MatMut<'_> {
    let values = table.values_mut();
    let rows = values.len() / width;
    MatMut::new(values, rows, width).expect("rows are whole")
}

/// All slices at the start: vectors even in `-1/2 .. 1/2`, over `dim`; thetas zero.
///
/// # Errors
/// [`Error::Failed`] when the system has not as much memory.
pub(super) fn initial(vocab_size: usize, dim: usize, seed: u64) -> Result<Vec<ParameterSlice>> {
    let zeros = |dims: Range<usize>| {
        let len = vocab_size.saturating_mul(dims.len());
        Ok(ParameterSlice {
            vectors: Table::zeros(len)?,
            thetas: Table::zeros(len.saturating_sub(dims.len()))?,
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
        let rows = slices
            .first()
            .map_or(0, |s| table(s).values().len() / s.width());
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
