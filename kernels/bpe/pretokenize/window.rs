//! Sixty-four bytes of text at a time: where do pieces start?
//!
//! A scanner that looks at one byte after the other guesses wrong, once a piece, where the piece
//! ends. Here the bytes of a window are classified all at once, into one mask of 64 bits for each
//! class, and the patterns become arithmetic of masks: `letter & !(letter << 1)` are the first
//! letters of words. For GPT-2, written from left to right, bit 0 first:
//!
//! ```text
//! text          I t ' s   1 9 8 4 !   ( y e a r s )
//! letter        1 1 . 1 . . . . . . . . 1 1 1 1 1 .
//! first letters 1 . . 1 . . . . . . . . 1 . . . . .
//! first digits  . . . . . 1 . . . . . . . . . . . .
//! first symbols . . 1 . . . . . . 1 . 1 . . . . . 1
//! white space   . . . . 1 . . . . . 1 . . . . . . .
//! all of those, but none behind a space:
//!               1 . 1 1 1 . . . . 1 1 . 1 . . . . 1
//! contraction:  the apostrophe starts a piece, so its end is a start, and the s is none
//!               1 . 1 . 1 . . . . 1 1 . 1 . . . . 1
//! pieces        It|'s  | 1984    |!| (|years    |)
//! ```
//!
//! A window begins where a piece begins, so nothing that came before it matters. What comes behind
//! it can matter to its last run of white space alone, whose cuts are therefore left to the next
//! window, which begins at the last start found: no state is carried along. A window in which no
//! second piece starts (its first piece is long), or in which a rule meets a character that it
//! does not express, is left to the scanner of [`super::patterns`], for one piece.

use super::masks::Masks;
use super::{Pattern, starts};
use crate::simd::{BYTES, Kernel, Simd};

/// Finds the cuts of the window at `at`, where a piece starts.
pub(super) struct Cuts<'a> {
    pub(super) pattern: Pattern,
    pub(super) text: &'a [u8],
    pub(super) at: usize,
}

/// A window's place in the text.
#[derive(Clone, Copy)]
pub(super) struct Window<'a> {
    pub(super) text: &'a [u8],
    pub(super) at: usize,
    /// How many of its bytes are text.
    pub(super) len: u32,
}

impl Kernel for Cuts<'_> {
    /// Bit `i` is set where a piece ends and the next one starts, `i` bytes behind `at`.
    type Output = u64;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> u64 {
        let rest = self.text.get(self.at..).unwrap_or(&[]);
        let mut padded = [0; BYTES];
        let (bytes, len) = match rest.first_chunk() {
            Some(bytes) => (bytes, BYTES),
            None => {
                padded[..rest.len()].copy_from_slice(rest);
                (&padded, rest.len())
            }
        };
        let window = Window {
            text: self.text,
            at: self.at,
            len: len as u32,
        };
        let ascii = Masks::ascii(simd, bytes, window.valid());
        // Two copies of the arithmetic: without long characters much of it falls away.
        if ascii.long == 0 {
            starts::of(self.pattern, &ascii, window)
        } else {
            let masks = ascii.with_long(simd, bytes, self.text, self.at);
            starts::of(self.pattern, &masks, window)
        }
    }
}

impl Window<'_> {
    /// One bit for each byte of text.
    #[inline(always)]
    fn valid(self) -> u64 {
        if self.reaches_end() {
            (1 << self.len) - 1
        } else {
            u64::MAX
        }
    }

    /// Whether the end of the text is inside the window.
    #[inline(always)]
    pub(super) fn reaches_end(self) -> bool {
        (self.len as usize) < BYTES
    }

    /// The bit at the end of the text, if that is inside the window.
    #[inline(always)]
    pub(super) fn end(self) -> u64 {
        if self.reaches_end() { 1 << self.len } else { 0 }
    }

    /// Without the cuts inside a run of white space that touches the edge of the window.
    ///
    /// At the end of the text such a run is one piece, and elsewhere it is undecided.
    #[inline(always)]
    pub(super) fn without_last_white(self, starts: u64, white: u64) -> u64 {
        let run = (!(white << (BYTES as u32 - self.len))).leading_zeros();
        let first = self.len - run;
        starts & (u64::MAX >> (63 - first.min(63)))
    }
}
