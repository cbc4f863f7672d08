//! `V` vectors side by side: one key's (or one column's) values for every query of a block.
//!
//! Loops instead of closures: a closure is compiled without the backend's instructions unless the
//! compiler happens to inline it.

use crate::exp::exp2_with;
use crate::simd::{LANES, Simd};

/// `V` vectors in registers.
pub(super) type Row<S, const V: usize> = [<S as Simd>::V; V];

/// `V` vectors in memory.
pub(super) type Stored<const V: usize> = [[f32; LANES]; V];

/// A block of queries' buffer as rows of `V` vectors.
#[inline(always)]
pub(super) fn rows_of<const V: usize>(buffer: &mut [f32]) -> &mut [Stored<V>] {
    buffer.as_chunks_mut().0.as_chunks_mut().0
}

/// The row at the start of `values`, if they go that far.
#[inline(always)]
pub(super) fn first_of<const V: usize>(values: &[f32]) -> Option<&Stored<V>> {
    let rows: &[Stored<V>] = values.as_chunks().0.as_chunks().0;
    rows.first()
}

/// The row at the start of `values`, if they go that far.
#[inline(always)]
pub(super) fn first_of_mut<const V: usize>(values: &mut [f32]) -> Option<&mut Stored<V>> {
    rows_of(values).first_mut()
}

/// `x` in every lane.
#[inline(always)]
pub(super) fn splat<S: Simd, const V: usize>(simd: S, x: f32) -> Row<S, V> {
    [simd.splat(x); V]
}

/// Reads a row.
#[inline(always)]
pub(super) fn load<S: Simd, const V: usize>(simd: S, stored: &Stored<V>) -> Row<S, V> {
    let mut row = splat(simd, 0.0);
    for (x, stored) in row.iter_mut().zip(stored) {
        *x = simd.load(stored);
    }
    row
}

/// Writes a row.
#[inline(always)]
pub(super) fn store<S: Simd, const V: usize>(simd: S, row: Row<S, V>, stored: &mut Stored<V>) {
    for (x, stored) in row.into_iter().zip(stored) {
        simd.store(x, stored);
    }
}

/// Reads as much of a row as `values` has; zeros beyond.
#[inline(always)]
pub(super) fn load_from<S: Simd, const V: usize>(simd: S, values: &[f32]) -> Row<S, V> {
    if let Some(stored) = first_of(values) {
        return load(simd, stored);
    }
    let mut row = splat(simd, 0.0);
    for (x, values) in row.iter_mut().zip(values.chunks(LANES)) {
        *x = simd.load_partial(values);
    }
    row
}

/// Writes as much of a row as `values` has room for.
#[inline(always)]
pub(super) fn store_to<S: Simd, const V: usize>(simd: S, row: Row<S, V>, values: &mut [f32]) {
    if let Some(stored) = first_of_mut(values) {
        return store(simd, row, stored);
    }
    for (x, values) in row.into_iter().zip(values.chunks_mut(LANES)) {
        simd.store_partial(x, values);
    }
}

/// `a + b`.
#[inline(always)]
pub(super) fn add<S: Simd, const V: usize>(simd: S, mut a: Row<S, V>, b: Row<S, V>) -> Row<S, V> {
    for (a, b) in a.iter_mut().zip(b) {
        *a = simd.add(*a, b);
    }
    a
}

/// `a - b`.
#[inline(always)]
pub(super) fn sub<S: Simd, const V: usize>(simd: S, mut a: Row<S, V>, b: Row<S, V>) -> Row<S, V> {
    for (a, b) in a.iter_mut().zip(b) {
        *a = simd.sub(*a, b);
    }
    a
}

/// `a b`.
#[inline(always)]
pub(super) fn mul<S: Simd, const V: usize>(simd: S, mut a: Row<S, V>, b: Row<S, V>) -> Row<S, V> {
    for (a, b) in a.iter_mut().zip(b) {
        *a = simd.mul(*a, b);
    }
    a
}

/// `max(a, b)`, and `b` where `a` is NaN.
#[inline(always)]
pub(super) fn max<S: Simd, const V: usize>(simd: S, mut a: Row<S, V>, b: Row<S, V>) -> Row<S, V> {
    for (a, b) in a.iter_mut().zip(b) {
        *a = simd.max(*a, b);
    }
    a
}

/// `2^(a - b)` for `a <= b`.
#[inline(always)]
pub(super) fn exp2_of_difference<S: Simd, const V: usize>(
    simd: S,
    mut a: Row<S, V>,
    b: Row<S, V>,
) -> Row<S, V> {
    for (a, b) in a.iter_mut().zip(b) {
        *a = exp2_with(simd, simd.sub(*a, b));
    }
    a
}

/// Sums of every fourth row, and of these four: number by number.
#[cfg_attr(target_pointer_width = "32", inline(never))]
#[cfg_attr(not(target_pointer_width = "32"), inline(always))]
pub(super) fn sum_of_every_fourth<S: Simd, const V: usize>(
    simd: S,
    rows: &[Stored<V>],
) -> Row<S, V> {
    let mut total = [[0.0; LANES]; V];
    for (i, total) in total.as_flattened_mut().iter_mut().enumerate() {
        let mut sums = [0.0; 4];
        for (j, row) in rows.iter().enumerate() {
            sums[j % 4] += row[i / LANES][i % LANES];
        }
        let [s0, s1, s2, s3] = sums;
        *total = (s0 + s1) + (s2 + s3);
    }
    load(simd, &total)
}

/// Which lanes see a key: lanes are queries at the positions `first, first + 1, ...`.
#[derive(Clone, Copy)]
pub(super) struct Diagonal<S: Simd, const V: usize> {
    lanes: Row<S, V>,
    first: usize,
}

impl<S: Simd, const V: usize> Diagonal<S, V> {
    #[inline(always)]
    pub(super) fn new(simd: S, first: usize) -> Self {
        let mut lanes = splat(simd, 0.0);
        for (v, lanes) in lanes.iter_mut().enumerate() {
            *lanes = simd.load(&core::array::from_fn(|i| (v * LANES + i) as f32));
        }
        Self { lanes, first }
    }

    /// Key `j` is seen by the lanes greater than this.
    #[inline(always)]
    pub(super) fn limit(&self, simd: S, j: usize) -> S::V {
        // Lane i sees key j when i >= j - first; half a lane less makes that `>`.
        simd.splat(j.saturating_sub(self.first) as f32 - 0.5)
    }

    /// `seen` in the lanes of vector `v` greater than `limit`, `hidden` in the others.
    #[inline(always)]
    pub(super) fn select(&self, simd: S, v: usize, limit: S::V, seen: S::V, hidden: S::V) -> S::V {
        simd.select_gt(self.lanes[v], limit, seen, hidden)
    }
}
