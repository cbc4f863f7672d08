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
use crate::blas1::{axpy_with, dot_with};
use crate::error::{KernelError, ShapeError, take};
use crate::mat::{MatMut, MatRef};
use crate::simd::{Kernel, Simd, dispatch};

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
/// `dv`.
pub const fn attention_backward_workspace_len(n: usize, m: usize, d: usize, dv: usize) -> usize {
    let _ = (m, d, dv);
    n
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
    fn run<S: Simd>(mut self, simd: S) {
        for (i, log_sum) in self.log_sums.iter().enumerate() {
            if let Some(mean) = self.workspace.get_mut(i) {
                *mean = dot_with(simd, self.dout.row(i), self.out.row(i));
            }
            for j in 0..self.inputs.mask.visible(i, self.inputs.k.rows()) {
                pair(simd, &mut self, i, j, *log_sum);
            }
        }
    }
}

/// What query `i` and key `j` add to the gradients.
#[inline(always)]
fn pair<S: Simd>(simd: S, backward: &mut Backward<'_>, i: usize, j: usize, log_sum: f32) {
    let AttentionInputs {
        q,
        k,
        v,
        scale,
        bias,
        mask,
    } = backward.inputs;
    let distance = (mask.offset() + i).abs_diff(j);
    let bias = bias.and_then(|bias| bias.get(distance)).unwrap_or(&0.0);
    let score = scale * dot_with(simd, q.row(i), k.row(j)) + bias;
    let p = if score == f32::NEG_INFINITY {
        0.0
    } else {
        libm::expf(score - log_sum)
    };
    let dout = backward.dout.row(i);
    let mean = backward.workspace.get(i).unwrap_or(&0.0);
    let ds = p * (dot_with(simd, dout, v.row(j)) - mean);
    let gradients = &mut backward.gradients;
    axpy_with(simd, p, dout, gradients.dv.row_mut(j));
    axpy_with(simd, scale * ds, k.row(j), gradients.dq.row_mut(i));
    axpy_with(simd, scale * ds, q.row(i), gradients.dk.row_mut(j));
    let dbias = gradients.dbias.as_mut();
    if let Some(dbias) = dbias.and_then(|dbias| dbias.get_mut(distance)) {
        *dbias += ds;
    }
}
