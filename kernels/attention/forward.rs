//! Outputs of attention, a block of queries at a time.
//!
//! The idea: lanes are queries. A block of queries is transposed once, scaled by `log2(e)`, so
//! that everything that belongs to one query, its running maximum, its sum, its column of outputs,
//! lives in one lane and every step is elementwise. Keys come in blocks of 64, and a few blocks of
//! queries meet each of those one after the other, while it is in the caches:
//!
//! ```text
//! for each group of blocks of queries
//!     maximum = lowest, sum = 0, O^T = 0
//!     for each block of keys that any of them sees, for each block of queries
//!         S^T = K Q^T + bias, -inf where masked        tiles of rows of K
//!         new = max(maximum, S^T)                      after the mask: the future has no say
//!         P^T = 2^(S^T - new)
//!         sum = sum 2^(maximum - new) + P^T
//!         O^T = O^T 2^(maximum - new) + V^T P^T        tiles of columns of V
//!     O = O^T / sum, transposed back
//! ```
//!
//! This is online softmax (Milakov and Gimelshein) as FlashAttention tiles it. Blocks of keys are
//! the same on every backend, for they fix the order of rounding; blocks of queries are not, for
//! lanes do not touch each other.

use super::AttentionInputs;
use super::block::{KEYS, Keys, MAX_WIDTH, Queries, group_queries_len};
use super::pack::{TransposeFrom, carve, prefetch_rows};
use super::row::{self, Row, Stored};
use super::tile::AddColumnsTimes;
use crate::aligned::{ALIGN_SLACK, align};
use crate::error::{KernelError, ShapeError, take};
use crate::exp::exp2_with;
use crate::mat::MatMut;
use crate::simd::{Kernel, LANES, Simd, dispatch};
use core::f32::consts::LN_2;

/// Lanes of a group of blocks of queries, which meet a block of keys while it is in the caches.
const GROUP: usize = 64;

/// Elements of workspace for [`attention_forward`] with rows of `d` and `dv`: about `64 (d + dv + 72)`,
/// however many queries and keys there are; 50 KiB for heads of 64, 37 on 32-bit machines.
pub const fn attention_forward_workspace_len(d: usize, dv: usize) -> usize {
    let outputs = dv.saturating_mul(GROUP);
    outputs
        .saturating_add(group_queries_len(d, GROUP))
        .saturating_add(KEYS * MAX_WIDTH)
        .saturating_add(ALIGN_SLACK)
}

/// `out = softmax(scores) V` and `log_sums[i] = ln sum_j e^(score[i][j])` over the keys seen.
///
/// `out` is `n x dv`, `log_sums` holds `n` values (for
/// [`attention_backward`](super::attention_backward)). A query that sees no key, or only keys whose
/// score is `-inf`, gets zeros and `-inf`.
///
/// # Errors
/// [`ShapeError`] when `out` or `log_sums` do not fit `inputs`; `BufferTooSmall` when `workspace`
/// holds fewer than [`attention_forward_workspace_len`].
///
/// # Precision
/// Within `2e-6` of the largest value's magnitude for scores of ordinary size; scores carry the
/// rounding of their dot product, `1e-7` relative, into the exponent. NaN among what a query sees
/// gives NaN in its output; what it does not see never reaches it, NaN and infinities included.
/// Equal bits within a rounding class; a row's bits do not depend on the other queries.
///
/// ```
/// use barelm_kernels::attention::*;
/// use barelm_kernels::mat::{MatMut, MatRef};
/// let (q, k, v) = ([1.0, 1.0], [1.0, 1.0], [2.0, 4.0]);
/// let [q, k, v] = [&q, &k, &v].map(|x| MatRef::new(x, 2, 1));
/// let inputs = AttentionInputs::new(q?, k?, v?, Mask::Causal { offset: 0 }, 1.0, None)?;
/// let (mut out, mut log_sums) = ([0.0; 2], [0.0; 2]);
/// let mut workspace = vec![0.0; attention_forward_workspace_len(1, 1)];
/// let view = MatMut::new(&mut out, 2, 1)?;
/// attention_forward(view, &mut log_sums, inputs, &mut workspace)?;
/// assert_eq!(out, [2.0, 3.0]);
/// # Ok::<(), barelm_kernels::error::KernelError>(())
/// ```
pub fn attention_forward(
    out: MatMut<'_>,
    log_sums: &mut [f32],
    inputs: AttentionInputs<'_>,
    workspace: &mut [f32],
) -> Result<(), KernelError> {
    let n = inputs.q.rows();
    let (d, dv) = (inputs.q.cols(), inputs.v.cols());
    if out.rows() != n || out.cols() != dv || log_sums.len() != n {
        return Err(ShapeError.into());
    }
    let workspace = take(workspace, attention_forward_workspace_len(d, dv))?;
    dispatch(Forward {
        out,
        log_sums,
        inputs,
        workspace,
    });
    Ok(())
}

pub(super) struct Forward<'a> {
    pub(super) out: MatMut<'a>,
    pub(super) log_sums: &'a mut [f32],
    pub(super) inputs: AttentionInputs<'a>,
    pub(super) workspace: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        if const { S::REGISTERS >= 32 } {
            forward_with::<S, 6, 4, { GROUP / LANES / 4 }>(simd, self);
        } else if const { S::REGISTERS >= 8 } {
            forward_with::<S, 6, 1, { GROUP / LANES }>(simd, self);
        } else if const { S::REGISTERS >= 4 } {
            forward_with::<S, 2, 1, { GROUP / LANES }>(simd, self);
        } else {
            // Without caches a group gains nothing, and its running sums would lie on the stack.
            forward_with::<S, 2, 1, 1>(simd, self);
        }
    }
}

/// With tiles of `R` rows and `V` vectors, and groups of `G` blocks.
#[inline(always)]
fn forward_with<S: Simd, const R: usize, const V: usize, const G: usize>(
    simd: S,
    mut forward: Forward<'_>,
) {
    let inputs = forward.inputs;
    let (width, group) = (V * LANES, G * V * LANES);
    let mut workspace = align(forward.workspace);
    let scores = row::rows_of::<V>(carve(&mut workspace, KEYS * width));
    let mut blocks: [Block<'_, S, V>; G] = [(); G].map(|()| Block {
        queries: Queries::new(simd, inputs, &mut workspace),
        outputs: row::rows_of(carve(&mut workspace, inputs.v.cols() * width)),
        max: row::splat(simd, 0.0),
        sum: row::splat(simd, 0.0),
    });
    for (g, log_sums) in forward.log_sums.chunks_mut(group).enumerate() {
        let (first, mut seen) = (g * group, 0);
        for (b, (block, log_sums)) in blocks.iter_mut().zip(log_sums.chunks(width)).enumerate() {
            block.load(simd, first + b * width, log_sums.len());
            seen = block.queries.seen();
        }
        // At every block of keys, some rows are asked for: of the outputs, and of the next queries
        // and the keys and values that they are the first to see.
        let each = (group * KEYS).div_ceil(seen.max(1));
        for (step, start) in (0..seen).step_by(KEYS).enumerate() {
            let at = first + step * each;
            prefetch_rows(simd, forward.out.as_ref().rows_from(at, each));
            prefetch_rows(simd, inputs.q.rows_from(at + group, each));
            prefetch_rows(simd, inputs.k.rows_from(seen + step * each, each));
            prefetch_rows(simd, inputs.v.rows_from(seen + step * each, each));
            for (block, _) in blocks.iter_mut().zip(log_sums.chunks(width)) {
                block.attend::<R>(simd, start, scores);
            }
        }
        for (block, log_sums) in blocks.iter_mut().zip(log_sums.chunks_mut(width)) {
            block.finish(simd, log_sums);
            simd.call(TransposeFrom::<V, false> {
                block: block.outputs,
                rows: forward.out.reborrow(),
                first: block.queries.first,
                count: block.queries.count,
            });
        }
    }
}

/// The largest of `max` and of the numbers in vector `v` of every row, lane by lane; NaN is not
/// looked at.
#[inline(always)]
fn maxima<S: Simd, const V: usize>(simd: S, rows: &[Stored<V>], v: usize, max: S::V) -> S::V {
    // Chains that do not wait for each other.
    let mut maxima = [max; 4];
    let (rows_of_four, rest) = rows.as_chunks::<4>();
    for rows in rows_of_four {
        for i in 0..4 {
            maxima[i] = simd.max(simd.load(&rows[i][v]), maxima[i]);
        }
    }
    for (max, row) in maxima.iter_mut().zip(rest) {
        *max = simd.max(simd.load(&row[v]), *max);
    }
    let [m0, m1, m2, m3] = maxima;
    simd.max(simd.max(m0, m1), simd.max(m2, m3))
}

/// `x = 2^(x - max)` in vector `v` of every row. Returns the sums over every fourth row, added up.
#[inline(always)]
fn exponentials<S: Simd, const V: usize>(
    simd: S,
    rows: &mut [Stored<V>],
    v: usize,
    max: S::V,
) -> S::V {
    let mut sums = [simd.splat(0.0); 4];
    let (rows_of_four, rest) = rows.as_chunks_mut::<4>();
    for rows in rows_of_four {
        for i in 0..4 {
            sums[i] = add_exponential(simd, &mut rows[i][v], max, sums[i]);
        }
    }
    for (sum, row) in sums.iter_mut().zip(rest) {
        *sum = add_exponential(simd, &mut row[v], max, *sum);
    }
    let [s0, s1, s2, s3] = sums;
    simd.add(simd.add(s0, s1), simd.add(s2, s3))
}

/// `x = 2^(x - max)`. Returns `sum + x`.
#[inline(always)]
fn add_exponential<S: Simd>(simd: S, x: &mut [f32; LANES], max: S::V, sum: S::V) -> S::V {
    let power = exp2_with(simd, simd.sub(simd.load(x), max));
    simd.store(power, x);
    simd.add(sum, power)
}

/// A block of queries and what has been summed for each.
struct Block<'a, S: Simd, const V: usize> {
    queries: Queries<'a, S, V>,
    /// `O^T`.
    outputs: &'a mut [Stored<V>],
    /// Running maximum of the scores.
    max: Row<S, V>,
    /// Running sum of `2^(score - max)`.
    sum: Row<S, V>,
}

impl<S: Simd, const V: usize> Block<'_, S, V> {
    /// Makes this the block of queries from `first` on, before they have seen any key.
    #[inline(always)]
    fn load(&mut self, simd: S, first: usize, count: usize) {
        self.queries.load(simd, first, count);
        self.outputs.fill([[0.0; LANES]; V]);
        // Finite, so that no difference of maxima or of hidden scores is NaN.
        self.max = row::splat(simd, f32::MIN);
        self.sum = row::splat(simd, 0.0);
    }

    /// The queries against what they see of the block of keys from `start` on. `scores` is scratch:
    /// `S^T`, then `P^T`.
    #[inline(always)]
    fn attend<const R: usize>(&mut self, simd: S, start: usize, scores: &mut [Stored<V>]) {
        let keys = self.queries.keys_from(start);
        if keys.count == 0 {
            return;
        }
        self.queries.score::<R>(simd, keys, scores);
        let decay = self.exponentials(simd, keys, scores);
        let scores = scores.get(..keys.count).unwrap_or(&[]);
        self.add_values::<R>(simd, keys, decay, scores);
    }

    /// Turns scores into `2^(score - max)` with the new maximum. Returns the factor by which
    /// everything summed so far shrinks.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    #[cfg_attr(not(target_pointer_width = "32"), inline(always))]
    fn exponentials(&mut self, simd: S, keys: Keys<V>, scores: &mut [Stored<V>]) -> Row<S, V> {
        if const { S::REGISTERS < 4 } {
            return self.narrow_exponentials(simd, scores.get_mut(..keys.count).unwrap_or(&mut []));
        }
        let mut decay = self.max;
        // A vector after the other: what it needs fits the registers.
        for (v, decay) in decay.iter_mut().enumerate() {
            let seen = scores.get_mut(..keys.seen[v]).unwrap_or(&mut []);
            let max = maxima(simd, seen, v, self.max[v]);
            let sum = exponentials(simd, seen, v, max);
            *decay = exp2_with(simd, simd.sub(self.max[v], max));
            self.sum[v] = simd.add(simd.mul(self.sum[v], *decay), sum);
            self.max[v] = max;
        }
        decay
    }

    /// [`Block::exponentials`] where four sums would lie on the stack.
    #[inline(always)]
    fn narrow_exponentials(&mut self, simd: S, scores: &mut [Stored<V>]) -> Row<S, V> {
        let mut max = self.max;
        for stored in scores.iter() {
            max = row::max(simd, row::load(simd, stored), max);
        }
        for stored in scores.iter_mut() {
            let p = row::exp2_of_difference(simd, row::load(simd, stored), max);
            row::store(simd, p, stored);
        }
        let decay = row::exp2_of_difference(simd, self.max, max);
        let sum = row::mul(simd, self.sum, decay);
        self.sum = row::add(simd, sum, row::sum_of_every_fourth(simd, scores));
        self.max = max;
        decay
    }

    /// `O^T = O^T decay + V^T P^T`.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    #[cfg_attr(not(target_pointer_width = "32"), inline(always))]
    fn add_values<const R: usize>(
        &mut self,
        simd: S,
        keys: Keys<V>,
        decay: Row<S, V>,
        weights: &[Stored<V>],
    ) {
        let mut stored = [[0.0; LANES]; V];
        row::store(simd, decay, &mut stored);
        let inputs = self.queries.inputs;
        simd.call(AddColumnsTimes::<R, V> {
            a: inputs.v.rows_from(keys.start, keys.count),
            b: weights,
            out: self.outputs,
            decay: stored,
            clear: keys.clear,
            seen: keys.seen,
            key: keys.start,
            query: inputs.mask.offset().saturating_add(self.queries.first),
        });
    }

    /// `O^T / sum`, and the log-sums in nats.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    #[cfg_attr(not(target_pointer_width = "32"), inline(always))]
    fn finish(&mut self, simd: S, log_sums: &mut [f32]) {
        let (zero, one) = (simd.splat(0.0), simd.splat(1.0));
        let mut factor = self.sum;
        for x in &mut factor {
            // 0 where nothing was seen, NaN where the sum is.
            *x = simd.select_gt(*x, zero, simd.div(one, *x), *x);
        }
        for stored in self.outputs.iter_mut() {
            let sums = row::load(simd, stored);
            row::store(simd, row::mul(simd, sums, factor), stored);
        }
        let (mut max, mut sum) = ([[0.0; LANES]; V], [[0.0; LANES]; V]);
        row::store(simd, self.max, &mut max);
        row::store(simd, self.sum, &mut sum);
        let lanes = max.as_flattened().iter().zip(sum.as_flattened());
        for (log_sum, (max, sum)) in log_sums.iter_mut().zip(lanes) {
            *log_sum = LN_2 * (max + libm::log2f(*sum));
        }
    }
}
