//! Sixteen lanes of `f32`, sixty-four bytes, sums of products of signed bytes, and the choice of instructions at run time.
//!
//! The idea: a kernel is a struct of borrowed operands that implements [`Kernel`]. Its `run` is
//! written once, against the dozen operations of [`Simd`], and compiled once for each token:
//!
//! | token | instructions | registers of 16 lanes | rounding class |
//! |---|---|---|---|
//! | [`Portable`] | `wide`: SSE2, NEON, wasm; scalar code on 32-bit machines without any | 4; 2 | unfused: multiply, then add |
//! | `Avx2` | AVX2 and FMA | 8 | fused: one rounding for each multiply-add |
//! | `Avx512` | AVX-512 F and BW | 32 | fused |
//!
//! A token is a zero-sized value that only detection can make, so holding one proves that the
//! instructions are there. [`dispatch`] picks the best token and compiles the kernel's whole body
//! with those instructions enabled; it costs an atomic load and a call, so it is made once a
//! kernel, not once a dot product.
//!
//! # Precision
//! Every token uses the same lanes, the same accumulators and the same reduction tree. Tokens of
//! one rounding class therefore return the same bits (NaN payloads excepted).
//!
//! `RUSTFLAGS='--cfg barelm_backend="portable"'` (or `"avx2"`, `"avx512"`) forces one token.

use crate::half::half_to_f32;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod dispatch;
pub(crate) mod key;
#[cfg_attr(
    all(
        target_pointer_width = "32",
        not(any(
            target_feature = "simd128",
            target_feature = "sse2",
            target_feature = "neon"
        ))
    ),
    path = "scalar.rs"
)]
mod portable;
mod prefetch;
// On every machine: kernels' tests run what 32-bit machines run.
#[cfg(all(test, not(target_pointer_width = "32")))]
mod scalar;

#[cfg(target_arch = "x86_64")]
pub use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub use avx512::Avx512;
pub use dispatch::{Backend, dispatch};
pub use portable::Portable;
pub use prefetch::prefetch;

/// Lanes of every vector, on every backend.
pub const LANES: usize = 16;

/// Bytes of every vector of bytes, on every backend: one bit of a `u64` for each.
pub const BYTES: usize = 64;

/// Signed bytes that one step of an integer dot product takes, on every backend.
pub const SIGNED: usize = 32;

/// A computation over borrowed operands, written once and compiled for every token.
///
/// `run`, and everything generic that it calls, must be `#[inline(always)]`: only code inlined
/// into the backend's entry point is compiled with that backend's instructions.
pub trait Kernel {
    /// What the computation returns.
    type Output;
    /// Computes with the instructions that `simd` proves.
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// Operations on vectors of [`LANES`] `f32`, on vectors of [`BYTES`] bytes, and on [`SIGNED`] signed
/// bytes.
pub trait Simd: Copy {
    /// Sixteen `f32`.
    type V: Copy;
    /// Sixty-four bytes.
    type Bytes: Copy;
    /// Running sums of products of signed bytes: `i32`, as many as suit the backend.
    type Sums: Copy;
    /// Name of the instruction set, for reports.
    const NAME: &'static str;
    /// Whether [`Simd::mul_add`] rounds once (fused) or twice.
    const FUSED: bool;
    /// How many vectors the register file holds: kernels choose their tile by it.
    const REGISTERS: usize;

    /// Runs a part of a kernel as a function of its own, with these instructions: an inner loop
    /// that has all registers to itself. Worth it from some hundred operations up.
    fn call<K: Kernel>(self, kernel: K) -> K::Output;
    /// `x` in every lane.
    fn splat(self, x: f32) -> Self::V;
    /// Reads sixteen values.
    fn load(self, x: &[f32; LANES]) -> Self::V;
    /// Writes sixteen values.
    fn store(self, v: Self::V, out: &mut [f32; LANES]);
    /// `a + b`.
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a - b`.
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a * b`.
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a / b`.
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c`, rounded as the backend's class says.
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `if a > b { x } else { y }` in each lane; false where `a` or `b` is NaN.
    fn select_gt(self, a: Self::V, b: Self::V, x: Self::V, y: Self::V) -> Self::V;
    /// `if a > b { a } else { b }`: the second operand where either is NaN.
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    /// `if a < b { a } else { b }`: the second operand where either is NaN.
    fn min(self, a: Self::V, b: Self::V) -> Self::V;
    /// Adds the low bits of `n` to the exponent of `x`: `bits(x) + (bits(n) << 23)`, wrapping.
    ///
    /// With `n = k + 1.5 * 2^23` for an integer `k`, that is `x * 2^k` while it stays normal.
    fn add_to_exponent(self, x: Self::V, n: Self::V) -> Self::V;
    /// Asks for the cache line at the start of `x`.
    fn prefetch<T>(self, x: &[T]);
    /// Reads sixty-four bytes.
    fn load_bytes(self, x: &[u8; BYTES]) -> Self::Bytes;
    /// Bit `i` is set where `low <= x[i] <= high`.
    fn bytes_between(self, x: Self::Bytes, low: u8, high: u8) -> u64;
    /// Those bits `i` of `lanes` for which bit `x[i] % 64` of `set` is set.
    fn bytes_in_set(self, x: Self::Bytes, set: u64, lanes: u64) -> u64;
    /// Sums of nothing.
    fn no_sums(self) -> Self::Sums;
    /// Adds each product `a[i] * b[i]` to one of the sums, exactly: a sum that leaves `i32` wraps.
    fn add_products(self, a: &[i8; SIGNED], b: &[i8; SIGNED], sums: Self::Sums) -> Self::Sums;
    /// What all sums together are, for each of four; wraps as they do.
    fn totals(self, sums: [Self::Sums; 4]) -> [i32; 4];

    /// Writes `base + i` for each bit `i` of the mask, lowest first; anything behind those.
    #[inline(always)]
    fn write_places(self, mut mask: u64, base: u32, out: &mut [u32; BYTES]) {
        for eight in out.as_chunks_mut::<8>().0 {
            if mask == 0 {
                break;
            }
            // Whether there are as many or not: the processor guesses wrong less often.
            for place in eight {
                *place = base.wrapping_add(mask.trailing_zeros());
                mask &= mask.wrapping_sub(1);
            }
        }
    }

    /// The keys and hashes of pieces of a text ([`Keys`](crate::bpe::Keys)), each from one of these
    /// places to the next; of how many, from the first on.
    ///
    /// Where that are not all, the next one may be longer than a key, or near the end of the text: it
    /// is to be read alone.
    #[inline(always)]
    fn read_keys(
        self,
        text: &[u8],
        places: &[u32],
        keys: &mut [[u64; 2]],
        hashes: &mut [u64],
    ) -> usize {
        let mut count = 0;
        let places = places.iter().zip(places.get(1..).unwrap_or(&[]));
        for ((key, hash), (start, end)) in keys.iter_mut().zip(hashes).zip(places) {
            let len = end.wrapping_sub(*start) as usize;
            let window = text.get(*start as usize..).and_then(<[u8]>::first_chunk);
            let Some(window) = window.filter(|_| len <= key::KEY_LEN) else {
                break;
            };
            *key = key::key(window, len);
            *hash = key::hash_of_key(*key);
            count += 1;
        }
        count
    }

    /// Reads sixteen numbers of half precision.
    #[inline(always)]
    fn load_half(self, x: &[u16; LANES]) -> Self::V {
        let mut lanes = [0.0; LANES];
        for (lane, x) in lanes.iter_mut().zip(x) {
            *lane = half_to_f32(*x);
        }
        self.load(&lanes)
    }

    /// Reads up to sixteen values; missing lanes are zero.
    #[inline(always)]
    fn load_partial(self, x: &[f32]) -> Self::V {
        let mut lanes = [0.0; LANES];
        for (lane, x) in lanes.iter_mut().zip(x) {
            *lane = *x;
        }
        self.load(&lanes)
    }

    /// Writes the first `out.len()` lanes (at most sixteen).
    #[inline(always)]
    fn store_partial(self, v: Self::V, out: &mut [f32]) {
        let mut lanes = [0.0; LANES];
        self.store(v, &mut lanes);
        for (x, lane) in out.iter_mut().zip(lanes) {
            *x = lane;
        }
    }

    /// Reads the values from `start` on, up to sixteen of them; missing lanes are zero.
    #[inline(always)]
    fn load_from(self, x: &[f32], start: usize) -> Self::V {
        let rest = x.get(start..).unwrap_or(&[]);
        match rest.first_chunk() {
            Some(lanes) => self.load(lanes),
            None => self.load_partial(rest),
        }
    }

    /// Writes lanes from `start` on, as many as there are places.
    #[inline(always)]
    fn store_from(self, v: Self::V, out: &mut [f32], start: usize) {
        let rest = out.get_mut(start..).unwrap_or_default();
        match rest.first_chunk_mut() {
            Some(lanes) => self.store(v, lanes),
            None => self.store_partial(v, rest),
        }
    }

    /// Lane `i` of vector `j` becomes lane `j` of vector `i`.
    #[inline(always)]
    fn transpose(self, rows: [Self::V; LANES]) -> [Self::V; LANES] {
        let mut square = [[0.0; LANES]; LANES];
        for (line, row) in square.iter_mut().zip(rows) {
            self.store(row, line);
        }
        let mut columns = rows;
        for (i, column) in columns.iter_mut().enumerate() {
            *column = self.load(&square.map(|row| row[i]));
        }
        columns
    }

    /// Sum over lanes: halves are added until one lane is left.
    #[inline(always)]
    fn reduce_sum(self, v: Self::V) -> f32 {
        let mut lanes = [0.0; LANES];
        self.store(v, &mut lanes);
        fold_halves(lanes, |a, b| a + b)
    }

    /// [`Simd::reduce_sum`] of four vectors, with the same bits.
    #[inline(always)]
    fn reduce_sum_of_four(self, [a, b, c, d]: [Self::V; 4]) -> [f32; 4] {
        [
            self.reduce_sum(a),
            self.reduce_sum(b),
            self.reduce_sum(c),
            self.reduce_sum(d),
        ]
    }

    /// [`Simd::reduce_sum_of_four`] of `a` and of `b`, added up.
    #[inline(always)]
    fn reduce_sums_of_four(self, a: [Self::V; 4], b: [Self::V; 4]) -> [f32; 4] {
        let (mut sums, others) = (self.reduce_sum_of_four(a), self.reduce_sum_of_four(b));
        for (sum, other) in sums.iter_mut().zip(others) {
            *sum += other;
        }
        sums
    }

    /// Largest lane; unspecified if a lane is NaN.
    #[inline(always)]
    fn reduce_max(self, v: Self::V) -> f32 {
        let mut lanes = [0.0; LANES];
        self.store(v, &mut lanes);
        fold_halves(lanes, |a, b| if a > b { a } else { b })
    }
}

/// Folds lane `i` with lane `i + 8`, then `i + 4`, `i + 2`, `i + 1`: the tree of every backend.
#[inline(always)]
fn fold_halves(lanes: [f32; LANES], f: impl Fn(f32, f32) -> f32) -> f32 {
    let [
        a0,
        a1,
        a2,
        a3,
        a4,
        a5,
        a6,
        a7,
        b0,
        b1,
        b2,
        b3,
        b4,
        b5,
        b6,
        b7,
    ] = lanes;
    let (c0, c1, c2, c3) = (f(a0, b0), f(a1, b1), f(a2, b2), f(a3, b3));
    let (c4, c5, c6, c7) = (f(a4, b4), f(a5, b5), f(a6, b6), f(a7, b7));
    let (d0, d1, d2, d3) = (f(c0, c4), f(c1, c5), f(c2, c6), f(c3, c7));
    f(f(d0, d2), f(d1, d3))
}

#[cfg(test)]
mod tests;
