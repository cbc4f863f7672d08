//! What a transformer adds: normalisation, rotary positions, gates; forward and backward.

use crate::{Arena, Checksum, sum_of};
use barelm_kernels::mat::{MatMut, MatRef};
use barelm_kernels::{rms_norm, rope, swiglu};

/// Rows and columns.
const N: usize = 5;
const D: usize = 44;

pub fn rms_norm_forward(arena: &mut Arena<'_>) -> Option<u64> {
    let (x, weight) = (arena.values(N * D)?, arena.values(D)?);
    let (out, inverse_rms) = (arena.zeros(N * D)?, arena.zeros(N)?);
    let (view, x) = (MatMut::new(out, N, D).ok()?, MatRef::new(x, N, D).ok()?);
    rms_norm::rms_norm_forward(view, inverse_rms, x, weight, 1e-5).ok()?;
    Checksum::new().floats(out).floats(inverse_rms).finish()
}

pub fn rms_norm_backward(arena: &mut Arena<'_>) -> Option<u64> {
    let (x, weight, dout) = (arena.values(N * D)?, arena.values(D)?, arena.values(N * D)?);
    let (dx, dweight, inverse_rms) = (arena.zeros(N * D)?, arena.zeros(D)?, arena.values(N)?);
    let (x, dout) = (MatRef::new(x, N, D).ok()?, MatRef::new(dout, N, D).ok()?);
    let view = MatMut::new(dx, N, D).ok()?;
    rms_norm::rms_norm_backward(view, dweight, dout, x, weight, inverse_rms).ok()?;
    Checksum::new().floats(dx).floats(dweight).finish()
}

/// Cosines and sines of a row for each position.
fn angles<'a>(arena: &mut Arena<'a>) -> Option<(&'a mut [f32], &'a mut [f32])> {
    let (frequencies, cos, sin) = (arena.zeros(11)?, arena.zeros(N * 11)?, arena.zeros(N * 11)?);
    rope::rope_frequencies_into(1e4, frequencies);
    let rows = cos.chunks_exact_mut(11).zip(sin.chunks_exact_mut(11));
    for (t, (cos, sin)) in rows.enumerate() {
        rope::rope_angles_into(29 * t, frequencies, cos, sin).ok()?;
    }
    Some((cos, sin))
}

pub fn rope_angles(arena: &mut Arena<'_>) -> Option<u64> {
    let (cos, sin) = angles(arena)?;
    Checksum::new().floats(cos).floats(sin).finish()
}

pub fn rope_forward(arena: &mut Arena<'_>) -> Option<u64> {
    let ((cos, sin), x) = (angles(arena)?, arena.values(N * D)?);
    let (cos, sin) = (MatRef::new(cos, N, 11).ok()?, MatRef::new(sin, N, 11).ok()?);
    rope::rope_forward(MatMut::new(x, N, D).ok()?, cos, sin).ok()?;
    sum_of(x)
}

pub fn rope_backward(arena: &mut Arena<'_>) -> Option<u64> {
    let ((cos, sin), x) = (angles(arena)?, arena.values(N * D)?);
    let (cos, sin) = (MatRef::new(cos, N, 11).ok()?, MatRef::new(sin, N, 11).ok()?);
    rope::rope_backward(MatMut::new(x, N, D).ok()?, cos, sin).ok()?;
    sum_of(x)
}

pub fn swiglu_forward(arena: &mut Arena<'_>) -> Option<u64> {
    let (gate_up, out) = (arena.values_within(2 * N * D, 6.0)?, arena.zeros(N * D)?);
    let view = MatMut::new(out, N, D).ok()?;
    swiglu::swiglu_forward(view, MatRef::new(gate_up, N, 2 * D).ok()?).ok()?;
    sum_of(out)
}

pub fn swiglu_backward(arena: &mut Arena<'_>) -> Option<u64> {
    let (gate_up, dout) = (arena.values_within(2 * N * D, 6.0)?, arena.values(N * D)?);
    let dgate_up = arena.zeros(2 * N * D)?;
    let (dout, gate_up) = (
        MatRef::new(dout, N, D).ok()?,
        MatRef::new(gate_up, N, 2 * D).ok()?,
    );
    swiglu::swiglu_backward(MatMut::new(dgate_up, N, 2 * D).ok()?, dout, gate_up).ok()?;
    sum_of(dgate_up)
}
