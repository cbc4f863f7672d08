//! The portable backend of 32-bit machines without vectors: sixteen lanes are sixteen numbers.
//!
//! `wide` would do, but its vectors ask for more alignment than such a machine's stack has, and
//! sixteen lanes are all that its registers hold (a Cortex-M4F has 32). So kernels that keep
//! several vectors of running sums look at [`Simd::REGISTERS`] and take eight lanes at a time
//! here, the same sums in the same order.

use super::{BYTES, Kernel, LANES, SIGNED, Simd};

/// Instructions of the compile target alone; always available.
#[derive(Clone, Copy, Debug)]
pub struct Portable;

/// `f` of each lane of two.
#[inline(always)]
fn each(mut a: [f32; LANES], b: [f32; LANES], f: impl Fn(f32, f32) -> f32) -> [f32; LANES] {
    for (a, b) in a.iter_mut().zip(b) {
        *a = f(*a, b);
    }
    a
}

impl Simd for Portable {
    type V = [f32; LANES];
    type Bytes = [u8; BYTES];
    type Sums = i32;
    const NAME: &'static str = "portable";
    const FUSED: bool = false;
    const REGISTERS: usize = 2;

    #[inline(never)]
    fn call<K: Kernel>(self, kernel: K) -> K::Output {
        kernel.run(self)
    }

    #[inline(always)]
    fn splat(self, x: f32) -> Self::V {
        [x; LANES]
    }

    #[inline(always)]
    fn load(self, x: &[f32; LANES]) -> Self::V {
        *x
    }

    #[inline(always)]
    fn store(self, v: Self::V, out: &mut [f32; LANES]) {
        *out = v;
    }

    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        each(a, b, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        each(a, b, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, a: Self::V, b: Self::V) -> Self::V {
        each(a, b, |a, b| a * b)
    }

    #[inline(always)]
    fn div(self, a: Self::V, b: Self::V) -> Self::V {
        each(a, b, |a, b| a / b)
    }

    #[inline(always)]
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        self.add(self.mul(a, b), c)
    }

    #[inline(always)]
    fn select_gt(self, a: Self::V, b: Self::V, mut x: Self::V, y: Self::V) -> Self::V {
        for (((x, y), a), b) in x.iter_mut().zip(y).zip(a).zip(b) {
            *x = if a > b { *x } else { y };
        }
        x
    }

    #[inline(always)]
    fn max(self, a: Self::V, b: Self::V) -> Self::V {
        each(a, b, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    fn min(self, a: Self::V, b: Self::V) -> Self::V {
        each(a, b, |a, b| if a < b { a } else { b })
    }

    #[inline(always)]
    fn add_to_exponent(self, x: Self::V, n: Self::V) -> Self::V {
        each(x, n, |x, n| {
            f32::from_bits(x.to_bits().wrapping_add(n.to_bits() << 23))
        })
    }

    #[inline(always)]
    fn transpose(self, rows: [Self::V; LANES]) -> [Self::V; LANES] {
        let mut columns = rows;
        for (i, column) in columns.iter_mut().enumerate() {
            for (x, row) in column.iter_mut().zip(&rows) {
                *x = row[i];
            }
        }
        columns
    }

    #[inline(always)]
    fn prefetch<T>(self, _: &[T]) {}

    #[inline(always)]
    fn load_bytes(self, x: &[u8; BYTES]) -> [u8; BYTES] {
        *x
    }

    #[inline(always)]
    fn bytes_between(self, x: [u8; BYTES], low: u8, high: u8) -> u64 {
        let is_between = |x: u8| (low..=high).contains(&x);
        x.into_iter()
            .rev()
            .fold(0, |mask, x| mask << 1 | u64::from(is_between(x)))
    }

    #[inline(always)]
    fn bytes_in_set(self, x: [u8; BYTES], set: u64, lanes: u64) -> u64 {
        let is_in_set = |x: u8| set >> (x % 64) & 1;
        lanes
            & x.into_iter()
                .rev()
                .fold(0, |mask, x| mask << 1 | is_in_set(x))
    }
    #[inline(always)]
    fn no_sums(self) -> i32 {
        0
    }

    #[inline(always)]
    fn add_products(self, a: &[i8; SIGNED], b: &[i8; SIGNED], sums: i32) -> i32 {
        let products = a.iter().zip(b).map(|(a, b)| i32::from(*a) * i32::from(*b));
        products.fold(sums, i32::wrapping_add)
    }

    #[inline(always)]
    fn totals(self, sums: [i32; 4]) -> [i32; 4] {
        sums
    }
}
