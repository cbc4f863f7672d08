//! Merges the tokens of one piece: the pair of lowest rank first, the leftmost of equals.
//!
//! A short piece keeps the rank of every adjacent pair in an array and looks through it for the
//! lowest: quadratic, but in a few dozen contiguous words nothing is faster. A long piece (one
//! million equal letters, say) is a doubly linked list of tokens with a binary heap of
//! `(rank, position)`. A merge changes the pairs on both sides of it, whose new ranks are pushed;
//! what the heap still holds of the old ones is recognised when it comes up, because the rank
//! noted at the position is another by then. At most three entries are pushed a byte, so the time
//! is O(n log n).
//!
//! Positions come from the lists that this file makes itself and stay below the number of tokens;
//! that is why it indexes.

use super::table::{NONE, PairSlot, find_pair};

/// Up to this many tokens are searched, not heaped.
const SHORT: usize = 64;

/// The pairs that merge.
#[derive(Clone, Copy)]
pub(super) struct Pairs<'a> {
    pub(super) slots: &'a [PairSlot],
    pub(super) probes: u32,
    /// One more than the largest id.
    pub(super) vocab: u32,
}

/// What says which pairs merge.
pub(super) trait Merges: Copy {
    /// Rank and merged token of a pair of neighbours; [`NONE`] for both if they do not merge.
    fn get(&self, left: u32, right: u32) -> (u32, u32);
}

impl Merges for Pairs<'_> {
    /// Nobody looks through a whole table before it is used: a slot that gives an id which does
    /// not exist counts as none here.
    #[inline]
    fn get(&self, left: u32, right: u32) -> (u32, u32) {
        let found = find_pair(self.slots, self.probes, left, right);
        if found.1 < self.vocab {
            found
        } else {
            (NONE, NONE)
        }
    }
}

/// Words of scratch that [`merge`] uses for `len` tokens, the tokens themselves included.
pub(super) const fn workspace_len(len: usize) -> usize {
    len.saturating_mul(if len <= SHORT { 3 } else { 9 })
}

/// Merges the first `len` words of the workspace, tokens, and returns how many are left there.
///
/// The workspace has at least [`workspace_len`] words, and `len` is below [`NONE`].
pub(super) fn merge(pairs: Pairs<'_>, workspace: &mut [u32], len: usize) -> usize {
    if len <= SHORT {
        merge_short(pairs, workspace, len)
    } else {
        merge_long(pairs, workspace, len).0
    }
}

/// [`merge`] with the heap, for any `len`. Also tells where the last token but one starts.
pub(super) fn merge_long(pairs: impl Merges, workspace: &mut [u32], len: usize) -> (usize, usize) {
    Chain::new(pairs, workspace, len).merge()
}

fn merge_short(pairs: impl Merges, workspace: &mut [u32], mut len: usize) -> usize {
    let (ids, rest) = workspace.split_at_mut(len);
    let (ranks, rest) = rest.split_at_mut(len);
    let merged = &mut rest[..len];
    for at in 0..len {
        let next = ids.get(at + 1);
        (ranks[at], merged[at]) = next.map_or((NONE, NONE), |next| pairs.get(ids[at], *next));
    }
    while let Some(at) = lowest(&ranks[..len]) {
        ids[at] = merged[at];
        ids.copy_within(at + 2..len, at + 1);
        ranks.copy_within(at + 2..len, at + 1);
        merged.copy_within(at + 2..len, at + 1);
        len -= 1;
        let next = ids[..len].get(at + 1);
        (ranks[at], merged[at]) = next.map_or((NONE, NONE), |next| pairs.get(ids[at], *next));
        if at > 0 {
            (ranks[at - 1], merged[at - 1]) = pairs.get(ids[at - 1], ids[at]);
        }
    }
    len
}

/// Place of the first lowest rank, if there is any but [`NONE`].
#[inline]
fn lowest(ranks: &[u32]) -> Option<usize> {
    let lowest = ranks.iter().copied().fold(NONE, u32::min);
    let found = || ranks.iter().position(|rank| *rank == lowest);
    if lowest == NONE { None } else { found() }
}

/// The tokens of a long piece, linked, and the heap of their pairs.
struct Chain<'a, M> {
    pairs: M,
    ids: &'a mut [u32],
    prev: &'a mut [u32],
    next: &'a mut [u32],
    /// Rank of the pair that starts here; [`NONE`] for one that does not merge and for a token
    /// that is gone.
    ranks: &'a mut [u32],
    /// What that pair merges to.
    merged: &'a mut [u32],
    heap: Heap<'a>,
}

impl<'a, M: Merges> Chain<'a, M> {
    fn new(pairs: M, workspace: &'a mut [u32], len: usize) -> Self {
        let (ids, rest) = workspace.split_at_mut(len);
        let (prev, rest) = rest.split_at_mut(len);
        let (next, rest) = rest.split_at_mut(len);
        let (ranks, rest) = rest.split_at_mut(len);
        let (merged, rest) = rest.split_at_mut(len);
        let mut heap = Heap::new(rest);
        for at in 0..len {
            prev[at] = (at as u32).wrapping_sub(1);
            next[at] = if at + 1 < len { at as u32 + 1 } else { NONE };
            let right = ids.get(at + 1);
            (ranks[at], merged[at]) = right.map_or((NONE, NONE), |r| pairs.get(ids[at], *r));
            if ranks[at] != NONE {
                heap.append([ranks[at], at as u32]);
            }
        }
        heap.build();
        #[rustfmt::skip]
        let chain = Self { pairs, ids, prev, next, ranks, merged, heap };
        chain
    }

    fn merge(mut self) -> (usize, usize) {
        while let Some([rank, at]) = self.heap.pop() {
            if self.ranks[at as usize] == rank {
                self.merge_at(at as usize);
            }
        }
        self.gather()
    }

    /// Merges the token at `at` with the next one.
    fn merge_at(&mut self, at: usize) {
        let right = self.next[at] as usize;
        let after = self.next[right];
        self.ids[at] = self.merged[at];
        self.next[at] = after;
        self.ranks[right] = NONE;
        if after != NONE {
            self.prev[after as usize] = at as u32;
        }
        self.rank(at);
        if self.prev[at] != NONE {
            self.rank(self.prev[at] as usize);
        }
    }

    /// Looks up the pair that starts at `at`.
    fn rank(&mut self, at: usize) {
        let right = self.ids.get(self.next[at] as usize);
        let found = right.map_or((NONE, NONE), |r| self.pairs.get(self.ids[at], *r));
        (self.ranks[at], self.merged[at]) = found;
        if found.0 != NONE {
            self.heap.push([found.0, at as u32]);
        }
    }

    /// Moves the tokens that are left to the front; also tells where the last but one started.
    fn gather(self) -> (usize, usize) {
        let (mut len, mut at) = (0, 0);
        let mut last_two = [0; 2];
        while let Some(id) = self.ids.get(at).copied() {
            self.ids[len] = id;
            len += 1;
            last_two = [last_two[1], at];
            at = self.next[at] as usize;
        }
        (len, last_two[0])
    }
}

/// A binary heap of `(rank, position)`, lowest first. Each merge pops one entry and pushes two at
/// most, so twice the number of tokens is room enough.
struct Heap<'a> {
    slots: &'a mut [[u32; 2]],
    len: usize,
}

/// An entry as one number, which is faster to compare than two.
#[inline]
const fn order(entry: [u32; 2]) -> u64 {
    (entry[0] as u64) << 32 | entry[1] as u64
}

impl<'a> Heap<'a> {
    fn new(words: &'a mut [u32]) -> Self {
        let (slots, _) = words.as_chunks_mut::<2>();
        Self { slots, len: 0 }
    }

    /// Adds an entry without order; [`Heap::build`] makes it.
    fn append(&mut self, entry: [u32; 2]) {
        self.slots[self.len] = entry;
        self.len += 1;
    }

    fn build(&mut self) {
        for at in (0..self.len / 2).rev() {
            let entry = self.slots[at];
            let hole = self.sink_hole(at);
            self.rise(at, hole, entry);
        }
    }

    fn push(&mut self, entry: [u32; 2]) {
        self.len += 1;
        self.rise(0, self.len - 1, entry);
    }

    fn pop(&mut self) -> Option<[u32; 2]> {
        let top = *self.slots[..self.len].first()?;
        self.len -= 1;
        let last = self.slots[self.len];
        let hole = self.sink_hole(0);
        self.rise(0, hole, last);
        Some(top)
    }

    /// Moves the hole at `at` to the bottom, the lesser child up each time; returns where it ends.
    ///
    /// What fills a hole comes from the bottom and mostly belongs there: comparing it on the way
    /// down would be in vain.
    #[inline]
    fn sink_hole(&mut self, mut at: usize) -> usize {
        let slots = &mut self.slots[..self.len];
        while 2 * at + 2 < slots.len() {
            let right_is_less = order(slots[2 * at + 2]) < order(slots[2 * at + 1]);
            let child = 2 * at + 1 + usize::from(right_is_less);
            slots[at] = slots[child];
            at = child;
        }
        if 2 * at + 1 < slots.len() {
            slots[at] = slots[2 * at + 1];
            at = 2 * at + 1;
        }
        at
    }

    /// Puts an entry in the hole at `at`, or above it where greater entries are, but not above
    /// `top`.
    #[inline]
    fn rise(&mut self, top: usize, mut at: usize, entry: [u32; 2]) {
        while at > top {
            let parent = (at - 1) / 2;
            if order(self.slots[parent]) <= order(entry) {
                break;
            }
            self.slots[at] = self.slots[parent];
            at = parent;
        }
        self.slots[at] = entry;
    }
}
