//! Counts of short pretokens: open addressing over keys of 16 bytes.

use super::key::order;
use crate::huge::HugeSlice;
use crate::kernels::bpe::{Bounds, Key, hash_of_key};
use crate::kernels::simd::prefetch;

/// Most keys that are added at a time.
const BATCH: usize = Bounds::MOST;
/// Slots of a table that has just begun; a batch fits.
const FEWEST: usize = 1 << 12;

/// A key and its count; 0 in an empty slot.
pub(super) type Slot = [u64; 3];

/// Length of a slot in memory.
const SLOT_LEN: usize = size_of::<Slot>();

/// A table of counts, at most three quarters full.
#[derive(Default)]
pub(super) struct ShortTable {
    slots: HugeSlice<Slot>,
    used: usize,
}

impl ShortTable {
    pub(super) fn len(&self) -> usize {
        self.used
    }

    pub(super) fn memory(&self) -> usize {
        self.slots.len() * SLOT_LEN
    }

    /// Makes room for another batch, in no more than `memory` bytes where that is possible at
    /// all; `false` if there is no room.
    pub(super) fn make_room(&mut self, memory: usize) -> bool {
        if 4 * (self.used + BATCH) <= 3 * self.slots.len() {
            return true;
        }
        let larger = FEWEST.max(2 * self.slots.len());
        // Both tables are there while the keys move.
        let needed = (larger + self.slots.len()) * SLOT_LEN;
        let allowed = self.slots.is_empty() || needed <= memory;
        if allowed {
            self.grow(larger);
        }
        allowed
    }

    fn grow(&mut self, slots: usize) {
        let old = std::mem::replace(&mut self.slots, HugeSlice::zeroed(slots));
        for &[low, high, count] in old.iter() {
            if count > 0 {
                self.slot([low, high])[2] = count;
            }
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.slots.fill([0; 3]);
        self.used = 0;
    }

    /// Forgets everything, and takes the largest table that fits into `memory` bytes.
    pub(super) fn restart(&mut self, memory: usize) {
        let slots = 1 << (memory / SLOT_LEN).max(FEWEST).ilog2();
        if slots == self.slots.len() {
            return self.clear();
        }
        *self = Self::default();
        self.slots = HugeSlice::zeroed(slots);
    }

    /// Counts a batch of keys, which have these hashes; there must be room.
    pub(super) fn add_batch(&mut self, keys: &[Key], hashes: &[u64]) {
        let slots = &mut *self.slots;
        // All slots are asked for before the first is read: most of the table is in no cache.
        for hash in hashes {
            prefetch(&slots[place(slots, *hash)]);
        }
        for (&key, &hash) in keys.iter().zip(hashes) {
            let slot = find(slots, place(slots, hash), key);
            slot[2] += 1;
            let new = slot[2] == 1;
            self.used += usize::from(new);
        }
    }

    /// The slot of a key, which it holds from now on.
    fn slot(&mut self, key: Key) -> &mut Slot {
        let at = place(&self.slots, hash_of_key(key));
        find(&mut self.slots, at, key)
    }

    /// Adds to the count of one key; there must be room.
    pub(super) fn add(&mut self, key: Key, count: u64) {
        let slot = self.slot(key);
        let new = slot[2] == 0 && count > 0;
        slot[2] += count;
        self.used += usize::from(new);
    }

    /// Sorts the keys by their bytes, where they stand: afterwards the table can only be read by
    /// [`Self::sorted`] and cleared.
    pub(super) fn sort(&mut self) {
        let mut end = 0;
        for at in 0..self.slots.len() {
            if self.slots[at][2] > 0 {
                self.slots.swap(at, end);
                end += 1;
            }
        }
        self.slots[..end].sort_unstable_by_key(|[low, high, _]| order([*low, *high]));
    }

    /// The sorted keys with their counts.
    pub(super) fn sorted(&self) -> &[Slot] {
        &self.slots[..self.used]
    }
}

/// Where the search for a key of this hash begins.
#[inline(always)]
fn place(slots: &[Slot], hash: u64) -> usize {
    hash as usize & (slots.len() - 1)
}

/// The slot of a key, which it holds from now on; the search begins at `at`.
#[inline(always)]
fn find(slots: &mut [Slot], mut at: usize, [low, high]: Key) -> &mut Slot {
    let mask = slots.len() - 1;
    loop {
        // The mask keeps the index inside: the compiler can see that for lengths that are
        // powers of two only, so it checks.
        let slot = slots[at];
        if slot[0] == low && slot[1] == high {
            break;
        }
        if slot[1] == 0 {
            slots[at] = [low, high, 0];
            break;
        }
        at = (at + 1) & mask;
    }
    &mut slots[at]
}
