//! Pairs that wait to be merged: the highest count first, of equal counts the smaller ids.
//!
//! Counts only fall, and a new pair has at most the count of the pair whose merge made it. So the
//! counts that leave the queue never rise, and a radix heap (Ahuja, Mehlhorn, Orlin, Tarjan,
//! "Faster algorithms for the shortest path problem", 1990) will do. Entries that have the count
//! of the present level lie in a heap by their ids. Those below lie in buckets, unsorted, by the
//! highest bit in which their count differs from the level's; when the level is empty, the nearest
//! bucket is dealt out anew around its highest count. Most pairs are so rare that their turn never
//! comes: they are put into a bucket once, and stay there.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::ops::Range;

/// A pair that waits to be merged.
pub(super) struct Entry {
    /// At least the present count.
    pub(super) count: u64,
    /// Both ids in one number, which orders like the pair.
    pub(super) key: u64,
    pub(super) start: u64,
    pub(super) len: u32,
    /// How many merges had been made when it was counted.
    pub(super) merges: u32,
}

impl Entry {
    /// The two tokens.
    pub(super) fn pair(&self) -> (u32, u32) {
        ((self.key >> 32) as u32, self.key as u32)
    }

    /// Where the list of positions lies.
    pub(super) fn list(&self) -> Range<usize> {
        self.start as usize..self.start as usize + self.len as usize
    }
}

/// Within a level: the smaller key is the greater entry.
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        Reverse(self.key).cmp(&Reverse(other.key))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Entry {}

/// The queue.
pub(super) struct Queue {
    /// No count in the queue is higher.
    level: u64,
    /// Entries with this count.
    top: BinaryHeap<Entry>,
    buckets: [Vec<Entry>; 64],
}

impl Queue {
    pub(super) fn new() -> Self {
        Self {
            level: u64::MAX,
            top: BinaryHeap::new(),
            buckets: [const { Vec::new() }; 64],
        }
    }

    /// Takes in an entry, whose count must not be above that of the last one that was taken out.
    pub(super) fn push(&mut self, entry: Entry) {
        debug_assert!(entry.count <= self.level);
        match (entry.count ^ self.level).checked_ilog2() {
            Some(bit) => put(&mut self.buckets[bit as usize], entry),
            None => self.top.push(entry),
        }
    }

    /// Takes out the first entry of the present level.
    pub(super) fn pop(&mut self) -> Option<Entry> {
        self.top.pop()
    }

    /// Goes down to the next level, once the present one is empty, and takes out all its entries.
    pub(super) fn descend(&mut self) -> Option<Vec<Entry>> {
        debug_assert!(self.top.is_empty());
        // The level has a 1 where these have the first 0: the lower the bit, the higher they are.
        let nearest = self.buckets.iter_mut().find(|bucket| !bucket.is_empty())?;
        let mut entries = std::mem::take(nearest);
        self.level = entries.iter().map(|entry| entry.count).max()?;
        for lower in entries.extract_if(.., |entry| entry.count < self.level) {
            let bit = (lower.count ^ self.level).ilog2();
            put(&mut self.buckets[bit as usize], lower);
        }
        Some(entries)
    }

    /// Calls `f` with all entries in the order of their lists.
    pub(super) fn for_each_in_place(&mut self, f: impl FnMut(&mut Entry)) {
        let top = std::mem::take(&mut self.top);
        let mut top = top.into_vec();
        let all = top.iter_mut().chain(self.buckets.iter_mut().flatten());
        let mut entries: Vec<&mut Entry> = all.collect();
        entries.sort_unstable_by_key(|entry| entry.start);
        entries.into_iter().for_each(f);
        self.top = top.into();
    }
}

/// Appends an entry; buckets grow to four times their size, for moving them costs more than room that
/// is not touched.
fn put(bucket: &mut Vec<Entry>, entry: Entry) {
    if bucket.len() == bucket.capacity() {
        bucket.reserve(3 * bucket.len());
    }
    bucket.push(entry);
}

#[cfg(test)]
mod tests {
    use super::*;
    use barelm_kernels::rng::Rng;

    /// Random counts that fall, as the trainer gives them, beside a list that is searched.
    #[test]
    fn the_first_entry_is_that_of_a_search() {
        let mut rng = Rng::new(3);
        for highest in [1, 5, 1000, u64::MAX] {
            let (mut queue, mut list) = (Queue::new(), Vec::new());
            let mut add = |queue: &mut Queue, list: &mut Vec<_>, level: u64, key: u64| {
                let count = rng.below(level.saturating_add(1));
                list.push((count, Reverse(key)));
                queue.push(Entry {
                    count,
                    key,
                    start: key,
                    len: 1,
                    merges: 0,
                });
            };
            (0..100).for_each(|key| add(&mut queue, &mut list, highest, key * 7 % 101));
            let mut key = 1000;
            let next = |queue: &mut Queue| {
                if let Some(entry) = queue.pop() {
                    return Some(entry);
                }
                queue
                    .descend()?
                    .into_iter()
                    .for_each(|entry| queue.push(entry));
                queue.pop()
            };
            while let Some(entry) = next(&mut queue) {
                list.sort_unstable();
                assert_eq!(list.pop(), Some((entry.count, Reverse(entry.key))));
                if key < 1500 {
                    key += 1;
                    add(&mut queue, &mut list, entry.count, key ^ 5);
                }
            }
            assert!(list.is_empty());
        }
    }
}
