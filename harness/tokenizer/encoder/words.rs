//! The cache of words: pieces of up to 15 bytes that are up to four tokens.
//!
//! A slot of 32 bytes holds a piece as a key of two numbers, the number of its ids on top, and the
//! ids. A word that was just met is in its home, the slot that its hash names: so of the frequent
//! words nearly all are found with one look, at one cache line. A word whose home is taken stays
//! in one of the next slots, and changes places with the other when it is met. The table grows
//! while five eighths of it are full, up to 32 MiB; from then on a new word takes the place of
//! another when all its slots are taken.

use super::hash::hash_of_halves;
use crate::huge::HugeSlice;
use barelm_kernels::simd::prefetch;
use bytemuck::{Pod, Zeroable};

/// Pieces of up to this many bytes have a key.
pub(super) const MAX_KEY_LEN: usize = 15;
/// Ids in a slot.
pub(super) const MAX_IDS: usize = 4;
/// Slots of the table at first (8 KiB), and at most (32 MiB).
const SLOTS: [usize; 2] = [1 << 8, 1 << 20];
/// A smaller table grows to four times its size, a larger one to twice.
const LARGE: usize = 1 << 14;
/// Slots that may hold a word: its home, and those that differ from it in the lowest bits.
const PROBES: usize = 16;

/// A piece of up to [`MAX_KEY_LEN`] bytes as two numbers: its bytes, and its length on top.
///
/// All zeros are no piece, for every piece has a length. The uppermost four bits are free.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
pub(super) struct Key {
    low: u64,
    high: u64,
}

/// Bit of a key's upper half where the number of ids is, in slots.
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
    pub(super) fn new(key: Key, ids: &[u32]) -> Self {
        let mut slot = Self {
            low: key.low,
            high_and_count: key.high | (ids.len() as u64) << COUNT,
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
        Key {
            low: self.low,
            high: self.high_and_count & !(0xF << COUNT),
        }
    }

    #[inline]
    fn is_free(&self) -> bool {
        self.high_and_count == 0
    }

    /// Whether this is the slot of a word.
    #[inline]
    fn is_of(&self, key: Key) -> bool {
        // Without the count, which is not part of the key.
        let high = (self.high_and_count ^ key.high) << (64 - COUNT);
        (self.low ^ key.low) | high == 0
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

    /// Asks the memory for the home of a word.
    #[inline]
    pub(super) fn prefetch(&self, hash: u64) {
        prefetch(&self.slots[self.home(hash)]);
    }

    /// The slot of a word that is at home.
    #[inline]
    pub(super) fn get_home(&self, key: Key, hash: u64) -> Option<&Slot> {
        Some(&self.slots[self.home(hash)]).filter(|slot| slot.is_of(key))
    }

    /// The slot of a word, if it is known: its home, from now on.
    pub(super) fn get(&mut self, key: Key, hash: u64) -> Option<&Slot> {
        let home = self.home(hash);
        let probes = if key.is_some() { PROBES } else { 0 };
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
                self.place(*slot, slot.key().hash());
            }
        }
    }
}

/// Masks of the first bytes of both halves of a key, by their number.
const MASKS: [[u64; 2]; MAX_KEY_LEN + 1] = {
    let mut masks = [[0; 2]; MAX_KEY_LEN + 1];
    let mut len = 1;
    while len <= MAX_KEY_LEN {
        masks[len] = masks[len - 1];
        masks[len][(len - 1) / 8] |= 0xFF << (8 * ((len - 1) % 8));
        len += 1;
    }
    masks
};

impl Key {
    /// No piece's key, which no slot matches: those of length 0 have no bytes.
    pub(super) const NONE: Self = Self { low: 1, high: 0 };

    /// The key of the first `len` of these bytes; `None` if they are too many.
    #[inline]
    pub(super) fn new(len: usize, bytes: &[u8; 16]) -> Option<Self> {
        let [low, high] = MASKS.get(len)?;
        let bytes = u128::from_le_bytes(*bytes);
        Some(Self {
            low: bytes as u64 & low,
            high: (bytes >> 64) as u64 & high | (len as u64) << 56,
        })
    }

    /// Whether there is a piece that this is the key of.
    #[inline]
    pub(super) fn is_some(self) -> bool {
        self.high != 0
    }

    #[inline]
    pub(super) fn hash(self) -> u64 {
        hash_of_halves(self.low, self.high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{HashMap, HashSet};

    #[test]
    fn keys_of_different_pieces_differ_and_see_nothing_behind_the_piece() {
        let mut keys = HashSet::new();
        let mut pieces = 0;
        for len in 1..=MAX_KEY_LEN {
            for (at, value) in (0..len).flat_map(|at| [(at, 1), (at, 255)]) {
                let mut piece = vec![0; len];
                piece[at] = value;
                let followed_by = |byte: u8| {
                    let mut bytes = [byte; 16];
                    bytes[..len].copy_from_slice(&piece);
                    Key::new(len, &bytes)
                };
                let key_alone = followed_by(0).unwrap();
                assert_eq!(followed_by(0xAA), Some(key_alone));
                pieces += usize::from(keys.insert(key_alone));
            }
        }
        assert_eq!(pieces, MAX_KEY_LEN * (MAX_KEY_LEN + 1));
        let room_for_the_count = |key: &Key| key.is_some() && key.high >> COUNT == 0;
        assert!(keys.iter().all(room_for_the_count));
        assert_eq!(Key::new(MAX_KEY_LEN + 1, &[0; 16]), None);
    }

    #[test]
    fn what_was_noted_is_found_while_there_is_room_and_nothing_else_ever() {
        let mut cache = WordCache::new();
        let word = |i: u32| Key::new(4, &u128::from(i).to_le_bytes()).unwrap();
        let mut known = HashMap::new();
        for i in 0..100_000 {
            let ids = [i, i + 1, i + 2, i + 3];
            let ids = &ids[..1 + i as usize % MAX_IDS];
            cache.insert(Slot::new(word(i), ids), word(i).hash());
            known.insert(i, ids.to_vec());
        }
        let found = known.iter().filter(|(i, ids)| {
            // Twice: the first time may move it.
            cache.get(word(**i), word(**i).hash());
            let found = cache.get_home(word(**i), word(**i).hash());
            let equal = |found: &Slot| found.ids()[..found.len()] == ids[..];
            assert!(found.is_none_or(equal));
            found.is_some()
        });
        assert!(found.count() > 97_000);
        for i in 100_000..200_000 {
            assert!(cache.get(word(i), word(i).hash()).is_none());
        }
        assert!(cache.slots.len() <= SLOTS[1]);
    }
}
