//! Which bytes of a window belong to characters of which class: one bit a byte.

use super::long::{LongCharacters, all_bytes};
use crate::bpe::unicode::{BLANK, CASELESS, LOWER, MARK, NUMBER, UPPER};
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

/// The bytes of a window.
#[derive(Clone, Copy)]
pub(super) struct Bytes<S: Simd> {
    simd: S,
    bytes: S::Bytes,
}

impl<S: Simd> Bytes<S> {
    #[inline(always)]
    pub(super) fn new(simd: S, window: &[u8; BYTES]) -> Self {
        let bytes = simd.load_bytes(window);
        Self { simd, bytes }
    }

    /// Where a byte is one of `low` to `high`.
    #[inline(always)]
    pub(super) fn between(self, low: u8, high: u8) -> u64 {
        self.simd.bytes_between(self.bytes, low, high)
    }

    /// Where, among `lanes`, bit `byte % 64` of `set` is set.
    #[inline(always)]
    pub(super) fn in_set(self, set: u64, lanes: u64) -> u64 {
        self.simd.bytes_in_set(self.bytes, set, lanes)
    }

    /// Where a byte is `byte`.
    #[inline(always)]
    pub(super) fn equal(self, byte: u8) -> u64 {
        self.between(byte, byte)
    }
}

impl Masks {
    /// The ASCII characters of a window; bytes of others are in `long` alone.
    #[inline(always)]
    pub(super) fn ascii<S: Simd>(bytes: Bytes<S>, valid: u64) -> Self {
        let newline = bytes.equal(b'\n') | bytes.equal(b'\r');
        let space = bytes.equal(b' ');
        Self {
            upper: bytes.between(b'A', b'Z'),
            lower: bytes.between(b'a', b'z'),
            number: bytes.between(b'0', b'9'),
            blank: (bytes.between(b'\t', b'\r') & !newline) | space,
            newline,
            valid,
            long: bytes.between(0x80, 0xFF),
            space,
            apostrophe: bytes.equal(b'\''),
            slash: bytes.equal(b'/'),
            ..Self::default()
        }
    }

    /// With the characters that are not ASCII, in a window of which less may be valid.
    #[inline(always)]
    pub(super) fn with(self, long: &LongCharacters, valid: u64) -> Self {
        Self {
            upper: self.upper | long.of(UPPER),
            lower: self.lower | long.of(LOWER),
            caseless: long.of(CASELESS),
            mark: long.of(MARK),
            number: self.number | long.of(NUMBER),
            blank: self.blank | long.of(BLANK),
            inner: long.inner,
            valid,
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
        all_bytes(first, self.inner)
    }
}
