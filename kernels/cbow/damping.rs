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

/// Nodes that are damped: those before this one. [`crate::huffman::build`] numbers nodes by
/// falling count, and the rest are hardly ever shared within a batch.
const HOT_NODES: usize = 1024;

/// Elements of workspace that [`damp`] needs.
pub const fn damp_workspace_len() -> usize {
    HOT_NODES
}

/// Divides the step of each node of each window by `1 + learning_rate / 4 * q`, where `q` is the
/// sum of `|x|^2` over the *other* windows of the batch that visit the node.
///
/// # Shapes
/// `steps`: one element a node of the batch, from [`super::activate`]; `squares`: `|x|^2` of each
/// window; `workspace`: [`damp_workspace_len`].
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
/// damp(&mut steps, batch, &[8.0, 24.0], 0.5, &mut [0.0; damp_workspace_len()])?;
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
    if steps.len() != batch.scores_len() || squares.len() != batch.len() {
        return Err(ShapeError.into());
    }
    let sums = take(workspace, HOT_NODES)?;
    sums.fill(0.0);
    for ((_, nodes), square) in batch.windows().zip(squares) {
        for node in nodes {
            if let Some(sum) = sums.get_mut(*node as usize) {
                *sum += square;
            }
        }
    }
    let mut steps = steps.iter_mut();
    for ((_, nodes), square) in batch.windows().zip(squares) {
        for (node, step) in nodes.iter().zip(&mut steps) {
            if let Some(sum) = sums.get(*node as usize) {
                *step /= 1.0 + 0.25 * learning_rate * (sum - square);
            }
        }
    }
    Ok(())
}
