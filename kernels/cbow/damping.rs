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

/// Elements of workspace that [`damp`] needs for a batch of so many scores.
pub const fn damp_workspace_len(scores: usize) -> usize {
    HOT_NODES.saturating_add(scores)
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
        .split_at_mut_checked(HOT_NODES)
        .unwrap_or_default();
    sums.fill(0.0);
    for (nodes, square) in batch.visits().zip(squares) {
        for node in nodes {
            if let Some(sum) = sums.get_mut(*node as usize) {
                *sum += square;
            }
        }
    }
    let mut of_visits = others.iter_mut();
    for (nodes, square) in batch.visits().zip(squares) {
        for (node, others) in nodes.iter().zip(&mut of_visits) {
            *others = sums.get(*node as usize).map_or(0.0, |sum| sum - square);
        }
    }
    dispatch(Damp {
        steps,
        others,
        curvature: 0.25 * learning_rate,
    });
    Ok(())
}

/// Divides each step by `1 + curvature * others`.
struct Damp<'a> {
    steps: &'a mut [f32],
    others: &'a [f32],
    curvature: f32,
}

impl Kernel for Damp<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let (one, curvature) = (simd.splat(1.0), simd.splat(self.curvature));
        let damped = |steps, others| {
            let divisor = simd.add(one, simd.mul(curvature, others));
            simd.div(steps, divisor)
        };
        let (steps, last) = self.steps.as_chunks_mut::<LANES>();
        let (others, last_others) = self.others.as_chunks::<LANES>();
        for (steps, others) in steps.iter_mut().zip(others) {
            simd.store(damped(simd.load(steps), simd.load(others)), steps);
        }
        let (of_last, others) = (simd.load_partial(last), simd.load_partial(last_others));
        simd.store_partial(damped(of_last, others), last);
    }
}
