//! One query against a key-value cache: a step of generation.
//!
//! The work is two dot products' worth for each number read, so it runs at the speed at which the
//! cache arrives: one pass over the keys for the scores, one over the values for their mean.

use super::{AttentionInputs, Mask};
use crate::error::{KernelError, ShapeError, take};
use crate::mat::MatRef;
use crate::simd::{Kernel, LANES, Simd, dispatch};
use crate::softmax::Exponentials;

/// Elements of workspace for [`attend_one`] over `m` keys.
pub const fn attend_one_workspace_len(m: usize) -> usize {
    m
}

/// `out = softmax(scale K q + bias) V` for the query at the last position, `m - 1`.
///
/// `q` holds `d` values, `k` is `m x d`, `v` is `m x dv`, `out` holds `dv` values; `bias[t]` is
/// added to the score of the key `t` positions back. Without keys, or where all scores are `-inf`,
/// `out` is 0.
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
        scores(simd, &self.inputs, self.weights);
        let factor = simd.call(Exponentials { x: self.weights });
        let mut column = 0;
        while let Some(out) = self.out.get_mut(column..).filter(|out| !out.is_empty()) {
            let (weights, v) = (&*self.weights, self.inputs.v);
            column += match out.len() / LANES {
                _ if const { S::REGISTERS < 4 } => {
                    weighted_sum::<S, 1>(simd, weights, v, column, factor, out)
                }
                8.. => weighted_sum::<S, 8>(simd, weights, v, column, factor, out),
                4..8 => weighted_sum::<S, 4>(simd, weights, v, column, factor, out),
                _ => weighted_sum::<S, 1>(simd, weights, v, column, factor, out),
            };
        }
    }
}

/// Scores of sixteen keys at a time: lanes of products, transposed and added up.
#[inline(always)]
fn scores<S: Simd>(simd: S, inputs: &AttentionInputs<'_>, scores: &mut [f32]) {
    let q = inputs.q.row(0);
    if const { S::REGISTERS < 4 } {
        narrow_scores(simd, inputs, scores);
        return add_bias(inputs, scores);
    }
    let scale = simd.splat(inputs.scale);
    for (b, scores) in scores.chunks_mut(LANES).enumerate() {
        let mut sums = [simd.splat(0.0); LANES];
        for (r, sum) in sums.iter_mut().enumerate().take(scores.len()) {
            *sum = products(simd, q, inputs.k.row(b * LANES + r));
        }
        let mut total = simd.splat(0.0);
        for column in simd.transpose(sums) {
            total = simd.add(total, column);
        }
        simd.store_partial(simd.mul(total, scale), scores);
    }
    add_bias(inputs, scores);
}

/// One key after the other, where sixteen vectors would not fit the registers: the same sums.
#[inline(always)]
fn narrow_scores<S: Simd>(simd: S, inputs: &AttentionInputs<'_>, scores: &mut [f32]) {
    for (j, score) in scores.iter_mut().enumerate() {
        let mut lanes = [0.0; LANES];
        simd.store(products(simd, inputs.q.row(0), inputs.k.row(j)), &mut lanes);
        *score = lanes.iter().fold(0.0, |sum, lane| sum + lane) * inputs.scale;
    }
}

#[inline(always)]
fn add_bias(inputs: &AttentionInputs<'_>, scores: &mut [f32]) {
    let bias = inputs.bias.unwrap_or(&[]);
    for (score, bias) in scores.iter_mut().rev().zip(bias) {
        *score += bias;
    }
}

/// Lane `l` is the sum of `q[i] k[i]` over all `i` that leave `l` when divided by sixteen.
#[inline(always)]
fn products<S: Simd>(simd: S, q: &[f32], k: &[f32]) -> S::V {
    let mut sum = simd.splat(0.0);
    let (q_chunks, q_tail) = q.as_chunks::<LANES>();
    let (k_chunks, k_tail) = k.as_chunks::<LANES>();
    for (q, k) in q_chunks.iter().zip(k_chunks) {
        sum = simd.mul_add(simd.load(q), simd.load(k), sum);
    }
    if !k_tail.is_empty() {
        sum = simd.mul_add(simd.load_partial(q_tail), simd.load_partial(k_tail), sum);
    }
    sum
}

/// `out = factor sum_j weights[j] v[j]` for up to `T` vectors of columns from `column` on; returns
/// how many columns that were.
#[inline(always)]
fn weighted_sum<S: Simd, const T: usize>(
    simd: S,
    weights: &[f32],
    v: MatRef<'_>,
    column: usize,
    factor: f32,
    out: &mut [f32],
) -> usize {
    let mut sums = [simd.splat(0.0); T];
    for (j, weight) in weights.iter().enumerate() {
        let row = v.row(j).get(column..).unwrap_or(&[]);
        let weight = simd.splat(*weight);
        let (chunks, tail) = row.as_chunks::<LANES>();
        match chunks.first_chunk::<T>() {
            Some(chunks) => {
                for t in 0..T {
                    sums[t] = simd.mul_add(weight, simd.load(&chunks[t]), sums[t]);
                }
            }
            // One vector that the row ends in.
            None => sums[0] = simd.mul_add(weight, simd.load_partial(tail), sums[0]),
        }
    }
    let factor = simd.splat(factor);
    for (sum, out) in sums.into_iter().zip(out.chunks_mut(LANES)) {
        simd.store_partial(simd.mul(sum, factor), out);
    }
    out.len().min(T * LANES)
}
