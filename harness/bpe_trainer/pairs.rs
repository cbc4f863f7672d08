//! Counts of pairs, the queue of pairs to merge, and where each stands.
//!
//! A pair comes into being in one merge, wherever it stands, so it is queued once, and its count
//! can only fall afterwards. The queue is lazy: an entry keeps the count that its pair had when it
//! was pushed, and one that comes to the top with a count too high is put back with the right one. The positions of all entries lie in one
//! array, which is compacted when most of it belongs to entries that are gone.

use super::neighbours::Neighbours;
use crate::fold_hash::HashMap;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::ops::Range;

/// Two neighbouring tokens.
pub(super) type Pair = (u32, u32);

/// Both ids in one word, which orders like the pair.
fn key((left, right): Pair) -> u64 {
    u64::from(left) << 32 | u64::from(right)
}

/// A pair that waits to be merged.
struct Entry {
    count: u64,
    key: u64,
    positions: Range<u32>,
}

impl Entry {
    fn rank(&self) -> (u64, Reverse<u64>) {
        (self.count, Reverse(self.key))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.rank() == other.rank()
    }
}

impl Eq for Entry {}

/// Counts and queue.
#[derive(Default)]
pub(super) struct Pairs {
    counts: HashMap<u64, i64>,
    queue: BinaryHeap<Entry>,
    positions: Vec<u32>,
    /// How many of `positions` belong to entries.
    used: usize,
}

impl Pairs {
    /// Adds to the count of a pair.
    pub(super) fn add(&mut self, pair: Pair, change: i64) {
        *self.counts.entry(key(pair)).or_default() += change;
    }

    /// Room for the positions of entries to come.
    pub(super) fn reserve(&mut self, len: usize) -> Range<usize> {
        if self.positions.len() + len > 2 * (self.used + len) + (1 << 16) {
            self.compact();
        }
        let start = self.positions.len();
        self.positions.resize(start + len, 0);
        start..start + len
    }

    /// The positions of all entries.
    pub(super) fn positions_mut(&mut self) -> &mut [u32] {
        &mut self.positions
    }

    /// Queues the pairs that `pair` makes of tokens, with the tokens' lists.
    pub(super) fn push_lists(
        &mut self,
        tokens: &mut Neighbours,
        pair: impl Fn(u32) -> Option<Pair>,
    ) {
        let range = self.reserve(tokens.noted());
        tokens.deal(range.start, &mut self.positions);
        for (token, positions) in tokens.lists() {
            if let Some(pair) = pair(token) {
                self.push(pair, positions);
            }
        }
    }

    /// Queues a pair with its present count, if that is positive.
    pub(super) fn push(&mut self, pair: Pair, positions: Range<usize>) {
        let key = key(pair);
        let count = self.counts[&key];
        if count > 0 {
            self.used += positions.len();
            self.queue.push(Entry {
                count: count as u64,
                key,
                positions: positions.start as u32..positions.end as u32,
            });
        }
    }

    /// Takes the pair with the highest count, if that reaches `min_count`, with its positions.
    pub(super) fn pop(&mut self, min_count: u64, positions: &mut Vec<u32>) -> Option<Pair> {
        let entry = loop {
            let mut top = self.queue.peek_mut()?;
            let count = self.counts[&top.key].max(0) as u64;
            if top.count == count {
                break PeekMut::pop(top);
            }
            top.count = count;
        };
        if entry.count < min_count.max(1) {
            return None;
        }
        let range = entry.positions.start as usize..entry.positions.end as usize;
        self.used -= range.len();
        positions.clear();
        positions.extend_from_slice(&self.positions[range]);
        Some(((entry.key >> 32) as u32, entry.key as u32))
    }

    /// Moves the positions of the entries together.
    fn compact(&mut self) {
        let mut entries = std::mem::take(&mut self.queue).into_vec();
        entries.sort_unstable_by_key(|entry| entry.positions.start);
        let mut end = 0;
        for entry in &mut entries {
            let old = entry.positions.start as usize..entry.positions.end as usize;
            let len = old.len();
            self.positions.copy_within(old, end);
            entry.positions = end as u32..(end + len) as u32;
            end += len;
        }
        self.positions.truncate(end);
        self.queue = entries.into();
    }
}
