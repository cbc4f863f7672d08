//! What a cache of keys and values may hold: single or half precision.
//!
//! Sixteen elements are loaded as a vector of numbers. Where such a vector is sixteen plain numbers, they
//! come eight at a time, and of halves only the bits are moved to where `f32` has them:
//!
//! ```text
//! half = SCALE * eight        factor * half = (SCALE * factor) * eight
//! ```
//! The multiplication that is left is made with the factor, once a row and not once an element. `SCALE`
//! is a power of two, so the product is of the same two numbers and rounds to the same bits.

use crate::blas1::HALF;
use crate::half::{REBIAS, f32_to_half, half_to_f32, halves_unscaled, has_large};
use crate::simd::{LANES, Simd};

/// What a cache holds: `f32`, or the bits of a half ([`crate::half`]) in a `u16`.
pub trait Element: Copy {
    /// A power of two: what [`eight`](Self::eight) is to be multiplied with.
    const SCALE: f32;

    /// The number.
    fn to_f32(self) -> f32;
    /// The nearest that can be held.
    fn from_f32(x: f32) -> Self;
    /// Sixteen elements.
    fn load<S: Simd>(simd: S, x: &[Self; LANES]) -> S::V;
    /// Eight elements over [`SCALE`](Self::SCALE), where a vector is sixteen numbers; exact unless
    /// [`has_large`](Self::has_large) says otherwise of what it adds to `seen`.
    fn eight(x: &[Self; HALF], seen: &mut u32) -> [f32; HALF];
    /// Whether an element is too large for [`eight`](Self::eight).
    fn has_large(seen: u32) -> bool;
}

impl Element for f32 {
    const SCALE: f32 = 1.0;

    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }
    #[inline(always)]
    fn from_f32(x: f32) -> Self {
        x
    }
    #[inline(always)]
    fn load<S: Simd>(simd: S, x: &[Self; LANES]) -> S::V {
        simd.load(x)
    }
    #[inline(always)]
    fn eight(x: &[Self; HALF], _: &mut u32) -> [f32; HALF] {
        *x
    }
    #[inline(always)]
    fn has_large(_: u32) -> bool {
        false
    }
}

impl Element for u16 {
    const SCALE: f32 = REBIAS;

    #[inline(always)]
    fn to_f32(self) -> f32 {
        half_to_f32(self)
    }
    #[inline(always)]
    fn from_f32(x: f32) -> Self {
        f32_to_half(x)
    }
    #[inline(always)]
    fn load<S: Simd>(simd: S, x: &[Self; LANES]) -> S::V {
        simd.load_half(x)
    }
    #[inline(always)]
    fn eight(x: &[Self; HALF], seen: &mut u32) -> [f32; HALF] {
        halves_unscaled(x, seen)
    }
    #[inline(always)]
    fn has_large(seen: u32) -> bool {
        has_large(seen)
    }
}
