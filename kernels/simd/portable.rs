//! The backend that every target has, over `wide`. Unfused: it never calls `wide`'s `mul_add`,
//! which fuses on some targets and not on others.

use super::{BYTES, Kernel, LANES, SIGNED, Simd};
use bytemuck::cast;
use wide::{f32x16, i8x16, i16x16, i32x8, u8x16, u32x16};

/// Instructions of the compile target alone; always available.
#[derive(Clone, Copy, Debug)]
pub struct Portable;

impl Simd for Portable {
    type V = f32x16;
    type Bytes = [u8x16; 4];
    type Sums = i32x8;
    const NAME: &'static str = "portable";
    const FUSED: bool = false;
    const REGISTERS: usize = 4;

    #[inline(never)]
    fn call<K: Kernel>(self, kernel: K) -> K::Output {
        kernel.run(self)
    }

    #[inline(always)]
    fn splat(self, x: f32) -> f32x16 {
        f32x16::splat(x)
    }

    #[inline(always)]
    fn load(self, x: &[f32; LANES]) -> f32x16 {
        f32x16::new(*x)
    }

    #[inline(always)]
    fn store(self, v: f32x16, out: &mut [f32; LANES]) {
        *out = v.to_array();
    }

    #[inline(always)]
    fn add(self, a: f32x16, b: f32x16) -> f32x16 {
        a + b
    }

    #[inline(always)]
    fn sub(self, a: f32x16, b: f32x16) -> f32x16 {
        a - b
    }

    #[inline(always)]
    fn mul(self, a: f32x16, b: f32x16) -> f32x16 {
        a * b
    }

    #[inline(always)]
    fn div(self, a: f32x16, b: f32x16) -> f32x16 {
        a / b
    }

    #[inline(always)]
    fn mul_add(self, a: f32x16, b: f32x16, c: f32x16) -> f32x16 {
        a * b + c
    }

    #[inline(always)]
    fn select_gt(self, a: f32x16, b: f32x16, x: f32x16, y: f32x16) -> f32x16 {
        a.simd_gt(b).bitselect(x, y)
    }

    #[inline(always)]
    fn max(self, a: f32x16, b: f32x16) -> f32x16 {
        a.simd_gt(b).bitselect(a, b)
    }

    #[inline(always)]
    fn min(self, a: f32x16, b: f32x16) -> f32x16 {
        a.simd_lt(b).bitselect(a, b)
    }

    #[inline(always)]
    fn add_to_exponent(self, x: f32x16, n: f32x16) -> f32x16 {
        let (x, n): (u32x16, u32x16) = (cast(x), cast(n));
        cast(x + (n << 23_u32))
    }

    #[inline(always)]
    fn prefetch<T>(self, _: &[T]) {}

    #[inline(always)]
    fn load_bytes(self, x: &[u8; BYTES]) -> [u8x16; 4] {
        cast(*x)
    }

    #[inline(always)]
    fn bytes_between(self, x: [u8x16; 4], low: u8, high: u8) -> u64 {
        let (low_16, span) = (u8x16::splat(low), u8x16::splat(high.wrapping_sub(low)));
        x.into_iter().rev().fold(0, |mask, x| {
            let x = x - low_16;
            mask << 16 | u64::from(x.simd_eq(x.min(span)).to_bitmask())
        })
    }

    #[inline(always)]
    fn bytes_in_set(self, x: [u8x16; 4], set: u64, lanes: u64) -> u64 {
        let (bytes, mut rest, mut mask): ([u8; BYTES], _, _) = (cast(x), lanes, 0);
        while rest != 0 {
            let i = rest.trailing_zeros();
            mask |= (set >> (bytes[i as usize % BYTES] % 64) & 1) << i;
            rest &= rest - 1;
        }
        mask
    }
    #[inline(always)]
    fn no_sums(self) -> i32x8 {
        i32x8::splat(0)
    }

    #[inline(always)]
    fn add_products(self, a: &[i8; SIGNED], b: &[i8; SIGNED], sums: i32x8) -> i32x8 {
        let wide = |x: &[i8; SIGNED]| cast::<_, [i8x16; 2]>(*x).map(i16x16::from_i8x16);
        let ([a0, a1], [b0, b1]) = (wide(a), wide(b));
        sums + a0.dot(b0) + a1.dot(b1)
    }

    #[inline(always)]
    fn totals(self, sums: [i32x8; 4]) -> [i32; 4] {
        sums.map(|sums| sums.to_array().into_iter().fold(0, i32::wrapping_add))
    }
}
