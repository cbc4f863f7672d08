//! Exponentials of vectors, without a table and without a branch.
//!
//! The idea: `2^x = 2^n * 2^r` with `n` the integer nearest to `x` and `r = x - n` in -1/2 .. 1/2.
//! Adding `1.5 * 2^23` to `x` rounds it: the sum has no fraction bits left, and its low bits are
//! `n`. A polynomial of degree 5 gives `2^r`; `n` is added to the exponent bits of the result. For
//! `e^x`, `n` is the integer nearest to `x log2(e)` and `r = x - n ln 2`, with `ln 2` in two parts
//! so that the product is exact (Cody and Waite, Software Manual for the Elementary Functions).
//!
//! The polynomials minimise the largest relative error with the constant term held at 1, so that
//! `2^n` is exact; theirs is 1e-7, the rest is rounding.

use crate::simd::{Kernel, LANES, Simd, dispatch};

/// `1.5 * 2^23`: a sum with it holds the nearest integer in its low bits.
const ROUNDER: f32 = 12_582_912.0;

/// Coefficients of `r^5 .. r^0` in `2^r`, `|r| <= 1/2`.
#[expect(clippy::approx_constant, reason = "near ln 2, but fitted")]
const EXP2: [f32; 6] = [
    0.001_326_474_6,
    0.009_671_513,
    0.055_507_336,
    0.240_222_42,
    0.693_147,
    1.0,
];

/// Coefficients of `r^5 .. r^0` in `e^r`, `|r| <= ln(2) / 2`.
const EXP: [f32; 6] = [
    0.008_290_318,
    0.041_897_975,
    0.166_676_36,
    0.499_991_5,
    0.999_999_7,
    1.0,
];

/// `ln 2` to nine bits, and what is left of it.
const LN_2: [f32; 2] = [0.693_359_4, -0.000_212_194_44];

/// From here down `e^x` is not a normal number, and counts as 0.
const EXP_ZERO: f32 = -87.336_55;
/// Above this `e^x` is more than `f32` holds.
const EXP_LARGEST: f32 = 88.722_83;

/// `x[i] = e^(x[i])`.
///
/// # Precision
/// Relative error below 2e-7. Results below `2^-126`, that of `-inf` included, are exactly 0;
/// results above the largest `f32` are infinite; NaN stays NaN. Equal bits within a rounding class.
///
/// ```
/// let mut x = [0.0, 1.0, f32::NEG_INFINITY];
/// barelm_kernels::exp::exp_in_place(&mut x);
/// assert_eq!((x[0], x[2]), (1.0, 0.0));
/// assert!((x[1] - std::f32::consts::E).abs() < 1e-6);
/// ```
pub fn exp_in_place(x: &mut [f32]) {
    dispatch(Exp { x });
}

struct Exp<'a> {
    x: &'a mut [f32],
}

impl Kernel for Exp<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let (chunks, tail) = self.x.as_chunks_mut::<LANES>();
        for chunk in chunks {
            simd.store(exp_with(simd, simd.load(chunk)), chunk);
        }
        if !tail.is_empty() {
            simd.store_partial(exp_with(simd, simd.load_partial(tail)), tail);
        }
    }
}

/// `2^x` in each lane for `x <= 128`, as online softmax needs it; relative error below 2e-7, 0
/// below `2^-126.5`, NaN for NaN.
#[inline(always)]
pub(crate) fn exp2_with<S: Simd>(simd: S, x: S::V) -> S::V {
    if const { S::REGISTERS < 4 } {
        return narrow(simd, x, narrow_exp2);
    }
    // At -127 the exponent is empty: exactly zero. The second operand, so that NaN stays.
    let cut = simd.max(simd.splat(-127.0), x);
    let rounded = simd.add(cut, simd.splat(ROUNDER));
    let r = simd.sub(cut, simd.sub(rounded, simd.splat(ROUNDER)));
    // A product instead of added exponents: NaN stays NaN.
    let power = simd.add_to_exponent(simd.splat(1.0), rounded);
    simd.mul(polynomial(simd, &EXP2, r), power)
}

/// `e^x` in each lane; relative error below 2e-7, 0 below `2^-126`, NaN for NaN.
#[inline(always)]
pub(crate) fn exp_with<S: Simd>(simd: S, x: S::V) -> S::V {
    if const { S::REGISTERS < 4 } {
        return narrow(simd, x, narrow_exp);
    }
    let rounder = simd.splat(ROUNDER);
    let rounded = simd.mul_add(x, simd.splat(core::f32::consts::LOG2_E), rounder);
    let minus_n = simd.sub(rounder, rounded);
    let [high, low] = LN_2;
    let r = simd.mul_add(minus_n, simd.splat(high), x);
    let r = simd.mul_add(minus_n, simd.splat(low), r);
    let y = simd.add_to_exponent(polynomial(simd, &EXP, r), rounded);
    let (largest, infinity) = (simd.splat(EXP_LARGEST), simd.splat(f32::INFINITY));
    let y = simd.select_gt(x, largest, infinity, y);
    let zero_or_nan = simd.max(simd.splat(0.0), x);
    simd.select_gt(x, simd.splat(EXP_ZERO), y, zero_or_nan)
}

/// Lane after lane, where registers hold no more than two vectors: sixteen lanes at once would be
/// kept on the stack, in sixteen times the code.
#[inline(always)]
fn narrow<S: Simd>(simd: S, x: S::V, f: fn(&mut [f32; LANES])) -> S::V {
    let mut lanes = [0.0; LANES];
    simd.store(x, &mut lanes);
    f(&mut lanes);
    simd.load(&lanes)
}

/// [`exp2_with`] of plain numbers, unfused; the same bits.
#[inline(never)]
fn narrow_exp2(lanes: &mut [f32; LANES]) {
    for x in lanes {
        let cut = if -127.0 > *x { -127.0 } else { *x };
        let rounded = cut + ROUNDER;
        let r = cut - (rounded - ROUNDER);
        *x = narrow_polynomial(&EXP2, r) * narrow_power(1.0, rounded);
    }
}

/// [`exp_of_one`] of each.
#[inline(never)]
fn narrow_exp(lanes: &mut [f32; LANES]) {
    for x in lanes {
        *x = exp_of_one(*x);
    }
}

/// [`exp_with`] of a plain number, unfused; the same bits.
#[inline(always)]
pub(crate) fn exp_of_one(x: f32) -> f32 {
    let [high, low] = LN_2;
    let rounded = x * core::f32::consts::LOG2_E + ROUNDER;
    let minus_n = ROUNDER - rounded;
    let r = minus_n * high + x;
    let r = minus_n * low + r;
    let y = narrow_power(narrow_polynomial(&EXP, r), rounded);
    if x > EXP_LARGEST {
        f32::INFINITY
    } else if x > EXP_ZERO {
        y
    } else if 0.0 > x {
        0.0
    } else {
        x
    }
}

#[inline(always)]
fn narrow_polynomial([c5, c4, c3, c2, c1, c0]: &[f32; 6], r: f32) -> f32 {
    ((((c5 * r + c4) * r + c3) * r + c2) * r + c1) * r + c0
}

/// `x 2^k` for `n = k + ROUNDER`, as [`Simd::add_to_exponent`].
#[inline(always)]
fn narrow_power(x: f32, n: f32) -> f32 {
    f32::from_bits(x.to_bits().wrapping_add(n.to_bits() << 23))
}

/// Horner's rule, highest power first.
#[inline(always)]
fn polynomial<S: Simd>(simd: S, coefficients: &[f32; 6], r: S::V) -> S::V {
    // No closure: one that is not inlined is compiled without the backend's instructions.
    let [c5, c4, c3, c2, c1, c0] = *coefficients;
    let sum = simd.mul_add(simd.splat(c5), r, simd.splat(c4));
    let sum = simd.mul_add(sum, r, simd.splat(c3));
    let sum = simd.mul_add(sum, r, simd.splat(c2));
    let sum = simd.mul_add(sum, r, simd.splat(c1));
    simd.mul_add(sum, r, simd.splat(c0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Backend, Portable};
    use crate::testing::{LENGTHS, on_every_backend, tolerance, values};
    use std::vec::Vec;

    struct Exp2<'a>(&'a mut [[f32; LANES]]);

    impl Kernel for Exp2<'_> {
        type Output = ();
        #[inline(always)]
        fn run<S: Simd>(self, simd: S) {
            for x in self.0 {
                simd.store(exp2_with(simd, simd.load(x)), x);
            }
        }
    }

    /// Every value whose exponential is a normal number, in steps of about 2e-4.
    fn sweep(limit: f32) -> Vec<f32> {
        let steps = 1_000_000;
        (-steps..steps)
            .map(|i| limit * (i as f32 / steps as f32))
            .collect()
    }

    #[track_caller]
    fn assert_relative(x: &[f32], got: &[f32], exact: impl Fn(f64) -> f64) {
        for (x, got) in x.iter().zip(got) {
            let want = exact(f64::from(*x));
            let error = (f64::from(*got) / want - 1.0).abs();
            assert!(
                error <= f64::from(tolerance::EXP),
                "{x}: {got}, error {error}"
            );
        }
    }

    #[test]
    fn exp_agrees_with_f64_over_its_whole_range() {
        let x = sweep(87.3);
        on_every_backend(|backend| {
            let mut y = x.clone();
            backend.run(Exp { x: &mut y });
            assert_relative(&x, &y, libm::exp);
        });
    }

    #[test]
    fn exp2_agrees_with_f64_over_its_whole_range() {
        let x = sweep(126.0);
        on_every_backend(|backend| {
            let mut y = x.clone();
            backend.run(Exp2(y.as_chunks_mut().0));
            assert_relative(&x, &y, libm::exp2);
        });
    }

    #[test]
    fn plain_numbers_give_the_bits_of_portable_lanes() {
        let portable = Backend::Portable(Portable);
        let ends = [
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::NAN,
            0.0,
            -0.0,
            -87.34,
            88.73,
            1e30,
        ];
        let mut x = sweep(130.0);
        x.extend(ends.repeat(2));
        for x in x.as_chunks::<LANES>().0 {
            let (mut exp, mut exp2) = ([*x], [*x]);
            portable.run(Exp {
                x: exp.as_flattened_mut(),
            });
            portable.run(Exp2(&mut exp2));
            let (mut narrow, mut narrow2) = (*x, *x);
            narrow_exp(&mut narrow);
            narrow_exp2(&mut narrow2);
            let bits = |x: [f32; LANES]| x.map(|x| if x.is_nan() { 0 } else { x.to_bits() });
            assert_eq!(bits(narrow), bits(exp[0]), "{x:?}");
            // Powers of two are defined up to 128.
            let defined =
                |y: [f32; LANES]| core::array::from_fn(|i| if x[i] > 128.0 { 0.0 } else { y[i] });
            assert_eq!(bits(defined(narrow2)), bits(defined(exp2[0])), "{x:?}");
        }
    }

    const NAN_WITH_PAYLOAD: f32 = f32::from_bits(0x7FC0_0155);

    #[test]
    fn ends_of_the_range_of_exp_are_zero_infinity_and_nan() {
        on_every_backend(|backend| {
            let exp = |mut x: [f32; 4]| {
                backend.run(Exp { x: &mut x });
                x
            };
            let small = [f32::NEG_INFINITY, f32::MIN, -1e4, -87.34];
            assert_eq!(exp(small), [0.0; 4]);
            assert_eq!(exp([0.0, -0.0, 1e-40, -1e-40]), [1.0; 4]);
            let large = [88.73, 1e4, f32::MAX, f32::INFINITY];
            assert_eq!(exp(large), [f32::INFINITY; 4]);
            let nan = [f32::NAN, -f32::NAN, NAN_WITH_PAYLOAD, f32::NAN];
            assert!(exp(nan).iter().all(|y| y.is_nan()));
        });
    }

    #[test]
    fn ends_of_the_range_of_exp2_are_zero_infinity_and_nan() {
        let small = [f32::NEG_INFINITY, f32::MIN, -1e4, -150.0, -127.0, -126.6];
        on_every_backend(|backend| {
            let mut x = [[f32::NAN; LANES]; 1];
            x[0][..6].copy_from_slice(&small);
            x[0][6..10].copy_from_slice(&[-126.0, 0.0, -0.0, 128.0]);
            x[0][10] = NAN_WITH_PAYLOAD;
            backend.run(Exp2(&mut x));
            assert_eq!(x[0][..6], [0.0; 6]);
            assert_eq!(x[0][6..10], [f32::MIN_POSITIVE, 1.0, 1.0, f32::INFINITY]);
            assert!(x[0][10..].iter().all(|y| y.is_nan()));
        });
    }

    #[test]
    fn exp_neither_jumps_nor_leaves_its_range_near_the_ends() {
        let mut x: Vec<f32> = (0..64).map(|i| -87.336_56 + i as f32 * 1e-6).collect();
        x.extend((0..64).map(|i| 88.722_8 + i as f32 * 1e-6));
        on_every_backend(|backend| {
            let mut y = x.clone();
            backend.run(Exp { x: &mut y });
            assert!(y.is_sorted());
            assert_eq!(y[127], f32::INFINITY);
        });
    }

    #[test]
    fn exp_is_bit_equal_within_a_class_at_every_length() {
        for len in LENGTHS {
            let x = values(len, 1);
            let mut of_class = [None, None];
            on_every_backend(|backend| {
                let mut y: Vec<f32> = x.iter().map(|x| 90.0 * x).collect();
                backend.run(Exp { x: &mut y });
                let bits: Vec<u32> = y.iter().map(|y| y.to_bits()).collect();
                let class = &mut of_class[usize::from(backend.is_fused())];
                assert_eq!(*class.get_or_insert(bits.clone()), bits);
            });
        }
    }
}
