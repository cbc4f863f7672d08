//! The step for a batch of windows and a slice of the dimensions.
//!
//! The dimensions are cut into slices, and every vector and theta is stored slice by slice. A
//! slice of `x`, and of every product that makes up a score, needs nothing from other slices; so
//! threads that own different slices never touch each other's parameters. For a batch:
//!
//! 1. [`forward_slice`] on every slice: `x`, and its parts of each score and of `|x|^2`;
//! 2. those parts are exchanged and added, two slices and two, then those sums in their order: the only
//!    meeting point;
//! 3. [`super::activate`] and [`super::damp`]: losses and steps, the same for all slices;
//! 4. [`update_slice`] on every slice, window after window.
//!
//! A thread that owns both of two slices may have them side by side in one table, and take them in one
//! pass: [`forward_two_slices`], [`update_two_slices`]. Slices follow from the dimension alone, so
//! results do not depend on the number of threads. Scores are those of the parameters before the batch.
//! A batch of one window is exactly [`super::step`].

use super::forward::Forward;
use super::pairs::{PairsForward, PairsUpdate};
use super::rows::MAX_GROUPS;
use super::update::Update;
use super::{BatchRef, Projection};
use crate::error::ShapeError;
use crate::mat::{MatMut, MatRef};
use crate::simd::{Kernel, LANES, Simd, dispatch};
use core::ops::Range;

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

/// Whether two slices side by side take less time than one after the other: where registers hold all of
/// a row.
pub fn two_are_faster() -> bool {
    dispatch(TwoAreFaster)
}

struct TwoAreFaster;

impl Kernel for TwoAreFaster {
    type Output = bool;
    fn run<S: Simd>(self, _: S) -> bool {
        S::REGISTERS >= 4 * MAX_GROUPS + 2
    }
}

/// Whether two slices may lie side by side, the second one after the first: it begins where the first
/// ends, and is as wide or sixteen elements wider.
///
/// ```
/// use barelm_kernels::cbow::{are_neighbours, slices};
/// let of_100: Vec<_> = slices(100).collect();
/// assert!(are_neighbours(&of_100[0], &of_100[1]));
/// ```
pub fn are_neighbours(first: &Range<usize>, second: &Range<usize>) -> bool {
    let widths = [first.len(), first.len() + LANES];
    first.end == second.start && widths.contains(&second.len())
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
/// `slice`: rows of 16, 32, 48 or 64 elements; `x`: [`BatchRef::x_rows`] such rows; `partials`:
/// [`BatchRef::partials_len`], the scores first.
///
/// # Errors
/// [`ShapeError`] when shapes differ or a row does not exist.
///
/// # Precision
/// Scores are added up in one sum of sixteen lanes, then over the lanes; one rounding a product and
/// sum in the fused class, two in the unfused.
///
/// # Skip-gram
/// In a batch [`BatchRef::of_pairs`] the `x` are vectors of the context: `projection` has no part, and
/// `x` no rows.
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
/// update_slice(slice, batch, Projection::Mean, &mut x, steps)?;
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
    if batch.is_of_pairs() {
        let sized = partials.len() == batch.partials_len();
        check::<1>(batch, slice.vectors, slice.thetas, x, sized)?;
        dispatch(PairsForward {
            slice,
            batch,
            partials,
        });
        return Ok(());
    }
    forward::<1>(slice, batch, projection, x, partials)
}

/// `P` slices side by side.
fn forward<const P: usize>(
    slice: Slice<'_>,
    batch: BatchRef<'_>,
    projection: Projection,
    x: &mut [f32],
    partials: &mut [f32],
) -> Result<(), ShapeError> {
    let sized = partials.len() == batch.partials_len();
    check::<P>(batch, slice.vectors, slice.thetas, x, sized)?;
    dispatch(Forward::<P> {
        slice,
        batch,
        projection,
        x,
        partials,
    });
    Ok(())
}

/// [`forward_slice`] for two slices side by side ([`are_neighbours`]): the parts of both, added up. One
/// pass over the rows of both may take less time than two ([`two_are_faster`]).
///
/// # Shapes
/// As for [`forward_slice`], but rows of 32 to 128 elements: those of the first slice, then those of the
/// second. [`update_two_slices`] takes such rows, too.
///
/// # Errors
/// [`ShapeError`] when shapes differ, a row does not exist, or the batch is [`BatchRef::of_pairs`].
///
/// # Precision
/// The bits of two calls, whose partial sums are added.
///
/// # Example
/// ```
/// use barelm_kernels::{cbow::*, mat::*};
/// let (mut vectors, mut thetas) = ([0.1; 2 * 48], [0.2; 48]); // slices of 16 and 32 elements
/// let batch = BatchRef::new(&[0, 1], &[0], &[0, 1], &[0])?;
/// let slices = Slice {
///     vectors: MatRef::new(&vectors, 2, 48)?,
///     thetas: MatRef::new(&thetas, 1, 48)?,
/// };
/// let (mut x, mut partials) = ([0.0; 48], [0.0; 2]);
/// forward_two_slices(slices, batch, Projection::Mean, &mut x, &mut partials)?;
/// assert!((partials[0] - 48.0 * 0.1 * 0.2).abs() < 1e-6);
/// let slices = SliceMut {
///     vectors: MatMut::new(&mut vectors, 2, 48)?,
///     thetas: MatMut::new(&mut thetas, 1, 48)?,
/// };
/// update_two_slices(slices, batch, Projection::Mean, &mut x, &[0.5])?; // a step of 0.5
/// assert!((thetas[0] - (0.2 + 0.5 * 0.1)).abs() < 1e-6);
/// # Ok::<(), barelm_kernels::error::ShapeError>(())
/// ```
pub fn forward_two_slices(
    slices: Slice<'_>,
    batch: BatchRef<'_>,
    projection: Projection,
    x: &mut [f32],
    partials: &mut [f32],
) -> Result<(), ShapeError> {
    forward::<2>(slices, batch, projection, x, partials)
}

/// Updates one slice from the steps `g` of all nodes, window after window. Pairs of a block take
/// their steps together, from the thetas before it.
///
/// # Shapes
/// As for [`forward_slice`], whose `x` it takes, and spoils; `steps`: [`BatchRef::scores_len`], as
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
    x: &mut [f32],
    steps: &[f32],
) -> Result<(), ShapeError> {
    if batch.is_of_pairs() {
        let (vectors, thetas) = (slice.vectors.as_ref(), slice.thetas.as_ref());
        let sized = steps.len() == batch.scores_len();
        check::<1>(batch, vectors, thetas, x, sized)?;
        dispatch(PairsUpdate {
            slice,
            batch,
            steps,
        });
        return Ok(());
    }
    update::<1>(slice, batch, projection, x, steps)
}

/// `P` slices side by side.
fn update<const P: usize>(
    slice: SliceMut<'_>,
    batch: BatchRef<'_>,
    projection: Projection,
    x: &mut [f32],
    steps: &[f32],
) -> Result<(), ShapeError> {
    let (vectors, thetas) = (slice.vectors.as_ref(), slice.thetas.as_ref());
    let sized = steps.len() == batch.scores_len();
    check::<P>(batch, vectors, thetas, x, sized)?;
    dispatch(Update::<P> {
        slice,
        batch,
        projection,
        x,
        steps,
    });
    Ok(())
}

/// [`update_slice`] for two slices side by side.
///
/// # Shapes
/// As for [`forward_two_slices`], whose `x` it takes, and spoils; `steps`: as for [`update_slice`].
///
/// # Errors
/// [`ShapeError`] when shapes differ, a row does not exist, or the batch is [`BatchRef::of_pairs`].
///
/// # Precision
/// The bits of two calls of [`update_slice`].
///
/// # Example
/// See [`forward_two_slices`].
pub fn update_two_slices(
    slices: SliceMut<'_>,
    batch: BatchRef<'_>,
    projection: Projection,
    x: &mut [f32],
    steps: &[f32],
) -> Result<(), ShapeError> {
    update::<2>(slices, batch, projection, x, steps)
}

/// Shapes of `P` slices side by side; two of them are not for skip-gram. `other` is whether the rest fits.
fn check<const P: usize>(
    batch: BatchRef<'_>,
    vectors: MatRef<'_>,
    thetas: MatRef<'_>,
    x: &[f32],
    other: bool,
) -> Result<(), ShapeError> {
    let width = vectors.cols();
    let fits = width.is_multiple_of(LANES)
        && (P..=P * MAX_GROUPS).contains(&(width / LANES))
        && (P == 1 || !batch.is_of_pairs())
        && other
        && (thetas.cols() == width || thetas.rows() == 0)
        && [vectors, thetas]
            .iter()
            .all(|rows| rows.stride() == rows.cols())
        && x.len() == batch.x_rows() * width
        && batch.is_within(vectors.rows(), thetas.rows());
    if fits { Ok(()) } else { Err(ShapeError) }
}
