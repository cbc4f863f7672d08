//! The best of many scores, best first: equal scores go to the smaller index, NaN is never chosen.
//!
//! A list of at most `K` entries is kept in order. Most scores are worse than its last entry, so
//! sixteen of them are compared with it at once, and only those that pass are looked at singly.

use crate::blas1::dot_with;
use crate::error::ShapeError;
use crate::mat::MatRef;
use crate::simd::{Kernel, LANES, Simd, dispatch};

/// An index and its score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored {
    /// The score; never NaN.
    pub score: f32,
    /// Position of the score in its slice, or row of the table.
    pub index: u32,
}

impl Scored {
    /// Whether `self` stands before `other`: a higher score, or an equal one at a smaller index.
    fn beats(&self, other: &Self) -> bool {
        self.score > other.score || (self.score == other.score && self.index < other.index)
    }
}

/// The best entries offered so far, at most `K`.
///
/// ```
/// use barelm_kernels::top_k::TopK;
/// let mut best = TopK::<8>::new(2);
/// for (index, score) in [(5, 1.0), (3, 4.0), (7, 2.0), (1, f32::NAN)] {
///     best.offer(score, index);
/// }
/// let order: Vec<u32> = best.entries().iter().map(|entry| entry.index).collect();
/// assert_eq!(order, [3, 7]);
/// ```
#[derive(Clone, Debug)]
pub struct TopK<const K: usize> {
    entries: heapless::Vec<Scored, K>,
    limit: usize,
}

impl<const K: usize> TopK<K> {
    /// An empty list that keeps the best `limit` entries (at most `K`).
    pub fn new(limit: usize) -> Self {
        let (entries, limit) = (heapless::Vec::new(), limit.min(K));
        Self { entries, limit }
    }

    /// Takes an entry in if it is among the best.
    #[inline]
    pub fn offer(&mut self, score: f32, index: u32) {
        let entry = Scored { score, index };
        let place = self.entries.partition_point(|other| !entry.beats(other));
        if score.is_nan() || place >= self.limit {
            return;
        }
        if self.entries.len() == self.limit {
            self.entries.pop();
        }
        // There is room: the list is shorter than `limit`, which is at most `K`.
        let _ = self.entries.push(entry);
        let mut moved = entry;
        for behind in self.entries.iter_mut().skip(place) {
            core::mem::swap(behind, &mut moved);
        }
    }

    /// The entries, best first.
    pub fn entries(&self) -> &[Scored] {
        &self.entries
    }

    /// The entries, best first, by value.
    pub fn into_entries(self) -> heapless::Vec<Scored, K> {
        self.entries
    }

    /// Whether some lane might be taken in. Ties with the last entry are not: the slices below are
    /// offered in order of their indices.
    #[inline(always)]
    fn may_accept<S: Simd>(&self, simd: S, scores: S::V) -> bool {
        match self.entries.last() {
            Some(last) if self.entries.len() == self.limit => {
                let (one, zero) = (simd.splat(1.0), simd.splat(0.0));
                let better = simd.select_gt(scores, simd.splat(last.score), one, zero);
                simd.reduce_sum(better) > 0.0
            }
            _ => self.limit > 0,
        }
    }

    /// Offers `scores` whose first index is `index`.
    #[inline(always)]
    fn offer_all<S: Simd>(&mut self, simd: S, scores: &[f32], mut index: u32) {
        let (chunks, rest) = scores.as_chunks::<LANES>();
        for chunk in chunks {
            if self.may_accept(simd, simd.load(chunk)) {
                self.offer_each(chunk, index);
            }
            index = index.wrapping_add(LANES as u32);
        }
        self.offer_each(rest, index);
    }

    fn offer_each(&mut self, scores: &[f32], index: u32) {
        for (i, score) in (0..).zip(scores) {
            self.offer(*score, index.wrapping_add(i));
        }
    }
}

/// The `K` best of `scores` (all, if there are fewer; indices are taken modulo 2^32).
///
/// # Precision
/// Exact: scores are compared, never computed with.
///
/// # Example
/// ```
/// let best = barelm_kernels::top_k::top_k::<2>(&[0.5, 3.0, f32::NAN, 3.0, 1.0]);
/// assert_eq!((best[0].index, best[1].index), (1, 3));
/// ```
pub fn top_k<const K: usize>(scores: &[f32]) -> heapless::Vec<Scored, K> {
    let best = TopK::new(K);
    dispatch(Best { best, scores })
}

/// The `K` rows of `table` whose dot product with `x` is largest: logits of a vocabulary, or
/// neighbours of a vector of length 1 among rows of length 1.
///
/// No more than sixteen products exist at a time.
///
/// # Errors
/// [`ShapeError`] when `x.len() != table.cols()`.
///
/// # Precision
/// Each score is the [`dot`](crate::blas1::dot) of a row and `x`, bit for bit.
///
/// # Example
/// ```
/// use barelm_kernels::{mat::MatRef, top_k::top_k_of_products};
/// let table = MatRef::new(&[1.0, 0.0, 0.0, 1.0, 1.0, 1.0], 3, 2)?;
/// let best = top_k_of_products::<1>(table, &[2.0, 1.0])?;
/// assert_eq!((best[0].index, best[0].score), (2, 3.0));
/// # Ok::<(), barelm_kernels::error::ShapeError>(())
/// ```
pub fn top_k_of_products<const K: usize>(
    table: MatRef,
    x: &[f32],
) -> Result<heapless::Vec<Scored, K>, ShapeError> {
    if x.len() != table.cols() {
        return Err(ShapeError);
    }
    let (best, scales) = (TopK::new(K), &[][..]);
    Ok(dispatch(BestRows {
        best,
        table,
        scales,
        x,
    }))
}

/// The `K` rows of `table` that point most nearly where `x` does: `(table_i . x) / |table_i|` is
/// largest, which for `x` of length 1 is the cosine of the angle between the two.
///
/// `inverse_norms[i]` is `1 / |table_i|` (0 for a row of zeros). Rows are read as they are, in one
/// pass at the speed of memory: no table of rows at length 1 is needed.
///
/// # Errors
/// [`ShapeError`] when `x.len() != table.cols()` or `inverse_norms.len() != table.rows()`.
///
/// # Precision
/// Each score is the [`dot`](crate::blas1::dot) of a row and `x`, and one multiplication.
///
/// # Example
/// ```
/// use barelm_kernels::{mat::MatRef, top_k::top_k_of_cosines};
/// let table = MatRef::new(&[3.0, 4.0, 0.0, 0.5], 2, 2)?;
/// let best = top_k_of_cosines::<1>(table, &[0.2, 2.0], &[0.0, 1.0])?;
/// assert_eq!((best[0].index, best[0].score), (1, 1.0));
/// # Ok::<(), barelm_kernels::error::ShapeError>(())
/// ```
pub fn top_k_of_cosines<const K: usize>(
    table: MatRef,
    inverse_norms: &[f32],
    x: &[f32],
) -> Result<heapless::Vec<Scored, K>, ShapeError> {
    if x.len() != table.cols() || inverse_norms.len() != table.rows() {
        return Err(ShapeError);
    }
    let (best, scales) = (TopK::new(K), inverse_norms);
    Ok(dispatch(BestRows {
        best,
        table,
        scales,
        x,
    }))
}

struct Best<'a, const K: usize> {
    best: TopK<K>,
    scores: &'a [f32],
}

impl<const K: usize> Kernel for Best<'_, K> {
    type Output = heapless::Vec<Scored, K>;
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) -> Self::Output {
        self.best.offer_all(simd, self.scores, 0);
        self.best.into_entries()
    }
}

struct BestRows<'a, const K: usize> {
    best: TopK<K>,
    table: MatRef<'a>,
    /// What the product of each row is multiplied with; none if it counts as it is.
    scales: &'a [f32],
    x: &'a [f32],
}

impl<const K: usize> Kernel for BestRows<'_, K> {
    type Output = heapless::Vec<Scored, K>;
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) -> Self::Output {
        for start in (0..self.table.rows()).step_by(LANES) {
            let rows = self.table.rows_from(start, LANES);
            let mut scores = [f32::NAN; LANES];
            for (i, score) in scores.iter_mut().enumerate().take(rows.rows()) {
                *score = dot_with(simd, rows.row(i), self.x);
            }
            let scales = self.scales.get(start..).unwrap_or(&[]);
            for (score, scale) in scores.iter_mut().zip(scales) {
                *score *= scale;
            }
            self.best.offer_all(simd, &scores, start as u32);
        }
        self.best.into_entries()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blas1::dot;
    use crate::testing::{LENGTHS, on_every_backend, values};
    use std::vec::Vec;

    /// Sorts all scores that are numbers.
    fn naive(scores: &[f32], k: usize) -> Vec<(u32, f32)> {
        let mut all: Vec<_> = (0..).zip(scores.iter().copied()).collect();
        all.retain(|(_, score)| !score.is_nan());
        all.sort_by(|a, b| b.1.partial_cmp(&a.1).unwrap().then(a.0.cmp(&b.0)));
        all.truncate(k);
        all
    }

    fn pairs<const K: usize>(best: heapless::Vec<Scored, K>) -> Vec<(u32, f32)> {
        best.iter()
            .map(|entry| (entry.index, entry.score))
            .collect()
    }

    /// Scores with many ties, NaN and infinities.
    fn rough_scores(len: usize) -> Vec<f32> {
        let special = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, 0.0];
        let rough = |x: f32| match (x * 40.0) as i32 {
            i @ 0..5 => special[i as usize],
            i => i as f32,
        };
        values(len, 9).into_iter().map(rough).collect()
    }

    #[test]
    fn top_k_agrees_with_sorting() {
        on_every_backend(|backend| {
            for len in LENGTHS {
                let scores = rough_scores(len);
                let run = |limit| {
                    let best = TopK::<10>::new(limit);
                    pairs(backend.run(Best {
                        best,
                        scores: &scores,
                    }))
                };
                for limit in [0, 1, 4, 10] {
                    assert_eq!(run(limit), naive(&scores, limit), "{len} {limit}");
                }
                assert_eq!(run(99), naive(&scores, 10));
            }
        });
        assert!(top_k::<0>(&[1.0]).is_empty());
    }

    #[test]
    fn offers_may_come_in_any_order() {
        let scores = rough_scores(100);
        let mut best = TopK::<7>::new(7);
        for (index, score) in scores.iter().enumerate().rev() {
            best.offer(*score, index as u32);
        }
        assert_eq!(pairs(best.into_entries()), naive(&scores, 7));
    }

    #[test]
    fn the_best_rows_are_top_k_of_the_dot_products() {
        on_every_backend(|backend| {
            for rows in LENGTHS {
                let (table, x) = (values(rows * 19, 1), values(19, 2));
                let (table, norms) = (MatRef::new(&table, rows, 19).unwrap(), values(rows, 3));
                let products: Vec<f32> = (0..rows)
                    .map(|i| backend.run(Row(table.row(i), &x)))
                    .collect();
                let run = |scales| {
                    let best = TopK::<5>::new(5);
                    pairs(backend.run(BestRows {
                        best,
                        table,
                        scales,
                        x: &x,
                    }))
                };
                assert_eq!(run(&[]), naive(&products, 5), "{rows} rows");
                let scaled: Vec<f32> = products.iter().zip(&norms).map(|(p, s)| p * s).collect();
                assert_eq!(run(&norms), naive(&scaled, 5), "{rows} rows");
            }
        });
    }

    struct Row<'a>(&'a [f32], &'a [f32]);

    impl Kernel for Row<'_> {
        type Output = f32;
        #[inline(always)]
        fn run<S: Simd>(self, simd: S) -> f32 {
            dot_with(simd, self.0, self.1)
        }
    }

    #[test]
    fn a_vector_of_another_length_is_an_error() {
        let table = MatRef::new(&[1.0, 2.0], 1, 2).unwrap();
        assert_eq!(top_k_of_products::<1>(table, &[1.0]), Err(ShapeError));
        let best = top_k_of_products::<1>(table, &[3.0, 4.0]).unwrap();
        assert_eq!(Ok(best[0].score), dot(&[1.0, 2.0], &[3.0, 4.0]));
        let cosines = |norms| top_k_of_cosines::<1>(table, norms, &[3.0, 4.0]);
        assert_eq!(cosines(&[]), Err(ShapeError));
        assert_eq!(cosines(&[0.5]).unwrap()[0].score, 5.5);
    }
}
