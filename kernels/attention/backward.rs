//! Gradients of attention, from the outputs and log-sums of the forward pass.
//!
//! With `P[i][j] = e^(score[i][j] - log_sums[i])` computed again, `dO` the gradient of the outputs
//! and `D_i = dO_i . O_i`:
//!
//! ```text
//! dP[i][j] = dO_i . v_j              dV_j    += sum_i P[i][j] dO_i
//! dS[i][j] = P[i][j] (dP[i][j] - D_i)
//! dQ_i    += scale sum_j dS[i][j] k_j    dK_j += scale sum_i dS[i][j] q_i
//! dbias[|p_i - j|] += dS[i][j]
//! ```

use super::AttentionInputs;
use super::block::{KEYS, Keys, MAX_WIDTH, Queries, group_queries_len};
use super::pack::{TransposeFrom, TransposeInto, carve, copy_panels, prefetch_rows};
use super::row::{self, Row, Stored};
use super::tile::{AddColumnsTimes, AddRowsTimes, RowsTimes};
use crate::aligned::{ALIGN_SLACK, align};
use crate::blas1::dot_with;
use crate::error::{KernelError, ShapeError, take};
use crate::mat::{MatMut, MatRef};
use crate::simd::{Kernel, LANES, Simd, dispatch};
use core::f32::consts::LOG2_E;

/// Lanes of a group of blocks of queries. The more there are, the less often the gradients of all
/// keys are read and written.
const GROUP: usize = if cfg!(target_pointer_width = "32") {
    64
} else {
    128
};

/// Where [`attention_backward`] adds its results.
#[derive(Debug)]
pub struct AttentionGradients<'a> {
    /// Gradient of the queries, `n x d`.
    pub dq: MatMut<'a>,
    /// Gradient of the keys, `m x d`.
    pub dk: MatMut<'a>,
    /// Gradient of the values, `m x dv`.
    pub dv: MatMut<'a>,
    /// Gradient of the bias, as long as the bias; needs inputs with a bias.
    pub dbias: Option<&'a mut [f32]>,
}

/// Elements of workspace for [`attention_backward`] with `n` queries, `m` keys and rows of `d` and
/// `dv`: about `128 (3 d + 2 dv + 330) + n + m`, 324 KiB for heads of 64; half of that on 32-bit machines.
pub const fn attention_backward_workspace_len(n: usize, m: usize, d: usize, dv: usize) -> usize {
    let columns = d.saturating_mul(2).saturating_add(dv.saturating_mul(2));
    let rows = columns.saturating_add(2 * KEYS + 2 * MAX_WIDTH);
    let group = rows.saturating_mul(GROUP);
    let diagonals = n.saturating_add(m).saturating_add(KEYS + 2 * MAX_WIDTH);
    group
        .saturating_add(group_queries_len(d, GROUP))
        .saturating_add(2 * KEYS * MAX_WIDTH)
        .saturating_add(diagonals)
        .saturating_add(ALIGN_SLACK)
}

/// Adds the gradients of `sum_ij dout[i][j] out[i][j]` to `gradients`.
///
/// `dout` and `out` are `n x dv`; `out` and `log_sums` are what
/// [`attention_forward`](super::attention_forward) wrote for the same `inputs`.
///
/// # Errors
/// [`ShapeError`] when an operand does not fit `inputs`, or `dbias` is given and is not as long as
/// the bias; `BufferTooSmall` when `workspace` holds fewer than
/// [`attention_backward_workspace_len`].
///
/// # Precision
/// Within `1e-5` of the magnitudes that each gradient adds up, for scores of ordinary size. What a
/// query does not see gets no gradient from it. Equal bits within a rounding class for finite
/// operands; NaN in `dout` may also reach keys that other queries of its group see, and groups are
/// smaller on 32-bit machines.
///
/// ```
/// use barelm_kernels::attention::*;
/// use barelm_kernels::mat::{MatMut, MatRef};
/// let (q, k, v, out) = ([1.0, 1.0], [1.0, 1.0], [2.0, 4.0], [3.0, 3.0]);
/// let [q, k, v, out] = [&q, &k, &v, &out].map(|x| MatRef::new(x, 2, 1));
/// let inputs = AttentionInputs::new(q?, k?, v?, Mask::Full, 1.0, None)?;
/// let (mut dq, mut dk, mut dv) = ([0.0; 2], [0.0; 2], [0.0; 2]);
/// let gradients = AttentionGradients {
///     dq: MatMut::new(&mut dq, 2, 1)?,
///     dk: MatMut::new(&mut dk, 2, 1)?,
///     dv: MatMut::new(&mut dv, 2, 1)?,
///     dbias: None,
/// };
/// let log_sums = [1.0 + 2.0_f32.ln(); 2];
/// let dout = MatRef::new(&[1.0, 1.0], 2, 1)?;
/// let mut workspace = vec![0.0; attention_backward_workspace_len(2, 2, 1, 1)];
/// attention_backward(gradients, dout, out?, &log_sums, inputs, &mut workspace)?;
/// assert!((dv[0] - 1.0).abs() < 1e-6 && (dk[1] - 1.0).abs() < 1e-6 && dq[0].abs() < 1e-6);
/// # Ok::<(), barelm_kernels::error::KernelError>(())
/// ```
pub fn attention_backward(
    gradients: AttentionGradients<'_>,
    dout: MatRef<'_>,
    out: MatRef<'_>,
    log_sums: &[f32],
    inputs: AttentionInputs<'_>,
    workspace: &mut [f32],
) -> Result<(), KernelError> {
    let (n, m) = (inputs.q.rows(), inputs.k.rows());
    let (d, dv) = (inputs.q.cols(), inputs.v.cols());
    let backward = Backward {
        gradients,
        dout,
        out,
        log_sums,
        inputs,
        workspace: take(workspace, attention_backward_workspace_len(n, m, d, dv))?,
    };
    if !backward.fits() {
        return Err(ShapeError.into());
    }
    dispatch(backward);
    Ok(())
}

pub(super) struct Backward<'a> {
    pub(super) gradients: AttentionGradients<'a>,
    pub(super) dout: MatRef<'a>,
    pub(super) out: MatRef<'a>,
    pub(super) log_sums: &'a [f32],
    pub(super) inputs: AttentionInputs<'a>,
    pub(super) workspace: &'a mut [f32],
}

impl Backward<'_> {
    fn fits(&self) -> bool {
        let AttentionInputs { q, k, v, bias, .. } = self.inputs;
        let shape = |x: &MatMut<'_>| (x.rows(), x.cols());
        let outputs = (q.rows(), v.cols());
        let dbias = self.gradients.dbias.as_ref().map(|dbias| dbias.len());
        shape(&self.gradients.dq) == (q.rows(), q.cols())
            && shape(&self.gradients.dk) == (k.rows(), k.cols())
            && shape(&self.gradients.dv) == (v.rows(), v.cols())
            && (self.dout.rows(), self.dout.cols()) == outputs
            && (self.out.rows(), self.out.cols()) == outputs
            && self.log_sums.len() == q.rows()
            && (dbias.is_none() || dbias == bias.map(<[f32]>::len))
    }
}

impl Kernel for Backward<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        if const { S::REGISTERS >= 32 } {
            backward_with::<S, 6, 4, { GROUP / LANES / 4 }>(simd, self);
        } else if const { S::REGISTERS >= 8 } {
            backward_with::<S, 6, 1, { GROUP / LANES }>(simd, self);
        } else if const { S::REGISTERS >= 4 } {
            backward_with::<S, 2, 1, { GROUP / LANES }>(simd, self);
        } else {
            // What blocks keep would lie on the stack: one at a time adds the same up in the same order.
            backward_with::<S, 1, 1, 1>(simd, self);
        }
    }
}

/// With tiles of `R` rows and `V` vectors, and groups of `G` blocks.
#[cfg_attr(target_pointer_width = "32", inline(never))]
#[cfg_attr(not(target_pointer_width = "32"), inline(always))]
fn backward_with<S: Simd, const R: usize, const V: usize, const G: usize>(
    simd: S,
    backward: Backward<'_>,
) {
    let Backward {
        mut gradients,
        dout,
        out,
        log_sums,
        inputs,
        workspace,
    } = backward;
    let (n, m) = (inputs.q.rows(), inputs.k.rows());
    let mut workspace = align(workspace);
    let mut group = Group::<S, V, G>::new(simd, &inputs, &mut workspace);
    group.diagonals = match gradients.dbias {
        Some(_) => carve(&mut workspace, n + m + KEYS + 2 * MAX_WIDTH),
        None => &mut [],
    };
    group.diagonals.fill(0.0);
    let width = Group::<S, V, G>::ALL;
    for first in (0..n).step_by(width) {
        let count = (n - first).min(width);
        group.load(simd, first, dout.rows_from(first, count), out, log_sums);
        let seen = inputs.mask.visible(first + count - 1, m);
        let next = [inputs.q, dout, out].map(|rows| rows.rows_from(first + width, width));
        group.add_to_gradients::<R>(simd, seen, next, &mut gradients);
    }
    if let Some(dbias) = gradients.dbias {
        group.add_to_bias(dbias);
    }
}

/// A block of queries and what the gradients need of each.
struct Block<'a, S: Simd, const V: usize> {
    queries: Queries<'a, S, V>,
    /// `dO^T`.
    dout: &'a mut [Stored<V>],
    /// `dQ^T`.
    dq: &'a mut [Stored<V>],
    /// Log-sums to the base 2.
    log_sums: Row<S, V>,
    /// `D`.
    means: Row<S, V>,
}

impl<'a, S: Simd, const V: usize> Block<'a, S, V> {
    #[inline(always)]
    fn new(simd: S, inputs: AttentionInputs<'a>, workspace: &mut &'a mut [f32]) -> Self {
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
    fn load(&mut self, simd: S, first: usize, dout: MatRef<'_>, out: MatRef<'_>, log_sums: &[f32]) {
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
    fn add_to_queries<const R: usize>(&mut self, simd: S, keys: Keys<V>, dscores: &[Stored<V>]) {
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

/// Blocks of queries that meet the same keys one after the other, so that keys gather what many
/// queries have for them at a time.
struct Group<'a, S: Simd, const V: usize, const G: usize> {
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
    diagonals: &'a mut [f32],
}

impl<'a, S: Simd, const V: usize, const G: usize> Group<'a, S, V, G> {
    /// Lanes of a block, and of all of them.
    const WIDTH: usize = V * LANES;
    const ALL: usize = G * Self::WIDTH;

    #[cfg_attr(target_pointer_width = "32", inline(never))]
    #[cfg_attr(not(target_pointer_width = "32"), inline(always))]
    fn new(simd: S, inputs: &AttentionInputs<'a>, workspace: &mut &'a mut [f32]) -> Self {
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

    /// Makes this the group of queries from `first` on, whose rows of `dO` are `dout`.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    #[cfg_attr(not(target_pointer_width = "32"), inline(always))]
    fn load(&mut self, simd: S, first: usize, dout: MatRef<'_>, out: MatRef<'_>, log_sums: &[f32]) {
        self.count = dout.rows();
        for (b, block) in self.blocks.iter_mut().enumerate() {
            let at = (b * Self::WIDTH).min(self.count);
            let count = Self::WIDTH.min(self.count - at);
            block.load(simd, first + at, dout.rows_from(at, count), out, log_sums);
        }
        if let Some(block) = self.blocks.first() {
            let q = block.queries.inputs.q.rows_from(first, self.count);
            copy_panels(self.q_panels, Self::ALL, q);
            copy_panels(self.dout_panels, Self::ALL, dout);
        }
    }

    /// Adds the gradients that belong to the queries of the group, of which one at least sees the
    /// first `seen` keys. Meanwhile the rows of the `next` group are asked for.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    #[cfg_attr(not(target_pointer_width = "32"), inline(always))]
    fn add_to_gradients<const R: usize>(
        &mut self,
        simd: S,
        seen: usize,
        next: [MatRef<'_>; 3],
        gradients: &mut AttentionGradients<'_>,
    ) {
        let each = (Self::ALL * KEYS).div_ceil(seen.max(1));
        for (step, start) in (0..seen).step_by(KEYS).enumerate() {
            for rows in next {
                prefetch_rows(simd, rows.rows_from(step * each, each));
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
        // Later queries see no less: the last block sees all keys that any does.
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
    fn add_to_bias(&self, dbias: &mut [f32]) {
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
