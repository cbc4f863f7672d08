//! The cache of pieces that are no words: those of more than 15 bytes or more than four tokens.
//!
//! A hash table of 8-byte slots points to entries, which lie one after the other in an arena: what
//! is written is little more than the pieces and their ids, for memory that is new costs most of
//! all. Bytes are compared, so a hash decides nothing. When the arena is full, all is forgotten.

use crate::huge::HugeSlice;
use barelm_kernels::simd::prefetch;

/// Words of the arena, at most: 24 MiB.
const ARENA: usize = 6 << 20;
/// Longer entries, in words, are not kept.
const LONGEST: usize = 1 << 14;

/// A part of a piece's hash, and one more than the place of its entry; 0 for an empty slot.
type Slot = [u32; 2];

/// Ids of pieces by their bytes.
pub(super) struct PhraseCache {
    slots: HugeSlice<Slot>,
    used: usize,
    /// Of each entry the number of bytes, the number of ids, the ids, and the bytes with zeros
    /// behind them up to a whole word.
    arena: HugeSlice<u32>,
    /// Words of the arena that are in use.
    len: usize,
}

/// The upper half of a hash: words are found by the lower one.
#[inline]
fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32
}

impl PhraseCache {
    pub(super) fn new() -> Self {
        Self {
            slots: HugeSlice::zeroed(64),
            used: 0,
            arena: HugeSlice::default(),
            len: 0,
        }
    }

    /// The slots where a piece may be, in order.
    fn probes(&self, tag: u32) -> impl Iterator<Item = usize> {
        let mask = self.slots.len() - 1;
        let home = tag as usize;
        (home..home + self.slots.len()).map(move |at| at & mask)
    }

    /// Asks the memory for the slot where a piece should be.
    #[inline]
    pub(super) fn prefetch(&self, hash: u64) {
        prefetch(&self.slots[tag(hash) as usize & (self.slots.len() - 1)]);
    }

    /// The ids of a piece, if they are known.
    pub(super) fn get(&self, piece: &[u8], hash: u64) -> Option<&[u32]> {
        for at in self.probes(tag(hash)) {
            let [known, place] = self.slots[at];
            let entry = &self.arena[place.checked_sub(1)? as usize..];
            if known == tag(hash) {
                let (ids, rest) = entry[2..].split_at(entry[1] as usize);
                let len = entry[0] as usize;
                if len == piece.len() && bytemuck::cast_slice::<u32, u8>(rest)[..len] == *piece {
                    return Some(ids);
                }
            }
        }
        None
    }

    /// Notes the ids of a piece that is not in the cache.
    pub(super) fn insert(&mut self, piece: &[u8], hash: u64, ids: &[u32]) {
        let words = 2 + ids.len() + piece.len().div_ceil(4);
        if piece.is_empty() || words > LONGEST {
            return;
        }
        if self.len + words > ARENA {
            *self = Self::new();
        }
        if self.len + words > self.arena.len() {
            self.enlarge(self.len + words);
        }
        if 2 * self.used >= self.slots.len() {
            self.grow();
        }
        let place = self.len;
        self.len += words;
        let (sizes, rest) = self.arena[place..self.len].split_at_mut(2);
        sizes.copy_from_slice(&[piece.len() as u32, ids.len() as u32]);
        let (entry, rest) = rest.split_at_mut(ids.len());
        entry.copy_from_slice(ids);
        bytemuck::cast_slice_mut::<u32, u8>(rest)[..piece.len()].copy_from_slice(piece);
        self.place([tag(hash), place as u32 + 1]);
    }

    /// Makes the arena have so many words at least.
    fn enlarge(&mut self, least: usize) {
        let mut larger = HugeSlice::zeroed((4 * self.arena.len()).clamp(least, ARENA));
        larger[..self.len].copy_from_slice(&self.arena[..self.len]);
        self.arena = larger;
    }

    fn place(&mut self, slot: Slot) {
        let free = self.probes(slot[0]).find(|at| self.slots[*at][1] == 0);
        if let Some(at) = free {
            self.slots[at] = slot;
            self.used += 1;
        }
    }

    fn grow(&mut self) {
        let slots = HugeSlice::zeroed(4 * self.slots.len());
        let old = std::mem::replace(&mut self.slots, slots);
        self.used = 0;
        old.iter()
            .filter(|slot| slot[1] > 0)
            .for_each(|slot| self.place(*slot));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokenizer::encoder::hash::hash_of_bytes;

    #[test]
    fn pieces_of_one_hash_are_told_apart_by_their_bytes() {
        let mut cache = PhraseCache::new();
        for i in 0..200u32 {
            cache.insert(&i.to_le_bytes(), 7, &[i, i]);
        }
        for i in 0..200u32 {
            assert_eq!(cache.get(&i.to_le_bytes(), 7), Some(&[i, i][..]));
        }
        assert_eq!(cache.get(b"none", 7), None);
    }

    #[test]
    fn memory_is_bounded_and_what_is_known_is_right() {
        let mut cache = PhraseCache::new();
        let piece = |i: u32| [i.to_le_bytes(); 300].concat();
        for i in 0..60_000 {
            cache.insert(&piece(i), hash_of_bytes(&piece(i)), &[i; 10]);
            assert!(cache.len <= ARENA);
        }
        let known = (0..60_000).filter(|i| {
            let found = cache.get(&piece(*i), hash_of_bytes(&piece(*i)));
            assert!(found.is_none_or(|ids| ids == [*i; 10]));
            found.is_some()
        });
        assert!(known.count() > 100);
        cache.insert(&[1; 4 * LONGEST], 1, &[1]);
        assert_eq!(cache.get(&[1; 4 * LONGEST], 1), None);
    }
}
