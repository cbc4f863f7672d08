//! Word vectors: single steps, and batches of windows.

use crate::tree::{self, V};
use crate::{Arena, Checksum};
use barelm_kernels::cbow::{
    self, BatchRef, CbowMut, Projection, Slice, SliceMut, StepOptions, activate, damp,
    damp_workspace_len, forward_slice, forward_two_slices, step_workspace_len, update_slice,
    update_two_slices,
};
use barelm_kernels::error::ShapeError;
use barelm_kernels::mat::{MatMut, MatRef};
use barelm_kernels::sigmoid::SigmoidMethod;

const D: usize = 35;

pub fn step(arena: &mut Arena<'_>) -> Option<u64> {
    let (tree, workspace) = (tree::tree(arena)?, arena.zeros(step_workspace_len(D))?);
    let (vectors, thetas) = (arena.values(V * D)?, arena.values((V - 1) * D)?);
    let mut model = CbowMut {
        vectors: MatMut::new(vectors, V, D).ok()?,
        thetas: MatMut::new(thetas, V - 1, D).ok()?,
        tree,
    };
    let mut sum = Checksum::new();
    for sigmoid in [SigmoidMethod::Table, SigmoidMethod::Polynomial] {
        for projection in [Projection::Mean, Projection::MeanFullShare, Projection::Sum] {
            let options = StepOptions {
                learning_rate: 0.05,
                projection,
                sigmoid,
            };
            let loss = cbow::step(&mut model, &[1, 7, 49, 7], 3, options, workspace).ok()?;
            sum = sum.float(loss);
        }
    }
    sum.floats(vectors).floats(thetas).finish()
}

/// As wide as one slice of 32 dimensions, or two of 16.
const WIDTH: usize = 32;

/// Three windows and their nodes.
fn windows() -> Option<BatchRef<'static>> {
    BatchRef::new(
        &[0, 2, 5, 6],
        &[1, 2, 3, 4, 5, 2],
        &[0, 2, 5, 9],
        &[0, 1, 0, 2, 4, 0, 1, 3, 7],
    )
    .ok()
}

pub fn batch(arena: &mut Arena<'_>) -> Option<u64> {
    train(arena, windows()?, (forward_slice, update_slice))
}

pub fn pairs(arena: &mut Arena<'_>) -> Option<u64> {
    train(arena, windows()?.of_pairs(), (forward_slice, update_slice))
}

pub fn two_slices(arena: &mut Arena<'_>) -> Option<u64> {
    train(arena, windows()?, (forward_two_slices, update_two_slices))
}

type Forward =
    fn(Slice<'_>, BatchRef<'_>, Projection, &mut [f32], &mut [f32]) -> Result<(), ShapeError>;
type Update =
    fn(SliceMut<'_>, BatchRef<'_>, Projection, &mut [f32], &[f32]) -> Result<(), ShapeError>;

/// Forward, losses, damping and update of one batch.
fn train(
    arena: &mut Arena<'_>,
    batch: BatchRef<'_>,
    (forward, update): (Forward, Update),
) -> Option<u64> {
    let (vectors, thetas) = (arena.values(8 * WIDTH)?, arena.values(8 * WIDTH)?);
    let scores = batch.scores_len();
    let (x, partials) = (
        arena.zeros(batch.x_rows() * WIDTH)?,
        arena.zeros(batch.partials_len())?,
    );
    let (signs, workspace) = (
        arena.values(scores)?,
        arena.zeros(damp_workspace_len(scores))?,
    );
    for sign in signs.iter_mut() {
        *sign = if *sign > 0.0 { 1.0 } else { -1.0 };
    }
    let projection = Projection::MeanFullShare;
    let slice = Slice {
        vectors: MatRef::new(vectors, 8, WIDTH).ok()?,
        thetas: MatRef::new(thetas, 8, WIDTH).ok()?,
    };
    forward(slice, batch, projection, x, partials).ok()?;
    let (steps, squares) = partials.split_at_mut_checked(scores)?;
    let loss = activate(steps, signs, 0.05, SigmoidMethod::Polynomial).ok()?;
    damp(steps, batch, squares, 0.05, workspace).ok()?;
    let slice = SliceMut {
        vectors: MatMut::new(vectors, 8, WIDTH).ok()?,
        thetas: MatMut::new(thetas, 8, WIDTH).ok()?,
    };
    update(slice, batch, projection, x, steps).ok()?;
    let sum = Checksum::new().float(loss as f32).floats(steps);
    sum.floats(vectors).floats(thetas).finish()
}
