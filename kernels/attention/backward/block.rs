//! A block of queries, one a lane, as their gradients need them.

use super::super::AttentionInputs;
use super::super::block::{Keys, Queries};
use super::super::pack::{TransposeInto, carve};
use super::super::row::{self, Row, Stored};
use super::super::tile::AddColumnsTimes;
use crate::blas1::dot_with;
use crate::mat::MatRef;
use crate::simd::{LANES, Simd};
use core::f32::consts::LOG2_E;

/// A block of queries and what the gradients need of each.
pub(super) struct Block<'a, S: Simd, const V: usize> {
    pub(super) queries: Queries<'a, S, V>,
    /// `dO^T`.
    pub(super) dout: &'a mut [Stored<V>],
    /// `dQ^T`.
    pub(super) dq: &'a mut [Stored<V>],
    /// Log-sums to the base 2.
    pub(super) log_sums: Row<S, V>,
    /// `D`.
    pub(super) means: Row<S, V>,
}

impl<'a, S: Simd, const V: usize> Block<'a, S, V> {
    #[inline(always)]
    pub(super) fn new(simd: S, inputs: AttentionInputs<'a>, workspace: &mut &'a mut [f32]) -> Self {
        let width = V * LANES;
        let queries = Queries::new(simd, inputs, workspace);
        Self {
            queries,
            dout: row::rows_of(carve(workspace, inputs.v.cols() * width)),
            dq: row::rows_of(carve(workspace, inputs.q.cols() * width)),
            log_sums: row::splat(simd, 0.0),
            means: row::splat(simd, 0.0),
        }
    }

    /// Makes this the block of queries from `first` on, whose rows of `dO` are `dout`.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    #[cfg_attr(not(target_pointer_width = "32"), inline(always))]
    pub(super) fn load(
        &mut self,
        simd: S,
        first: usize,
        dout: MatRef<'_>,
        out: MatRef<'_>,
        log_sums: &[f32],
    ) {
        let count = dout.rows();
        self.queries.load(simd, first, count);
        simd.call(TransposeInto {
            block: self.dout,
            rows: dout,
            factor: 1.0,
        });
        self.dq.fill([[0.0; LANES]; V]);
        let (mut sums, mut means) = ([[0.0; LANES]; V], [[0.0; LANES]; V]);
        let lanes = sums
            .as_flattened_mut()
            .iter_mut()
            .zip(means.as_flattened_mut());
        let log_sums = log_sums.get(first..).unwrap_or(&[]);
        for (i, ((sum, mean), log_sum)) in lanes.zip(log_sums).enumerate().take(count) {
            // Where nothing was seen, any finite number makes `2^(-inf - sum)` 0.
            if *log_sum != f32::NEG_INFINITY {
                *sum = LOG2_E * log_sum;
            }
            *mean = dot_with(simd, dout.row(i), out.row(first + i));
        }
        self.log_sums = row::load(simd, &sums);
        self.means = row::load(simd, &means);
    }

    /// `dQ^T += K^T (scale dS^T)`.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    #[cfg_attr(not(target_pointer_width = "32"), inline(always))]
    pub(super) fn add_to_queries<const R: usize>(
        &mut self,
        simd: S,
        keys: Keys<V>,
        dscores: &[Stored<V>],
    ) {
        let inputs = self.queries.inputs;
        simd.call(AddColumnsTimes::<R, V> {
            a: inputs.k.rows_from(keys.start, keys.count),
            b: dscores.get(..keys.count).unwrap_or(&[]),
            out: self.dq,
            decay: [[1.0; LANES]; V],
            clear: keys.clear,
            seen: keys.seen,
            key: keys.start,
            query: inputs.mask.offset().saturating_add(self.queries.first),
        });
    }
}
