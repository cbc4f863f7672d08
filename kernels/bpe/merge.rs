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
//! Positions come from the lists that this file makes itself and stay below the number of tokens. A
//! compiler does not know that: what is read beyond the end is [`NONE`], and nothing is written there.

use super::table::{NONE, PairSlot, find_pair};
use super::window::WINDOW;

/// Up to this many tokens are searched, not heaped: as many as a window has, so that a longer piece has
/// room for the heap.
const SHORT: usize = WINDOW;

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

fn merge_short(pairs: impl Merges, mut workspace: &mut [u32], mut len: usize) -> usize {
    let [ids, ranks, merged] = [(); 3].map(|()| cut(&mut workspace, len));
    for (at, (rank, merged)) in ranks.iter_mut().zip(&mut *merged).enumerate() {
        (*rank, *merged) = pair_at(pairs, ids, at);
    }
    while let Some(at) = lowest(ranks.get(..len).unwrap_or(&[])) {
        put(ids, at, get(merged, at));
        for list in [&mut *ids, &mut *ranks, &mut *merged] {
            remove(list, at + 1, len);
        }
        len -= 1;
        for at in at.saturating_sub(1)..=at {
            let (rank, token) = pair_at(pairs, ids.get(..len).unwrap_or(&[]), at);
            put(ranks, at, rank);
            put(merged, at, token);
        }
    }
    len
}

/// The first `len` words, cut off; none where there are fewer.
#[inline(always)]
fn cut<'w>(workspace: &mut &'w mut [u32], len: usize) -> &'w mut [u32] {
    workspace.split_off_mut(..len).unwrap_or_default()
}

#[inline(always)]
fn get(list: &[u32], at: usize) -> u32 {
    list.get(at).copied().unwrap_or(NONE)
}

#[inline(always)]
fn put(list: &mut [u32], at: usize, word: u32) {
    if let Some(place) = list.get_mut(at) {
        *place = word;
    }
}

/// Takes the word at `at` out of the first `len`.
#[inline(always)]
fn remove(list: &mut [u32], at: usize, len: usize) {
    let rest = list.get_mut(at..len).unwrap_or_default();
    for i in 1..rest.len() {
        rest[i - 1] = rest[i];
    }
}

/// What the token at `at` and the next one merge to.
#[inline(always)]
fn pair_at(pairs: impl Merges, ids: &[u32], at: usize) -> (u32, u32) {
    match ids.get(at..) {
        Some([left, right, ..]) => pairs.get(*left, *right),
        _ => (NONE, NONE),
    }
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
    fn new(pairs: M, mut workspace: &'a mut [u32], len: usize) -> Self {
        let [ids, prev, next, ranks, merged] = [(); 5].map(|()| cut(&mut workspace, len));
        let mut heap = Heap::new(workspace);
        for at in 0..len {
            put(prev, at, (at as u32).wrapping_sub(1));
            put(next, at, if at + 1 < len { at as u32 + 1 } else { NONE });
            let (rank, token) = pair_at(pairs, ids, at);
            put(ranks, at, rank);
            put(merged, at, token);
            if rank != NONE {
                heap.append([rank, at as u32]);
            }
        }
        heap.build();
        #[rustfmt::skip]
        let chain = Self { pairs, ids, prev, next, ranks, merged, heap };
        chain
    }

    fn merge(mut self) -> (usize, usize) {
        while let Some([rank, at]) = self.heap.pop() {
            if get(self.ranks, at as usize) == rank {
                self.merge_at(at as usize);
            }
        }
        self.gather()
    }

    /// Merges the token at `at` with the next one.
    fn merge_at(&mut self, at: usize) {
        let right = get(self.next, at) as usize;
        let after = get(self.next, right);
        put(self.ids, at, get(self.merged, at));
        put(self.next, at, after);
        put(self.ranks, right, NONE);
        put(self.prev, after as usize, at as u32);
        self.rank(at);
        let before = get(self.prev, at);
        if before != NONE {
            self.rank(before as usize);
        }
    }

    /// Looks up the pair that starts at `at`.
    fn rank(&mut self, at: usize) {
        let right = self.ids.get(get(self.next, at) as usize);
        let left = get(self.ids, at);
        let (rank, token) = right.map_or((NONE, NONE), |right| self.pairs.get(left, *right));
        put(self.ranks, at, rank);
        put(self.merged, at, token);
        if rank != NONE {
            self.heap.push([rank, at as u32]);
        }
    }

    /// Moves the tokens that are left to the front; also tells where the last but one started.
    fn gather(self) -> (usize, usize) {
        let (mut len, mut at) = (0, 0);
        let mut last_two = [0; 2];
        while let Some(id) = self.ids.get(at).copied() {
            put(self.ids, len, id);
            len += 1;
            last_two = [last_two[1], at];
            at = get(self.next, at) as usize;
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

    #[inline(always)]
    fn get(&self, at: usize) -> [u32; 2] {
        self.slots.get(at).copied().unwrap_or([NONE; 2])
    }

    #[inline(always)]
    fn put(&mut self, at: usize, entry: [u32; 2]) {
        if let Some(slot) = self.slots.get_mut(at) {
            *slot = entry;
        }
    }

    /// Adds an entry without order; [`Heap::build`] makes it.
    fn append(&mut self, entry: [u32; 2]) {
        self.put(self.len, entry);
        self.len += 1;
    }

    fn build(&mut self) {
        for at in (0..self.len / 2).rev() {
            let entry = self.get(at);
            let hole = self.sink_hole(at);
            self.rise(at, hole, entry);
        }
    }

    fn push(&mut self, entry: [u32; 2]) {
        self.len += 1;
        self.rise(0, self.len - 1, entry);
    }

    fn pop(&mut self) -> Option<[u32; 2]> {
        let last = self.len.checked_sub(1)?;
        let (top, entry) = (self.get(0), self.get(last));
        self.len = last;
        let hole = self.sink_hole(0);
        self.rise(0, hole, entry);
        Some(top)
    }

    /// Moves the hole at `at` to the bottom, the lesser child up each time; returns where it ends.
    ///
    /// What fills a hole comes from the bottom and mostly belongs there: comparing it on the way
    /// down would be in vain.
    #[inline]
    fn sink_hole(&mut self, mut at: usize) -> usize {
        while 2 * at + 2 < self.len {
            let [left, right] = [2 * at + 1, 2 * at + 2].map(|child| self.get(child));
            let right_is_less = order(right) < order(left);
            self.put(at, if right_is_less { right } else { left });
            at = 2 * at + 1 + usize::from(right_is_less);
        }
        if 2 * at + 1 < self.len {
            self.put(at, self.get(2 * at + 1));
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
            let above = self.get(parent);
            if order(above) <= order(entry) {
                break;
            }
            self.put(at, above);
            at = parent;
        }
        self.put(at, entry);
    }
}
