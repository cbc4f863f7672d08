//! The cache of words: pieces of up to 15 bytes that are up to four tokens.
//!
//! A piece is one 128-bit key, its bytes and its length on top; a slot holds the key, the number
//! of ids in its upper four bits, and the ids in 32 bytes. Two slots are a set, one cache line, and a lookup mostly needs no
//! other: sets are probed in order, four at most, and a word is in the first of them that had
//! room. The table doubles while it is half full, up to 32 MiB; from then on a new word takes the
//! place of another when its four sets are full.

use super::hash::hash_of_key;
use barelm_kernels::simd::prefetch;

/// Pieces of up to this many bytes have a key.
pub(super) const MAX_KEY_LEN: usize = 15;
/// Ids in a slot.
pub(super) const MAX_IDS: usize = 4;
/// Sets of the table at first (32 KiB), and at most (32 MiB).
const SETS: [usize; 2] = [1 << 9, 1 << 19];
/// Sets that may hold a word.
const PROBES: usize = 4;

/// Bit of a slot's first word where the number of ids is.
const COUNT: u32 = 124;

/// A word and its ids. All zeros are an empty slot: every word has a length.
#[derive(Clone, Copy, Default)]
pub(super) struct Slot {
    key_and_count: u128,
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
        (self.key_and_count >> COUNT) as usize
    }

    #[inline]
    fn key(&self) -> u128 {
        self.key_and_count & !(0xF << COUNT)
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
    pub(super) fn get(&self, key: u128, hash: u64) -> Option<&Slot> {
        // Which of the two it is no branch could foresee: only that it is one of them.
        let Set(slots) = &self.sets[self.home(hash)];
        let slot = &slots[usize::from(slots[1].key() == key)];
        if slot.key() == key {
            return Some(slot);
        }
        if slots[1].key() == 0 {
            None
        } else {
            self.get_further(key, hash)
        }
    }

    #[cold]
    fn get_further(&self, key: u128, hash: u64) -> Option<&Slot> {
        let slots = (1..PROBES).flat_map(|step| &self.sets[self.step(hash, step)].0);
        let mut used = slots.take_while(|slot| slot.key() != 0);
        used.find(|slot| slot.key() == key)
    }

    fn step(&self, hash: u64, step: usize) -> usize {
        (self.home(hash) + step) & (self.sets.len() - 1)
    }

    /// Notes the ids of a word that is not in the cache.
    pub(super) fn insert(&mut self, key: u128, hash: u64, ids: &[u32]) {
        let mut slot = Slot {
            key_and_count: key | (ids.len() as u128) << COUNT,
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
            if let Some(free) = self.sets[set].0.iter_mut().find(|slot| slot.key() == 0) {
                *free = slot;
                self.used += 1;
                return;
            }
        }
        // Which one has to go is as good as random.
        let set = self.step(hash, (slot.key() >> 64) as usize % PROBES);
        self.sets[set].0[0] = slot;
    }

    fn grow(&mut self) {
        let sets = vec![Set::default(); 2 * self.sets.len()];
        let old = std::mem::replace(&mut self.sets, sets);
        self.used = 0;
        for slot in old.iter().flat_map(|set| &set.0) {
            if slot.key() != 0 {
                self.place(*slot, hash_of_key(slot.key()));
            }
        }
    }
}

/// Masks of the first bytes of a key, by their number.
const MASKS: [u128; MAX_KEY_LEN + 1] = {
    let mut masks = [0; MAX_KEY_LEN + 1];
    let mut len = 1;
    while len <= MAX_KEY_LEN {
        masks[len] = masks[len - 1] << 8 | 0xFF;
        len += 1;
    }
    masks
};

/// A short piece of a text as one number, 0 if it is empty; `rest` is the text from its start on.
#[inline]
pub(super) fn key(len: usize, rest: &[u8]) -> Option<u128> {
    let mask = *MASKS.get(len)?;
    let bytes = match rest.first_chunk::<16>() {
        Some(bytes) => u128::from_le_bytes(*bytes),
        None => rest
            .iter()
            .rev()
            .fold(0, |key, byte| key << 8 | u128::from(*byte)),
    };
    Some(bytes & mask | (len as u128) << 120)
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
                let key_alone = key(len, &piece).unwrap();
                let followed = [&piece[..], &[0xAA; 20]].concat();
                assert_eq!(key(len, &followed), Some(key_alone));
                pieces += usize::from(keys.insert(key_alone));
            }
        }
        assert_eq!(pieces, MAX_KEY_LEN * (MAX_KEY_LEN + 1));
        let low = |key: &u128| *key != 0 && key >> COUNT == 0;
        assert!(keys.iter().all(low));
        assert_eq!(key(MAX_KEY_LEN + 1, &[0; 40]), None);
    }

    #[test]
    fn what_was_noted_is_found_while_there_is_room_and_nothing_else_ever() {
        let mut cache = WordCache::new();
        let word = |i: u32| key(4, &i.to_le_bytes()).unwrap();
        let mut known = HashMap::new();
        for i in 0..100_000 {
            let ids = [i, i + 1, i + 2, i + 3];
            let ids = &ids[..1 + i as usize % MAX_IDS];
            cache.insert(word(i), hash_of_key(word(i)), ids);
            known.insert(i, ids.to_vec());
        }
        let found = known.iter().filter(|(i, ids)| {
            let found = cache.get(word(**i), hash_of_key(word(**i)));
            let equal = |found: &Slot| found.ids()[..found.len()] == ids[..];
            assert!(found.is_none_or(equal));
            found.is_some()
        });
        assert!(found.count() > 99_000);
        for i in 100_000..200_000 {
            assert!(cache.get(word(i), hash_of_key(word(i))).is_none());
        }
        assert!(cache.sets.len() <= SETS[1]);
    }
}
