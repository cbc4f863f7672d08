//! [`AttendCached`] where registers hold two vectors: half a vector of sums at a time, the same sums.
//!
//! Both passes add up multiples of rows, or of parts of them, that lie a stride apart:
//! `sums[l] = sum_n factors[n] * elements[start + n * stride + l]`.
//!
//! What a conversion of elements multiplies them with, a power of two, is multiplied with the factors
//! instead: the same real products, hence the same roundings, for two numbers a row instead of eight.

use super::{AttendCached, Element};
use crate::blas1::HALF;
use crate::simd::LANES;

/// Queries that share what is read, and its conversion.
const PAIR: usize = 2;

impl<T: Element> AttendCached<'_, T> {
    #[inline(never)]
    pub(super) fn narrow_scores(&mut self, queries: usize) {
        for query in (0..queries).step_by(PAIR) {
            self.scores_of_pair(query);
        }
    }

    /// As many chains an element as in [`weighted_sums`](super::Query::weighted_sums).
    #[inline(never)]
    pub(super) fn narrow_weighted_sums(&mut self, queries: usize) {
        for query in (0..queries).step_by(PAIR) {
            self.weighted_sums_of_pair(query);
        }
    }

    #[inline(always)]
    fn scores_of_pair(&mut self, query: usize) {
        let factors = [query, query + 1].map(|query| part(self.q, query, self.width));
        let scalable = factors.iter().all(|q| can_be_scaled::<T>(q));
        for place in (0..self.places).step_by(HALF) {
            let rows = Rows {
                elements: self.keys,
                start: (place - place % LANES) * self.width + place % LANES,
                stride: LANES,
                scalable,
            };
            let end = self.places.min(place + HALF);
            for (i, sums) in rows.sums(factors, 1).into_iter().enumerate() {
                let start = (query + i) * self.places;
                let weights = self.weights.get_mut(start + place..start + end);
                store(
                    weights.unwrap_or_default(),
                    sums.map(|sum| sum * self.scale),
                );
            }
        }
    }

    #[inline(always)]
    fn weighted_sums_of_pair(&mut self, query: usize) {
        for column in (0..self.width).step_by(HALF) {
            let chains = chains_of(column, self.width);
            let mut totals = [[0.0; HALF]; PAIR];
            for chain in 0..chains {
                let rows = Rows {
                    elements: self.values,
                    start: chain * self.width + column,
                    stride: chains * self.width,
                    // Weights are at most 1, or NaN.
                    scalable: true,
                };
                let factors = [query, query + 1].map(|query| {
                    let weights = part(self.weights, query, self.places);
                    weights.get(chain..).unwrap_or(&[])
                });
                for (totals, sums) in totals.iter_mut().zip(rows.sums(factors, chains)) {
                    for (total, sum) in totals.iter_mut().zip(sums) {
                        *total += sum;
                    }
                }
            }
            let end = self.width.min(column + HALF);
            for (i, totals) in totals.into_iter().enumerate() {
                let start = (query + i) * self.width;
                let out = self.out.get_mut(start + column..start + end);
                store(out.unwrap_or_default(), totals);
            }
        }
    }
}

/// The `i`th part of some equal ones; empty if there is none.
#[inline(always)]
fn part(x: &[f32], i: usize, len: usize) -> &[f32] {
    x.get(i * len..(i + 1) * len).unwrap_or(&[])
}

/// As many of eight numbers as there is room for.
#[inline(always)]
fn store(to: &mut [f32], eight: [f32; HALF]) {
    if let Some(to) = to.first_chunk_mut() {
        *to = eight;
    } else {
        for (to, x) in to.iter_mut().zip(eight) {
            *to = x;
        }
    }
}

/// Whether factors stay finite when they are multiplied with the scale of elements.
#[inline(always)]
fn can_be_scaled<T: Element>(factors: &[f32]) -> bool {
    let limit = f32::MAX / T::SCALE;
    factors.iter().all(|factor| factor.abs() <= limit)
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
    /// Whether the factors [`can_be_scaled`].
    scalable: bool,
}

impl<T: Element> Rows<'_, T> {
    /// The rows times every `step`th factor, added up, for the factors of two queries; the second has
    /// none, or as many as the first.
    #[inline(always)]
    fn sums(self, factors: [&[f32]; PAIR], step: usize) -> [[f32; HALF]; PAIR] {
        let rows = factors[0].len().div_ceil(step.max(1));
        let last = self.start + rows.saturating_sub(1) * self.stride;
        let mut sums = [[0.0; HALF]; PAIR];
        let fast = self.scalable && last + HALF <= self.elements.len();
        if !fast || !self.sums_of_eight(factors, step, &mut sums) {
            sums = factors.map(|factors| self.sums_one_by_one(factors, step));
        }
        sums
    }

    /// `false` if an element is too large for it. A function of its own: both passes would each bring
    /// a copy.
    #[inline(never)]
    fn sums_of_eight(
        self,
        factors: [&[f32]; PAIR],
        step: usize,
        out: &mut [[f32; HALF]; PAIR],
    ) -> bool {
        let [first, second] = factors;
        let second = second.get(..first.len()).unwrap_or(first);
        let (mut sums, mut seen, mut i) = ([[0.0; HALF]; PAIR], 0, 0);
        let mut rest = self.elements.get(self.start..).unwrap_or(&[]);
        while let Some(elements) = rest.first_chunk() {
            // One after the other: together they cost the compiler seven instructions more.
            let Some(first) = first.get(i) else { break };
            let Some(second) = second.get(i) else { break };
            let elements = T::eight(elements, &mut seen);
            for (sums, factor) in sums.iter_mut().zip([first, second]) {
                let factor = factor * T::SCALE;
                for (sum, x) in sums.iter_mut().zip(elements) {
                    *sum += factor * x;
                }
            }
            let Some(after) = rest.get(self.stride..) else {
                break;
            };
            rest = after;
            i += step;
        }
        *out = sums;
        !T::has_large(seen)
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
