//! Merges up to 64 bytes (32 on machines with a small stack) in two arrays and a bit set.
//!
//! A bit says of each place whether a token starts there. The pair of lowest rank is the minimum
//! of an array in which each rank has its place in its lowest bits, so that the minimum also says
//! where, and the leftmost of equals wins. The array is one of floats, by their bits. A merge writes
//! some ranks and moves nothing. The pairs on both sides of a new token are looked up one step
//! later: meanwhile the memory brings them, and other windows are merged.

use super::ranks::{NO_RANK, POSITION_BITS, Ranks};
use crate::simd::{Portable, Simd};
use core::ops::Range;

/// Whether the machine is a small one: windows lie on its stack, and it has no memory to wait for.
const IS_SMALL: bool = Portable::REGISTERS < 4;
/// Bytes of a window.
pub(super) const WINDOW: usize = if IS_SMALL { 32 } else { 1 << POSITION_BITS };
/// Windows that are merged at once.
pub(super) const MOST: usize = if IS_SMALL { 1 } else { 8 };
/// Ranks are compared in groups of this many.
const GROUP: usize = 8;

/// The tokens of a stretch of bytes.
pub(super) struct Window {
    ids: [u32; WINDOW],
    /// Packed rank and place of the pair that starts at each place.
    ranks: [f32; WINDOW],
    /// Where tokens start.
    starts: u64,
    /// Groups of ranks that are in use.
    groups: usize,
    /// Merges that there can be: an index that lies could name a place where nothing merges.
    steps: usize,
    /// The token that was merged last, if its pairs are not yet looked up: where the one before
    /// it starts, it itself, and the one behind it.
    fresh: Option<[usize; 3]>,
}

/// The lesser of two floats that are numbers.
#[inline]
fn min(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}

/// Merges windows that were spelled, all at once.
///
/// A merge is a chain of steps that wait for each other, the table of pairs among them. Those of
/// one window run while those of another wait.
#[inline]
pub(super) fn merge_all(index: &impl Ranks, windows: &mut [Window]) {
    let mut pending: [usize; MOST] = core::array::from_fn(|i| i);
    let mut len = windows.len().min(MOST);
    while len > 0 {
        let mut at = 0;
        while at < len {
            let window = windows.get_mut(pending[at % MOST]);
            if window.is_some_and(|window| window.step(index) != NO_RANK) {
                at += 1;
            } else {
                len -= 1;
                pending[at % MOST] = pending[len % MOST];
            }
        }
    }
}

impl Window {
    pub(super) const fn new() -> Self {
        Self {
            ids: [0; WINDOW],
            ranks: [f32::MAX; WINDOW],
            starts: 0,
            groups: 0,
            steps: 0,
            fresh: None,
        }
    }

    /// Merges the pair of lowest rank; its packed rank, or [`NO_RANK`] if none merges.
    #[inline]
    pub(super) fn step(&mut self, index: &impl Ranks) -> u32 {
        let packed = self.lowest_with(self.rank_fresh(index));
        if packed == NO_RANK || self.steps == 0 {
            return NO_RANK;
        }
        self.steps -= 1;
        self.merge_at(index, packed);
        packed
    }

    /// Takes each of at most [`WINDOW`] bytes for a token.
    #[inline]
    pub(super) fn spell(&mut self, index: &impl Ranks, bytes: &[u8]) {
        self.groups = bytes.len().div_ceil(GROUP);
        self.steps = bytes.len().saturating_sub(1);
        self.fresh = None;
        let (ids, ranks) = (&mut self.ids, &mut self.ranks);
        if let Some(last) = ranks
            .as_chunks_mut::<GROUP>()
            .0
            .get_mut(self.groups.wrapping_sub(1))
        {
            *last = [f32::MAX; GROUP];
        }
        for (id, byte) in ids.iter_mut().zip(bytes) {
            *id = index.letter(*byte);
        }
        let pairs = bytes.iter().zip(bytes.get(1..).unwrap_or(&[]));
        for ((at, rank), (left, right)) in ranks.iter_mut().enumerate().zip(pairs) {
            *rank = f32::from_bits(index.rank_of_bytes(*left, *right) | at as u32);
        }
        self.starts = match bytes.len() {
            0 => 0,
            len => u64::MAX >> (u64::BITS as usize - len.min(WINDOW)),
        };
    }

    /// The lowest rank and its place, of those that are new too. Those are written afterwards: a
    /// vector that is read right behind a part of it was written has to wait.
    #[inline]
    fn lowest_with(&mut self, fresh: [(usize, f32); 2]) -> u32 {
        let [(left, first), (at, second)] = fresh;
        let lowest = min(self.lowest(), min(first, second));
        // In this order: without a token before it, both places are one.
        self.ranks[left % WINDOW] = min(self.ranks[left % WINDOW], first);
        self.ranks[at % WINDOW] = min(self.ranks[at % WINDOW], second);
        lowest.to_bits()
    }

    /// The lowest rank and its place, but for the pairs of the token that was merged last.
    #[inline]
    fn lowest(&self) -> f32 {
        let groups = self.ranks.as_chunks::<GROUP>().0.iter().take(self.groups);
        let columns = groups.fold([f32::MAX; GROUP], |mut least, group| {
            for (least, rank) in least.iter_mut().zip(group) {
                *least = min(*least, *rank);
            }
            least
        });
        let [a, b, c, d, e, f, g, h] = columns;
        let [a, b, c, d] = [min(a, e), min(b, f), min(c, g), min(d, h)];
        min(min(a, c), min(b, d))
    }

    /// Merges the pair of that rank and place. A place is below [`WINDOW`]: so are all that are
    /// computed from bits, and the remainders are for the compiler.
    #[inline]
    fn merge_at(&mut self, index: &impl Ranks, packed: u32) {
        let at = packed as usize % WINDOW;
        let behind = self.starts & (u64::MAX << at << 1);
        let next = behind & behind.wrapping_sub(1);
        self.starts ^= behind ^ next;
        let right = behind.trailing_zeros() as usize % WINDOW;
        self.ids[at] = index.merged([self.ids[at], self.ids[right]], packed);
        self.ranks[right] = f32::MAX;
        self.ranks[at] = f32::MAX;
        let [left, right] = self.beside(at);
        self.ranks[left] = f32::MAX;
        self.fresh = Some([left, at, right]);
        let id = self.ids[at];
        index.prefetch(self.ids[left], id);
        index.prefetch(id, self.ids[right]);
    }

    /// Where the tokens on both sides of the one at `at` start; `at` itself where there is none.
    #[inline]
    fn beside(&self, at: usize) -> [usize; 2] {
        let own = 1 << at;
        let before = self.starts & (own - 1);
        let behind = self.starts & (u64::MAX << at << 1);
        let left = if before == 0 { own } else { before };
        let right = if behind == 0 { own } else { behind };
        let last = u64::BITS - 1 - left.leading_zeros();
        [last, right.trailing_zeros()].map(|place| place as usize % WINDOW)
    }

    /// Places and ranks of the pairs of the token that was merged last: both in any case, since no
    /// processor could foresee whether it is the first token, or the last.
    #[inline]
    fn rank_fresh(&self, index: &impl Ranks) -> [(usize, f32); 2] {
        let Some([left, at, right]) = self.fresh else {
            return [(0, f32::MAX); 2];
        };
        let [before, id, behind] = [left, at, right].map(|place| self.ids[place % WINDOW]);
        let [first, second] = [index.rank(before, id), index.rank(id, behind)];
        let rank = |exists: bool, rank: u32, place: usize| {
            f32::from_bits(if exists { rank | place as u32 } else { NO_RANK })
        };
        [
            (left, rank(left != at, first, left)),
            (at, rank(right != at, second, at)),
        ]
    }

    /// Where tokens start.
    pub(super) const fn starts(&self) -> u64 {
        self.starts
    }

    /// The token that starts at a place.
    pub(super) const fn token(&self, at: usize) -> u32 {
        self.ids[at % WINDOW]
    }

    /// The first two tokens.
    pub(super) fn first_two(&self) -> [u32; 2] {
        let [_, second] = self.beside(0);
        [self.ids[0], self.ids[second]]
    }

    /// How many tokens start in a range of places.
    pub(super) fn count(&self, range: Range<usize>) -> usize {
        let before = |place: usize| match place {
            0..WINDOW => self.starts & !(u64::MAX << place),
            _ => self.starts,
        };
        (before(range.end) & !before(range.start)).count_ones() as usize
    }

    /// How many tokens there are.
    pub(super) const fn len(&self) -> usize {
        self.starts.count_ones() as usize
    }

    /// Writes the first tokens, as many as there are and `out` has room for.
    #[inline]
    pub(super) fn write(&self, out: &mut [u32]) {
        self.write_from(0, out);
    }

    /// Writes the tokens that start at `from` or behind, as many as `out` has room for.
    #[inline]
    pub(super) fn write_from(&self, from: usize, out: &mut [u32]) {
        let mut starts = self.starts & (u64::MAX << from);
        for place in out {
            if starts == 0 {
                break;
            }
            *place = self.ids[starts.trailing_zeros() as usize % WINDOW];
            starts &= starts - 1;
        }
    }

    /// Where the token before the last one starts.
    pub(super) const fn last_but_one(&self) -> usize {
        let last = u64::BITS - 1 - (self.starts | 1).leading_zeros();
        let before = self.starts & !(u64::MAX << last);
        (u64::BITS - 1 - (before | 1).leading_zeros()) as usize
    }
}
