//! Outputs of attention for a block of queries.

use super::AttentionInputs;
use super::decode::attend_with;
use crate::error::{KernelError, ShapeError, take};
use crate::mat::MatMut;
use crate::simd::{Kernel, Simd, dispatch};

/// Elements of workspace for [`attention_forward`] with `n` queries, `m` keys and rows of `d` and
/// `dv`.
pub const fn attention_forward_workspace_len(n: usize, m: usize, d: usize, dv: usize) -> usize {
    let _ = (n, d, dv);
    m
}

/// `out = softmax(scores) V` and `log_sums[i] = ln sum_j e^(score[i][j])` over the keys seen.
///
/// `out` is `n x dv`, `log_sums` holds `n` values (for
/// [`attention_backward`](super::attention_backward)). A query that sees no key gets zeros and
/// `-inf`.
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
/// let mut workspace = vec![0.0; attention_forward_workspace_len(2, 2, 1, 1)];
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
    let (n, m) = (inputs.q.rows(), inputs.k.rows());
    let (d, dv) = (inputs.q.cols(), inputs.v.cols());
    if out.rows() != n || out.cols() != dv || log_sums.len() != n {
        return Err(ShapeError.into());
    }
    let workspace = take(workspace, attention_forward_workspace_len(n, m, d, dv))?;
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
    fn run<S: Simd>(mut self, simd: S) {
        for (i, log_sum) in self.log_sums.iter_mut().enumerate() {
            let out = self.out.row_mut(i);
            *log_sum = attend_with(simd, out, &self.inputs, i, self.workspace);
        }
    }
}
