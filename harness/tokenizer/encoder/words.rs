//! The cache of words: pieces of up to 15 bytes that are up to four tokens.
//!
//! A slot of 32 bytes holds a piece as a key of two numbers, the number of its ids on top, and the
//! ids. A word that was just met is in its home, the slot that its hash names: so of the frequent
//! words nearly all are found with one look, at one cache line. A word whose home is taken stays
//! in one of the next slots, and changes places with the other when it is met. The table grows
//! while five eighths of it are full, up to 32 MiB; from then on a new word takes the place of
//! another when all its slots are taken.

use crate::huge::HugeSlice;
use crate::kernels::bpe::{Key, NO_KEY, hash_of_key};
use crate::kernels::simd::prefetch;
use bytemuck::{Pod, Zeroable};

/// Ids in a slot.
pub(super) const MAX_IDS: usize = 4;
/// Slots of the table at first (8 KiB), and at most (32 MiB).
const SLOTS: [usize; 2] = [1 << 8, 1 << 20];
/// A smaller table grows to four times its size, a larger one to twice.
const LARGE: usize = 1 << 14;
/// Slots that may hold a word: its home, and those that differ from it in the lowest bits.
const PROBES: usize = 16;

/// Bit of a key's upper half where the number of ids is, in slots: a length needs four bits.
const COUNT: u32 = 60;

/// A word and its ids. All zeros are an empty slot.
#[derive(Clone, Copy, Default, Pod, Zeroable)]
#[repr(C, align(32))]
pub(super) struct Slot {
    low: u64,
    high_and_count: u64,
    ids: [u32; MAX_IDS],
}

impl Slot {
    /// A word of up to [`MAX_IDS`] ids.
    pub(super) fn new([low, high]: Key, ids: &[u32]) -> Self {
        let mut slot = Self {
            low,
            high_and_count: high | (ids.len() as u64) << COUNT,
            ids: [0; MAX_IDS],
        };
        slot.ids[..ids.len()].copy_from_slice(ids);
        slot
    }

    /// The ids; those behind [`Slot::len`] mean nothing.
    #[inline]
    pub(super) fn ids(&self) -> &[u32; MAX_IDS] {
        &self.ids
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        (self.high_and_count >> COUNT) as usize
    }

    #[inline]
    pub(super) fn key(&self) -> Key {
        [self.low, self.high_and_count & !(0xF << COUNT)]
    }

    #[inline]
    fn is_free(&self) -> bool {
        self.high_and_count == 0
    }

    /// Whether this is the slot of a word.
    #[inline]
    fn is_of(&self, [low, high]: Key) -> bool {
        // Without the count, which is not part of the key.
        let high = (self.high_and_count ^ high) << (64 - COUNT);
        (self.low ^ low) | high == 0
    }
}

/// Ids of words by their keys.
pub(super) struct WordCache {
    slots: HugeSlice<Slot>,
    used: usize,
}

impl WordCache {
    pub(super) fn new() -> Self {
        Self {
            slots: HugeSlice::zeroed(SLOTS[0]),
            used: 0,
        }
    }

    /// The lower bits of a hash, as a slot.
    #[inline]
    fn home(&self, hash: u64) -> usize {
        hash as usize & (self.slots.len() - 1)
    }

    /// The slots, to be looked at where words are at home.
    #[inline]
    pub(super) fn homes(&self) -> Homes<'_> {
        Homes(&self.slots)
    }

    /// The slot of a word, if it is known: its home, from now on.
    pub(super) fn get(&mut self, key: Key, hash: u64) -> Option<&Slot> {
        let home = self.home(hash);
        let probes = if key == NO_KEY { 0 } else { PROBES };
        for at in (0..probes).map(|step| home ^ step) {
            if self.slots[at].is_of(key) {
                self.slots.swap(home, at);
                return Some(&self.slots[home]);
            }
            // Slots are never freed: the word would have been placed here.
            if self.slots[at].is_free() {
                break;
            }
        }
        None
    }

    /// Notes a word that is not in the cache.
    pub(super) fn insert(&mut self, word: Slot, hash: u64) {
        if 8 * self.used >= 5 * self.slots.len() && self.slots.len() < SLOTS[1] {
            self.grow();
        }
        self.place(word, hash);
    }

    fn place(&mut self, slot: Slot, hash: u64) {
        let home = self.home(hash);
        let free = (0..PROBES).find(|step| self.slots[home ^ step].is_free());
        self.used += usize::from(free.is_some());
        // If none is free, the one that has to go is as good as random, and not at home.
        let step = free.unwrap_or(1 + slot.low as usize % (PROBES - 1));
        self.slots[home ^ step] = slot;
    }

    fn grow(&mut self) {
        let times = if self.slots.len() < LARGE { 4 } else { 2 };
        let slots = HugeSlice::zeroed(times * self.slots.len());
        let old = std::mem::replace(&mut self.slots, slots);
        self.used = 0;
        for slot in old.iter() {
            if !slot.is_free() {
                self.place(*slot, hash_of_key(slot.key()));
            }
        }
    }
}

/// The slots of a cache: a loop that has found them once need not ask where they are.
#[derive(Clone, Copy)]
pub(super) struct Homes<'c>(&'c [Slot]);

impl<'c> Homes<'c> {
    /// The home of a word.
    #[inline]
    fn home(self, hash: u64) -> &'c Slot {
        &self.0[hash as usize & (self.0.len() - 1)]
    }

    /// Asks the memory for the home of a word.
    #[inline]
    pub(super) fn prefetch(self, hash: u64) {
        prefetch(self.home(hash));
    }

    /// The slot of a word that is at home.
    #[inline]
    pub(super) fn get(self, key: Key, hash: u64) -> Option<&'c Slot> {
        Some(self.home(hash)).filter(|slot| slot.is_of(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::bpe::key_of;
    use std::collections::HashMap;

    #[test]
    fn what_was_noted_is_found_while_there_is_room_and_nothing_else_ever() {
        let mut cache = WordCache::new();
        let word = |i: u32| key_of(&i.to_le_bytes()).unwrap();
        let hash = |i: u32| hash_of_key(word(i));
        let mut known = HashMap::new();
        for i in 0..100_000 {
            let ids = [i, i + 1, i + 2, i + 3];
            let ids = &ids[..1 + i as usize % MAX_IDS];
            cache.insert(Slot::new(word(i), ids), hash(i));
            known.insert(i, ids.to_vec());
        }
        let found = known.iter().filter(|(i, ids)| {
            // Twice: the first time may move it.
            cache.get(word(**i), hash(**i));
            let found = cache.homes().get(word(**i), hash(**i));
            let equal = |found: &Slot| found.ids()[..found.len()] == ids[..];
            assert!(found.is_none_or(equal));
            found.is_some()
        });
        assert!(found.count() > 97_000);
        for i in 100_000..200_000 {
            assert!(cache.get(word(i), hash(i)).is_none());
        }
        assert!(cache.slots.len() <= SLOTS[1]);
    }
}
