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
use super::block::{KEYS, MAX_WIDTH, group_queries_len};
use super::pack::carve;
use crate::aligned::{ALIGN_SLACK, align};
use crate::error::{KernelError, ShapeError, take};
use crate::mat::{MatMut, MatRef};
use crate::simd::{Kernel, LANES, Simd, dispatch};
use group::Group;

mod block;
mod group;

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
/// `dv`: about `128 (3 d + 2 dv + 330) + n + m`, 325 KiB for heads of 64, and less than half of it
/// on 32-bit machines.
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
        group.load(simd, first, &dout, &out, log_sums);
        let last = (first + width).min(n) - 1;
        let seen = inputs.mask.visible(last, m);
        group.add_to_gradients::<R>(simd, seen, [&dout, &out], &mut gradients);
    }
    if let Some(dbias) = gradients.dbias {
        group.add_to_bias(dbias);
    }
}
