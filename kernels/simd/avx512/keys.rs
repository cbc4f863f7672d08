//! Keys of eight pieces of text at a time, four a register.

use crate::simd::key::{FACTORS, KEY_LEN};
use core::arch::x86_64::*;

/// The keys of eight pieces, unless one is too long, or the text has less than sixteen bytes from its
/// start on.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn eight_keys(text: &[u8], places: &[u32; 9]) -> Option<[__m512i; 2]> {
    let last = text.len().checked_sub(16)?.min(u32::MAX as usize) as i32;
    // SAFETY: the array holds both times the eight numbers read, unaligned.
    let (starts, ends) = unsafe {
        let (starts, ends) = (places.as_ptr(), places.as_ptr().add(1));
        (
            _mm256_loadu_si256(starts.cast()),
            _mm256_loadu_si256(ends.cast()),
        )
    };
    let lens = _mm512_castsi256_si512(_mm256_sub_epi32(ends, starts));
    let starts = _mm512_castsi256_si512(starts);
    let is_long = _mm512_mask_cmpgt_epu32_mask(0xFF, lens, _mm512_set1_epi32(KEY_LEN as i32));
    if is_long | _mm512_mask_cmpgt_epu32_mask(0xFF, starts, _mm512_set1_epi32(last)) != 0 {
        return None;
    }
    // SAFETY: none of the eight starts is behind `last`.
    let window = |i: usize| unsafe {
        let start = text.as_ptr().add(places[i] as usize);
        _mm_loadu_si128(start.cast())
    };
    let four_keys = |first: usize, quarters: __m512i| {
        let bytes = _mm512_castsi128_si512(window(first));
        let bytes = _mm512_inserti32x4::<1>(bytes, window(first + 1));
        let bytes = _mm512_inserti32x4::<2>(bytes, window(first + 2));
        let bytes = _mm512_inserti32x4::<3>(bytes, window(first + 3));
        // Each length in all bytes of its quarter.
        let lens = _mm512_permutexvar_epi32(quarters, lens);
        let lens = _mm512_shuffle_epi8(lens, _mm512_setzero_si512());
        let numbers = _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        let inside = _mm512_cmplt_epu8_mask(_mm512_broadcast_i32x4(numbers), lens);
        let uppermost = _mm512_broadcast_i32x4(_mm_setr_epi32(0, 0, 0, 0xFF << 24));
        let len = _mm512_and_si512(lens, uppermost);
        _mm512_or_si512(_mm512_maskz_mov_epi8(inside, bytes), len)
    };
    let quarters = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
    let others = _mm512_add_epi32(quarters, _mm512_set1_epi32(4));
    Some([four_keys(0, quarters), four_keys(4, others)])
}

/// [`hash_of_key`](crate::simd::key::hash_of_key) of eight keys.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn hashes_of_eight(first: __m512i, second: __m512i) -> __m512i {
    let [a, b, c, d] = FACTORS.map(|factor| factor as i64);
    let sums_of_halves = |keys: __m512i| {
        let even = _mm512_mul_epu32(keys, _mm512_setr_epi64(a, c, a, c, a, c, a, c));
        let odd = _mm512_srli_epi64::<32>(keys);
        let odd = _mm512_mul_epu32(odd, _mm512_setr_epi64(b, d, b, d, b, d, b, d));
        _mm512_add_epi64(even, odd)
    };
    let (first, second) = (sums_of_halves(first), sums_of_halves(second));
    let (low, high) = (
        _mm512_unpacklo_epi64(first, second),
        _mm512_unpackhi_epi64(first, second),
    );
    let sums = _mm512_add_epi64(low, high);
    let folded = _mm512_xor_si512(sums, _mm512_srli_epi64::<32>(sums));
    _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), folded)
}
