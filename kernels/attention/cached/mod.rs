//! The queries of one token against a cache of keys and values, laid out for them: a step of generation.
//!
//! Each head has its part of the cache. Its keys are kept in tiles of sixteen places, transposed: a row a
//! dimension. Its values are kept as they come, a row a place:
//!
//! ```text
//! scores of a tile          +=  q[i] * (row i of the tile)                               for each i
//! sixteen elements of out   +=  weight[t] * (sixteen elements of row t of the values)    for each t
//! ```
//! So no sum runs over lanes, and all is read in order, keys in four streams. Up to eight registers are
//! summed up at a time, as many as hide the latency of a multiply-add. Elements are `f32` or half
//! precision.

mod element;
mod narrow;

use crate::error::ShapeError;
use crate::simd::{Kernel, LANES, Simd, dispatch};
use crate::softmax::Exponentials;

pub use element::Element;

/// How many bytes ahead values are asked for: of a page that comes next, machines foresee nothing.
const AHEAD: usize = 4096;

/// Asks for as many elements, a page later.
#[inline(always)]
fn prefetch<S: Simd, T>(simd: S, values: &[T], len: usize) {
    const LINE: usize = 64;
    let later = values.get(AHEAD / size_of::<T>()..).unwrap_or(&[]);
    let lines = (len * size_of::<T>()).div_ceil(LINE);
    for line in later.chunks(LINE / size_of::<T>()).take(lines) {
        simd.prefetch(line);
    }
}

/// Up to sixteen elements; missing lanes are zero.
#[inline(never)]
fn load_part<S: Simd, T: Element>(simd: S, x: &[T]) -> S::V {
    let mut lanes = [0.0; LANES];
    for (lane, x) in lanes.iter_mut().zip(x) {
        *lane = x.to_f32();
    }
    simd.load(&lanes)
}

/// Keys and values of one layer: for each head `capacity` of them, `width` elements wide.
///
/// Element `i` of the key at place `t` of head `h` is number
/// `(h capacity + 16 (t / 16)) width + 16 i + t % 16` of the keys; that of the value is number
/// `(h capacity + t) width + i` of the values.
#[derive(Clone, Copy, Debug)]
pub struct Cached<'a, T> {
    keys: &'a [T],
    values: &'a [T],
    heads: usize,
    width: usize,
    capacity: usize,
}

/// The places that a cache has room for, if it is to hold `places`: whole tiles of sixteen.
pub const fn cached_capacity(places: usize) -> usize {
    places.next_multiple_of(LANES)
}

impl<'a, T: Element> Cached<'a, T> {
    /// Puts keys and values together.
    ///
    /// # Errors
    /// [`ShapeError`] unless both hold `heads * width * capacity` elements, and the capacity is one of
    /// [`cached_capacity`].
    pub fn new(
        keys: &'a [T],
        values: &'a [T],
        heads: usize,
        width: usize,
        capacity: usize,
    ) -> Result<Self, ShapeError> {
        let len = heads
            .checked_mul(width)
            .and_then(|n| n.checked_mul(capacity));
        let fits = len == Some(keys.len()) && len == Some(values.len());
        let cached = Self {
            keys,
            values,
            heads,
            width,
            capacity,
        };
        let tiled = capacity.is_multiple_of(LANES);
        (fits && tiled).then_some(cached).ok_or(ShapeError)
    }
}

/// [`Cached`], to be written to.
#[derive(Debug)]
pub struct CachedMut<'a, T> {
    keys: &'a mut [T],
    values: &'a mut [T],
    heads: usize,
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
        heads: usize,
        width: usize,
        capacity: usize,
    ) -> Result<Self, ShapeError> {
        Cached::new(keys, values, heads, width, capacity)?;
        Ok(Self {
            keys,
            values,
            heads,
            width,
            capacity,
        })
    }

    /// Puts a key and a value, `width` numbers for each head, in a place of the `capacity`.
    ///
    /// # Errors
    /// [`ShapeError`] when there is no such place, or for another number of numbers.
    pub fn put(&mut self, place: usize, key: &[f32], value: &[f32]) -> Result<(), ShapeError> {
        let (width, len) = (self.width, self.heads * self.width);
        if place >= self.capacity || key.len() != len || value.len() != len {
            return Err(ShapeError);
        }
        let tile = (place - place % LANES) * width + place % LANES;
        for h in 0..self.heads {
            let (first, head) = (h * self.capacity * width, h * width..);
            let column = self.keys.iter_mut().skip(first + tile).step_by(LANES);
            write(column, key.get(head.clone()), width);
            let row = self.values.iter_mut().skip(first + place * width);
            write(row, value.get(head), width);
        }
        Ok(())
    }

    /// The same, to be read.
    pub fn as_ref(&self) -> Cached<'_, T> {
        Cached {
            keys: self.keys,
            values: self.values,
            heads: self.heads,
            width: self.width,
            capacity: self.capacity,
        }
    }
}

/// Writes the first `len` of some numbers.
fn write<'c, T: Element + 'c>(
    cells: impl Iterator<Item = &'c mut T>,
    from: Option<&[f32]>,
    len: usize,
) {
    for (cell, from) in cells.zip(from.unwrap_or(&[])).take(len) {
        *cell = T::from_f32(*from);
    }
}

/// `weights = softmax(scale K q)`, `out = weights V`, for the queries that share a head of keys and
/// values, over the first places of a cache.
///
/// # Shapes
/// `q` and `out` hold as many numbers for each query as the head is wide, one query behind the other;
/// `weights` holds one for each place, likewise. Where all scores of a query are `-inf`, its `out` and
/// weights are 0.
///
/// # Errors
/// [`ShapeError`] when the cache has no such head or not as many places, or the lengths do not fit.
///
/// # Precision
/// As [`attend_one`](super::attend_one), over what the cache holds: a score is one chain of
/// multiply-adds over the head's dimensions, an element of `out` the sum of up to four over the
/// places. Equal bits within a rounding class.
///
/// # Example
/// ```
/// use barelm_kernels::attention::{CachedMut, attend_cached, cached_capacity};
/// const CAPACITY: usize = cached_capacity(4);
/// let (mut keys, mut values) = ([0.0; 2 * CAPACITY], [0.0; 2 * CAPACITY]);
/// let mut cache = CachedMut::new(&mut keys, &mut values, 1, 2, CAPACITY)?;
/// cache.put(0, &[1.0, 1.0], &[2.0, 0.0])?;
/// cache.put(1, &[1.0, 1.0], &[4.0, 8.0])?;
/// let (mut out, mut weights) = ([0.0; 2], [0.0; 2]);
/// attend_cached(&mut out, &mut weights, &[5.0, 0.0], cache.as_ref(), 0, 1.0)?;
/// assert_eq!((out, weights), ([3.0, 4.0], [0.5, 0.5]));
/// # Ok::<(), barelm_kernels::error::ShapeError>(())
/// ```
pub fn attend_cached<T: Element>(
    out: &mut [f32],
    weights: &mut [f32],
    q: &[f32],
    cached: Cached<'_, T>,
    head: usize,
    scale: f32,
) -> Result<(), ShapeError> {
    let width = cached.width;
    let queries = q.len().checked_div(width).ok_or(ShapeError)?;
    let places = weights.len().checked_div(queries).unwrap_or(0);
    let whole = q.len() == queries * width && weights.len() == queries * places;
    if !whole || out.len() != q.len() || head >= cached.heads || places > cached.capacity {
        return Err(ShapeError);
    }
    let len = cached.capacity * width;
    let head = head * len..(head + 1) * len;
    dispatch(AttendCached {
        out,
        weights,
        q,
        keys: cached.keys.get(head.clone()).unwrap_or(&[]),
        values: cached.values.get(head).unwrap_or(&[]),
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
    /// Those of the head.
    keys: &'a [T],
    values: &'a [T],
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
                keys: self.keys,
                values: self.values,
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
    keys: &'a [T],
    values: &'a [T],
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

    /// Scores of `B` tiles of keys from a place on; returns how many that were.
    #[inline(always)]
    fn scores_of<S: Simd, const B: usize>(&mut self, simd: S, place: usize) -> usize {
        let width = self.q.len();
        let keys = self.keys.get(place * width..).unwrap_or(&[]);
        let (mut tiles, mut rest) = ([&[][..]; B], keys.as_chunks::<LANES>().0);
        for tile in &mut tiles {
            *tile = rest.split_off(..width).unwrap_or(&[]);
        }
        let mut sums = [simd.splat(0.0); B];
        for (i, q) in self.q.iter().enumerate() {
            let q = simd.splat(*q);
            for (tile, sum) in tiles.iter().zip(&mut sums) {
                if let Some(row) = tile.get(i) {
                    *sum = simd.mul_add(q, T::load(simd, row), *sum);
                }
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
        let mut sums = [[simd.splat(0.0); C]; P];
        let mut starts = (column..).step_by(self.q.len().max(1));
        for weights in self.weights.chunks(P) {
            for ((sums, weight), start) in sums.iter_mut().zip(weights).zip(&mut starts) {
                let weight = simd.splat(*weight);
                let rest = self.values.get(start..).unwrap_or(&[]);
                prefetch(simd, rest, C * LANES);
                // Beyond the end of a row are others: what is summed up of them is not written.
                match rest.as_chunks().0.first_chunk::<C>() {
                    Some(row) => {
                        for (sum, row) in sums.iter_mut().zip(row) {
                            *sum = simd.mul_add(weight, T::load(simd, row), *sum);
                        }
                    }
                    None => {
                        for (sum, row) in sums.iter_mut().zip(rest.chunks(LANES)) {
                            *sum = simd.mul_add(weight, load_part(simd, row), *sum);
                        }
                    }
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
