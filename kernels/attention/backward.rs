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
use super::block::{KEYS, Keys, MAX_WIDTH, Queries};
use super::pack::{ALIGN_SLACK, TransposeFrom, TransposeInto, align, carve, copy_panels};
use super::row::{self, Row, Stored};
use super::tile::{AddColumnsTimes, AddRowsTimes, RowsTimes};
use crate::blas1::dot_with;
use crate::error::{KernelError, ShapeError, take};
use crate::mat::{MatMut, MatRef};
use crate::simd::{Kernel, LANES, Simd, dispatch};
use core::f32::consts::LOG2_E;

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
/// `dv`: about `32 (3 d + 2 dv + 194) + n + m`; 65 KiB for heads of 64.
pub const fn attention_backward_workspace_len(n: usize, m: usize, d: usize, dv: usize) -> usize {
    let columns = d.saturating_mul(3).saturating_add(dv.saturating_mul(2));
    let rows = columns.saturating_add(2 * KEYS + 2 * MAX_WIDTH);
    let diagonals = n.saturating_add(m).saturating_add(KEYS + 2 * MAX_WIDTH);
    let blocks = rows
        .saturating_mul(MAX_WIDTH)
        .saturating_add(KEYS + MAX_WIDTH);
    blocks.saturating_add(diagonals).saturating_add(ALIGN_SLACK)
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
/// query does not see gets no gradient from it. Equal bits within a rounding class.
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
            backward_with::<S, 8, 2>(simd, self);
        } else if const { S::REGISTERS >= 8 } {
            backward_with::<S, 6, 1>(simd, self);
        } else {
            backward_with::<S, 2, 1>(simd, self);
        }
    }
}

/// With tiles of `R` rows and `V` vectors.
#[inline(always)]
fn backward_with<S: Simd, const R: usize, const V: usize>(simd: S, backward: Backward<'_>) {
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
    let mut block = Block::<S, V>::new(simd, inputs, &mut workspace);
    block.diagonals = match gradients.dbias {
        Some(_) => carve(&mut workspace, n + m + KEYS + 2 * MAX_WIDTH),
        None => &mut [],
    };
    block.diagonals.fill(0.0);
    for first in (0..n).step_by(V * LANES) {
        let count = (n - first).min(V * LANES);
        block.load(simd, first, dout.rows_from(first, count), out, log_sums);
        for keys in block.queries.blocks() {
            block.weigh::<R>(simd, keys);
            block.add_to_queries::<R>(simd, keys);
            block.add_to_keys::<R>(simd, keys, &mut gradients);
        }
        simd.call(TransposeFrom::<V, true> {
            block: block.dq,
            rows: gradients.dq.reborrow(),
            first,
            count,
        });
    }
    if let Some(dbias) = gradients.dbias {
        block.add_to_bias(dbias);
    }
}

/// A block of queries and what the gradients need of each.
struct Block<'a, S: Simd, const V: usize> {
    queries: Queries<'a, S, V>,
    /// `dO^T`.
    dout: &'a mut [Stored<V>],
    /// `Q` and `dO` by panels of columns.
    q_panels: &'a mut [Stored<V>],
    dout_panels: &'a mut [Stored<V>],
    /// `dQ^T`.
    dq: &'a mut [Stored<V>],
    /// `S^T`, then `P^T`.
    weights: &'a mut [Stored<V>],
    /// `dP^T`, then `scale dS^T`.
    dscores: &'a mut [Stored<V>],
    /// Sum of `dS` over each diagonal `i - j`, the one of the first query and the last key first.
    diagonals: &'a mut [f32],
    /// Log-sums to the base 2.
    log_sums: Row<S, V>,
    /// `D`.
    means: Row<S, V>,
}

impl<'a, S: Simd, const V: usize> Block<'a, S, V> {
    const WIDTH: usize = V * LANES;

    #[inline(always)]
    fn new(simd: S, inputs: AttentionInputs<'a>, workspace: &mut &'a mut [f32]) -> Self {
        let (d, dv) = (inputs.q.cols(), inputs.v.cols());
        let panels = |cols: usize| cols.div_ceil(Self::WIDTH) * Self::WIDTH;
        let queries = Queries::new(simd, inputs, workspace);
        let mut rows = |rows: usize| row::rows_of(carve(workspace, rows * Self::WIDTH));
        Self {
            queries,
            dout: rows(dv),
            q_panels: rows(panels(d)),
            dout_panels: rows(panels(dv)),
            dq: rows(d),
            weights: rows(KEYS),
            dscores: rows(KEYS),
            diagonals: &mut [],
            log_sums: row::splat(simd, 0.0),
            means: row::splat(simd, 0.0),
        }
    }

    /// Makes this the block of queries from `first` on, whose rows of `dO` are `dout`.
    #[inline(always)]
    fn load(&mut self, simd: S, first: usize, dout: MatRef<'_>, out: MatRef<'_>, log_sums: &[f32]) {
        let count = dout.rows();
        self.queries.load(simd, first, count);
        simd.call(TransposeInto {
            block: self.dout,
            rows: dout,
            factor: 1.0,
        });
        copy_panels(
            self.q_panels,
            Self::WIDTH,
            self.queries.inputs.q.rows_from(first, count),
        );
        copy_panels(self.dout_panels, Self::WIDTH, dout);
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

    /// `P^T` and `scale dS^T` for a block of keys.
    #[inline(always)]
    fn weigh<const R: usize>(&mut self, simd: S, keys: Keys) {
        let AttentionInputs { v, scale, .. } = self.queries.inputs;
        self.queries.score::<R>(simd, keys, self.weights);
        simd.call(RowsTimes::<R, V> {
            a: v.rows_from(keys.start, keys.count),
            b: self.dout,
            out: self.dscores,
        });
        let scale = row::splat(simd, scale);
        let rows = self.weights.iter_mut().zip(self.dscores.iter_mut());
        for (j, (weight, dscore)) in rows.enumerate().take(keys.count) {
            let p = row::exp2_of_difference(simd, row::load(simd, weight), self.log_sums);
            let dp = row::sub(simd, row::load(simd, dscore), self.means);
            let mut ds = row::mul(simd, p, dp);
            if j >= keys.clear {
                // 0 even where the key or its value holds NaN.
                let limit = self.queries.diagonal.limit(simd, keys.start + j);
                let zero = row::splat(simd, 0.0);
                ds = self.queries.diagonal.select(simd, limit, ds, zero);
            }
            row::store(simd, p, weight);
            row::store(simd, row::mul(simd, ds, scale), dscore);
            if !self.diagonals.is_empty() {
                let last = self.queries.inputs.k.rows() - 1;
                let at = self.queries.first + last - (keys.start + j);
                add_to_diagonals(simd, self.diagonals, at, ds);
            }
        }
    }

    /// `dQ^T += K^T (scale dS^T)`.
    #[inline(always)]
    fn add_to_queries<const R: usize>(&mut self, simd: S, keys: Keys) {
        let inputs = self.queries.inputs;
        simd.call(AddColumnsTimes::<R, V> {
            a: inputs.k.rows_from(keys.start, keys.count),
            b: self.dscores.get(..keys.count).unwrap_or(&[]),
            out: self.dq,
            decay: [[1.0; LANES]; V],
            clear: keys.clear,
            key: keys.start,
            query: inputs.mask.offset().saturating_add(self.queries.first),
        });
    }

    /// `dV += P^T dO` and `dK += (scale dS^T) Q`.
    #[inline(always)]
    fn add_to_keys<const R: usize>(
        &mut self,
        simd: S,
        keys: Keys,
        gradients: &mut AttentionGradients<'_>,
    ) {
        let count = self.queries.count;
        let operands = [
            (&*self.weights, &*self.dout_panels, &mut gradients.dv),
            (&*self.dscores, &*self.q_panels, &mut gradients.dk),
        ];
        for (factors, panels, out) in operands {
            let factors = factors.as_flattened().as_flattened();
            let Ok(a) = MatRef::with_stride(factors, keys.count, count, Self::WIDTH) else {
                return;
            };
            for (p, panel) in panels.chunks(Self::WIDTH).enumerate() {
                simd.call(AddRowsTimes::<R, V> {
                    a,
                    b: panel.get(..count).unwrap_or(&[]),
                    out: out.reborrow(),
                    row: keys.start,
                    column: p * Self::WIDTH,
                });
            }
        }
    }

    /// Sums the diagonals of each distance.
    #[inline(always)]
    fn add_to_bias(&self, dbias: &mut [f32]) {
        let AttentionInputs { q, k, mask, .. } = self.queries.inputs;
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
