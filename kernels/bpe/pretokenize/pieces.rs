//! The pieces of a text one after the other, or many at once.

use super::bounds::Bounds;
use super::starts::{Cl100k, Gpt2, O200k, Rules, Words};
use super::window::{self, Cuts};
use super::{Pattern, patterns, scan};
use crate::bpe::unicode::SPACE;
use crate::simd::{Backend, Kernel, Simd};
use core::ops::Range;

/// Iterator over the pieces of a text; see [`Pattern::pieces`].
///
/// The ends of pieces are found for 64 bytes at a time. `for_each` and `fold` take whole batches of
/// them, and so does [`Pieces::fill`], for a caller who looks ahead: that is up to twice as fast as
/// [`Iterator::next`], with which the processor guesses wrong once a window.
#[derive(Clone, Debug)]
pub struct Pieces<'a> {
    pattern: Pattern,
    text: &'a [u8],
    at: usize,
    backend: Backend,
    /// Where the window begins, and the cuts in it that are still to come.
    base: usize,
    cuts: u64,
}

impl<'a> Pieces<'a> {
    pub(super) fn new(pattern: Pattern, text: &'a [u8], backend: Backend) -> Self {
        Self {
            pattern,
            text,
            at: 0,
            backend,
            base: 0,
            cuts: 0,
        }
    }

    /// Offset in the text behind the last piece, and behind all of the text at its end.
    pub const fn position(&self) -> usize {
        self.at
    }

    /// Tells where the next pieces are in the text: up to [`Bounds::MOST`], none at its end.
    ///
    /// # Example
    /// ```
    /// use barelm_kernels::bpe::{Bounds, Pattern};
    /// let mut pieces = Pattern::Gpt2.pieces(b"two words");
    /// let mut bounds = Bounds::new();
    /// pieces.fill(&mut bounds);
    /// assert!(bounds.iter().eq([0..3, 3..9]));
    /// pieces.fill(&mut bounds);
    /// assert!(bounds.is_empty());
    /// ```
    pub fn fill(&mut self, bounds: &mut Bounds) {
        let backend = self.backend;
        backend.run(Fill {
            pieces: self,
            bounds,
        });
    }

    /// Whether there is text between pieces.
    const fn has_gaps(&self) -> bool {
        matches!(self.pattern, Pattern::Whitespace)
    }

    /// Finds the next cuts, at least one; `false` if there are none.
    #[inline(never)]
    fn refill(&mut self) -> bool {
        if self.at >= self.text.len() {
            return false;
        }
        (self.base, self.cuts) = (self.at, self.backend.run(NextCuts(self)).places);
        if self.cuts == 0 {
            let piece = self.scan_one();
            (self.at, self.base) = (piece.start, piece.end);
            self.cuts = u64::from(!piece.is_empty());
        }
        self.cuts != 0
    }

    /// The next cut, of at least one.
    #[inline]
    fn take_cut(&mut self) -> usize {
        self.base + take_lowest(&mut self.cuts)
    }

    /// The next piece, found character by character; empty at the end of the text.
    #[cold]
    fn scan_one(&mut self) -> Range<usize> {
        let at = match self.pattern {
            Pattern::Whitespace => scan::run(self.text, self.at, SPACE),
            _ => self.at,
        };
        self.at = match self.pattern {
            Pattern::Gpt2 => patterns::gpt2(self.text, at),
            Pattern::Cl100k => patterns::cl100k(self.text, at),
            Pattern::O200k => patterns::o200k(self.text, at),
            Pattern::Whitespace => scan::word(self.text, at),
        };
        at..self.at
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        if self.cuts == 0 && !self.refill() {
            return None;
        }
        // A word has two cuts, but one alone if it is too long for a window.
        if self.has_gaps() && self.cuts.count_ones() > 1 {
            self.at = self.take_cut();
        }
        let start = self.at;
        self.at = self.take_cut();
        self.text.get(start..self.at)
    }

    #[inline]
    fn fold<B, F: FnMut(B, &'a [u8]) -> B>(mut self, mut folded: B, mut f: F) -> B {
        let mut bounds = Bounds::new();
        loop {
            self.fill(&mut bounds);
            if bounds.is_empty() {
                return folded;
            }
            folded = bounds.fold(folded, |folded, piece| {
                f(folded, self.text.get(piece).unwrap_or(&[]))
            });
        }
    }
}

impl core::iter::FusedIterator for Pieces<'_> {}

/// Where the window of `0` has cuts.
struct NextCuts<'p, 'a>(&'p Pieces<'a>);

impl Kernel for NextCuts<'_, '_> {
    type Output = Cuts;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Cuts {
        let Pieces { text, at, .. } = *self.0;
        match self.0.pattern {
            Pattern::Gpt2 => window::cuts::<S, Gpt2>(simd, text, at),
            Pattern::Cl100k => window::cuts::<S, Cl100k>(simd, text, at),
            Pattern::O200k => window::cuts::<S, O200k>(simd, text, at),
            Pattern::Whitespace => window::cuts::<S, Words>(simd, text, at),
        }
    }
}

/// [`Pieces::fill`].
struct Fill<'p, 'a> {
    pieces: &'p mut Pieces<'a>,
    bounds: &'p mut Bounds,
}

impl Kernel for Fill<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        match self.pieces.pattern {
            Pattern::Gpt2 => self.fill::<S, Gpt2>(simd),
            Pattern::Cl100k => self.fill::<S, Cl100k>(simd),
            Pattern::O200k => self.fill::<S, O200k>(simd),
            Pattern::Whitespace => self.fill::<S, Words>(simd),
        }
    }
}

impl Fill<'_, '_> {
    /// One window after the other, as long as there is room for a whole window's bounds.
    #[inline(always)]
    fn fill<S: Simd, R: Rules>(self, simd: S) {
        let Self { pieces, bounds } = self;
        let (text, mut at) = (pieces.text, pieces.at);
        match R::GAPS {
            true => bounds.start_at::<true>(at),
            false => bounds.start_at::<false>(at),
        }
        while at < text.len()
            && let Some((room, offset)) = bounds.room(at)
        {
            let cuts = window::cuts::<S, R>(simd, text, at);
            if cuts.places != 0 {
                simd.write_places(cuts.places, offset, room);
                bounds.wrote(cuts.places.count_ones() as usize);
                at += cuts.last;
                continue;
            }
            pieces.at = at;
            let piece = pieces.scan_one();
            if !piece.is_empty() && !bounds.push(piece) {
                break;
            }
            at = pieces.at;
        }
        (pieces.at, pieces.cuts) = (at, 0);
    }
}

/// The lowest bit, taken out of the mask; 64 if there is none.
#[inline(always)]
fn take_lowest(mask: &mut u64) -> usize {
    let i = mask.trailing_zeros();
    *mask &= mask.wrapping_sub(1);
    i as usize
}
