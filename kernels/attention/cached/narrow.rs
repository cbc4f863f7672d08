//! [`AttendCached`] where registers hold two vectors: half a vector of sums at a time, the same sums.
//!
//! Both passes add up multiples of rows, or of parts of them, that lie a stride apart:
//! `sums[l] = sum_n factors[n] * elements[start + n * stride + l]`.

use super::{AttendCached, Cached, Element};
use crate::blas1::HALF;
use crate::simd::LANES;

impl<T: Element> AttendCached<'_, T> {
    #[inline(never)]
    pub(super) fn narrow_scores(&mut self) {
        let Cached { keys, capacity, .. } = self.cached;
        for (i, weights) in self.weights.chunks_mut(HALF).enumerate() {
            let rows = Rows {
                elements: keys,
                start: self.first * capacity + i * HALF,
                stride: capacity,
            };
            for (weight, sum) in weights.iter_mut().zip(rows.sums(self.q, 1)) {
                *weight = sum * self.scale;
            }
        }
    }

    /// As many chains an element as in `wide_weighted_sums`.
    #[inline(never)]
    pub(super) fn narrow_weighted_sums(&mut self) {
        let Cached { values, width, .. } = self.cached;
        let columns = self.out.len();
        for (i, out) in self.out.chunks_mut(HALF).enumerate() {
            let chains = chains_of(i * HALF, columns);
            let mut totals = [0.0; HALF];
            for chain in 0..chains {
                let rows = Rows {
                    elements: values,
                    start: chain * width + self.first + i * HALF,
                    stride: chains * width,
                };
                let weights = self.weights.get(chain..).unwrap_or(&[]);
                for (total, sum) in totals.iter_mut().zip(rows.sums(weights, chains)) {
                    *total += sum;
                }
            }
            for (out, total) in out.iter_mut().zip(totals) {
                *out = total;
            }
        }
    }
}

/// Chains of a column: four vectors of columns have one, two vectors have two, the last one has four.
fn chains_of(column: usize, columns: usize) -> usize {
    let mut start = 0;
    loop {
        let (vectors, chains) = match (columns - start).div_ceil(LANES) {
            4.. => (4, 1),
            2.. => (2, 2),
            _ => (1, 4),
        };
        start += vectors * LANES;
        if column < start || start >= columns {
            return chains;
        }
    }
}

/// Rows, or parts of them, that start a stride apart.
#[derive(Clone, Copy)]
struct Rows<'a, T> {
    elements: &'a [T],
    start: usize,
    stride: usize,
}

impl<T: Element> Rows<'_, T> {
    /// The rows times every `step`th factor, added up; zeros where they end before the eighth element.
    #[inline(always)]
    fn sums(self, factors: &[f32], step: usize) -> [f32; HALF] {
        let rows = factors.len().div_ceil(step.max(1));
        let last = self.start + rows.saturating_sub(1) * self.stride;
        if last + HALF <= self.elements.len() {
            self.sums_of_eight(factors, step)
        } else {
            self.sums_one_by_one(factors, step)
        }
    }

    #[inline(always)]
    fn sums_of_eight(self, factors: &[f32], step: usize) -> [f32; HALF] {
        let mut sums = [0.0; HALF];
        let mut rest = self.elements.get(self.start..).unwrap_or(&[]);
        for factor in factors.iter().step_by(step.max(1)) {
            let Some(row) = rest.first_chunk() else {
                break;
            };
            for (sum, x) in sums.iter_mut().zip(T::eight(row)) {
                *sum += factor * x;
            }
            rest = rest.get(self.stride..).unwrap_or(&[]);
        }
        sums
    }

    #[inline(never)]
    fn sums_one_by_one(self, factors: &[f32], step: usize) -> [f32; HALF] {
        let mut sums = [0.0; HALF];
        for (i, sum) in sums.iter_mut().enumerate() {
            let column = self.elements.iter().skip(self.start + i);
            let column = column.step_by(self.stride.max(1));
            for (factor, x) in factors.iter().step_by(step.max(1)).zip(column) {
                *sum += factor * x.to_f32();
            }
        }
        sums
    }
}
