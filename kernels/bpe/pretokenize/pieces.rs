//! The pieces of a text one after the other.

use super::window::Cuts;
use super::{Pattern, patterns, scan};
use crate::bpe::unicode::SPACE;
use crate::simd::Backend;

/// Iterator over the pieces of a text; see [`Pattern::pieces`].
///
/// Cuts are found for a window of 64 bytes at a time and then given out one by one, so that
/// [`Iterator::next`] is a few instructions: there is nothing to gain from asking for several.
#[derive(Clone, Debug)]
pub struct Pieces<'a> {
    pattern: Pattern,
    text: &'a [u8],
    at: usize,
    backend: Backend,
    /// Whether there is text between pieces.
    has_gaps: bool,
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
            has_gaps: matches!(pattern, Pattern::Whitespace),
            base: 0,
            cuts: 0,
        }
    }

    /// Offset in the text behind the last piece.
    pub const fn position(&self) -> usize {
        self.at
    }

    /// Finds the next cuts, at least one; `false` at the end of the text.
    #[inline(never)]
    fn refill(&mut self) -> bool {
        if self.at >= self.text.len() {
            return false;
        }
        let cuts = Cuts {
            pattern: self.pattern,
            text: self.text,
            at: self.at,
        };
        (self.base, self.cuts) = (self.at, self.backend.run(cuts));
        if self.cuts == 0 {
            self.base = self.end_of_one();
            self.cuts = u64::from(self.at < self.base);
        }
        self.cuts != 0
    }

    /// End of the piece at `at`, found character by character.
    #[cold]
    fn end_of_one(&mut self) -> usize {
        match self.pattern {
            Pattern::Gpt2 => patterns::gpt2(self.text, self.at),
            Pattern::Cl100k => patterns::cl100k(self.text, self.at),
            Pattern::O200k => patterns::o200k(self.text, self.at),
            Pattern::Whitespace => {
                self.at = scan::run(self.text, self.at, SPACE);
                scan::run(self.text, self.at, !SPACE)
            }
        }
    }

    /// The next cut, of at least one.
    #[inline]
    fn take_cut(&mut self) -> usize {
        let i = self.cuts.trailing_zeros();
        self.cuts &= self.cuts.wrapping_sub(1);
        self.base + i as usize
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        if self.cuts == 0 && !self.refill() {
            return None;
        }
        // Words have two cuts each, but one alone if it is too long for a window.
        if self.has_gaps && self.cuts.count_ones() > 1 {
            self.at = self.take_cut();
        }
        let start = self.at;
        self.at = self.take_cut();
        self.text.get(start..self.at)
    }
}

impl core::iter::FusedIterator for Pieces<'_> {}
