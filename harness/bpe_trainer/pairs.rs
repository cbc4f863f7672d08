//! The pairs that stand in the words: a queue of them, and where each stands.
//!
//! A pair comes into being in one merge, wherever it stands, so it is queued once, with its count
//! and its positions; afterwards it can only go away, one position after the other. So nothing is
//! written down when a pair loses a position. An entry keeps a count that is at least the true
//! one, and what comes to the top is counted again, where it stands: if the count was true, no
//! other pair is above it; else the entry goes back with the right one. (A pair of tokens that no
//! merge took in since it was counted has lost nothing.) A pair that occurs too seldom to be merged
//! is not queued at all. The positions of all entries lie in one array, which
//! is compacted when most of it belongs to entries that are gone.

use super::neighbours::Neighbours;
use super::queue::{Entry, Queue};
use super::words::Words;
use crate::Result;
use crate::kernels::simd::prefetch;
use crate::scratch::{Scratch, ScratchVec};
use std::ops::Range;

/// How many entries ahead of its turn an entry's words are asked for.
const AHEAD: usize = 4;

/// Two neighbouring tokens.
pub(super) type Pair = (u32, u32);

/// Both ids in one word, which orders like the pair.
fn key((left, right): Pair) -> u64 {
    u64::from(left) << 32 | u64::from(right)
}

/// Queue and positions.
pub(super) struct Pairs {
    queue: Queue,
    positions: ScratchVec<u32>,
    /// Pairs that occur less often are not merged.
    least: u64,
    /// How many of `positions` belong to entries.
    used: usize,
    /// Merges that were made.
    merges: u32,
    /// For each token, the number of the last merge that took it in; 0 if none did.
    taken_by: Vec<u32>,
}

impl Pairs {
    /// No pairs yet; none that occurs less often than `least` will be merged.
    pub(super) fn new(least: u64, scratch: &Scratch) -> Result<Self> {
        Ok(Self {
            queue: Queue::new(),
            positions: scratch.zeros(0)?,
            least: least.max(1),
            used: 0,
            merges: 0,
            taken_by: Vec::new(),
        })
    }

    /// Notes that a pair is merged, in a vocabulary of `ids` tokens.
    pub(super) fn begin_merge(&mut self, (left, right): Pair, ids: usize) {
        self.merges += 1;
        self.taken_by.resize(ids, 0);
        self.taken_by[left as usize] = self.merges;
        self.taken_by[right as usize] = self.merges;
    }

    /// Whether a pair may have lost positions since it was counted.
    fn may_have_changed(&self, entry: &Entry) -> bool {
        let (left, right) = entry.pair();
        let taken = |token: u32| {
            self.taken_by
                .get(token as usize)
                .is_some_and(|m| *m > entry.merges)
        };
        taken(left) || taken(right)
    }

    /// Positions by place.
    pub(super) fn positions(&self) -> &[u32] {
        &self.positions
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

    /// Queues the pairs that `pair` makes of tokens, with the tokens' sums and lists.
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
        for (token, count, list) in tokens.lists() {
            if let Some(pair) = pair(token) {
                self.push(Entry {
                    count,
                    key: key(pair),
                    start: (start + list.start) as u64,
                    len: list.len() as u32,
                    // The last merge can take away again what it brought.
                    merges: self.merges.saturating_sub(1),
                });
            }
        }
    }

    /// Queues a pair, if it occurs often enough. It can only fall further: else it is forgotten.
    fn push(&mut self, entry: Entry) {
        if entry.count >= self.least {
            self.used += entry.len as usize;
            self.queue.push(entry);
        }
    }

    /// Takes the pair with the highest count; its positions stay until room is reserved.
    pub(super) fn pop(&mut self, words: &Words, len: &[u32]) -> Option<(Pair, Range<usize>)> {
        loop {
            let Some(mut entry) = self.queue.pop() else {
                self.descend(words, len)?;
                continue;
            };
            self.used -= entry.len as usize;
            if !self.may_have_changed(&entry) || self.recount(&mut entry, words, len) {
                return Some((entry.pair(), entry.list()));
            }
            self.push(entry);
        }
    }

    /// Goes to the next lower count in the queue. All that have it are counted again at once: where
    /// they stand is known early enough to be asked for.
    fn descend(&mut self, words: &Words, len: &[u32]) -> Option<()> {
        let mut entries = self.queue.descend()?;
        for i in 0..entries.len() {
            if let Some(later) = entries.get(i + 2 * AHEAD) {
                prefetch(&self.positions[later.start as usize]);
            }
            if let Some(later) = entries.get(i + AHEAD) {
                words.prefetch(&self.positions[later.list()]);
            }
            let entry = &mut entries[i];
            self.used -= entry.len as usize;
            if self.may_have_changed(entry) {
                self.recount(entry, words, len);
            }
        }
        entries.into_iter().for_each(|entry| self.push(entry));
        Some(())
    }

    /// Counts a pair where it stands; whether its count was true.
    fn recount(&mut self, entry: &mut Entry, words: &Words, len: &[u32]) -> bool {
        let pair = entry.pair();
        let list = &mut self.positions[entry.list()];
        let (standing, count) = words.recount(list, pair, len[pair.0 as usize]);
        let was_true = entry.count == count;
        (entry.len, entry.count, entry.merges) = (standing as u32, count, self.merges);
        was_true
    }

    /// Moves the positions of the entries together.
    fn compact(&mut self) -> Result<()> {
        let positions = &mut *self.positions;
        let mut end = 0;
        self.queue.for_each_in_place(|entry| {
            let old = entry.list();
            entry.start = end as u64;
            end += old.len();
            positions.copy_within(old, end - entry.len as usize);
        });
        self.positions.resize(end)
    }
}
