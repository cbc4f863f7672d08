//! The cache of words: pieces of up to 15 bytes that are up to four tokens.
//!
//! A slot of 32 bytes holds a piece as a key of two numbers, the number of its ids on top, and the
//! ids. Two slots are a set, one cache line, and a lookup mostly needs no other: sets are probed in
//! order, four at most, and a word is in the first of them that had room. The table doubles while
//! it is half full, up to 32 MiB; from then on a new word takes the place of another when its four
//! sets are full.

use super::hash::hash_of_halves;
use barelm_kernels::simd::prefetch;

/// Pieces of up to this many bytes have a key.
pub(super) const MAX_KEY_LEN: usize = 15;
/// Ids in a slot.
pub(super) const MAX_IDS: usize = 4;
/// Sets of the table at first (32 KiB), and at most (32 MiB).
const SETS: [usize; 2] = [1 << 9, 1 << 19];
/// Sets that may hold a word.
const PROBES: usize = 4;

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
#[derive(Clone, Copy, Default)]
pub(super) struct Slot {
    low: u64,
    high_and_count: u64,
    ids: [u32; MAX_IDS],
}

impl Slot {
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
    fn key(&self) -> Key {
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

#[derive(Clone, Copy, Default)]
#[repr(align(64))]
struct Set([Slot; 2]);

/// Ids of words by their keys.
pub(super) struct WordCache {
    sets: Vec<Set>,
    used: usize,
}

impl WordCache {
    pub(super) fn new() -> Self {
        Self {
            sets: vec![Set::default(); SETS[0]],
            used: 0,
        }
    }

    /// The upper bits of a hash, as a set.
    #[inline]
    fn home(&self, hash: u64) -> usize {
        (hash >> 32) as usize & (self.sets.len() - 1)
    }

    /// Asks the memory for the set where a word should be.
    #[inline]
    pub(super) fn prefetch(&self, hash: u64) {
        prefetch(&self.sets[self.home(hash)]);
    }

    /// The slot of a word, if it is known.
    #[inline]
    pub(super) fn get(&self, key: Key, hash: u64) -> Option<&Slot> {
        // Which of the two it is no branch could foresee: only that it is one of them.
        let Set(slots) = &self.sets[self.home(hash)];
        let [first, second] = [slots[0].is_of(key), slots[1].is_of(key)];
        if first | second {
            return Some(&slots[usize::from(second)]);
        }
        if slots[1].is_free() {
            None
        } else {
            self.get_further(key, hash)
        }
    }

    #[cold]
    fn get_further(&self, key: Key, hash: u64) -> Option<&Slot> {
        let slots = (1..PROBES).flat_map(|step| &self.sets[self.step(hash, step)].0);
        let mut used = slots.take_while(|slot| !slot.is_free());
        used.find(|slot| slot.is_of(key))
    }

    fn step(&self, hash: u64, step: usize) -> usize {
        (self.home(hash) + step) & (self.sets.len() - 1)
    }

    /// Notes the ids of a word that is not in the cache.
    pub(super) fn insert(&mut self, key: Key, hash: u64, ids: &[u32]) {
        let mut slot = Slot {
            low: key.low,
            high_and_count: key.high | (ids.len() as u64) << COUNT,
            ids: [0; MAX_IDS],
        };
        slot.ids[..ids.len()].copy_from_slice(ids);
        if self.used >= self.sets.len() && self.sets.len() < SETS[1] {
            self.grow();
        }
        self.place(slot, hash);
    }

    fn place(&mut self, slot: Slot, hash: u64) {
        for step in 0..PROBES {
            let set = self.step(hash, step);
            if let Some(free) = self.sets[set].0.iter_mut().find(|slot| slot.is_free()) {
                *free = slot;
                self.used += 1;
                return;
            }
        }
        // Which one has to go is as good as random.
        let set = self.step(hash, slot.high_and_count as usize % PROBES);
        self.sets[set].0[0] = slot;
    }

    fn grow(&mut self) {
        let sets = vec![Set::default(); 2 * self.sets.len()];
        let old = std::mem::replace(&mut self.sets, sets);
        self.used = 0;
        for slot in old.iter().flat_map(|set| &set.0) {
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

    /// The key of the first bytes of `rest`, which a text goes on with; `None` if they are too
    /// many.
    #[inline]
    pub(super) fn new(len: usize, rest: &[u8]) -> Option<Self> {
        let [low, high] = MASKS.get(len)?;
        let bytes = match rest.first_chunk::<16>() {
            Some(bytes) => u128::from_le_bytes(*bytes),
            None => last_bytes(rest),
        };
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

/// Up to 16 bytes as a number.
#[cold]
fn last_bytes(rest: &[u8]) -> u128 {
    let add = |key: u128, byte: &u8| key << 8 | u128::from(*byte);
    rest.iter().rev().fold(0, add)
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
                let key_alone = Key::new(len, &piece).unwrap();
                let followed = [&piece[..], &[0xAA; 20]].concat();
                assert_eq!(Key::new(len, &followed), Some(key_alone));
                pieces += usize::from(keys.insert(key_alone));
            }
        }
        assert_eq!(pieces, MAX_KEY_LEN * (MAX_KEY_LEN + 1));
        let room_for_the_count = |key: &Key| key.is_some() && key.high >> COUNT == 0;
        assert!(keys.iter().all(room_for_the_count));
        assert_eq!(Key::new(MAX_KEY_LEN + 1, &[0; 40]), None);
    }

    #[test]
    fn what_was_noted_is_found_while_there_is_room_and_nothing_else_ever() {
        let mut cache = WordCache::new();
        let word = |i: u32| Key::new(4, &i.to_le_bytes()).unwrap();
        let mut known = HashMap::new();
        for i in 0..100_000 {
            let ids = [i, i + 1, i + 2, i + 3];
            let ids = &ids[..1 + i as usize % MAX_IDS];
            cache.insert(word(i), word(i).hash(), ids);
            known.insert(i, ids.to_vec());
        }
        let found = known.iter().filter(|(i, ids)| {
            let found = cache.get(word(**i), word(**i).hash());
            let equal = |found: &Slot| found.ids()[..found.len()] == ids[..];
            assert!(found.is_none_or(equal));
            found.is_some()
        });
        assert!(found.count() > 99_000);
        for i in 100_000..200_000 {
            assert!(cache.get(word(i), word(i).hash()).is_none());
        }
        assert!(cache.sets.len() <= SETS[1]);
    }
}
