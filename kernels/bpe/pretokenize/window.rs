//! Sixty-four bytes of text at a time: where do pieces start?
//!
//! A scanner that looks at one byte after the other guesses wrong, once a piece, where the piece
//! ends. Here the bytes of a window are classified all at once, into one mask of 64 bits for each
//! class, and the patterns become arithmetic of masks: `letter & !(letter << 1)` are the first
//! letters of words. For GPT-2, written from left to right, bit 0 first:
//!
//! ```text
//! text           I t ' s   1 9 8 4 !   ( y e a r s )
//! letter         1 1 . 1 . . . . . . . . 1 1 1 1 1 .
//! first letters  1 . . 1 . . . . . . . . 1 . . . . .
//! first digits   . . . . . 1 . . . . . . . . . . . .
//! first symbols  . . 1 . . . . . . 1 . 1 . . . . . 1
//! white space    . . . . 1 . . . . . 1 . . . . . . .
//! all of those, but none behind a space:
//!                1 . 1 1 1 . . . . 1 1 . 1 . . . . 1
//! the apostrophe starts a piece and a contraction, whose end is a start, and whose s is none:
//!                1 . 1 . 1 . . . . 1 1 . 1 . . . . 1
//! pieces        |I t|' s|  1 9 8 4|!|  (|y e a r s|)
//! ```
//!
//! A window begins where a piece begins, so nothing that came before it matters. What comes behind
//! it can matter to its last run of white space alone, whose cuts are therefore left to the next
//! window, which begins at the last start found: no state is carried along. All of that is a long
//! chain of steps from one window to the next. A space behind a letter, digit or symbol starts a
//! piece under every pattern, whatever else there is; so a window that has one ends at its last, and
//! the next can begin while its own cuts are still computed. A window in which no second piece starts
//! (its first piece is long), or in which a rule meets a character that it does not express, is left
//! to the scanner of [`super::patterns`], for one piece.

use super::long::{self, LongCharacters};
use super::masks::{Bytes, Masks};
use super::starts::Rules;
use crate::simd::{BYTES, Kernel, Simd};
use core::marker::PhantomData;

/// How many bytes ahead of the window memory is asked for: some dozen windows' time.
const AHEAD: usize = 1024;

/// A window of text, at the start of a piece.
#[derive(Clone, Copy)]
pub(super) struct Window<'a> {
    pub(super) text: &'a [u8],
    pub(super) at: usize,
    /// How many of its bytes count.
    len: u32,
    behind: Behind,
}

/// What comes behind a window.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Behind {
    /// The end of the text.
    End,
    /// More text.
    More,
    /// More text, of which nothing matters: cuts are wanted up to a place where any text may be cut.
    Cut,
}

/// Where pieces end in a window.
#[derive(Clone, Copy, Default)]
pub(super) struct Cuts {
    /// Bit `i` stands for the place `i` bytes behind the window's first.
    pub(super) places: u64,
    /// Where the next window begins: the last of these places, 0 if there is none.
    pub(super) last: usize,
}

impl Cuts {
    fn at(places: u64) -> Self {
        let last = (places | 1).ilog2() as usize;
        Self { places, last }
    }
}

/// Where pieces end in the window at `at`, which is not the end of the text.
#[inline(always)]
pub(super) fn cuts<S: Simd, R: Rules>(simd: S, text: &[u8], at: usize) -> Cuts {
    if const { S::REGISTERS < 4 } {
        // Without vectors masks gain nothing and are large: all is left to the scanner.
        return Cuts::default();
    }
    let rest = text.get(at..).unwrap_or(&[]);
    simd.prefetch(rest.get(AHEAD..).unwrap_or(&[]));
    if let Some(bytes) = rest.first_chunk() {
        let mut window = Window {
            text,
            at,
            len: BYTES as u32,
            behind: Behind::More,
        };
        let bytes = Bytes::new(simd, bytes);
        let masks = Masks::ascii(bytes, window.valid());
        if masks.long == 0 {
            let safe = masks.space & !(bytes.between(0, b' ') << 1) & !1;
            if safe == 0 {
                return Cuts::at(R::cuts(&masks, window));
            }
            window.behind = Behind::Cut;
            let last = safe.ilog2();
            let places = R::cuts(&masks, window) & (u64::MAX >> (63 - last));
            let last = last as usize;
            return Cuts { places, last };
        }
    }
    let rules = PhantomData;
    Cuts::at(simd.call(AnyCuts::<R> { text, at, rules }))
}

/// The same, of windows that are not all ASCII or not all text: on its own, for without these much
/// of the arithmetic falls away.
struct AnyCuts<'a, R> {
    text: &'a [u8],
    at: usize,
    rules: PhantomData<R>,
}

impl<R: Rules> Kernel for AnyCuts<'_, R> {
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
        let mut window = Window {
            text: self.text,
            at: self.at,
            len: len as u32,
            behind: match len {
                BYTES => Behind::More,
                _ => Behind::End,
            },
        };
        let vector = Bytes::new(simd, bytes);
        let masks = Masks::ascii(vector, window.valid());
        if masks.long == 0 {
            return R::cuts(&masks, window);
        }
        if !window.is_last() {
            window.len = long::unfinished(vector).trailing_zeros();
        }
        let masks = masks.with(&LongCharacters::new(vector, bytes), window.valid());
        R::cuts(&masks, window)
    }
}

impl Window<'_> {
    /// One bit for each byte that counts.
    #[inline(always)]
    fn valid(self) -> u64 {
        u64::MAX >> (BYTES as u32 - self.len)
    }

    /// The last of those bits.
    #[inline(always)]
    pub(super) fn last(self) -> u64 {
        1 << (self.len - 1)
    }

    /// Whether the text ends inside the window.
    #[inline(always)]
    pub(super) fn is_last(self) -> bool {
        self.behind == Behind::End
    }

    /// The bit at the end of the text, if that is inside the window.
    #[inline(always)]
    pub(super) fn end(self) -> u64 {
        if self.is_last() { 1 << self.len } else { 0 }
    }

    /// Without the cuts inside a run of white space behind which the window ends, and without those
    /// beyond.
    ///
    /// At the end of the text such a run is one piece, and elsewhere it is undecided.
    #[inline(always)]
    pub(super) fn without_last_white(self, starts: u64, white: u64) -> u64 {
        if self.behind == Behind::Cut {
            return starts;
        }
        let run = (!(white << (BYTES as u32 - self.len))).leading_zeros();
        let first = self.len - run;
        starts & (u64::MAX >> (63 - first.min(63)))
    }
}
