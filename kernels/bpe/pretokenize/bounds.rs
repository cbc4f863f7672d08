//! Where up to 256 pieces of a text begin and end, in half the room of ranges.
//!
//! Pieces that follow each other share their bounds: each end is the next one's start. So a window's
//! cuts are written as they are, sixteen at a time where the processor can.

use core::ops::Range;

/// Bounds of a batch.
const PLACES: usize = 256;
/// A place that is too far away to be told: the end of a batch's last piece, which starts in the
/// first half of all places.
const FAR: u32 = u32::MAX;

/// Where pieces are in a text; see [`Pieces::fill`](super::Pieces::fill).
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Offsets from `base`: of the first piece's start, which is 0, and of all ends; or of start and
    /// end of each, where there are gaps.
    places: [u32; PLACES + 1],
    /// How many of them are written.
    used: usize,
    base: usize,
    /// Behind the last piece.
    end: usize,
    /// Whether there may be text between pieces.
    has_gaps: bool,
}

impl Bounds {
    /// Most pieces of a batch.
    pub const MOST: usize = PLACES;

    /// No pieces.
    pub const fn new() -> Self {
        Self {
            places: [0; PLACES + 1],
            used: 0,
            base: 0,
            end: 0,
            has_gaps: true,
        }
    }

    /// How many pieces there are.
    #[inline]
    pub const fn len(&self) -> usize {
        match self.has_gaps {
            true => self.used / 2,
            false => self.used.saturating_sub(1),
        }
    }

    /// Whether there are none.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where a piece is in the text, if there are as many.
    #[inline]
    pub fn get(&self, at: usize) -> Option<Range<usize>> {
        let first = if self.has_gaps {
            at.saturating_mul(2)
        } else {
            at
        };
        let [start, end] = *self.places.get(..self.used)?.get(first..)?.first_chunk()?;
        Some(self.base + start as usize..self.end_of(end))
    }

    /// The end of a piece that has this place.
    #[inline(always)]
    const fn end_of(&self, place: u32) -> usize {
        match place {
            FAR => self.end,
            _ => self.base + place as usize,
        }
    }

    /// Where each piece is in the text.
    pub fn iter(&self) -> impl Iterator<Item = Range<usize>> {
        (0..self.len()).filter_map(|at| self.get(at))
    }

    /// Folds over [`Bounds::iter`], with the pieces that share their bounds in a loop of their own.
    #[inline]
    pub(super) fn fold<B>(&self, init: B, mut f: impl FnMut(B, Range<usize>) -> B) -> B {
        let Some((mut start, places)) = self.gapless() else {
            return self.iter().fold(init, f);
        };
        let ends = places.get(1..self.used).unwrap_or(&[]);
        ends.iter().fold(init, |folded, end| {
            let piece = start..self.end_of(*end);
            start = piece.end;
            f(folded, piece)
        })
    }

    /// Where the first piece starts, and the offsets from there of starts and ends of all, if there
    /// are no gaps. Behind those comes anything.
    #[inline(always)]
    pub(super) fn gapless(&self) -> Option<(usize, &[u32])> {
        (!self.has_gaps).then_some((self.base, &self.places))
    }

    /// Forgets all pieces; those that come are in order, with other text between them.
    pub const fn clear(&mut self) {
        (self.used, self.has_gaps) = (0, true);
    }

    /// Adds a piece behind the last one; whether there was room for it, as there is behind
    /// [`Bounds::clear`].
    pub fn push(&mut self, piece: Range<usize>) -> bool {
        if self.used == 0 {
            self.base = piece.start;
        }
        let needed = 1 + usize::from(self.has_gaps);
        if self.used + needed > self.places.len() || !self.is_near(piece.start) {
            return false;
        }
        if self.has_gaps {
            self.put(piece.start);
        }
        self.put(piece.end);
        self.end = piece.end;
        true
    }

    /// Whether a piece may start there: then its end is [`FAR`] only if it is long.
    #[inline(always)]
    const fn is_near(&self, start: usize) -> bool {
        start.wrapping_sub(self.base) < FAR as usize / 2
    }

    fn put(&mut self, bound: usize) {
        if let Some(place) = self.places.get_mut(self.used) {
            *place = u32::try_from(bound.wrapping_sub(self.base)).unwrap_or(FAR);
            self.used += 1;
        }
    }

    /// [`Bounds::clear`], for windows from `base` on.
    pub(super) const fn start_at<const GAPS: bool>(&mut self, base: usize) {
        self.places[0] = 0;
        (self.base, self.has_gaps) = (base, GAPS);
        self.used = if GAPS { 0 } else { 1 };
    }

    /// Room for the bounds of a window that begins at `at`, and the offset of that; `None` if there
    /// may be too many.
    #[inline(always)]
    pub(super) fn room<const N: usize>(&mut self, at: usize) -> Option<(&mut [u32; N], u32)> {
        let offset = self
            .is_near(at)
            .then(|| at.wrapping_sub(self.base) as u32)?;
        Some((self.places.get_mut(self.used..)?.first_chunk_mut()?, offset))
    }

    /// Counts bounds that were written where there was room.
    #[inline(always)]
    pub(super) const fn wrote(&mut self, count: usize) {
        self.used += count;
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Self::new()
    }
}
