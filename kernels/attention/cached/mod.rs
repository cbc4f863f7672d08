//! The queries of one token against a cache of keys and values, laid out for them: a step of generation.
//!
//! Keys are kept transposed, a row a dimension, values as they come, a row a position:
//!
//! ```text
//! scores of sixteen keys    +=  q[i] * (sixteen elements of row i of the keys)       for each i
//! sixteen elements of out   +=  weight[t] * (sixteen elements of row t of the values)    for each t
//! ```
//! So no sum runs over lanes. Up to eight registers are summed up at a time, as many as hide the latency
//! of a multiply-add; values are read in order, keys some lines of each row at a time. Elements are
//! `f32` or half precision.

mod element;
mod narrow;

use crate::error::ShapeError;
use crate::simd::{Kernel, LANES, Simd, dispatch};
use crate::softmax::Exponentials;
use core::ops::Range;

pub use element::Element;

/// Elements from `start` on, up to sixteen of them; missing lanes are zero.
#[inline(always)]
fn load_from<S: Simd, T: Element>(simd: S, x: &[T], start: usize) -> S::V {
    let rest = x.get(start..).unwrap_or(&[]);
    if let Some(lanes) = rest.first_chunk() {
        return T::load(simd, lanes);
    }
    let mut lanes = [0.0; LANES];
    for (lane, x) in lanes.iter_mut().zip(rest) {
        *lane = x.to_f32();
    }
    simd.load(&lanes)
}

/// Keys (`width x capacity`, transposed) and values (`capacity x width`) of one layer.
#[derive(Clone, Copy, Debug)]
pub struct Cached<'a, T> {
    keys: &'a [T],
    values: &'a [T],
    width: usize,
    capacity: usize,
}

impl<'a, T: Element> Cached<'a, T> {
    /// Puts keys and values together.
    ///
    /// # Errors
    /// [`ShapeError`] unless both hold `width * capacity` elements.
    pub fn new(
        keys: &'a [T],
        values: &'a [T],
        width: usize,
        capacity: usize,
    ) -> Result<Self, ShapeError> {
        let len = width.checked_mul(capacity);
        let fits = len == Some(keys.len()) && len == Some(values.len());
        let cached = Self {
            keys,
            values,
            width,
            capacity,
        };
        fits.then_some(cached).ok_or(ShapeError)
    }
}

/// [`Cached`], to be written to.
#[derive(Debug)]
pub struct CachedMut<'a, T> {
    keys: &'a mut [T],
    values: &'a mut [T],
    width: usize,
    capacity: usize,
}

impl<'a, T: Element> CachedMut<'a, T> {
    /// Puts keys and values together.
    ///
    /// # Errors
    /// As [`Cached::new`].
    pub fn new(
        keys: &'a mut [T],
        values: &'a mut [T],
        width: usize,
        capacity: usize,
    ) -> Result<Self, ShapeError> {
        Cached::new(keys, values, width, capacity)?;
        Ok(Self {
            keys,
            values,
            width,
            capacity,
        })
    }

    /// Puts a key and a value, `width` numbers each, in a place of the `capacity`.
    ///
    /// # Errors
    /// [`ShapeError`] when there is no such place, or for another width.
    pub fn put(&mut self, place: usize, key: &[f32], value: &[f32]) -> Result<(), ShapeError> {
        if place >= self.capacity || key.len() != self.width || value.len() != self.width {
            return Err(ShapeError);
        }
        let column = self.keys.iter_mut().skip(place).step_by(self.capacity);
        for (to, from) in column.zip(key) {
            *to = T::from_f32(*from);
        }
        let row = self.values.iter_mut().skip(place * self.width);
        for (to, from) in row.zip(value) {
            *to = T::from_f32(*from);
        }
        Ok(())
    }

    /// The same, to be read.
    pub fn as_ref(&self) -> Cached<'_, T> {
        Cached {
            keys: self.keys,
            values: self.values,
            width: self.width,
            capacity: self.capacity,
        }
    }
}

/// `weights = softmax(scale K q)`, `out = weights V`, for the queries that share a head of keys and
/// values, over the first places of a cache.
///
/// # Shapes
/// The head is a range of the cache's dimensions; `q` and `out` hold as many numbers for each query, one
/// query behind the other; `weights` holds one for each place, likewise. Where all scores of a query are
/// `-inf`, its `out` and weights are 0.
///
/// # Errors
/// [`ShapeError`] when the head or the places are not all in the cache, or the lengths do not fit.
///
/// # Precision
/// As [`attend_one`](super::attend_one), over what the cache holds: a score is one chain of
/// multiply-adds over the head's dimensions, an element of `out` the sum of up to four over the
/// places. Equal bits within a rounding class.
///
/// # Example
/// ```
/// use barelm_kernels::attention::{CachedMut, attend_cached};
/// let (mut keys, mut values) = ([0.0; 8], [0.0; 8]);
/// let mut cache = CachedMut::new(&mut keys, &mut values, 2, 4)?;
/// cache.put(0, &[1.0, 1.0], &[2.0, 0.0])?;
/// cache.put(1, &[1.0, 1.0], &[4.0, 8.0])?;
/// let (mut out, mut weights) = ([0.0; 2], [0.0; 2]);
/// attend_cached(&mut out, &mut weights, &[5.0, 0.0], cache.as_ref(), 0..2, 1.0)?;
/// assert_eq!((out, weights), ([3.0, 4.0], [0.5, 0.5]));
/// # Ok::<(), barelm_kernels::error::ShapeError>(())
/// ```
pub fn attend_cached<T: Element>(
    out: &mut [f32],
    weights: &mut [f32],
    q: &[f32],
    cached: Cached<'_, T>,
    head: Range<usize>,
    scale: f32,
) -> Result<(), ShapeError> {
    let width = head.len();
    let queries = q.len().checked_div(width).ok_or(ShapeError)?;
    let places = weights.len().checked_div(queries).unwrap_or(0);
    let whole = q.len() == queries * width && weights.len() == queries * places;
    if !whole || out.len() != q.len() || head.end > cached.width || places > cached.capacity {
        return Err(ShapeError);
    }
    dispatch(AttendCached {
        out,
        weights,
        q,
        cached,
        first: head.start,
        width,
        places,
        scale,
    });
    Ok(())
}

struct AttendCached<'a, T> {
    out: &'a mut [f32],
    weights: &'a mut [f32],
    q: &'a [f32],
    cached: Cached<'a, T>,
    first: usize,
    width: usize,
    places: usize,
    scale: f32,
}

impl<T: Element> Kernel for AttendCached<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let (width, places) = (self.width, self.places);
        let queries = self.q.len().checked_div(width).unwrap_or(0);
        if const { S::REGISTERS < 4 } {
            self.narrow_scores(queries);
        }
        for query in 0..queries {
            let range = query * width..(query + 1) * width;
            let weights = query * places..(query + 1) * places;
            let mut alone = Query {
                q: self.q.get(range.clone()).unwrap_or(&[]),
                out: self.out.get_mut(range).unwrap_or_default(),
                weights: self.weights.get_mut(weights).unwrap_or_default(),
                cached: self.cached,
                first: self.first,
                scale: self.scale,
            };
            if const { S::REGISTERS < 4 } {
                alone.softmax(simd);
            } else {
                alone.scores(simd);
                alone.softmax(simd);
                alone.weighted_sums(simd);
            }
        }
        if const { S::REGISTERS < 4 } {
            self.narrow_weighted_sums(queries);
        }
    }
}

/// One of the queries.
struct Query<'a, T> {
    out: &'a mut [f32],
    weights: &'a mut [f32],
    q: &'a [f32],
    cached: Cached<'a, T>,
    first: usize,
    scale: f32,
}

impl<T: Element> Query<'_, T> {
    #[inline(always)]
    fn softmax<S: Simd>(&mut self, simd: S) {
        let factor = simd.call(Exponentials { x: self.weights });
        for weight in self.weights.iter_mut() {
            *weight *= factor;
        }
    }

    #[inline(always)]
    fn scores<S: Simd>(&mut self, simd: S) {
        let mut place = 0;
        while let Some(left) = self.weights.len().checked_sub(place + 1) {
            place += match left / LANES {
                3.. => self.scores_of::<S, 4>(simd, place),
                _ => self.scores_of::<S, 1>(simd, place),
            };
        }
    }

    /// An element is summed up in as many chains as registers are left for: one, two or four.
    #[inline(always)]
    fn weighted_sums<S: Simd>(&mut self, simd: S) {
        let mut column = 0;
        while let Some(left) = self.out.len().checked_sub(column + 1) {
            column += match left / LANES {
                3.. => self.weighted_sum::<S, 4, 1>(simd, column),
                1.. => self.weighted_sum::<S, 2, 2>(simd, column),
                0 => self.weighted_sum::<S, 1, 4>(simd, column),
            };
        }
    }

    /// Scores of `B` vectors of keys from a place on; returns how many that were.
    #[inline(always)]
    fn scores_of<S: Simd, const B: usize>(&mut self, simd: S, place: usize) -> usize {
        let Cached { keys, capacity, .. } = self.cached;
        let mut sums = [simd.splat(0.0); B];
        for (i, q) in self.q.iter().enumerate() {
            let row = keys.get((self.first + i) * capacity + place..);
            let (row, q) = (row.unwrap_or(&[]), simd.splat(*q));
            for (b, sum) in sums.iter_mut().enumerate() {
                *sum = simd.mul_add(q, load_from(simd, row, b * LANES), *sum);
            }
        }
        let scale = simd.splat(self.scale);
        for (b, sum) in sums.into_iter().enumerate() {
            simd.store_from(simd.mul(sum, scale), self.weights, place + b * LANES);
        }
        B * LANES
    }

    /// Sums of `C` vectors of columns from one on, over `P` places at a time; returns how many
    /// columns that were.
    #[inline(always)]
    fn weighted_sum<S: Simd, const C: usize, const P: usize>(
        &mut self,
        simd: S,
        column: usize,
    ) -> usize {
        let Cached { values, width, .. } = self.cached;
        let mut sums = [[simd.splat(0.0); C]; P];
        for (j, weights) in self.weights.chunks(P).enumerate() {
            for ((p, sums), weight) in sums.iter_mut().enumerate().zip(weights) {
                let start = (j * P + p) * width + self.first + column;
                let (row, weight) = (values.get(start..).unwrap_or(&[]), simd.splat(*weight));
                for (c, sum) in sums.iter_mut().enumerate() {
                    *sum = simd.mul_add(weight, load_from(simd, row, c * LANES), *sum);
                }
            }
        }
        for c in 0..C {
            let mut total = simd.splat(0.0);
            for sums in sums {
                total = simd.add(total, sums[c]);
            }
            simd.store_from(total, self.out, column + c * LANES);
        }
        C * LANES
    }
}

#[cfg(test)]
mod tests;
