//! Counts of pairs, the queue of pairs to merge, and where each stands.
//!
//! A pair comes into being in one merge, wherever it stands, so it is queued once, and its count
//! can only fall afterwards. The queue is lazy: an entry keeps the count that its pair had when it
//! was pushed, and one that comes to the top with a count too high is put back with the right one,
//! or dropped where nothing is left of its pair. A pair that occurs too seldom to be merged is not
//! queued at all. The positions of all entries lie in one array, which is compacted when most of
//! it belongs to entries that are gone.

use super::neighbours::Neighbours;
use crate::Result;
use crate::fold_hash::HashMap;
use crate::scratch::{Scratch, ScratchVec};
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
    start: u64,
    len: u32,
}

impl Entry {
    fn positions(&self) -> Range<usize> {
        self.start as usize..self.start as usize + self.len as usize
    }

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
pub(super) struct Pairs {
    counts: HashMap<u64, u64>,
    queue: BinaryHeap<Entry>,
    positions: ScratchVec<u32>,
    /// Pairs that occur less often are not merged.
    least: u64,
    /// How many of `positions` belong to entries.
    used: usize,
}

impl Pairs {
    /// No pairs yet; none that occurs less often than `least` will be merged.
    pub(super) fn new(least: u64, scratch: &Scratch) -> Result<Self> {
        Ok(Self {
            counts: HashMap::default(),
            queue: BinaryHeap::new(),
            positions: scratch.zeros(0)?,
            least: least.max(1),
            used: 0,
        })
    }

    /// Adds to the count of a pair.
    pub(super) fn add(&mut self, pair: Pair, count: u64) {
        *self.counts.entry(key(pair)).or_default() += count;
    }

    /// Takes off the count of a pair; of one that could not merge there is none.
    pub(super) fn subtract(&mut self, pair: Pair, count: u64) {
        if let Some(sum) = self.counts.get_mut(&key(pair)) {
            *sum -= count;
        }
    }

    /// Room for the positions of entries to come.
    pub(super) fn reserve(&mut self, len: usize) -> Result<&mut [u32]> {
        if self.positions.len() + len > 2 * (self.used + len) + (1 << 16) {
            self.compact()?;
        }
        let start = self.positions.len();
        self.positions.resize(start + len)?;
        Ok(&mut self.positions[start..])
    }

    /// Queues the pairs that `pair` makes of tokens, with the tokens' lists.
    pub(super) fn push_lists(
        &mut self,
        tokens: &mut Neighbours,
        pair: impl Fn(u32) -> Option<Pair>,
    ) -> Result<()> {
        tokens.deal(self.reserve(tokens.noted())?);
        let start = self.positions.len() - tokens.noted();
        self.push_dealt(tokens, start, pair);
        Ok(())
    }

    /// Queues pairs whose lists were dealt to the array from `start` on.
    pub(super) fn push_dealt(
        &mut self,
        tokens: &Neighbours,
        start: usize,
        pair: impl Fn(u32) -> Option<Pair>,
    ) {
        for (token, list) in tokens.lists() {
            if let Some(pair) = pair(token) {
                self.push(pair, start + list.start, list.len());
            }
        }
    }

    /// Queues a pair with its present count, if that suffices.
    fn push(&mut self, pair: Pair, start: usize, len: usize) {
        let key = key(pair);
        let count = self.counts[&key];
        if count < self.least {
            self.counts.remove(&key);
            return;
        }
        self.used += len;
        self.queue.push(Entry {
            count,
            key,
            start: start as u64,
            len: len as u32,
        });
    }

    /// Takes the pair with the highest count, with its positions.
    pub(super) fn pop(&mut self, positions: &mut Vec<u32>) -> Option<Pair> {
        let entry = loop {
            let mut top = self.queue.peek_mut()?;
            let count = self.counts[&top.key];
            if top.count == count {
                break PeekMut::pop(top);
            }
            if count >= self.least {
                top.count = count;
                continue;
            }
            // It can only fall further: the pair is forgotten.
            let gone = PeekMut::pop(top);
            self.counts.remove(&gone.key);
            self.used -= gone.len as usize;
        };
        self.counts.remove(&entry.key);
        self.used -= entry.len as usize;
        positions.clear();
        positions.extend_from_slice(&self.positions[entry.positions()]);
        Some(((entry.key >> 32) as u32, entry.key as u32))
    }

    /// Moves the positions of the entries together.
    fn compact(&mut self) -> Result<()> {
        let mut entries = std::mem::take(&mut self.queue).into_vec();
        entries.sort_unstable_by_key(|entry| entry.start);
        let positions = &mut *self.positions;
        let mut end = 0;
        for entry in &mut entries {
            let old = entry.positions();
            entry.start = end as u64;
            end += old.len();
            positions.copy_within(old, end - entry.len as usize);
        }
        self.queue = entries.into();
        self.positions.resize(end)
    }
}
