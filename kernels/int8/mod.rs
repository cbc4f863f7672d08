//! Numbers in eight bits: a row of weights is signed bytes and one `f32` scale.
//!
//! ```text
//! scale = max_i |x_i| / 127      q_i = round(x_i / scale), in -127 ..= 127      x_i = scale q_i
//! (A x)_r = a_scale_r x_scale sum_i a_ri x_i       the sum over bytes, exact in i32
//! ```
//! The vector is quantised like a row, so a product is integer arithmetic until its last step: it
//! has the same bits on every backend, whatever its lanes and whatever the order of its sums. Four
//! rows are taken at a time; they share what is read and widened of the vector.
//!
//! Source: B. Jacob et al., "Quantization and Training of Neural Networks for Efficient
//! Integer-Arithmetic-Only Inference", 2018 (with a zero point of 0, and a scale a row).

mod narrow;

use crate::error::ShapeError;
use crate::simd::{Kernel, SIGNED, Simd, dispatch};

/// Longest vector of a product: 131,071 products of at most 2^14 stay below 2^31.
pub const MAX_LEN: usize = (1 << 17) - 1;

/// Largest magnitude of a quantised number.
const LARGEST: f32 = 127.0;
/// Bytes in a cache line, and of a matrix that is likely to be in a cache.
const LINE: usize = 64;
const NEAR: usize = 256 << 10;
/// `f32` has no digit behind the point from here to twice this: adding it rounds to an integer,
/// which is then found in the low bits.
const ROUNDER: f32 = 1.5 * (1 << 23) as f32;

/// Quantises a row; returns its scale.
///
/// A row whose largest magnitude is below `1.5e-36` counts as zeros, with scale 0; one that holds NaN
/// or an infinity becomes zeros with the scale NaN, so that products with it are NaN, too.
///
/// # Errors
/// [`ShapeError`] when the lengths differ.
///
/// # Precision
/// Each number within half a scale (and `1e-5` of a scale for rounding); equal bits everywhere.
///
/// # Example
/// ```
/// use barelm_kernels::int8::quantize_into;
/// let mut row = [0; 3];
/// let scale = quantize_into(&[254.0, -1.0, 3.2], &mut row)?;
/// assert_eq!((scale, row), (2.0, [127, 0, 2]));
/// # Ok::<(), barelm_kernels::error::ShapeError>(())
/// ```
pub fn quantize_into(x: &[f32], out: &mut [i8]) -> Result<f32, ShapeError> {
    if x.len() != out.len() {
        return Err(ShapeError);
    }
    Ok(dispatch(Quantize { x, out }))
}

/// `out[i] = scale * row[i]`: the numbers that a quantised row stands for.
///
/// # Errors
/// [`ShapeError`] when the lengths differ.
///
/// # Precision
/// One rounding an element; equal bits everywhere.
///
/// # Example
/// ```
/// let mut x = [0.0; 2];
/// barelm_kernels::int8::dequantize_into(&[-127, 2], 0.5, &mut x)?;
/// assert_eq!(x, [-63.5, 1.0]);
/// # Ok::<(), barelm_kernels::error::ShapeError>(())
/// ```
pub fn dequantize_into(row: &[i8], scale: f32, out: &mut [f32]) -> Result<(), ShapeError> {
    if row.len() != out.len() {
        return Err(ShapeError);
    }
    dispatch(Dequantize { row, scale, out });
    Ok(())
}

/// `sum_i a[i] * b[i]`, exact.
///
/// # Errors
/// [`ShapeError`] when the lengths differ or are above [`MAX_LEN`].
///
/// # Example
/// ```
/// assert_eq!(barelm_kernels::int8::dot(&[-128, 2], &[-128, 3]), Ok(16390));
/// ```
pub fn dot(a: &[i8], b: &[i8]) -> Result<i32, ShapeError> {
    let fits = a.len() == b.len() && a.len() <= MAX_LEN;
    fits.then(|| dispatch(Dot { a, b })).ok_or(ShapeError)
}

/// `dst = A x` over a quantised matrix, `m x n`, and vector, `n`; `x_scale` is the vector's scale.
///
/// # Errors
/// [`ShapeError`] when `x.len() != a.cols()` or `dst.len() != a.rows()`.
///
/// # Precision
/// The sum over bytes is exact; its conversion and the products with the two scales round once
/// each. Equal bits everywhere, and for every partition of the rows.
///
/// # Example
/// ```
/// use barelm_kernels::int8::{Int8Ref, matvec};
/// let a = Int8Ref::new(&[1, 2, 3, 4], &[1.0, 0.5], 2)?;
/// let mut y = [0.0; 2];
/// matvec(&mut y, a, &[1, 10], 0.5)?;
/// assert_eq!(y, [10.5, 10.75]);
/// # Ok::<(), barelm_kernels::error::ShapeError>(())
/// ```
pub fn matvec(dst: &mut [f32], a: Int8Ref<'_>, x: &[i8], x_scale: f32) -> Result<(), ShapeError> {
    if x.len() != a.cols || dst.len() != a.rows() {
        return Err(ShapeError);
    }
    dispatch(Matvec { dst, a, x, x_scale });
    Ok(())
}

/// A borrowed matrix of signed bytes, row-major without gaps, with one scale a row.
///
/// # Example
/// ```
/// use barelm_kernels::int8::Int8Ref;
/// let a = Int8Ref::new(&[1, 2, 3, 4, 5, 6], &[1.0, 0.5], 3)?;
/// assert_eq!(a.row(1), (&[4, 5, 6][..], 0.5));
/// # Ok::<(), barelm_kernels::error::ShapeError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Int8Ref<'a> {
    values: &'a [i8],
    scales: &'a [f32],
    cols: usize,
}

impl<'a> Int8Ref<'a> {
    /// Views `values` as rows of `cols`, as many as there are scales.
    ///
    /// # Errors
    /// [`ShapeError`] when the lengths do not fit or `cols` is above [`MAX_LEN`].
    pub fn new(values: &'a [i8], scales: &'a [f32], cols: usize) -> Result<Self, ShapeError> {
        let fits = scales.len().checked_mul(cols) == Some(values.len()) && cols <= MAX_LEN;
        let view = Self {
            values,
            scales,
            cols,
        };
        fits.then_some(view).ok_or(ShapeError)
    }

    /// Number of rows.
    #[inline(always)]
    pub fn rows(&self) -> usize {
        self.scales.len()
    }

    /// Number of columns.
    #[inline(always)]
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Row `i` and its scale; empty and 0 when there is no such row.
    #[inline(always)]
    pub fn row(&self, i: usize) -> (&'a [i8], f32) {
        let row = self.values.get(i.wrapping_mul(self.cols)..);
        let row = row.and_then(|rest| rest.get(..self.cols));
        let (row, scale) = row.zip(self.scales.get(i)).unwrap_or((&[], &0.0));
        (row, *scale)
    }
}

struct Quantize<'a> {
    x: &'a [f32],
    out: &'a mut [i8],
}

impl Kernel for Quantize<'_> {
    type Output = f32;
    /// Magnitudes are compared as integers: NaN and infinity are the largest of them.
    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> f32 {
        let mut bits = 0;
        for x in self.x {
            bits = bits.max(x.abs().to_bits());
        }
        let largest = f32::from_bits(bits);
        let scale = largest / LARGEST;
        if !scale.is_normal() {
            self.out.fill(0);
            return if largest.is_finite() { 0.0 } else { f32::NAN };
        }
        let factor = LARGEST / largest;
        for (out, x) in self.out.iter_mut().zip(self.x) {
            *out = (x * factor + ROUNDER).to_bits() as i8;
        }
        scale
    }
}

struct Dequantize<'a> {
    row: &'a [i8],
    scale: f32,
    out: &'a mut [f32],
}

impl Kernel for Dequantize<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        for (out, x) in self.out.iter_mut().zip(self.row) {
            *out = self.scale * f32::from(*x);
        }
    }
}

struct Dot<'a> {
    a: &'a [i8],
    b: &'a [i8],
}

impl Kernel for Dot<'_> {
    type Output = i32;
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> i32 {
        let [sums] = sums_of_products(simd, [self.a], &Vector::new(self.b));
        let [total, ..] = simd.totals([sums; 4]);
        total
    }
}

struct Matvec<'a> {
    dst: &'a mut [f32],
    a: Int8Ref<'a>,
    x: &'a [i8],
    x_scale: f32,
}

impl Kernel for Matvec<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        if const { S::REGISTERS < 4 } {
            return self.narrow();
        }
        let (a, x) = (self.a, Vector::new(self.x));
        let (fours, last) = self.dst.as_chunks_mut::<4>();
        let first_of_last = 4 * fours.len();
        for (i, four) in fours.iter_mut().enumerate() {
            let rows = [0, 1, 2, 3].map(|row| a.row(4 * i + row));
            if a.values.len() > NEAR {
                // The next four: rows are short, and the processor foresees no end of one.
                for row in 4..8 {
                    let (row, _) = a.row(4 * i + row);
                    for line in row.chunks(LINE) {
                        simd.prefetch(line);
                    }
                }
            }
            let sums = sums_of_products(simd, rows.map(|(row, _)| row), &x);
            let totals = simd.totals(sums);
            for ((dst, total), (_, scale)) in four.iter_mut().zip(totals).zip(rows) {
                *dst = total as f32 * (scale * self.x_scale);
            }
        }
        for (i, dst) in last.iter_mut().enumerate() {
            let (row, scale) = a.row(first_of_last + i);
            let [sums] = sums_of_products(simd, [row], &x);
            let [total, ..] = simd.totals([sums; 4]);
            *dst = total as f32 * (scale * self.x_scale);
        }
    }
}

/// A vector in whole steps: the last one is filled up with zeros.
struct Vector<'a> {
    steps: &'a [[i8; SIGNED]],
    last: Option<[i8; SIGNED]>,
}

impl<'a> Vector<'a> {
    #[inline(always)]
    fn new(x: &'a [i8]) -> Self {
        let (steps, last) = x.as_chunks();
        let last = (!last.is_empty()).then(|| filled_up(last));
        Self { steps, last }
    }
}

#[inline(always)]
fn filled_up(x: &[i8]) -> [i8; SIGNED] {
    let mut step = [0; SIGNED];
    for (to, from) in step.iter_mut().zip(x) {
        *to = *from;
    }
    step
}

/// The products of each row with `x`, which is as long.
#[inline(always)]
fn sums_of_products<S: Simd, const R: usize>(
    simd: S,
    rows: [&[i8]; R],
    x: &Vector<'_>,
) -> [S::Sums; R] {
    let mut sums = [simd.no_sums(); R];
    let (mut row_steps, mut row_lasts) = ([&[][..]; R], [&[][..]; R]);
    for ((steps, last), row) in row_steps.iter_mut().zip(&mut row_lasts).zip(rows) {
        (*steps, *last) = row.as_chunks::<SIGNED>();
    }
    for (i, x) in x.steps.iter().enumerate() {
        for (sums, steps) in sums.iter_mut().zip(row_steps) {
            if let Some(row) = steps.get(i) {
                *sums = simd.add_products(row, x, *sums);
            }
        }
    }
    if let Some(x) = &x.last {
        for (sums, row) in sums.iter_mut().zip(row_lasts) {
            *sums = simd.add_products(&filled_up(row), x, *sums);
        }
    }
    sums
}

#[cfg(test)]
mod tests;
