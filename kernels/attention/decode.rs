//! One query against a key-value cache: a step of generation.
//!
//! The work is two dot products' worth for each number read, so it runs at the speed at which the
//! cache arrives: one pass over the keys for the scores, one over the values for their mean.

use super::{AttentionInputs, Mask};
use crate::blas1::dot_with;
use crate::error::{KernelError, ShapeError, take};
use crate::mat::MatRef;
use crate::simd::{Kernel, LANES, Simd, dispatch};
use crate::softmax::{exp_of_difference_with, finite_max_with};

/// Elements of workspace for [`attend_one`] over `m` keys.
pub const fn attend_one_workspace_len(m: usize) -> usize {
    m
}

/// `out = softmax(scale K q + bias) V` for the query at the last position, `m - 1`.
///
/// `q` holds `d` values, `k` is `m x d`, `v` is `m x dv`, `out` holds `dv` values; `bias[t]` is
/// added to the score of the key `t` positions back. Without keys `out` is 0.
///
/// # Errors
/// [`ShapeError`] when the shapes differ or `bias` holds fewer than `m` values; `BufferTooSmall`
/// when `workspace` holds fewer than [`attend_one_workspace_len`].
///
/// # Precision
/// As [`attention_forward`](super::attention_forward), which agrees with it within the same
/// tolerance, not bit for bit.
///
/// ```
/// use barelm_kernels::{attention::attend_one, mat::MatRef};
/// let (keys, values) = ([1.0, 1.0], [2.0, 4.0]);
/// let (k, v) = (MatRef::new(&keys, 2, 1)?, MatRef::new(&values, 2, 1)?);
/// let (mut out, mut workspace) = ([0.0], [0.0; 2]);
/// attend_one(&mut out, &[5.0], k, v, 1.0, None, &mut workspace)?;
/// assert_eq!(out, [3.0]);
/// # Ok::<(), barelm_kernels::error::KernelError>(())
/// ```
pub fn attend_one(
    out: &mut [f32],
    q: &[f32],
    k: MatRef<'_>,
    v: MatRef<'_>,
    scale: f32,
    bias: Option<&[f32]>,
    workspace: &mut [f32],
) -> Result<(), KernelError> {
    let offset = k.rows().saturating_sub(1);
    let query = MatRef::new(q, 1, q.len())?;
    let inputs = AttentionInputs::new(query, k, v, Mask::Causal { offset }, scale, bias)?;
    if out.len() != v.cols() {
        return Err(ShapeError.into());
    }
    let weights = take(workspace, attend_one_workspace_len(k.rows()))?;
    dispatch(AttendOne {
        out,
        inputs,
        weights,
    });
    Ok(())
}

pub(super) struct AttendOne<'a> {
    pub(super) out: &'a mut [f32],
    pub(super) inputs: AttentionInputs<'a>,
    pub(super) weights: &'a mut [f32],
}

impl Kernel for AttendOne<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        attend_with(simd, self.out, &self.inputs, 0, self.weights);
    }
}

/// Query `i` against the keys that it sees; returns the log-sum-exp of its scores.
#[inline(always)]
pub(super) fn attend_with<S: Simd>(
    simd: S,
    out: &mut [f32],
    inputs: &AttentionInputs<'_>,
    i: usize,
    weights: &mut [f32],
) -> f32 {
    let visible = inputs.mask.visible(i, inputs.k.rows());
    let weights = weights.get_mut(..visible).unwrap_or(&mut []);
    scores(simd, inputs, i, weights);
    let shift = finite_max_with(simd, weights);
    let sum = exp_of_difference_with(simd, weights, shift);
    let factor = if visible == 0 { 0.0 } else { 1.0 / sum };
    weighted_sum(simd, weights, inputs.v, factor, out);
    shift + libm::logf(sum)
}

#[inline(always)]
fn scores<S: Simd>(simd: S, inputs: &AttentionInputs<'_>, i: usize, scores: &mut [f32]) {
    let q = inputs.q.row(i);
    for (j, score) in scores.iter_mut().enumerate() {
        *score = inputs.scale * dot_with(simd, q, inputs.k.row(j));
    }
    let position = inputs.mask.offset() + i;
    if let Some(bias) = inputs.bias {
        for (j, score) in scores.iter_mut().enumerate() {
            *score += bias.get(position.abs_diff(j)).copied().unwrap_or(0.0);
        }
    }
}

/// `out = factor * sum_j weights[j] * (row j of v)`.
#[inline(always)]
fn weighted_sum<S: Simd>(simd: S, weights: &[f32], v: MatRef<'_>, factor: f32, out: &mut [f32]) {
    let factor = simd.splat(factor);
    let mut start = 0;
    for tile in out.chunks_mut(4 * LANES) {
        let mut sums = [simd.splat(0.0); 4];
        for (j, weight) in weights.iter().enumerate() {
            let row = v.row(j).get(start..start + tile.len()).unwrap_or(&[]);
            let weight = simd.splat(*weight);
            let (chunks, tail) = row.as_chunks::<LANES>();
            for (sum, x) in sums.iter_mut().zip(chunks) {
                *sum = simd.mul_add(weight, simd.load(x), *sum);
            }
            if !tail.is_empty()
                && let Some(sum) = sums.get_mut(chunks.len())
            {
                *sum = simd.mul_add(weight, simd.load_partial(tail), *sum);
            }
        }
        start += tile.len();
        for (sum, out) in sums.into_iter().zip(tile.chunks_mut(LANES)) {
            simd.store_partial(simd.mul(sum, factor), out);
        }
    }
}
