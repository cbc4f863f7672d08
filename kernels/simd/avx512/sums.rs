//! The sums over the lanes of four vectors, or of four and four.
//!
//! Two vectors become one: its first half is the two halves of one, added up, its second half those of
//! the other. That takes one shuffle, which swaps the halves that do not lie where they are needed. In
//! the same way two such vectors become one by their quarters. The additions are those of one vector at
//! a time, so the bits are too.

use core::arch::x86_64::*;

/// The sum of each vector's lanes.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn sums_of_four([a, b, c, d]: [__m512; 4]) -> [f32; 4] {
    let quarters = folded_quarters(folded_halves(a, c), folded_halves(b, d));
    let pairs = _mm512_add_ps(quarters, _mm512_permute_ps::<0b01_00_11_10>(quarters));
    let sums = _mm512_add_ps(pairs, _mm512_permute_ps::<0b10_11_00_01>(pairs));
    first_of_quarters(sums)
}

/// The sums of the first four vectors' lanes plus those of the second four's.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn sums_of_four_and_four(
    [a, b, c, d]: [__m512; 4],
    [e, f, g, h]: [__m512; 4],
) -> [f32; 4] {
    let first = folded_quarters(folded_halves(a, c), folded_halves(b, d));
    let second = folded_quarters(folded_halves(e, g), folded_halves(f, h));
    let pairs = folded_pairs(first, second);
    let sums = _mm512_add_ps(pairs, _mm512_permute_ps::<0b10_11_00_01>(pairs));
    let sums = _mm512_add_ps(sums, _mm512_permute_ps::<0b01_00_11_10>(sums));
    first_of_quarters(sums)
}

/// The first lane of each quarter.
#[inline]
#[target_feature(enable = "avx512f")]
fn first_of_quarters(v: __m512) -> [f32; 4] {
    let firsts = _mm512_setr_epi32(0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12);
    let v = _mm512_castps512_ps128(_mm512_permutexvar_ps(firsts, v));
    let mut out = [0.0; 4];
    // SAFETY: the array holds the four values written, unaligned.
    unsafe { _mm_storeu_ps(out.as_mut_ptr(), v) };
    out
}

/// The halves of `a` added up, then those of `b`.
#[inline]
#[target_feature(enable = "avx512f")]
fn folded_halves(a: __m512, b: __m512) -> __m512 {
    let first = _mm512_setr_epi64(-1, -1, -1, -1, 0, 0, 0, 0);
    let crossed = _mm512_shuffle_f32x4::<0b01_00_11_10>(a, b);
    _mm512_add_ps(choose(first, a, b), crossed)
}

/// In each half: its quarters in `a` added up, then those in `b`.
#[inline]
#[target_feature(enable = "avx512f")]
fn folded_quarters(a: __m512, b: __m512) -> __m512 {
    let first = _mm512_setr_epi64(-1, -1, 0, 0, -1, -1, 0, 0);
    let crossed = _mm512_setr_epi32(4, 5, 6, 7, 16, 17, 18, 19, 12, 13, 14, 15, 24, 25, 26, 27);
    let crossed = _mm512_permutex2var_ps(a, crossed, b);
    _mm512_add_ps(choose(first, a, b), crossed)
}

/// In each quarter: its pairs in `a` added up, then those in `b`.
#[inline]
#[target_feature(enable = "avx512f")]
fn folded_pairs(a: __m512, b: __m512) -> __m512 {
    let first = _mm512_setr_epi64(-1, 0, -1, 0, -1, 0, -1, 0);
    let crossed = _mm512_shuffle_ps::<0b01_00_11_10>(a, b);
    _mm512_add_ps(choose(first, a, b), crossed)
}

/// The bits of `a` where those of `mask` are 1, else of `b`. The compiler makes a shuffle of a blend,
/// and only one shuffle is done in a cycle.
#[inline]
#[target_feature(enable = "avx512f")]
fn choose(mask: __m512i, a: __m512, b: __m512) -> __m512 {
    let (a, b) = (_mm512_castps_si512(a), _mm512_castps_si512(b));
    _mm512_castsi512_ps(_mm512_ternarylogic_epi32::<0xca>(mask, a, b))
}
