//! AVX2 and FMA: two registers hold the sixteen lanes.
#![allow(unsafe_code)]

use super::{BYTES, Kernel, LANES, SIGNED, Simd};
use core::arch::asm;
use core::arch::x86_64::*;

cpufeatures::new!(features, "avx2", "fma", "bmi1", "bmi2", "popcnt");

/// Proof that this processor has AVX2 and FMA (and BMI and POPCNT).
#[derive(Clone, Copy, Debug)]
pub struct Avx2(());

/// Lanes 0 to 7 and 8 to 15.
#[derive(Clone, Copy, Debug)]
pub struct Pair(__m256, __m256);

impl Avx2 {
    /// The token, if processor and operating system support the instructions.
    #[inline(always)]
    pub fn detect() -> Option<Self> {
        features::get().then_some(Self(()))
    }

    /// Runs the kernel, compiled with these instructions.
    #[inline(always)]
    pub fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx2,fma,bmi1,bmi2,popcnt")]
        fn enabled<K: Kernel>(simd: Avx2, kernel: K) -> K::Output {
            kernel.run(simd)
        }
        // SAFETY: `self` exists, so the features that `enabled` asks for were detected.
        unsafe { enabled(self, kernel) }
    }
}

impl Simd for Avx2 {
    type V = Pair;
    type Bytes = [__m256i; 2];
    type Sums = __m256i;
    const NAME: &'static str = "avx2";
    const FUSED: bool = true;
    const REGISTERS: usize = 8;

    #[inline(always)]
    fn call<K: Kernel>(self, kernel: K) -> K::Output {
        #[inline(never)]
        #[target_feature(enable = "avx2,fma,bmi1,bmi2,popcnt")]
        fn outlined<K: Kernel>(simd: Avx2, kernel: K) -> K::Output {
            kernel.run(simd)
        }
        // SAFETY: `self` proves the features that `outlined` asks for.
        unsafe { outlined(self, kernel) }
    }

    #[inline(always)]
    fn splat(self, x: f32) -> Pair {
        // SAFETY: `self` proves AVX2.
        let v = unsafe { _mm256_set1_ps(x) };
        Pair(v, v)
    }

    #[inline(always)]
    fn load(self, x: &[f32; LANES]) -> Pair {
        let p = x.as_ptr();
        // SAFETY: `self` proves AVX2; the array holds both halves of eight, read unaligned.
        unsafe { Pair(_mm256_loadu_ps(p), _mm256_loadu_ps(p.add(8))) }
    }

    #[inline(always)]
    fn store(self, v: Pair, out: &mut [f32; LANES]) {
        let p = out.as_mut_ptr();
        // SAFETY: `self` proves AVX2; the array holds both halves of eight, written unaligned.
        unsafe {
            _mm256_storeu_ps(p, v.0);
            _mm256_storeu_ps(p.add(8), v.1);
        }
    }

    #[inline(always)]
    fn add(self, a: Pair, b: Pair) -> Pair {
        // SAFETY: `self` proves AVX2.
        unsafe { Pair(_mm256_add_ps(a.0, b.0), _mm256_add_ps(a.1, b.1)) }
    }

    #[inline(always)]
    fn sub(self, a: Pair, b: Pair) -> Pair {
        // SAFETY: `self` proves AVX2.
        unsafe { Pair(_mm256_sub_ps(a.0, b.0), _mm256_sub_ps(a.1, b.1)) }
    }

    #[inline(always)]
    fn mul(self, a: Pair, b: Pair) -> Pair {
        // SAFETY: `self` proves AVX2.
        unsafe { Pair(_mm256_mul_ps(a.0, b.0), _mm256_mul_ps(a.1, b.1)) }
    }

    #[inline(always)]
    fn div(self, a: Pair, b: Pair) -> Pair {
        // SAFETY: `self` proves AVX2.
        unsafe { Pair(_mm256_div_ps(a.0, b.0), _mm256_div_ps(a.1, b.1)) }
    }

    #[inline(always)]
    fn mul_add(self, a: Pair, b: Pair, c: Pair) -> Pair {
        // SAFETY: `self` proves FMA.
        unsafe {
            Pair(
                _mm256_fmadd_ps(a.0, b.0, c.0),
                _mm256_fmadd_ps(a.1, b.1, c.1),
            )
        }
    }

    #[inline(always)]
    fn select_gt(self, a: Pair, b: Pair, x: Pair, y: Pair) -> Pair {
        // SAFETY: `self` proves AVX2.
        unsafe {
            Pair(
                _mm256_blendv_ps(y.0, x.0, _mm256_cmp_ps::<_CMP_GT_OQ>(a.0, b.0)),
                _mm256_blendv_ps(y.1, x.1, _mm256_cmp_ps::<_CMP_GT_OQ>(a.1, b.1)),
            )
        }
    }

    #[inline(always)]
    fn max(self, a: Pair, b: Pair) -> Pair {
        // SAFETY: `self` proves AVX2.
        unsafe { Pair(_mm256_max_ps(a.0, b.0), _mm256_max_ps(a.1, b.1)) }
    }

    #[inline(always)]
    fn min(self, a: Pair, b: Pair) -> Pair {
        // SAFETY: `self` proves AVX2.
        unsafe { Pair(_mm256_min_ps(a.0, b.0), _mm256_min_ps(a.1, b.1)) }
    }

    #[inline(always)]
    fn add_to_exponent(self, x: Pair, n: Pair) -> Pair {
        // SAFETY: `self` proves AVX2.
        unsafe { Pair(add_to_exponent(x.0, n.0), add_to_exponent(x.1, n.1)) }
    }

    #[inline(always)]
    fn prefetch<T>(self, x: &[T]) {
        // SAFETY: a prefetch never faults, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(x.as_ptr().cast()) }
    }

    #[inline(always)]
    fn load_bytes(self, x: &[u8; BYTES]) -> [__m256i; 2] {
        let p = x.as_ptr();
        // SAFETY: `self` proves AVX2; the array holds both halves of 32, read unaligned.
        unsafe {
            [
                _mm256_loadu_si256(p.cast()),
                _mm256_loadu_si256(p.add(32).cast()),
            ]
        }
    }

    /// Where `x - low` is no more than `high - low`.
    #[inline(always)]
    fn bytes_between(self, [a, b]: [__m256i; 2], low: u8, high: u8) -> u64 {
        // SAFETY: `self` proves AVX2.
        unsafe {
            let span = _mm256_set1_epi8(high.wrapping_sub(low) as i8);
            let low = _mm256_set1_epi8(low as i8);
            let (a, b) = (_mm256_sub_epi8(a, low), _mm256_sub_epi8(b, low));
            let a = _mm256_cmpeq_epi8(a, _mm256_min_epu8(a, span));
            let b = _mm256_cmpeq_epi8(b, _mm256_min_epu8(b, span));
            let (a, b) = (_mm256_movemask_epi8(a), _mm256_movemask_epi8(b));
            let mut mask = u64::from(b as u32) << 32 | u64::from(a as u32);
            // The compiler is not to know where the mask comes from: it would do some of the
            // arithmetic of masks on vectors of bits, which AVX2 does not have.
            asm!("/* {0} */", inout(reg) mask, options(pure, nomem, nostack, preserves_flags));
            mask
        }
    }

    #[inline(always)]
    fn bytes_in_set(self, [a, b]: [__m256i; 2], set: u64, lanes: u64) -> u64 {
        // SAFETY: `self` proves AVX2.
        let (a, b) = unsafe { (bytes_in_set(a, set), bytes_in_set(b, set)) };
        (u64::from(b) << 32 | u64::from(a)) & lanes
    }

    /// Four squares of eight; the two off the diagonal change places.
    #[inline(always)]
    fn transpose(self, rows: [Pair; LANES]) -> [Pair; LANES] {
        let (top, bottom) = (&rows[..8], &rows[8..]);
        let mut columns = rows;
        // SAFETY: `self` proves AVX2.
        unsafe {
            let (a, c) = (transpose8(top, |r| r.0), transpose8(bottom, |r| r.0));
            let (b, d) = (transpose8(top, |r| r.1), transpose8(bottom, |r| r.1));
            for i in 0..8 {
                columns[i] = Pair(a[i], c[i]);
                columns[i + 8] = Pair(b[i], d[i]);
            }
        }
        columns
    }

    #[inline(always)]
    fn reduce_sum(self, v: Pair) -> f32 {
        // SAFETY: `self` proves AVX2.
        unsafe {
            let v = _mm256_add_ps(v.0, v.1);
            let v = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
            let v = _mm_add_ps(v, _mm_movehl_ps(v, v));
            _mm_cvtss_f32(_mm_add_ss(v, _mm_movehdup_ps(v)))
        }
    }

    #[inline(always)]
    fn reduce_sum_of_four(self, [a, b, c, d]: [Pair; 4]) -> [f32; 4] {
        // SAFETY: `self` proves AVX2.
        unsafe {
            let (a, b) = (_mm256_add_ps(a.0, a.1), _mm256_add_ps(b.0, b.1));
            let (c, d) = (_mm256_add_ps(c.0, c.1), _mm256_add_ps(d.0, d.1));
            // Lanes 0 to 3 and 4 to 7 of two vectors side by side.
            let low = _mm256_permute2f128_ps::<0x20>(a, b);
            let ab = _mm256_add_ps(low, _mm256_permute2f128_ps::<0x31>(a, b));
            let low = _mm256_permute2f128_ps::<0x20>(c, d);
            let cd = _mm256_add_ps(low, _mm256_permute2f128_ps::<0x31>(c, d));
            // Lanes 0 and 1, and 2 and 3, of all four.
            let low = _mm256_shuffle_ps::<0b01_00_01_00>(ab, cd);
            let v = _mm256_add_ps(low, _mm256_shuffle_ps::<0b11_10_11_10>(ab, cd));
            let v = _mm256_add_ps(v, _mm256_movehdup_ps(v));
            let (ac, bd) = (_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
            let (c, d) = (_mm_movehl_ps(ac, ac), _mm_movehl_ps(bd, bd));
            let (a, b) = (_mm_cvtss_f32(ac), _mm_cvtss_f32(bd));
            [a, b, _mm_cvtss_f32(c), _mm_cvtss_f32(d)]
        }
    }

    #[inline(always)]
    fn no_sums(self) -> __m256i {
        // SAFETY: `self` proves AVX2.
        unsafe { _mm256_setzero_si256() }
    }

    /// Widened to sixteen bits, for which there is a product that adds neighbours without loss.
    #[inline(always)]
    fn add_products(self, a: &[i8; SIGNED], b: &[i8; SIGNED], sums: __m256i) -> __m256i {
        let (a, b) = (a.as_ptr(), b.as_ptr());
        // SAFETY: `self` proves AVX2; both arrays hold two halves of sixteen, read unaligned.
        unsafe {
            let wide = |p: *const i8| _mm256_cvtepi8_epi16(_mm_loadu_si128(p.cast()));
            let low = _mm256_madd_epi16(wide(a), wide(b));
            let high = _mm256_madd_epi16(wide(a.add(16)), wide(b.add(16)));
            _mm256_add_epi32(_mm256_add_epi32(sums, low), high)
        }
    }

    #[inline(always)]
    fn totals(self, [a, b, c, d]: [__m256i; 4]) -> [i32; 4] {
        // SAFETY: `self` proves AVX2; the vector has the size of the array.
        unsafe {
            let (ab, cd) = (_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
            let abcd = _mm256_hadd_epi32(ab, cd);
            let high = _mm256_extracti128_si256::<1>(abcd);
            let total = _mm_add_epi32(_mm256_castsi256_si128(abcd), high);
            core::mem::transmute(total)
        }
    }
}

/// A shuffle finds the byte of the set by bits 3 to 5, another one its bit by the lowest three.
#[inline]
#[target_feature(enable = "avx2")]
fn bytes_in_set(x: __m256i, set: u64) -> u32 {
    let seven = _mm256_set1_epi8(7);
    let byte = _mm256_and_si256(_mm256_srli_epi16::<3>(x), seven);
    let byte = _mm256_shuffle_epi8(_mm256_set1_epi64x(set as i64), byte);
    let bits = _mm256_set1_epi64x(0x8040_2010_0804_0201_u64 as i64);
    let bit = _mm256_shuffle_epi8(bits, _mm256_and_si256(x, seven));
    _mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_and_si256(byte, bit), bit)) as u32
}

#[inline]
#[target_feature(enable = "avx2")]
fn add_to_exponent(x: __m256, n: __m256) -> __m256 {
    let shifted = _mm256_slli_epi32::<23>(_mm256_castps_si256(n));
    _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(x), shifted))
}

/// The transpose of one half of eight rows: pairs of rows, pairs of pairs, then the halves.
#[inline]
#[target_feature(enable = "avx2")]
fn transpose8(rows: &[Pair], half: impl Fn(&Pair) -> __m256) -> [__m256; 8] {
    let mut v = [_mm256_setzero_ps(); 8];
    for (v, row) in v.iter_mut().zip(rows) {
        *v = half(row);
    }
    for [a, b, c, d] in v.as_chunks_mut::<4>().0 {
        let (ab, cd) = (_mm256_unpacklo_ps(*a, *b), _mm256_unpacklo_ps(*c, *d));
        let (ef, gh) = (_mm256_unpackhi_ps(*a, *b), _mm256_unpackhi_ps(*c, *d));
        *a = _mm256_shuffle_ps::<0b01_00_01_00>(ab, cd);
        *b = _mm256_shuffle_ps::<0b11_10_11_10>(ab, cd);
        *c = _mm256_shuffle_ps::<0b01_00_01_00>(ef, gh);
        *d = _mm256_shuffle_ps::<0b11_10_11_10>(ef, gh);
    }
    let [a, b, c, d, e, f, g, h] = v;
    [
        _mm256_permute2f128_ps::<0x20>(a, e),
        _mm256_permute2f128_ps::<0x20>(b, f),
        _mm256_permute2f128_ps::<0x20>(c, g),
        _mm256_permute2f128_ps::<0x20>(d, h),
        _mm256_permute2f128_ps::<0x31>(a, e),
        _mm256_permute2f128_ps::<0x31>(b, f),
        _mm256_permute2f128_ps::<0x31>(c, g),
        _mm256_permute2f128_ps::<0x31>(d, h),
    ]
}
