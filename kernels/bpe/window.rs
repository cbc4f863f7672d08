//! Merges up to 64 bytes in two arrays and a bit set.
//!
//! A bit says of each place whether a token starts there. The pair of lowest rank is the minimum
//! of an array in which each rank has its place in its lowest bits, so that the minimum also says
//! where, and the leftmost of equals wins. A merge writes three ranks and moves nothing.

use super::index::{NO_RANK, POSITION_BITS, PairIndex};

/// Bytes of a window.
pub(super) const WINDOW: usize = 1 << POSITION_BITS;
/// Ranks are compared in groups of this many.
const GROUP: usize = 8;

/// The tokens of a stretch of bytes.
pub(super) struct Window {
    ids: [u32; WINDOW],
    /// Packed rank and place of the pair that starts at each place.
    ranks: [i32; WINDOW],
    /// Where tokens start.
    starts: u64,
}

impl Window {
    pub(super) const fn new() -> Self {
        Self {
            ids: [0; WINDOW],
            ranks: [NO_RANK; WINDOW],
            starts: 0,
        }
    }

    /// Merges at most 64 bytes.
    #[inline]
    pub(super) fn merge(&mut self, index: &PairIndex<'_>, bytes: &[u8]) {
        self.spell(index, bytes);
        let groups = bytes.len().div_ceil(GROUP);
        // An index that lies could name a place where nothing merges, again and again.
        for _ in 1..bytes.len() {
            let Some(packed) = self.lowest(groups) else {
                break;
            };
            self.merge_at(index, packed);
        }
    }

    /// Takes each byte for a token.
    #[inline]
    fn spell(&mut self, index: &PairIndex<'_>, bytes: &[u8]) {
        let places = self.ids.iter_mut().zip(&mut self.ranks);
        for (((at, byte), next), (id, rank)) in
            (0..).zip(bytes).zip(bytes.iter().skip(1)).zip(places)
        {
            *id = index.letter(*byte);
            *rank = index.rank_of_bytes(*byte, *next) | at;
        }
        let Some((last, before)) = bytes.split_last() else {
            self.starts = 0;
            return;
        };
        let last_at = before.len() % WINDOW;
        self.ids[last_at] = index.letter(*last);
        self.starts = u64::MAX >> (WINDOW - 1 - last_at);
        let group_end = (last_at / GROUP + 1) * GROUP;
        self.ranks[last_at..group_end].fill(NO_RANK);
    }

    /// The lowest rank and its place, if any pair merges.
    #[inline]
    fn lowest(&self, groups: usize) -> Option<i32> {
        let groups = self.ranks.as_chunks::<GROUP>().0.iter().take(groups);
        let columns = groups.fold([NO_RANK; GROUP], |mut least, group| {
            for (least, rank) in least.iter_mut().zip(group) {
                *least = (*least).min(*rank);
            }
            least
        });
        let lowest = columns.into_iter().fold(NO_RANK, i32::min);
        (lowest != NO_RANK).then_some(lowest)
    }

    /// Merges the pair of that rank and place. A place is below 64: so are all that are computed
    /// from bits, and the remainders are for the compiler.
    #[inline]
    fn merge_at(&mut self, index: &PairIndex<'_>, packed: i32) {
        let at = packed as usize % WINDOW;
        let id = index.merged(packed);
        self.ids[at] = id;
        let behind = self.starts & (u64::MAX << at << 1);
        let next = behind & behind.wrapping_sub(1);
        self.starts ^= behind ^ next;
        self.ranks[behind.trailing_zeros() as usize % WINDOW] = NO_RANK;
        self.ranks[at] = NO_RANK;
        if next != 0 {
            let next_id = self.ids[next.trailing_zeros() as usize % WINDOW];
            self.ranks[at] = index.rank(id, next_id) | at as i32;
        }
        let before = self.starts & !(u64::MAX << at);
        if before != 0 {
            let left = (WINDOW - 1 - before.leading_zeros() as usize) % WINDOW;
            self.ranks[left] = index.rank(self.ids[left], id) | left as i32;
        }
    }

    /// How many tokens there are.
    pub(super) const fn len(&self) -> usize {
        self.starts.count_ones() as usize
    }

    /// Writes the first tokens, as many as there are and `out` has room for.
    #[inline]
    pub(super) fn write(&self, out: &mut [u32]) {
        let mut starts = self.starts;
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
