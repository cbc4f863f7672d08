//! The step for a batch of windows and a slice of the dimensions.
//!
//! The dimensions are cut into slices, and every vector and theta is stored slice by slice. A
//! slice of `x`, and of every product that makes up a score, needs nothing from other slices; so
//! threads that own different slices never touch each other's parameters. For a batch:
//!
//! 1. [`forward_slice`] on every slice: `x`, and its parts of each score and of `|x|^2`;
//! 2. those parts are exchanged and added in the order of the slices: the only meeting point;
//! 3. [`super::activate`] and [`super::damp`]: losses and steps, the same for all slices;
//! 4. [`update_slice`] on every slice, window after window.
//!
//! Slices follow from the dimension alone, so results do not depend on the number of threads.
//! Scores are those of the parameters before the batch. A batch of one window is exactly
//! [`super::step`].

use super::{BatchRef, Projection};
use crate::error::ShapeError;
use crate::mat::{MatMut, MatRef};
use crate::simd::{Kernel, LANES, Simd, dispatch};
use core::ops::Range;

/// How many windows ahead rows are asked for.
const AHEAD: usize = 4;

/// The same for rows that were read lately, and are in the second cache.
const NEXT: usize = 1;

/// Rows before this one are frequent: nodes and tokens are numbered by falling count.
const FREQUENT: usize = 256;

/// Most groups of sixteen dimensions in a slice: a slice of `x` and of `e` stay in registers.
const MAX_GROUPS: usize = 4;

/// The slices of vectors of `dim` elements, in order.
///
/// Each is a whole number of groups of sixteen dimensions, at most four, and they are an even
/// number wherever there are two groups. The last may end beyond `dim`: elements there are zero,
/// and stay zero.
///
/// ```
/// let of_100: Vec<_> = barelm_kernels::cbow::slices(100).collect();
/// assert_eq!(of_100, [0..48, 48..112]);
/// ```
pub fn slices(dim: usize) -> impl ExactSizeIterator<Item = Range<usize>> + Clone {
    let groups = dim.div_ceil(LANES);
    let fewest = groups.div_ceil(MAX_GROUPS);
    let count = fewest.next_multiple_of(2).min(groups);
    (0..count).map(move |i| groups * i / count * LANES..groups * (i + 1) / count * LANES)
}

/// A slice of all parameters, and of a batch's `x`.
#[derive(Clone, Copy, Debug)]
pub struct Slice<'a> {
    /// A slice of each token's vector.
    pub vectors: MatRef<'a>,
    /// A slice of each theta.
    pub thetas: MatRef<'a>,
}

/// A slice of all parameters, to be changed.
#[derive(Debug)]
pub struct SliceMut<'a> {
    /// A slice of each token's vector.
    pub vectors: MatMut<'a>,
    /// A slice of each theta.
    pub thetas: MatMut<'a>,
}

/// `x` of every window, and this slice's part of the score of each node and of each `|x|^2`.
///
/// # Shapes
/// `slice`: rows of 16, 32, 48 or 64 elements; `x`: one such row a window; `partials`:
/// [`BatchRef::partials_len`], the scores first.
///
/// # Errors
/// [`ShapeError`] when shapes differ or a row does not exist.
///
/// # Precision
/// That of [`crate::blas1::dot`], with the same bits.
///
/// # Example
/// One window, one slice: two tokens, the tree's only node at row 0.
/// ```
/// use barelm_kernels::cbow::*;
/// use barelm_kernels::{mat::*, sigmoid::SigmoidMethod};
/// let (mut vectors, mut thetas) = ([0.1; 2 * 16], [0.2; 16]);
/// let batch = BatchRef::new(&[0, 1], &[0], &[0, 1], &[0])?;
/// let (mut x, mut partials) = ([0.0; 16], [0.0; 2]);
/// let slice = Slice {
///     vectors: MatRef::new(&vectors, 2, 16)?,
///     thetas: MatRef::new(&thetas, 1, 16)?,
/// };
/// forward_slice(slice, batch, Projection::Mean, &mut x, &mut partials)?;
/// assert!((partials[0] - 16.0 * 0.1 * 0.2).abs() < 1e-6);
/// assert!((partials[1] - 16.0 * 0.1 * 0.1).abs() < 1e-6);
/// let steps = &mut partials[..1];
/// activate(steps, &[1.0], 0.5, SigmoidMethod::Polynomial)?; // the target's bit is 1
/// let slice = SliceMut {
///     vectors: MatMut::new(&mut vectors, 2, 16)?,
///     thetas: MatMut::new(&mut thetas, 1, 16)?,
/// };
/// update_slice(slice, batch, Projection::Mean, &x, steps)?;
/// assert!(thetas[0] > 0.2 && vectors[0] > 0.1 && vectors[16] == 0.1);
/// # Ok::<(), barelm_kernels::error::ShapeError>(())
/// ```
pub fn forward_slice(
    slice: Slice<'_>,
    batch: BatchRef<'_>,
    projection: Projection,
    x: &mut [f32],
    partials: &mut [f32],
) -> Result<(), ShapeError> {
    let Slice { vectors, thetas } = slice;
    check(batch, vectors, thetas, x)?;
    if partials.len() != batch.partials_len() {
        return Err(ShapeError);
    }
    dispatch(Forward {
        slice,
        batch,
        projection,
        x,
        partials,
    });
    Ok(())
}

/// Updates one slice from the steps `g` of all nodes, window after window.
///
/// # Shapes
/// As for [`forward_slice`], whose `x` it takes; `steps`: [`BatchRef::scores_len`], as
/// [`super::damp`] left them.
///
/// # Errors
/// [`ShapeError`] when shapes differ or a row does not exist.
///
/// # Precision
/// One rounding a product and sum in the fused class, two in the unfused.
///
/// # Example
/// See [`forward_slice`].
pub fn update_slice(
    slice: SliceMut<'_>,
    batch: BatchRef<'_>,
    projection: Projection,
    x: &[f32],
    steps: &[f32],
) -> Result<(), ShapeError> {
    let (vectors, thetas) = (slice.vectors.as_ref(), slice.thetas.as_ref());
    check(batch, vectors, thetas, x)?;
    if steps.len() != batch.scores_len() {
        return Err(ShapeError);
    }
    dispatch(Update {
        slice,
        batch,
        projection,
        x,
        steps,
    });
    Ok(())
}

fn check(
    batch: BatchRef<'_>,
    vectors: MatRef<'_>,
    thetas: MatRef<'_>,
    x: &[f32],
) -> Result<(), ShapeError> {
    let width = vectors.cols();
    let fits = width.is_multiple_of(LANES)
        && (1..=MAX_GROUPS).contains(&(width / LANES))
        && (thetas.cols() == width || thetas.rows() == 0)
        && [vectors, thetas]
            .iter()
            .all(|rows| rows.stride() == rows.cols())
        && x.len() == batch.len() * width
        && batch.is_within(vectors.rows(), thetas.rows());
    if fits { Ok(()) } else { Err(ShapeError) }
}

pub(super) struct Forward<'a> {
    pub(super) slice: Slice<'a>,
    pub(super) batch: BatchRef<'a>,
    pub(super) projection: Projection,
    pub(super) x: &'a mut [f32],
    pub(super) partials: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        match self.slice.vectors.cols() / LANES {
            1 => self.groups::<S, 1>(simd),
            2 => self.groups::<S, 2>(simd),
            3 => self.groups::<S, 3>(simd),
            _ => self.groups::<S, 4>(simd),
        }
    }
}

impl Forward<'_> {
    #[inline(always)]
    fn groups<S: Simd, const G: usize>(self, simd: S) {
        let (vectors, thetas) = (rows(self.slice.vectors), rows(self.slice.thetas));
        let scores_len = self.batch.scores_len().min(self.partials.len());
        let (scores, squares) = self.partials.split_at_mut(scores_len);
        let mut scores = scores.iter_mut();
        let (x_rows, _) = self.x.as_chunks_mut::<LANES>().0.as_chunks_mut::<G>();
        let outputs = x_rows.iter_mut().zip(squares);
        for (b, ((context, nodes), (x_row, square))) in
            self.batch.windows().zip(outputs).enumerate()
        {
            let (next_context, next_nodes) = self.batch.window(b + AHEAD);
            // The other words of a window are in those before it, as a rule.
            prefetch::<S, G>(
                simd,
                vectors,
                next_context.last_chunk::<1>().map_or(&[], |last| last),
            );
            prefetch::<S, G>(simd, thetas, next_nodes);
            let mut x = [simd.splat(0.0); G];
            for token in context {
                if let Some(row) = vectors.get(*token as usize) {
                    for (x, row) in x.iter_mut().zip(row) {
                        *x = simd.add(*x, simd.load(row));
                    }
                }
            }
            let (of_sum, _) = self.projection.factors(context.len());
            for (x, out) in x.iter_mut().zip(&mut *x_row) {
                *x = simd.mul(*x, simd.splat(of_sum));
                simd.store(*x, out);
            }
            *square = dot(simd, x_row, &x);
            for (node, score) in nodes.iter().zip(&mut scores) {
                if let Some(theta) = thetas.get(*node as usize) {
                    *score = dot(simd, theta, &x);
                }
            }
        }
    }
}

/// Asks for rows, while those of the windows before are worked on; from the last one back to one
/// that is so frequent that it is in a cache, for the rows of a path are ever rarer.
#[inline(always)]
fn prefetch<S: Simd, const G: usize>(simd: S, rows: &[[[f32; LANES]; G]], list: &[u32]) {
    for i in list.iter().rev() {
        let i = *i as usize;
        if i < FREQUENT {
            break;
        }
        if let Some(row) = rows.get(i) {
            for line in row {
                simd.prefetch(line);
            }
        }
    }
}

pub(super) struct Update<'a> {
    pub(super) slice: SliceMut<'a>,
    pub(super) batch: BatchRef<'a>,
    pub(super) projection: Projection,
    pub(super) x: &'a [f32],
    pub(super) steps: &'a [f32],
}

impl Kernel for Update<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        match self.slice.vectors.cols() / LANES {
            1 => self.groups::<S, 1>(simd),
            2 => self.groups::<S, 2>(simd),
            3 => self.groups::<S, 3>(simd),
            _ => self.groups::<S, 4>(simd),
        }
    }
}

impl Update<'_> {
    #[inline(always)]
    fn groups<S: Simd, const G: usize>(self, simd: S) {
        let SliceMut {
            mut vectors,
            mut thetas,
        } = self.slice;
        let (vectors, thetas) = (rows_mut(vectors.data_mut()), rows_mut(thetas.data_mut()));
        let mut steps = self.steps;
        let (x_rows, _) = self.x.as_chunks::<LANES>().0.as_chunks::<G>();
        for (b, ((context, nodes), x_row)) in self.batch.windows().zip(x_rows).enumerate() {
            let (_, next_nodes) = self.batch.window(b + NEXT);
            prefetch::<S, G>(simd, thetas, next_nodes);
            let (own, rest) = steps.split_at_checked(nodes.len()).unwrap_or_default();
            steps = rest;
            let (_, share) = self.projection.factors(context.len());
            let window = Window {
                context,
                nodes,
                x: x_row,
                steps: own,
                share,
            };
            if G == 4 && S::REGISTERS < 4 * G {
                window.update::<S, 2>(simd, 0, vectors, thetas);
                window.update::<S, 2>(simd, 1, vectors, thetas);
            } else {
                window.update::<S, G>(simd, 0, vectors, thetas);
            }
        }
    }
}

/// A window, and what each of its nodes is to move by.
struct Window<'a, const G: usize> {
    context: &'a [u32],
    nodes: &'a [u32],
    x: &'a [[f32; LANES]; G],
    steps: &'a [f32],
    share: f32,
}

impl<const G: usize> Window<'_, G> {
    /// Updates the `at`th `T` groups of its rows: as many as registers hold `x` and `e` of.
    #[inline(always)]
    fn update<S: Simd, const T: usize>(
        &self,
        simd: S,
        at: usize,
        vectors: &mut [[[f32; LANES]; G]],
        thetas: &mut [[[f32; LANES]; G]],
    ) {
        let (mut x, mut e) = ([simd.splat(0.0); T], [simd.splat(0.0); T]);
        if let Some(row) = self.x.as_chunks::<T>().0.get(at) {
            for (x, row) in x.iter_mut().zip(row) {
                *x = simd.load(row);
            }
        }
        for (node, step) in self.nodes.iter().zip(self.steps) {
            let step = simd.splat(*step);
            if let Some(theta) = part_of::<G, T>(thetas, *node, at) {
                for ((theta, x), e) in theta.iter_mut().zip(&x).zip(&mut e) {
                    let old = simd.load(theta);
                    *e = simd.mul_add(step, old, *e);
                    simd.store(simd.mul_add(step, *x, old), theta);
                }
            }
        }
        for e in &mut e {
            *e = simd.mul(*e, simd.splat(self.share));
        }
        for token in self.context {
            if let Some(row) = part_of::<G, T>(vectors, *token, at) {
                for (row, e) in row.iter_mut().zip(&e) {
                    simd.store(simd.add(simd.load(row), *e), row);
                }
            }
        }
    }
}

/// The `at`th `T` groups of a row.
#[inline(always)]
fn part_of<const G: usize, const T: usize>(
    rows: &mut [[[f32; LANES]; G]],
    row: u32,
    at: usize,
) -> Option<&mut [[f32; LANES]; T]> {
    let row = rows.get_mut(row as usize)?;
    row.as_chunks_mut::<T>().0.get_mut(at)
}

// Loops instead of `map` over arrays: a closure that the compiler chooses not to inline is compiled
// without the backend's instructions, and costs a hundred times as much.

/// All rows, of `G` groups each; the checks rule out other widths and gaps.
#[inline(always)]
fn rows<const G: usize>(matrix: MatRef<'_>) -> &[[[f32; LANES]; G]] {
    matrix.data().as_chunks().0.as_chunks().0
}

#[inline(always)]
fn rows_mut<const G: usize>(elements: &mut [f32]) -> &mut [[[f32; LANES]; G]] {
    elements.as_chunks_mut().0.as_chunks_mut().0
}

/// The dot product, in the order of [`crate::blas1::dot`].
#[inline(always)]
fn dot<S: Simd, const G: usize>(simd: S, row: &[[f32; LANES]; G], x: &[S::V; G]) -> f32 {
    let mut sums = [simd.splat(0.0); MAX_GROUPS];
    for ((sum, row), x) in sums.iter_mut().zip(row).zip(x) {
        *sum = simd.mul_add(simd.load(row), *x, *sum);
    }
    let [s0, s1, s2, s3] = sums;
    simd.reduce_sum(simd.add(simd.add(s0, s1), simd.add(s2, s3)))
}
