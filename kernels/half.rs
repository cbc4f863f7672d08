//! Half precision, the `binary16` of IEEE 754, as the bits of a `u16`: a sign, five bits of exponent,
//! ten of fraction.
//!
//! The conversions are integer arithmetic and one `f32` operation, so that they need neither
//! instructions for halves nor a library; processors with such instructions use them for vectors
//! ([`Simd::load_half`](crate::simd::Simd::load_half)), to the same bits.

/// What brings an exponent of `binary16`, read as one of `f32`, to its place: 2^112.
pub(crate) const REBIAS: f32 = f32::from_bits((127 + 112) << 23);
/// The exponents' difference, in `f32`'s place.
const BIAS: u32 = 112 << 23;
/// Bits of `f32`'s fraction that a half has no room for.
const EXTRA: u32 = 13;
/// Bits of 2^-14, the smallest normal half, of 2^16, and of infinity, all as `f32`.
const SMALLEST_NORMAL: u32 = 113 << 23;
const TOO_LARGE: u32 = 143 << 23;
const INFINITY: u32 = 0x7F80_0000;

/// The number that a half stands for, exactly; NaN stays NaN.
///
/// ```
/// assert_eq!(barelm_kernels::half::half_to_f32(0x3C00), 1.0);
/// assert_eq!(barelm_kernels::half::half_to_f32(0x8001), -(2.0_f32.powi(-24)));
/// ```
#[inline(always)]
pub fn half_to_f32(half: u16) -> f32 {
    let magnitude = u32::from(half & 0x7FFF) << EXTRA;
    let finite = (f32::from_bits(magnitude) * REBIAS).to_bits();
    let bits = match half & 0x7C00 {
        0x7C00 => magnitude | INFINITY,
        _ => finite,
    };
    f32::from_bits(bits | u32::from(half & 0x8000) << 16)
}

/// [`half_to_f32`] of eight halves, divided by [`REBIAS`]: sign, exponent and fraction move to their
/// places, which is all that small numbers ask for. Adds to `seen` what [`has_large`] looks at.
#[inline(always)]
pub(crate) fn halves_unscaled(halves: &[u16; 8], seen: &mut u32) -> [f32; 8] {
    const SIGN_AND_MAGNITUDE: i32 = 1 << 31 | 0x7FFF << EXTRA;
    let mut out = [0.0; 8];
    let (pairs, _) = halves.as_chunks::<2>();
    for (out, pair) in out.as_chunks_mut().0.iter_mut().zip(pairs) {
        let both: i32 = bytemuck::cast(*pair);
        // Bits 14 and 13 of a half are the upper ones of its exponent.
        *seen |= (both & both << 1) as u32;
        *out = [both << 16, both]
            .map(|half| f32::from_bits((half >> (16 - EXTRA) & SIGN_AND_MAGNITUDE) as u32));
    }
    out
}

/// Whether a half was seen of 512 or more; infinities and NaN, which no shift makes, are among them.
#[inline(always)]
pub(crate) fn has_large(seen: u32) -> bool {
    seen & 0x4000_4000 != 0
}

/// The half nearest to a number, the even one of two; from 65520 on infinity. NaN stays NaN.
///
/// ```
/// assert_eq!(barelm_kernels::half::f32_to_half(-2.0), 0xC000);
/// assert_eq!(barelm_kernels::half::f32_to_half(1e5), 0x7C00);
/// ```
#[inline(always)]
pub fn f32_to_half(x: f32) -> u16 {
    let bits = x.abs().to_bits();
    let half = if bits > INFINITY {
        0x7E00
    } else if bits >= TOO_LARGE {
        0x7C00
    } else if bits < SMALLEST_NORMAL {
        // The last digit of 1/2 is 2^-24, that of a half below 2^-14: adding rounds as it should.
        (f32::from_bits(bits) + 0.5).to_bits() - 0.5_f32.to_bits()
    } else {
        let half_a_digit = (1 << (EXTRA - 1)) - 1 + (bits >> EXTRA & 1);
        (bits - BIAS + half_a_digit) >> EXTRA
    };
    half as u16 | (x.to_bits() >> 16 & 0x8000) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Kernel, LANES, Simd};
    use crate::testing::on_every_backend;

    /// By the definition, in `f64`.
    fn naive(half: u16) -> f64 {
        let (exponent, fraction) = (i32::from(half >> 10 & 31), f64::from(half & 1023));
        let magnitude = match exponent {
            0 => fraction * 2.0_f64.powi(-24),
            31 if fraction == 0.0 => f64::INFINITY,
            31 => f64::NAN,
            e => (1024.0 + fraction) * 2.0_f64.powi(e - 25),
        };
        if half & 0x8000 == 0 {
            magnitude
        } else {
            -magnitude
        }
    }

    #[test]
    fn every_half_is_exact_and_comes_back() {
        for half in 0..=u16::MAX {
            let x = half_to_f32(half);
            let eight = [0, 1, 0x8001, half, half, 0x8400, 0x5FFF, half];
            let mut seen = 0;
            let together = halves_unscaled(&eight, &mut seen).map(|x| x * REBIAS);
            let is_large = x.is_nan() || x.abs() >= 512.0;
            assert_eq!(has_large(seen), is_large, "{half:x}");
            if !is_large {
                assert_eq!(
                    together.map(f32::to_bits),
                    eight.map(half_to_f32).map(f32::to_bits)
                );
            }
            if naive(half).is_nan() {
                assert!(x.is_nan() && half_to_f32(f32_to_half(x)).is_nan());
            } else {
                assert_eq!(f64::from(x), naive(half), "{half:x}");
                assert_eq!(f32_to_half(x), half);
            }
        }
    }

    #[test]
    fn numbers_between_two_halves_go_to_the_nearer_or_the_even_one() {
        for half in 0..0x7BFF_u16 {
            let (low, high) = (half_to_f32(half), half_to_f32(half + 1));
            let middle = low + (high - low) / 2.0;
            let even = half + half % 2;
            for sign in [1.0, -1.0] {
                let bits = |x: f32| f32_to_half(sign * x) & 0x7FFF;
                assert_eq!(bits(middle), even, "{half:x}");
                assert_eq!(bits(middle.next_down()), half);
                assert_eq!(bits(middle.next_up()), half + 1);
            }
        }
        assert_eq!(f32_to_half(65519.996), 0x7BFF);
        for x in [65520.0, 65536.0, f32::MAX, f32::INFINITY] {
            assert_eq!(f32_to_half(x), 0x7C00);
        }
        assert_eq!(f32_to_half(2.0_f32.powi(-25)), 0);
        assert_eq!(f32_to_half(f32::MIN_POSITIVE), 0);
    }

    struct Load<'a>(&'a [u16; LANES], &'a mut [f32; LANES]);

    impl Kernel for Load<'_> {
        type Output = ();
        #[inline(always)]
        fn run<S: Simd>(self, simd: S) {
            simd.store(simd.load_half(self.0), self.1);
        }
    }

    #[test]
    fn backends_load_what_the_conversion_says() {
        on_every_backend(|backend| {
            for start in (0..=u16::MAX).step_by(LANES) {
                let halves = core::array::from_fn(|i| start + i as u16);
                let mut got = [0.0; LANES];
                backend.run(Load(&halves, &mut got));
                for (got, half) in got.iter().zip(halves) {
                    let want = half_to_f32(half);
                    let same = got.to_bits() == want.to_bits();
                    assert!(same || (got.is_nan() && want.is_nan()), "{half:x}");
                }
            }
        });
    }
}
