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
//! node that one window visits takes exactly its step. It costs two passes over the paths, and
//! batches learn as well as single windows, at higher learning rates better.

use super::BatchRef;
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
    SUMS.saturating_add(scores)
}

/// Divides the step of each node of each window by `1 + learning_rate / 4 * q`, where `q` is the
/// sum of `|x|^2` over the *other* windows of the batch that visit the node.
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
    let (sums, others) = workspace
        .split_first_chunk_mut::<SUMS>()
        .ok_or(ShapeError)?;
    sums.fill(0.0);
    for_each_x(batch, squares, |nodes, square, _| {
        for node in nodes {
            if let Some(sum) = sums.get_mut(slot(*node)) {
                *sum += square;
            }
        }
    });
    // What is taken from them below is less than nothing, and damps nothing.
    sums.iter_mut().skip(HOT_NODES).for_each(|sum| *sum = 0.0);
    for_each_x(batch, squares, |nodes, square, at| {
        let others = others.get_mut(at..).unwrap_or_default();
        for (node, others) in nodes.iter().zip(others) {
            *others = sums.get(slot(*node)).map_or(0.0, |sum| sum - square);
        }
    });
    dispatch(Damp {
        steps,
        others,
        curvature: 0.25 * learning_rate,
    });
    Ok(())
}

/// Where the sum of a node is kept.
#[inline(always)]
fn slot(node: u32) -> usize {
    let node = node as usize;
    if node < HOT_NODES {
        node
    } else {
        HOT_NODES + node % SPARE
    }
}

/// Calls `f` with the nodes that each `x` visits, `|x|^2`, and the place of its first score.
#[inline(always)]
fn for_each_x(batch: BatchRef<'_>, squares: &[f32], mut f: impl FnMut(&[u32], f32, usize)) {
    let mut squares = squares.iter();
    let mut at = 0;
    for (context, nodes) in batch.windows() {
        let xs = if batch.is_of_pairs() {
            context.len()
        } else {
            1
        };
        for square in squares.by_ref().take(xs) {
            f(nodes, *square, at);
            at += nodes.len();
        }
    }
}

/// Divides each step by `1 + curvature * others`, where there are any.
struct Damp<'a> {
    steps: &'a mut [f32],
    others: &'a [f32],
    curvature: f32,
}

impl Kernel for Damp<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let curvature = simd.splat(self.curvature);
        let (steps, last) = self.steps.as_chunks_mut::<LANES>();
        let (others, last_others) = self.others.as_chunks::<LANES>();
        for (steps, others) in steps.iter_mut().zip(others) {
            let damped = damped(simd, simd.load(steps), simd.load(others), curvature);
            simd.store(damped, steps);
        }
        let (of_last, others) = (simd.load_partial(last), simd.load_partial(last_others));
        simd.store_partial(damped(simd, of_last, others, curvature), last);
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
