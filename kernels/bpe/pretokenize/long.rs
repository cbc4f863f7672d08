//! The characters of a window that are longer than a byte.
//!
//! First come masks of the bytes with which well-formed characters begin. Many of the most frequent
//! characters are then known by ranges of their first two or three bytes. The others are looked up
//! a row at a time: characters that differ in their last byte alone, as most in a window do that are
//! of one alphabet. Each class is a number of three bits, so that the window's classes are three
//! masks, one for each bit of the number.

use super::masks::Bytes;
use crate::bpe::unicode::{Set, row};
use crate::simd::{BYTES, Simd};

/// Classes of the characters longer than a byte; all bytes of a character are marked.
pub(super) struct LongCharacters {
    /// Bit `j` of the number of the class; 0 for everything that is no such character.
    number: [u64; 3],
    /// Bytes that continue a character.
    pub(super) inner: u64,
}

/// First bytes of the well-formed characters of two, three and four bytes.
///
/// Unicode 16, table 3-7: no overlong form, no surrogate, nothing behind U+10FFFF.
struct Firsts {
    two: u64,
    three: u64,
    four: u64,
}

/// First bytes of characters whose class is known without looking it up.
struct Frequent {
    upper: u64,
    lower: u64,
    caseless: u64,
    symbol: u64,
}

/// First bytes of characters that reach over the edge of a window.
#[inline(always)]
pub(super) fn unfinished<S: Simd>(bytes: Bytes<S>) -> u64 {
    let (two, three) = (bytes.between(0xC2, 0xF4), bytes.between(0xE0, 0xF4));
    let four = bytes.between(0xF0, 0xF4);
    (two & 1 << 63) | (three & 3 << 62) | (four & 7 << 61)
}

impl LongCharacters {
    /// The characters of a window.
    #[inline(always)]
    pub(super) fn new<S: Simd>(bytes: Bytes<S>, window: &[u8; BYTES]) -> Self {
        let firsts = Firsts::new(bytes);
        let frequent = Frequent::new(bytes, &firsts);
        let mut long = Self {
            number: [
                frequent.upper | frequent.caseless,
                frequent.lower | frequent.caseless,
                0,
            ],
            inner: firsts.inner(),
        };
        let rare = !(long.number[0] | long.number[1] | frequent.symbol);
        long.look_up::<S, 2>(bytes, window, firsts.two & rare);
        long.look_up::<S, 3>(bytes, window, firsts.three & rare);
        long.look_up::<S, 4>(bytes, window, firsts.four);
        long.number = long.number.map(|first| all_bytes(first, long.inner));
        long
    }

    /// The bytes of the characters of a class other than [`OTHER`](crate::bpe::unicode::OTHER).
    #[inline(always)]
    pub(super) fn of(&self, class: Set) -> u64 {
        let (number, mut all) = (class.trailing_zeros(), u64::MAX);
        for (j, mask) in self.number.iter().enumerate() {
            all &= if number >> j & 1 == 1 { *mask } else { !*mask };
        }
        all
    }

    /// Looks up the characters of `LEN` bytes that start at `firsts`.
    #[inline(always)]
    fn look_up<S: Simd, const LEN: u32>(
        &mut self,
        bytes: Bytes<S>,
        window: &[u8; BYTES],
        mut firsts: u64,
    ) {
        while firsts != 0 {
            let i = firsts.trailing_zeros();
            // The bytes are always in the window, for the character is whole.
            let byte = |j: u32| window[(i + j) as usize % BYTES];
            let mut of_row = firsts & bytes.equal(byte(0));
            let mut number = u32::from(byte(0)) & (0x7F >> LEN);
            for j in 1..LEN - 1 {
                of_row &= bytes.equal(byte(j)) >> j;
                number = number << 6 | u32::from(byte(j)) & 0x3F;
            }
            let last = LEN - 1;
            for (bits, set) in self.number.iter_mut().zip(row(number)) {
                *bits |= bytes.in_set(set, of_row << last) >> last;
            }
            firsts &= !of_row;
        }
    }
}

/// All bytes of the characters whose first bytes are given, with the bytes inside characters.
#[inline(always)]
pub(super) fn all_bytes(first: u64, inner: u64) -> u64 {
    let two = first | (first << 1 & inner);
    let three = two | (two << 1 & inner);
    three | (three << 1 & inner)
}

impl Firsts {
    #[inline(always)]
    fn new<S: Simd>(bytes: Bytes<S>) -> Self {
        let next = bytes.between(0x80, 0xBF);
        let overlong = bytes.equal(0xE0) & (bytes.between(0x80, 0x9F) >> 1);
        let surrogate = bytes.equal(0xED) & (bytes.between(0xA0, 0xBF) >> 1);
        let three = bytes.between(0xE0, 0xEF) & (next >> 1) & (next >> 2);
        let mut four = bytes.between(0xF0, 0xF4);
        if four != 0 {
            four &= (next >> 1) & (next >> 2) & (next >> 3);
            four &= !(bytes.equal(0xF0) & (bytes.between(0x80, 0x8F) >> 1));
            four &= !(bytes.equal(0xF4) & (bytes.between(0x90, 0xBF) >> 1));
        }
        Self {
            two: bytes.between(0xC2, 0xDF) & (next >> 1),
            three: three & !(overlong | surrogate),
            four,
        }
    }

    /// Bytes that continue a character.
    #[inline(always)]
    fn inner(&self) -> u64 {
        let second = (self.two | self.three | self.four) << 1;
        second | (self.three | self.four) << 2 | self.four << 3
    }
}

impl Frequent {
    #[inline(always)]
    fn new<S: Simd>(bytes: Bytes<S>, firsts: &Firsts) -> Self {
        // Latin: U+00C0 to U+00FF without the signs of multiplication and division.
        let signs = bytes.equal(0x97) | bytes.equal(0xB7);
        let latin = firsts.two & bytes.equal(0xC3) & !(signs >> 1);
        let lower_latin = latin & (bytes.between(0x9F, 0xBF) >> 1);
        // Cyrillic: capitals from U+0400 to U+042F, small letters to U+045F.
        let cyrillic = firsts.two & bytes.equal(0xD0);
        let upper_cyrillic = cyrillic & (bytes.between(0x80, 0xAF) >> 1);
        let more_cyrillic = firsts.two & bytes.equal(0xD1) & (bytes.between(0x80, 0x9F) >> 1);
        // Ideographs from U+4000 to U+9FFF without the hexagrams, Hangul from U+B000 to U+CFFF.
        let hexagrams = bytes.equal(0xE4) & (bytes.equal(0xB7) >> 1);
        let caseless = (bytes.between(0xE4, 0xE9) & !hexagrams) | bytes.between(0xEB, 0xEC);
        Self {
            upper: (latin & !lower_latin) | upper_cyrillic,
            lower: lower_latin | (cyrillic & !upper_cyrillic) | more_cyrillic,
            caseless: firsts.three & caseless,
            symbol: firsts.three & frequent_symbols(bytes),
        }
    }
}

/// Dashes, quotation marks and punctuation, of three bytes: U+2010 to U+2027, U+3001 to U+3003,
/// U+3008 to U+3011, U+FF01 to U+FF0F, U+FF1A to U+FF20.
#[inline(always)]
fn frequent_symbols<S: Simd>(bytes: Bytes<S>) -> u64 {
    let zero = bytes.equal(0x80) >> 1;
    let dashes = bytes.between(0x90, 0xA7) >> 2;
    let brackets = (bytes.between(0x81, 0x83) | bytes.between(0x88, 0x91)) >> 2;
    let wide = (bytes.between(0x81, 0x8F) | bytes.between(0x9A, 0xA0)) >> 2;
    let general = zero & ((bytes.equal(0xE2) & dashes) | (bytes.equal(0xE3) & brackets));
    general | (bytes.equal(0xEF) & (bytes.equal(0xBC) >> 1) & wide)
}
