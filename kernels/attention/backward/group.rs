//! A group of blocks of queries, and what it adds to the gradients.

use super::super::AttentionInputs;
use super::super::block::KEYS;
use super::super::pack::{TransposeFrom, carve, copy_panels, prefetch_rows};
use super::super::row::{self, Row, Stored};
use super::super::tile::{AddRowsTimes, RowsTimes};
use super::AttentionGradients;
use super::block::Block;
use crate::mat::MatRef;
use crate::simd::{LANES, Simd};

/// Blocks of queries that meet the same keys one after the other, so that keys gather what many
/// queries have for them at a time.
pub(super) struct Group<'a, S: Simd, const V: usize, const G: usize> {
    blocks: [Block<'a, S, V>; G],
    /// `Q` and `dO` by panels of columns.
    q_panels: &'a mut [Stored<V>],
    dout_panels: &'a mut [Stored<V>],
    /// Of one block: `S^T`, and `dP^T`, then `scale dS^T`.
    scores: &'a mut [Stored<V>],
    dscores: &'a mut [Stored<V>],
    /// Of all blocks, side by side: `P^T` and `scale dS^T`.
    all_weights: &'a mut [[Stored<V>; G]],
    all_dscores: &'a mut [[Stored<V>; G]],
    /// Queries in the group.
    count: usize,
    /// Sum of `dS` over each diagonal `i - j`, the one of the first query and the last key first.
    pub(super) diagonals: &'a mut [f32],
}

impl<'a, S: Simd, const V: usize, const G: usize> Group<'a, S, V, G> {
    /// Lanes of a block, and of all of them.
    const WIDTH: usize = V * LANES;
    pub(super) const ALL: usize = G * Self::WIDTH;

    #[cfg_attr(target_pointer_width = "32", inline(never))]
    #[cfg_attr(not(target_pointer_width = "32"), inline(always))]
    pub(super) fn new(
        simd: S,
        inputs: &AttentionInputs<'a>,
        workspace: &mut &'a mut [f32],
    ) -> Self {
        let blocks = [(); G].map(|()| Block::new(simd, *inputs, workspace));
        let panels = |cols: usize| cols.div_ceil(Self::WIDTH) * Self::ALL;
        let mut rows = |rows: usize| row::rows_of::<V>(carve(workspace, rows * Self::WIDTH));
        Self {
            blocks,
            q_panels: rows(panels(inputs.q.cols())),
            dout_panels: rows(panels(inputs.v.cols())),
            scores: rows(KEYS),
            dscores: rows(KEYS),
            all_weights: rows(KEYS * G).as_chunks_mut().0,
            all_dscores: rows(KEYS * G).as_chunks_mut().0,
            count: 0,
            diagonals: &mut [],
        }
    }

    /// Makes this the group of queries from `first` on.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    #[cfg_attr(not(target_pointer_width = "32"), inline(always))]
    pub(super) fn load(
        &mut self,
        simd: S,
        first: usize,
        dout: &MatRef<'_>,
        out: &MatRef<'_>,
        log_sums: &[f32],
    ) {
        let dout = dout.rows_from(first, Self::ALL);
        self.count = dout.rows();
        for (b, block) in self.blocks.iter_mut().enumerate() {
            let at = (b * Self::WIDTH).min(self.count);
            let count = Self::WIDTH.min(self.count - at);
            block.load(simd, first + at, dout.rows_from(at, count), *out, log_sums);
        }
        if let Some(block) = self.blocks.first() {
            let q = block.queries.inputs.q.rows_from(first, self.count);
            copy_panels(self.q_panels, Self::ALL, q);
            copy_panels(self.dout_panels, Self::ALL, dout);
        }
    }

    /// Adds the gradients that belong to the queries of the group, of which one at least sees the
    /// first `seen` keys. Meanwhile the next group's rows of `Q` and of `operands` are asked for.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    #[cfg_attr(not(target_pointer_width = "32"), inline(always))]
    pub(super) fn add_to_gradients<const R: usize>(
        &mut self,
        simd: S,
        seen: usize,
        operands: [&MatRef<'_>; 2],
        gradients: &mut AttentionGradients<'_>,
    ) {
        let each = (Self::ALL * KEYS).div_ceil(seen.max(1));
        for (step, start) in (0..seen).step_by(KEYS).enumerate() {
            if let Some(block) = self.blocks.first() {
                let AttentionInputs { q, k, v, .. } = block.queries.inputs;
                let at = block.queries.first + Self::ALL + step * each;
                prefetch_rows(simd, k.rows_from(seen + step * each, each));
                prefetch_rows(simd, v.rows_from(seen + step * each, each));
                prefetch_rows(simd, q.rows_from(at, each));
                for rows in operands {
                    prefetch_rows(simd, rows.rows_from(at, each));
                }
            }
            self.weigh::<R>(simd, start);
            self.add_to_keys::<R>(simd, start, gradients);
        }
        for block in &self.blocks {
            simd.call(TransposeFrom::<V, true> {
                block: block.dq,
                rows: gradients.dq.reborrow(),
                first: block.queries.first,
                count: block.queries.count,
            });
        }
    }

    /// `P^T` and `scale dS^T` of all blocks for the block of keys from `start` on, and `dQ^T`.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    #[cfg_attr(not(target_pointer_width = "32"), inline(always))]
    fn weigh<const R: usize>(&mut self, simd: S, start: usize) {
        for (b, block) in self.blocks.iter_mut().enumerate() {
            let keys = block.queries.keys_from(start);
            if keys.count == 0 {
                continue;
            }
            let AttentionInputs { v, scale, .. } = block.queries.inputs;
            block.queries.score::<R>(simd, keys, self.scores);
            simd.call(RowsTimes::<R, V> {
                a: v.rows_from(keys.start, keys.count),
                b: block.dout,
                out: self.dscores,
                seen: keys.seen,
            });
            let scale = row::splat(simd, scale);
            let rows = self.scores.iter().zip(self.dscores.iter_mut());
            let all = self.all_weights.iter_mut().zip(self.all_dscores.iter_mut());
            for (j, ((score, dscore), (weights, dscores))) in rows.zip(all).enumerate() {
                let (Some(weight), Some(scaled_dscore)) = (weights.get_mut(b), dscores.get_mut(b))
                else {
                    return;
                };
                if j >= keys.count {
                    // No query of this block sees the key.
                    (*weight, *scaled_dscore) = ([[0.0; LANES]; V], [[0.0; LANES]; V]);
                    continue;
                }
                let p = row::exp2_of_difference(simd, row::load(simd, score), block.log_sums);
                let dp = row::sub(simd, row::load(simd, dscore), block.means);
                let mut ds = row::mul(simd, p, dp);
                if j >= keys.clear {
                    // 0 even where the key or its value holds NaN.
                    let limit = block.queries.diagonal.limit(simd, keys.start + j);
                    let zero = simd.splat(0.0);
                    for (v, ds) in ds.iter_mut().enumerate() {
                        *ds = block.queries.diagonal.select(simd, v, limit, *ds, zero);
                    }
                }
                let scaled = row::mul(simd, ds, scale);
                row::store(simd, p, weight);
                row::store(simd, scaled, scaled_dscore);
                row::store(simd, scaled, dscore);
                if !self.diagonals.is_empty() {
                    let last = block.queries.inputs.k.rows() - 1;
                    let at = block.queries.first + last - (keys.start + j);
                    add_to_diagonals(simd, self.diagonals, at, ds);
                }
            }
            block.add_to_queries::<R>(simd, keys, self.dscores);
        }
    }

    /// `dV += P^T dO` and `dK += (scale dS^T) Q`.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    #[cfg_attr(not(target_pointer_width = "32"), inline(always))]
    fn add_to_keys<const R: usize>(
        &mut self,
        simd: S,
        start: usize,
        gradients: &mut AttentionGradients<'_>,
    ) {
        // Later queries see no less: it is the first blocks that may see none of these keys.
        let counts = self
            .blocks
            .each_ref()
            .map(|block| block.queries.keys_from(start).count);
        let blind = counts.iter().take_while(|count| **count == 0).count() * Self::WIDTH;
        let keys = counts.into_iter().fold(0, usize::max);
        let operands = [
            (&*self.all_weights, &*self.dout_panels, &mut gradients.dv),
            (&*self.all_dscores, &*self.q_panels, &mut gradients.dk),
        ];
        for (factors, panels, out) in operands {
            let a = factors.get(..keys).unwrap_or(&[]);
            for (p, panel) in panels.chunks(Self::ALL).enumerate() {
                simd.call(AddRowsTimes::<R, V, G> {
                    a,
                    b: panel.get(blind..self.count).unwrap_or(&[]),
                    first: blind,
                    out: out.reborrow(),
                    row: start,
                    column: p * Self::WIDTH,
                });
            }
        }
    }

    /// Sums the diagonals of each distance.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    #[cfg_attr(not(target_pointer_width = "32"), inline(always))]
    pub(super) fn add_to_bias(&self, dbias: &mut [f32]) {
        let Some(block) = self.blocks.first() else {
            return;
        };
        let AttentionInputs { q, k, mask, .. } = block.queries.inputs;
        let Some(last) = k.rows().checked_sub(1) else {
            return;
        };
        for (t, x) in self.diagonals.iter().enumerate().take(q.rows() + last) {
            let distance = mask.offset().saturating_add(t).abs_diff(last);
            if let Some(sum) = dbias.get_mut(distance) {
                *sum += *x;
            }
        }
    }
}

/// Adds a key's row to the diagonals from `at` on: one a lane, lanes without a query add 0.
#[inline(always)]
fn add_to_diagonals<S: Simd, const V: usize>(
    simd: S,
    diagonals: &mut [f32],
    at: usize,
    ds: Row<S, V>,
) {
    if let Some(sums) = row::first_of_mut(diagonals.get_mut(at..).unwrap_or(&mut [])) {
        let sum = row::add(simd, row::load(simd, sums), ds);
        row::store(simd, sum, sums);
    }
}
