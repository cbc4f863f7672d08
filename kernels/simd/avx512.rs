//! AVX-512: one register holds all sixteen lanes.
#![allow(unsafe_code)]

use super::{BYTES, Kernel, LANES, SIGNED, Simd};
use core::arch::x86_64::*;
use keys::{eight_keys, hashes_of_eight};
use sums::{sums_of_four, sums_of_four_and_four};

mod keys;
mod sums;

cpufeatures::new!(
    features, "avx512f", "avx512bw", "avx2", "fma", "bmi1", "bmi2", "popcnt"
);

/// Proof that this processor has AVX-512 F and BW (and AVX2, FMA, BMI and POPCNT).
#[derive(Clone, Copy, Debug)]
pub struct Avx512(());

impl Avx512 {
    /// The token, if processor and operating system support the instructions.
    #[inline(always)]
    pub fn detect() -> Option<Self> {
        features::get().then_some(Self(()))
    }

    /// Runs the kernel, compiled with these instructions.
    #[inline(always)]
    pub fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx512f,avx512bw,avx2,fma,bmi1,bmi2,popcnt")]
        fn enabled<K: Kernel>(simd: Avx512, kernel: K) -> K::Output {
            kernel.run(simd)
        }
        // SAFETY: `self` exists, so the features that `enabled` asks for were detected.
        unsafe { enabled(self, kernel) }
    }
}

/// Bit `i` set for every lane `i < len`.
#[inline(always)]
fn first_lanes(len: usize) -> __mmask16 {
    if len >= LANES { !0 } else { (1 << len) - 1 }
}

/// The numbers of the bits of a mask.
const PLACES: [u32; BYTES] = {
    let mut places = [0; BYTES];
    let mut i = 0;
    while i < BYTES {
        places[i] = i as u32;
        i += 1;
    }
    places
};

impl Simd for Avx512 {
    type V = __m512;
    type Bytes = __m512i;
    type Sums = __m512i;
    const NAME: &'static str = "avx512";
    const FUSED: bool = true;
    const REGISTERS: usize = 32;

    #[inline(always)]
    fn call<K: Kernel>(self, kernel: K) -> K::Output {
        #[inline(never)]
        #[target_feature(enable = "avx512f,avx512bw,avx2,fma,bmi1,bmi2,popcnt")]
        fn outlined<K: Kernel>(simd: Avx512, kernel: K) -> K::Output {
            kernel.run(simd)
        }
        // SAFETY: `self` proves the features that `outlined` asks for.
        unsafe { outlined(self, kernel) }
    }

    #[inline(always)]
    fn splat(self, x: f32) -> __m512 {
        // SAFETY: `self` proves AVX-512 F.
        unsafe { _mm512_set1_ps(x) }
    }

    #[inline(always)]
    fn load(self, x: &[f32; LANES]) -> __m512 {
        // SAFETY: `self` proves AVX-512 F; the array holds the sixteen values read, unaligned.
        unsafe { _mm512_loadu_ps(x.as_ptr()) }
    }

    #[inline(always)]
    fn store(self, v: __m512, out: &mut [f32; LANES]) {
        // SAFETY: `self` proves AVX-512 F; the array holds the sixteen values written, unaligned.
        unsafe { _mm512_storeu_ps(out.as_mut_ptr(), v) }
    }

    #[inline(always)]
    fn load_partial(self, x: &[f32]) -> __m512 {
        // SAFETY: `self` proves AVX-512 F; masked lanes are not read, the others lie within `x`.
        unsafe { _mm512_maskz_loadu_ps(first_lanes(x.len()), x.as_ptr()) }
    }

    #[inline(always)]
    fn store_partial(self, v: __m512, out: &mut [f32]) {
        // SAFETY: `self` proves AVX-512 F; masked lanes are not written, the others lie in `out`.
        unsafe { _mm512_mask_storeu_ps(out.as_mut_ptr(), first_lanes(out.len()), v) }
    }

    #[inline(always)]
    fn load_half(self, x: &[u16; LANES]) -> __m512 {
        // SAFETY: `self` proves AVX-512 F; the array holds the sixteen halves read, unaligned.
        unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(x.as_ptr().cast())) }
    }

    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` proves AVX-512 F.
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` proves AVX-512 F.
        unsafe { _mm512_sub_ps(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` proves AVX-512 F.
        unsafe { _mm512_mul_ps(a, b) }
    }

    #[inline(always)]
    fn div(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` proves AVX-512 F.
        unsafe { _mm512_div_ps(a, b) }
    }

    #[inline(always)]
    fn mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: `self` proves AVX-512 F.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn select_gt(self, a: __m512, b: __m512, x: __m512, y: __m512) -> __m512 {
        // SAFETY: `self` proves AVX-512 F.
        unsafe { _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(a, b), y, x) }
    }

    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` proves AVX-512 F.
        unsafe { _mm512_max_ps(a, b) }
    }

    #[inline(always)]
    fn min(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` proves AVX-512 F.
        unsafe { _mm512_min_ps(a, b) }
    }

    #[inline(always)]
    fn add_to_exponent(self, x: __m512, n: __m512) -> __m512 {
        // SAFETY: `self` proves AVX-512 F.
        unsafe {
            let shifted = _mm512_slli_epi32::<23>(_mm512_castps_si512(n));
            _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(x), shifted))
        }
    }

    #[inline(always)]
    fn prefetch<T>(self, x: &[T]) {
        // SAFETY: a prefetch never faults, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(x.as_ptr().cast()) }
    }

    #[inline(always)]
    fn load_bytes(self, x: &[u8; BYTES]) -> __m512i {
        // SAFETY: `self` proves AVX-512 F; the array holds the 64 bytes read, unaligned.
        unsafe { _mm512_loadu_si512(x.as_ptr().cast()) }
    }

    /// Sixteen bits at a time; what is written behind their places is overwritten by the next.
    #[inline(always)]
    fn write_places(self, mask: u64, base: u32, out: &mut [u32; BYTES]) {
        for (start, bits) in (0..).step_by(LANES).zip(PLACES.as_chunks::<LANES>().0) {
            let before = (mask & !(u64::MAX << start)).count_ones() as usize;
            // SAFETY: `self` proves AVX-512 F; the array holds the sixteen values read; at most
            // `start` of the 64 places are written before, so there are sixteen from there on.
            unsafe {
                let bits = _mm512_loadu_si512(bits.as_ptr().cast());
                let places = _mm512_add_epi32(bits, _mm512_set1_epi32(base as i32));
                let some = _mm512_maskz_compress_epi32((mask >> start) as __mmask16, places);
                _mm512_storeu_si512(out.as_mut_ptr().add(before).cast(), some);
            }
        }
    }

    #[inline(always)]
    fn read_keys(
        self,
        text: &[u8],
        places: &[u32],
        keys: &mut [[u64; 2]],
        hashes: &mut [u64],
    ) -> usize {
        let eights = keys.as_chunks_mut::<8>().0.iter_mut();
        let eights = eights.zip(hashes.as_chunks_mut::<8>().0);
        let mut count = 0;
        for (keys, hashes) in eights {
            let Some(places) = places.get(count..).and_then(<[u32]>::first_chunk) else {
                break;
            };
            // SAFETY: `self` proves AVX-512 F and BW.
            let Some([first, second]) = (unsafe { eight_keys(text, places) }) else {
                break;
            };
            // SAFETY: `self` proves AVX-512 F; the arrays hold two vectors and one, unaligned.
            unsafe {
                let keys = keys.as_mut_ptr().cast();
                _mm512_storeu_si512(keys, first);
                _mm512_storeu_si512(keys.add(1), second);
                let all = hashes_of_eight(first, second);
                _mm512_storeu_si512(hashes.as_mut_ptr().cast(), all);
            }
            count += 8;
        }
        count
    }

    #[inline(always)]
    fn bytes_between(self, x: __m512i, low: u8, high: u8) -> u64 {
        let (low, span) = (low as i8, high.wrapping_sub(low) as i8);
        // SAFETY: `self` proves AVX-512 BW.
        unsafe {
            let x = _mm512_sub_epi8(x, _mm512_set1_epi8(low));
            _mm512_cmple_epu8_mask(x, _mm512_set1_epi8(span))
        }
    }

    /// A shuffle finds the byte of the set by bits 3 to 5, another one its bit by the lowest three.
    #[inline(always)]
    fn bytes_in_set(self, x: __m512i, set: u64, lanes: u64) -> u64 {
        // SAFETY: `self` proves AVX-512 F and BW.
        unsafe {
            let seven = _mm512_set1_epi8(7);
            let byte = _mm512_and_si512(_mm512_srli_epi16::<3>(x), seven);
            let byte = _mm512_shuffle_epi8(_mm512_set1_epi64(set as i64), byte);
            let bits = _mm512_set1_epi64(0x8040_2010_0804_0201_u64 as i64);
            let bit = _mm512_shuffle_epi8(bits, _mm512_and_si512(x, seven));
            _mm512_mask_test_epi8_mask(lanes, byte, bit)
        }
    }

    /// Pairs of rows, then pairs of pairs, within quarters; then the quarters themselves.
    #[inline(always)]
    fn transpose(self, mut v: [__m512; LANES]) -> [__m512; LANES] {
        // SAFETY: `self` proves AVX-512 F.
        unsafe {
            for [a, b, c, d] in v.as_chunks_mut::<4>().0 {
                let (ab, cd) = (_mm512_unpacklo_ps(*a, *b), _mm512_unpacklo_ps(*c, *d));
                let (ef, gh) = (_mm512_unpackhi_ps(*a, *b), _mm512_unpackhi_ps(*c, *d));
                *a = _mm512_shuffle_ps::<0b01_00_01_00>(ab, cd);
                *b = _mm512_shuffle_ps::<0b11_10_11_10>(ab, cd);
                *c = _mm512_shuffle_ps::<0b01_00_01_00>(ef, gh);
                *d = _mm512_shuffle_ps::<0b11_10_11_10>(ef, gh);
            }
            let mut columns = v;
            for i in 0..4 {
                let (a, b) = (v[i], v[i + 4]);
                let (c, d) = (v[i + 8], v[i + 12]);
                let (ab, cd) = (even_quarters(a, b), even_quarters(c, d));
                columns[i] = even_quarters(ab, cd);
                columns[i + 8] = odd_quarters(ab, cd);
                let (ab, cd) = (odd_quarters(a, b), odd_quarters(c, d));
                columns[i + 4] = even_quarters(ab, cd);
                columns[i + 12] = odd_quarters(ab, cd);
            }
            columns
        }
    }

    #[inline(always)]
    fn reduce_sum(self, v: __m512) -> f32 {
        // SAFETY: `self` proves AVX-512 F, AVX2 and thereby AVX.
        unsafe {
            let high = _mm512_castps_pd(v);
            let high = _mm256_castpd_ps(_mm512_extractf64x4_pd::<1>(high));
            let v = _mm256_add_ps(_mm512_castps512_ps256(v), high);
            let v = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
            let v = _mm_add_ps(v, _mm_movehl_ps(v, v));
            _mm_cvtss_f32(_mm_add_ss(v, _mm_movehdup_ps(v)))
        }
    }

    #[inline(always)]
    fn reduce_sum_of_four(self, vectors: [__m512; 4]) -> [f32; 4] {
        // SAFETY: `self` proves AVX-512 F.
        unsafe { sums_of_four(vectors) }
    }

    #[inline(always)]
    fn reduce_sums_of_four(self, a: [__m512; 4], b: [__m512; 4]) -> [f32; 4] {
        // SAFETY: `self` proves AVX-512 F.
        unsafe { sums_of_four_and_four(a, b) }
    }

    #[inline(always)]
    fn no_sums(self) -> __m512i {
        // SAFETY: `self` proves AVX-512 F.
        unsafe { _mm512_setzero_si512() }
    }

    /// Widened to sixteen bits, for which there is a product that adds neighbours without loss.
    #[inline(always)]
    fn add_products(self, a: &[i8; SIGNED], b: &[i8; SIGNED], sums: __m512i) -> __m512i {
        // SAFETY: `self` proves AVX-512 F and BW; the arrays hold the 32 bytes read, unaligned.
        unsafe {
            let a = _mm512_cvtepi8_epi16(_mm256_loadu_si256(a.as_ptr().cast()));
            let b = _mm512_cvtepi8_epi16(_mm256_loadu_si256(b.as_ptr().cast()));
            _mm512_add_epi32(sums, _mm512_madd_epi16(a, b))
        }
    }

    #[inline(always)]
    fn totals(self, [a, b, c, d]: [__m512i; 4]) -> [i32; 4] {
        // SAFETY: `self` proves AVX-512 F.
        unsafe {
            [
                _mm512_reduce_add_epi32(a),
                _mm512_reduce_add_epi32(b),
                _mm512_reduce_add_epi32(c),
                _mm512_reduce_add_epi32(d),
            ]
        }
    }
}

/// Quarters 0 and 2 of `a`, then of `b`.
#[inline]
#[target_feature(enable = "avx512f")]
fn even_quarters(a: __m512, b: __m512) -> __m512 {
    _mm512_shuffle_f32x4::<0b10_00_10_00>(a, b)
}

/// Quarters 1 and 3 of `a`, then of `b`.
#[inline]
#[target_feature(enable = "avx512f")]
fn odd_quarters(a: __m512, b: __m512) -> __m512 {
    _mm512_shuffle_f32x4::<0b11_01_11_01>(a, b)
}
