//! Attention: forward, backward, and one query.

use crate::{Arena, Checksum, sum_of};
use barelm_kernels::attention::{
    self as kernels, AttentionGradients, AttentionInputs, Mask, attend_one_workspace_len,
    attention_backward_workspace_len, attention_forward_workspace_len,
};
use barelm_kernels::mat::{MatMut, MatRef};

/// Queries, keys, width of queries, width of values: more than one block of each.
const N: usize = 37;
const M: usize = 75;
const D: usize = 24;
const DV: usize = 20;

fn inputs<'a>(arena: &mut Arena<'a>, mask: Mask, bias: bool) -> Option<AttentionInputs<'a>> {
    let (q, k, v) = (
        arena.values(N * D)?,
        arena.values(M * D)?,
        arena.values(M * DV)?,
    );
    let bias: Option<&[f32]> = if bias { Some(arena.values(M)?) } else { None };
    let (q, k) = (MatRef::new(q, N, D).ok()?, MatRef::new(k, M, D).ok()?);
    AttentionInputs::new(q, k, MatRef::new(v, M, DV).ok()?, mask, 0.3, bias).ok()
}

/// Outputs and log-sums.
fn forward<'a>(
    arena: &mut Arena<'a>,
    inputs: AttentionInputs<'_>,
) -> Option<(&'a mut [f32], &'a mut [f32])> {
    let workspace = arena.zeros(attention_forward_workspace_len(D, DV))?;
    let (out, log_sums) = (arena.zeros(N * DV)?, arena.zeros(N)?);
    let view = MatMut::new(out, N, DV).ok()?;
    kernels::attention_forward(view, log_sums, inputs, workspace).ok()?;
    Some((out, log_sums))
}

pub fn forward_full(arena: &mut Arena<'_>) -> Option<u64> {
    let inputs = inputs(arena, Mask::Full, false)?;
    let (out, log_sums) = forward(arena, inputs)?;
    Checksum::new().floats(out).floats(log_sums).finish()
}

pub fn forward_causal(arena: &mut Arena<'_>) -> Option<u64> {
    let inputs = inputs(arena, Mask::Causal { offset: M - N }, true)?;
    let (out, log_sums) = forward(arena, inputs)?;
    Checksum::new().floats(out).floats(log_sums).finish()
}

pub fn backward(arena: &mut Arena<'_>) -> Option<u64> {
    let inputs = inputs(arena, Mask::Causal { offset: M - N }, true)?;
    let (out, log_sums) = forward(arena, inputs)?;
    let (dq, dk, dv) = (
        arena.zeros(N * D)?,
        arena.zeros(M * D)?,
        arena.zeros(M * DV)?,
    );
    let (dout, dbias) = (arena.values(N * DV)?, arena.zeros(M)?);
    let workspace = arena.zeros(attention_backward_workspace_len(N, M, D, DV))?;
    let gradients = AttentionGradients {
        dq: MatMut::new(dq, N, D).ok()?,
        dk: MatMut::new(dk, M, D).ok()?,
        dv: MatMut::new(dv, M, DV).ok()?,
        dbias: Some(dbias),
    };
    let (dout, out) = (
        MatRef::new(dout, N, DV).ok()?,
        MatRef::new(out, N, DV).ok()?,
    );
    kernels::attention_backward(gradients, dout, out, log_sums, inputs, workspace).ok()?;
    let sum = Checksum::new().floats(dq).floats(dk);
    sum.floats(dv).floats(dbias).finish()
}

pub fn attend_one(arena: &mut Arena<'_>) -> Option<u64> {
    let (q, k, v) = (
        arena.values(D)?,
        arena.values(M * D)?,
        arena.values(M * DV)?,
    );
    let (bias, out) = (arena.values(M)?, arena.zeros(DV)?);
    let workspace = arena.zeros(attend_one_workspace_len(M))?;
    let (k, v) = (MatRef::new(k, M, D).ok()?, MatRef::new(v, M, DV).ok()?);
    kernels::attend_one(out, q, k, v, 0.3, Some(bias), workspace).ok()?;
    sum_of(out)
}
