//! The textbook step: one window, exact and sequential.

use super::{Projection, activation::activate_with};
use crate::blas1::{axpy_with, dot_with, update_with};
use crate::error::{KernelError, ShapeError, take};
use crate::huffman::{HuffmanRef, MAX_CODE_LEN};
use crate::mat::MatMut;
use crate::sigmoid::SigmoidMethod;
use crate::simd::{Kernel, Simd, dispatch};

/// The parameters: a vector a token, and a `theta` an inner node of the tree.
#[derive(Debug)]
pub struct CbowMut<'a> {
    /// `V x d`, word2vec.c's `syn0`.
    pub vectors: MatMut<'a>,
    /// `V - 1 x d`, word2vec.c's `syn1`.
    pub thetas: MatMut<'a>,
    /// The paths.
    pub tree: HuffmanRef<'a>,
}

/// What a step does with a window.
#[derive(Clone, Copy, Debug)]
pub struct StepOptions {
    /// Factor of the gradient.
    pub learning_rate: f32,
    /// How context vectors are combined.
    pub projection: Projection,
    /// How sigmoids are computed.
    pub sigmoid: SigmoidMethod,
}

/// Elements of workspace that [`step`] needs for vectors of `dim` elements.
pub const fn step_workspace_len(dim: usize) -> usize {
    dim.saturating_add(MAX_CODE_LEN).saturating_mul(2)
}

/// One step of stochastic gradient descent on `-log p(target | context)`; returns that loss, in
/// nats, as it was before the step.
///
/// A token that stands twice in the context counts twice. Without context `x` is zero.
///
/// # Shapes
/// `model`: see [`CbowMut`]; `workspace`: [`step_workspace_len`].
///
/// # Errors
/// [`KernelError`] when shapes differ, a token does not exist, or the workspace is too small.
///
/// # Precision
/// Gradients within 1e-5 of finite differences in `f64`; equal bits within a rounding class.
///
/// # Example
/// ```
/// use barelm_kernels::cbow::{CbowMut, Projection, StepOptions, step, step_workspace_len};
/// use barelm_kernels::huffman::{build, build_workspace_len};
/// use barelm_kernels::{mat::MatMut, sigmoid::SigmoidMethod};
/// let (mut offsets, mut nodes, mut codes) = ([0; 3], [0; 2], [0; 2]);
/// let mut scratch = [0; build_workspace_len(2)];
/// let tree = build(&[1, 1], &mut scratch, &mut offsets, &mut nodes, &mut codes).unwrap();
/// let (mut vectors, mut thetas) = ([0.5, -0.5, 0.25, 0.0], [0.0, 0.0]);
/// let options = StepOptions {
///     learning_rate: 0.5,
///     projection: Projection::Mean,
///     sigmoid: SigmoidMethod::Polynomial,
/// };
/// let mut losses = [0.0; 2];
/// for loss in &mut losses {
///     let mut model = CbowMut {
///         vectors: MatMut::new(&mut vectors, 2, 2)?,
///         thetas: MatMut::new(&mut thetas, 1, 2)?,
///         tree,
///     };
///     *loss = step(&mut model, &[0], 1, options, &mut [0.0; step_workspace_len(2)])?;
/// }
/// assert!(losses[1] < losses[0]);
/// # Ok::<(), barelm_kernels::error::KernelError>(())
/// ```
pub fn step(
    model: &mut CbowMut<'_>,
    context: &[u32],
    target: u32,
    options: StepOptions,
    workspace: &mut [f32],
) -> Result<f32, KernelError> {
    let (vocab_size, dim) = (model.vectors.rows(), model.vectors.cols());
    let fits = model.tree.vocab_size() == vocab_size
        && model.thetas.rows() == model.tree.inner_nodes()
        && (model.thetas.rows() == 0 || model.thetas.cols() == dim);
    let mut tokens = context.iter().chain([&target]);
    if !fits || tokens.any(|token| *token as usize >= vocab_size) {
        return Err(ShapeError.into());
    }
    let mut workspace = take(workspace, step_workspace_len(dim))?;
    let mut cut = |len| workspace.split_off_mut(..len).unwrap_or_default();
    let (x, gradient) = (cut(dim), cut(dim));
    let (scores, signs) = (cut(MAX_CODE_LEN), cut(MAX_CODE_LEN));
    Ok(dispatch(Step {
        vectors: model.vectors.reborrow(),
        thetas: model.thetas.reborrow(),
        path: model.tree.path(target),
        context,
        options,
        x,
        gradient,
        scores,
        signs,
    }))
}

pub(super) struct Step<'a> {
    pub(super) vectors: MatMut<'a>,
    pub(super) thetas: MatMut<'a>,
    pub(super) path: (&'a [u32], u64),
    pub(super) context: &'a [u32],
    pub(super) options: StepOptions,
    pub(super) x: &'a mut [f32],
    pub(super) gradient: &'a mut [f32],
    /// [`MAX_CODE_LEN`] of each.
    pub(super) scores: &'a mut [f32],
    pub(super) signs: &'a mut [f32],
}

impl Kernel for Step<'_> {
    type Output = f32;
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> f32 {
        let Self {
            mut vectors,
            mut thetas,
            path: (path, code),
            context,
            options,
            x,
            gradient,
            scores,
            signs,
        } = self;
        let (of_sum, share) = options.projection.factors(context.len());
        x.fill(0.0);
        for token in context {
            axpy_with(simd, of_sum, vectors.as_ref().row(*token as usize), x);
        }

        let lanes = scores.iter_mut().zip(&mut *signs);
        for (i, ((score, sign), node)) in lanes.zip(path).enumerate() {
            *score = dot_with(simd, thetas.as_ref().row(*node as usize), x);
            *sign = if code >> i & 1 == 1 { 1.0 } else { -1.0 };
        }
        let scores = scores.get_mut(..path.len()).unwrap_or_default();
        let rate = options.learning_rate;
        let loss = activate_with(simd, scores, signs, rate, options.sigmoid);

        gradient.fill(0.0);
        for (g, node) in scores.iter().zip(path) {
            update_with(simd, *g, x, thetas.row_mut(*node as usize), gradient);
        }
        for token in context {
            axpy_with(simd, share, gradient, vectors.row_mut(*token as usize));
        }
        loss as f32
    }
}
