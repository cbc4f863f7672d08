//! Steps of windows that share a node.
//!
//! The scores of a batch are older than all of its steps. Nodes near the root are on the path of
//! nearly every window, and steps that are right one by one go too far together: a batch of 64
//! windows diverges at the usual learning rate. So a shared node takes its joint step against an
//! upper bound of the loss. Along a score the loss curves by `s (1 - s) <= 1/4`, and the step that
//! minimises that bound, held near the old theta by the learning rate, is
//!
//! ```text
//! (I + rate/4 * sum_b x_b x_b^T) step = rate * sum_b (d_b - s_b) x_b
//! ```
//! (D. Böhning, "Multinomial logistic regression algorithm", 1992; implicit gradient descent.) We
//! replace the matrix by its largest possible effect on a window's own part, the squared lengths
//! of the other windows' `x`: each step is divided by `1 + rate/4 * sum of |x|^2 of the others`. A
//! node that one window visits takes exactly its step. It costs a few passes over the paths, and
//! batches learn as well as single windows, at higher learning rates better.

use super::BatchRef;
use super::batch::in_blocks;
use crate::error::{KernelError, ShapeError, take};
use crate::simd::{Kernel, LANES, Simd, dispatch};

/// Nodes that are damped: those before this one. [`crate::huffman::build`] numbers nodes by
/// falling count, and the rest are hardly ever shared within a batch.
const HOT_NODES: usize = 1024;

/// Sums that take what the other nodes would add, so that nothing depends on whether a node is hot;
/// several, so that additions do not wait for each other.
const SPARE: usize = 64;

/// Room for a sum a hot node, and the spare ones.
const SUMS: usize = HOT_NODES + SPARE;

/// Elements of workspace that [`damp`] needs for a batch of so many scores.
pub const fn damp_workspace_len(scores: usize) -> usize {
    SUMS.saturating_add(LANES)
        .saturating_add(scores)
        .saturating_add(scores)
}

/// Divides the step of each node of each window by `1 + learning_rate / 4 * q`, where `q` is the
/// sum of `|x|^2` over the *other* windows of the batch that visit the node. Only nodes before number
/// 1024 are damped: others are hardly ever shared.
///
/// # Shapes
/// `steps`: one element a node of the batch, from [`super::activate`]; `squares`: `|x|^2` of each
/// `x`; `workspace`: [`damp_workspace_len`].
///
/// # Errors
/// [`KernelError`] when shapes differ or the workspace is too small.
///
/// # Precision
/// Plain `f32`, the same bits on every backend.
///
/// ```
/// use barelm_kernels::cbow::{BatchRef, damp, damp_workspace_len};
/// // Two windows visit node 0; the second goes on to node 1.
/// let batch = BatchRef::new(&[0, 0, 0], &[], &[0, 1, 3], &[0, 0, 1])?;
/// let mut steps = [1.0, 1.0, 1.0];
/// damp(&mut steps, batch, &[8.0, 24.0], 0.5, &mut [0.0; damp_workspace_len(3)])?;
/// assert_eq!(steps, [0.25, 0.5, 1.0]);
/// # Ok::<(), barelm_kernels::error::KernelError>(())
/// ```
pub fn damp(
    steps: &mut [f32],
    batch: BatchRef<'_>,
    squares: &[f32],
    learning_rate: f32,
    workspace: &mut [f32],
) -> Result<(), KernelError> {
    if steps.len() != batch.scores_len() || squares.len() != batch.xs() {
        return Err(ShapeError.into());
    }
    let workspace = take(workspace, damp_workspace_len(steps.len()))?;
    let (sums, rest) = workspace
        .split_first_chunk_mut::<SUMS>()
        .ok_or(ShapeError)?;
    let (slots, others) = rest.split_at_mut_checked(steps.len()).ok_or(ShapeError)?;
    let slots = bytemuck::try_cast_slice_mut(slots).map_err(|_| ShapeError)?;
    dispatch(Damp {
        steps,
        batch,
        squares,
        curvature: 0.25 * learning_rate,
        sums,
        slots,
        others,
    });
    Ok(())
}

/// Where the sum of a node is kept.
#[inline(always)]
fn slot(node: u32) -> u32 {
    node.min(HOT_NODES as u32 + node % SPARE as u32)
}

struct Damp<'a> {
    steps: &'a mut [f32],
    batch: BatchRef<'a>,
    squares: &'a [f32],
    curvature: f32,
    sums: &'a mut [f32; SUMS],
    /// For each step where the sum of its node is kept.
    slots: &'a mut [u32],
    /// For each step the squares of the others that visit its node, and a vector more.
    others: &'a mut [f32],
}

impl Kernel for Damp<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let (sums, slots, others) = (self.sums, self.slots, self.others);
        sums.fill(0.0);
        if self.batch.is_of_pairs() {
            others_of_pairs(self.batch, self.squares, sums, others);
        } else {
            others_of_windows(simd, self.batch, self.squares, (sums, slots), others);
        }
        let curvature = simd.splat(self.curvature);
        let (steps, last) = self.steps.as_chunks_mut::<LANES>();
        let (others, _) = others.as_chunks::<LANES>();
        for (steps, others) in steps.iter_mut().zip(others) {
            let damped = damped(simd, simd.load(steps), simd.load(others), curvature);
            simd.store(damped, steps);
        }
        if let Some(others) = others.get(steps.len()) {
            let damped = damped(simd, simd.load_partial(last), simd.load(others), curvature);
            simd.store_partial(damped, last);
        }
    }
}

/// What is taken from the sums of all others is less than nothing, and damps nothing.
#[inline(always)]
fn forget_spare(sums: &mut [f32; SUMS]) {
    sums.iter_mut().skip(HOT_NODES).for_each(|sum| *sum = 0.0);
}

/// Passes over all visits, without a branch that follows the text: the lengths of paths are hard to
/// foresee.
#[inline(always)]
fn others_of_windows<S: Simd>(
    simd: S,
    batch: BatchRef<'_>,
    squares: &[f32],
    (sums, slots): (&mut [f32; SUMS], &mut [u32]),
    others: &mut [f32],
) {
    for (own, node) in slots.iter_mut().zip(batch.nodes()) {
        *own = slot(*node);
    }
    // The square of its window for each visit: whole vectors, each over the end of the one before.
    let mut out = &mut *others;
    for ((_, nodes), square) in batch.windows().zip(squares) {
        let vectors = out.as_chunks_mut().0.iter_mut();
        for vector in vectors.take(nodes.len().div_ceil(LANES)) {
            simd.store(simd.splat(*square), vector);
        }
        out = out.get_mut(nodes.len()..).unwrap_or_default();
    }
    for (own, square) in slots.iter().zip(&*others) {
        if let Some(sum) = sums.get_mut(*own as usize) {
            *sum += square;
        }
    }
    forget_spare(sums);
    for (own, square) in slots.iter().zip(others) {
        *square = sums.get(*own as usize).map_or(0.0, |sum| sum - *square);
    }
}

/// The words of a window visit the same nodes, which are looked up once for all of them, and once more
/// for each block of words.
#[inline(always)]
fn others_of_pairs(
    batch: BatchRef<'_>,
    mut squares: &[f32],
    sums: &mut [f32; SUMS],
    mut others: &mut [f32],
) {
    let mut of_words = squares;
    for (context, nodes) in batch.windows() {
        let own = of_words.split_off(..context.len()).unwrap_or_default();
        let square: f32 = own.iter().sum();
        for node in nodes {
            if let Some(sum) = sums.get_mut(slot(*node) as usize) {
                *sum += square;
            }
        }
    }
    forget_spare(sums);
    for (context, nodes) in batch.windows() {
        let own = squares.split_off(..context.len()).unwrap_or_default();
        let (fours, twos, ones) = in_blocks(own);
        for block in fours {
            others_of_block(nodes, block, sums, &mut others);
        }
        for block in twos {
            others_of_block(nodes, block, sums, &mut others);
        }
        for block in ones {
            others_of_block(nodes, block, sums, &mut others);
        }
    }
}

#[inline(always)]
fn others_of_block<const W: usize>(
    nodes: &[u32],
    squares: &[f32; W],
    sums: &[f32; SUMS],
    others: &mut &mut [f32],
) {
    let own = others.split_off_mut(..W * nodes.len()).unwrap_or_default();
    for (node, out) in nodes.iter().zip(own.as_chunks_mut::<W>().0) {
        let sum = sums.get(slot(*node) as usize).map_or(0.0, |sum| *sum);
        // A value, so that no write can change it: the compiler subtracts all at once.
        let mut others = *squares;
        others.iter_mut().for_each(|square| *square = sum - *square);
        *out = others;
    }
}

#[inline(always)]
fn damped<S: Simd>(simd: S, steps: S::V, others: S::V, curvature: S::V) -> S::V {
    let others = simd.max(others, simd.splat(0.0));
    simd.div(
        steps,
        simd.add(simd.splat(1.0), simd.mul(curvature, others)),
    )
}
