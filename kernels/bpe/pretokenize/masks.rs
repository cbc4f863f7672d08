//! Which bytes of a window belong to characters of which class: one bit a byte.

use crate::bpe::unicode::{BLANK, CASELESS, LOWER, MARK, NEWLINE, NUMBER, Set, UPPER, class_at};
use crate::simd::{BYTES, Simd};

/// Bit `i` of each mask is about byte `i` of the window. All bytes of a character are marked.
#[derive(Clone, Copy, Default)]
pub(super) struct Masks {
    pub(super) upper: u64,
    pub(super) lower: u64,
    pub(super) caseless: u64,
    pub(super) mark: u64,
    pub(super) number: u64,
    pub(super) blank: u64,
    pub(super) newline: u64,
    /// Bytes of the text: all but the padding behind its end.
    pub(super) valid: u64,
    /// Bytes that continue a character.
    pub(super) inner: u64,
    /// Bytes of the characters longer than one byte, and bytes that are not UTF-8.
    pub(super) long: u64,
    /// The character U+0020 alone.
    pub(super) space: u64,
    pub(super) apostrophe: u64,
    pub(super) slash: u64,
}

impl Masks {
    /// The ASCII characters of a window; bytes of others are in `long` alone.
    #[inline(always)]
    pub(super) fn ascii<S: Simd>(simd: S, window: &[u8; BYTES], valid: u64) -> Self {
        let window = simd.load_bytes(window);
        let between = |low, high| simd.bytes_between(window, low, high);
        let newline = between(b'\n', b'\n') | between(b'\r', b'\r');
        let space = between(b' ', b' ');
        Self {
            upper: between(b'A', b'Z'),
            lower: between(b'a', b'z'),
            number: between(b'0', b'9'),
            blank: (between(b'\t', b'\r') & !newline) | space,
            newline,
            valid,
            long: between(0x80, 0xFF),
            space,
            apostrophe: between(b'\'', b'\''),
            slash: between(b'/', b'/'),
            ..Self::default()
        }
    }

    /// With the characters that are not ASCII; the window is at `at` in the text.
    #[inline(always)]
    pub(super) fn with_long<S: Simd>(
        self,
        simd: S,
        window: &[u8; BYTES],
        text: &[u8],
        at: usize,
    ) -> Self {
        let ideographs = ideographs(simd, window);
        let all = ideographs | ideographs << 1 | ideographs << 2;
        let mut long = LongCharacters::new(text, at, self.long & !all);
        long.classes[CASELESS.trailing_zeros() as usize] |= all;
        long.inner |= all & !ideographs;
        let of = |class: Set| long.classes[class.trailing_zeros() as usize % 8];
        Self {
            upper: self.upper | of(UPPER),
            lower: self.lower | of(LOWER),
            caseless: of(CASELESS),
            mark: of(MARK),
            number: self.number | of(NUMBER),
            blank: self.blank | of(BLANK),
            newline: self.newline | of(NEWLINE),
            inner: long.inner,
            ..self
        }
    }

    /// `\p{L}`.
    #[inline(always)]
    pub(super) fn letter(&self) -> u64 {
        self.upper | self.lower | self.caseless
    }

    /// `\s`.
    #[inline(always)]
    pub(super) fn white(&self) -> u64 {
        self.blank | self.newline
    }

    /// `[^\s\p{L}\p{N}]`.
    #[inline(always)]
    pub(super) fn symbol(&self) -> u64 {
        self.valid & !(self.letter() | self.number | self.white())
    }

    /// The first bytes of the characters whose last bytes (of up to three) are given.
    #[inline(always)]
    pub(super) fn first_bytes(&self, last: u64) -> u64 {
        let second = (last & self.inner) >> 1;
        let third = (second & self.inner) >> 1;
        (last | second | third) & !self.inner
    }

    /// All bytes of the characters whose first bytes are given.
    #[inline(always)]
    pub(super) fn all_bytes(&self, first: u64) -> u64 {
        let two = first | (first << 1 & self.inner);
        let three = two | (two << 1 & self.inner);
        three | (three << 1 & self.inner)
    }
}

/// First bytes of the ideographs from U+4000 to U+9FFF and of Hangul from U+B000 to U+CFFF, as far
/// as they are whole in the window: most of Chinese and much of Korean, all letters without case.
#[inline(always)]
fn ideographs<S: Simd>(simd: S, window: &[u8; BYTES]) -> u64 {
    let window = simd.load_bytes(window);
    let between = |low, high| simd.bytes_between(window, low, high);
    // All but the hexagrams, U+4DC0 to U+4DFF.
    let hexagrams = between(0xE4, 0xE4) & (between(0xB7, 0xB7) >> 1);
    let first = (between(0xE4, 0xE9) | between(0xEB, 0xEC)) & !hexagrams;
    let next = between(0x80, 0xBF);
    first & (next >> 1) & (next >> 2)
}

/// Masks of the characters that are not ASCII.
struct LongCharacters {
    /// One mask for each bit of a [`Set`].
    classes: [u64; 8],
    inner: u64,
}

impl LongCharacters {
    /// Looks up the characters at the bits of `rest`, which are all bytes that are not ASCII.
    #[inline(never)]
    fn new(text: &[u8], at: usize, mut rest: u64) -> Self {
        let mut long = Self {
            classes: [0; 8],
            inner: 0,
        };
        while rest != 0 {
            let i = rest.trailing_zeros();
            let (class, len) = class_at(text, at + i as usize);
            let bytes = ((1 << len) - 1) << i;
            long.classes[class.trailing_zeros() as usize % 8] |= bytes;
            long.inner |= bytes & (bytes << 1);
            rest &= !bytes;
        }
        long
    }
}
