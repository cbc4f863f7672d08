//! A block of queries, one a lane, and the blocks of keys that they see.

use super::AttentionInputs;
use super::pack::{TransposeInto, carve};
use super::row::{self, Diagonal, Stored};
use super::tile::RowsTimes;
use crate::simd::{LANES, Simd};
use core::f32::consts::LOG2_E;

/// Keys in a block: the same on every backend, for it fixes the order of rounding.
pub(super) const KEYS: usize = 64;

/// Lanes of the widest block of queries. 32-bit machines have no registers for more than one vector.
pub(super) const MAX_WIDTH: usize = if cfg!(target_pointer_width = "32") {
    LANES
} else {
    4 * LANES
};

/// Elements of workspace of the [`Queries`] of a group of `group` lanes, with rows of `d`.
pub(super) const fn group_queries_len(d: usize, group: usize) -> usize {
    let strips = (KEYS + MAX_WIDTH) * (group / LANES);
    d.saturating_mul(group).saturating_add(strips)
}

/// Keys `start .. start + count`, of which every query of the block sees the first `clear`, and
/// those of vector `v` no more than the first `seen[v]`.
#[derive(Clone, Copy)]
pub(super) struct Keys<const V: usize> {
    pub(super) start: usize,
    pub(super) count: usize,
    pub(super) clear: usize,
    pub(super) seen: [usize; V],
}

/// Up to `16 V` queries, transposed and scaled so that powers of two take the place of those of e.
pub(super) struct Queries<'a, S: Simd, const V: usize> {
    pub(super) inputs: AttentionInputs<'a>,
    /// Index of the query in lane 0, and how many there are.
    pub(super) first: usize,
    pub(super) count: usize,
    /// Which lanes see a key.
    pub(super) diagonal: Diagonal<S, V>,
    packed: &'a mut [Stored<V>],
    strip: &'a mut [f32],
}

impl<'a, S: Simd, const V: usize> Queries<'a, S, V> {
    /// Lanes.
    pub(super) const WIDTH: usize = V * LANES;

    /// An empty block in its share of [`group_queries_len`] elements of `workspace`.
    #[inline(always)]
    pub(super) fn new(simd: S, inputs: AttentionInputs<'a>, workspace: &mut &'a mut [f32]) -> Self {
        Self {
            inputs,
            first: 0,
            count: 0,
            diagonal: Diagonal::new(simd, 0),
            packed: row::rows_of(carve(workspace, inputs.q.cols() * Self::WIDTH)),
            strip: carve(workspace, KEYS + Self::WIDTH),
        }
    }

    /// Makes this the block of queries `first .. first + count`.
    #[inline(always)]
    pub(super) fn load(&mut self, simd: S, first: usize, count: usize) {
        let AttentionInputs { q, mask, scale, .. } = self.inputs;
        simd.call(TransposeInto {
            block: self.packed,
            rows: q.rows_from(first, count),
            factor: LOG2_E * scale,
        });
        (self.first, self.count) = (first, count);
        self.diagonal = Diagonal::new(simd, mask.offset().saturating_add(first));
    }

    /// How many keys, from the first on, at least one of the queries sees.
    #[inline(always)]
    pub(super) fn seen(&self) -> usize {
        self.seen_by(self.first + self.count.saturating_sub(1))
    }

    #[inline(always)]
    fn seen_by(&self, query: usize) -> usize {
        self.inputs.mask.visible(query, self.inputs.k.rows())
    }

    /// What the queries see of the block of keys from `start` on.
    #[inline(always)]
    pub(super) fn keys_from(&self, start: usize) -> Keys<V> {
        let count = match self.count {
            0 => 0,
            _ => self.seen().saturating_sub(start).min(KEYS),
        };
        let seen_by_all = self.seen_by(self.first).saturating_sub(start);
        let clear = seen_by_all.min(count);
        let mut seen = [0; V];
        for (v, seen) in seen.iter_mut().enumerate() {
            let last = self.first + v * LANES + LANES - 1;
            *seen = self.seen_by(last).saturating_sub(start).min(count);
        }
        Keys {
            start,
            count,
            clear,
            seen,
        }
    }

    /// `scores = log2(e) (scale K Q^T + bias)`, `-inf` where masked, by tiles of `R` keys.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    #[cfg_attr(not(target_pointer_width = "32"), inline(always))]
    pub(super) fn score<const R: usize>(
        &mut self,
        simd: S,
        keys: Keys<V>,
        scores: &mut [Stored<V>],
    ) {
        simd.call(RowsTimes::<R, V> {
            a: self.inputs.k.rows_from(keys.start, keys.count),
            b: self.packed,
            out: scores,
            seen: keys.seen,
        });
        if let Some(bias) = self.inputs.bias {
            self.add_bias(simd, keys, bias, scores);
        }
        let hidden = simd.splat(f32::NEG_INFINITY);
        let scores = scores.iter_mut().enumerate();
        for (j, stored) in scores.take(keys.count).skip(keys.clear) {
            let limit = self.diagonal.limit(simd, keys.start + j);
            for (v, stored) in stored.iter_mut().enumerate() {
                let score = simd.load(stored);
                simd.store(self.diagonal.select(simd, v, limit, score, hidden), stored);
            }
        }
    }

    /// Adds biases by way of a strip of them by distance: those of key `j` of the block begin at
    /// `KEYS - 1 - j`, and each next lane is a query one further on.
    #[inline(always)]
    fn add_bias(&mut self, simd: S, keys: Keys<V>, bias: &[f32], scores: &mut [Stored<V>]) {
        let position = self.inputs.mask.offset().saturating_add(self.first);
        let last = keys.start + KEYS - 1;
        for (t, x) in self.strip.iter_mut().enumerate() {
            // Distances that the bias lacks are masked, or belong to lanes without a query.
            let distance = position.saturating_add(t).abs_diff(last);
            *x = LOG2_E * bias.get(distance).copied().unwrap_or(0.0);
        }
        for (j, stored) in scores.iter_mut().enumerate().take(keys.count) {
            if let Some(bias) = row::first_of(self.strip.get(KEYS - 1 - j..).unwrap_or(&[])) {
                let sum = row::add(simd, row::load(simd, stored), row::load(simd, bias));
                row::store(simd, sum, stored);
            }
        }
    }
}
