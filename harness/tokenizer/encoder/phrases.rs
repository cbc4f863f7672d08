//! The cache of pieces that are no words: those of more than 15 bytes or more than four tokens.
//!
//! A hash table of 32-byte slots points to the pieces' bytes and ids, which lie one after the
//! other in two arenas; bytes are compared, so a hash decides nothing. When the arenas are full,
//! all is forgotten.

use barelm_kernels::simd::prefetch;

/// Bytes and ids that are kept, in bytes.
const ARENAS: usize = 24 << 20;
/// Longer pieces, counted with their ids, are not kept.
const LONGEST: usize = 1 << 16;

/// A piece and its ids, as places in the arenas; a length of 0 is an empty slot.
#[derive(Clone, Copy, Default)]
struct Slot {
    hash: u64,
    bytes: u32,
    len: u32,
    ids: u32,
    count: u32,
}

/// Ids of pieces by their bytes.
pub(super) struct PhraseCache {
    slots: Vec<Slot>,
    used: usize,
    bytes: Vec<u8>,
    ids: Vec<u32>,
}

impl PhraseCache {
    pub(super) fn new() -> Self {
        Self {
            slots: vec![Slot::default(); 64],
            used: 0,
            bytes: Vec::new(),
            ids: Vec::new(),
        }
    }

    /// The slots where a piece may be, in order.
    fn probes(&self, hash: u64) -> impl Iterator<Item = usize> {
        let mask = self.slots.len() - 1;
        let home = (hash >> 32) as usize;
        (home..home + self.slots.len()).map(move |at| at & mask)
    }

    /// Asks the memory for the slot where a piece should be.
    #[inline]
    pub(super) fn prefetch(&self, hash: u64) {
        prefetch(&self.slots[(hash >> 32) as usize & (self.slots.len() - 1)]);
    }

    /// The ids of a piece, if they are known.
    pub(super) fn get(&self, piece: &[u8], hash: u64) -> Option<&[u32]> {
        for at in self.probes(hash) {
            let slot = self.slots[at];
            if slot.len == 0 {
                return None;
            }
            let bytes = slot.bytes as usize..(slot.bytes + slot.len) as usize;
            if slot.hash == hash && self.bytes[bytes] == *piece {
                return Some(&self.ids[slot.ids as usize..(slot.ids + slot.count) as usize]);
            }
        }
        None
    }

    /// Notes the ids of a piece that is not in the cache.
    pub(super) fn insert(&mut self, piece: &[u8], hash: u64, ids: &[u32]) {
        let size = |bytes: usize, ids: usize| bytes + 4 * ids;
        let more = size(piece.len(), ids.len());
        if piece.is_empty() || more > LONGEST {
            return;
        }
        if size(self.bytes.len(), self.ids.len()) + more > ARENAS {
            *self = Self::new();
        }
        if 2 * self.used >= self.slots.len() {
            self.grow();
        }
        let slot = Slot {
            hash,
            bytes: self.bytes.len() as u32,
            len: piece.len() as u32,
            ids: self.ids.len() as u32,
            count: ids.len() as u32,
        };
        self.bytes.extend_from_slice(piece);
        self.ids.extend_from_slice(ids);
        self.place(slot);
    }

    fn place(&mut self, slot: Slot) {
        let free = self.probes(slot.hash).find(|at| self.slots[*at].len == 0);
        if let Some(at) = free {
            self.slots[at] = slot;
            self.used += 1;
        }
    }

    fn grow(&mut self) {
        let slots = vec![Slot::default(); 4 * self.slots.len()];
        let old = std::mem::replace(&mut self.slots, slots);
        self.used = 0;
        old.into_iter()
            .filter(|slot| slot.len > 0)
            .for_each(|slot| self.place(slot));
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
            assert!(cache.bytes.len() + 4 * cache.ids.len() <= ARENAS);
        }
        let known = (0..60_000).filter(|i| {
            let found = cache.get(&piece(*i), hash_of_bytes(&piece(*i)));
            assert!(found.is_none_or(|ids| ids == [*i; 10]));
            found.is_some()
        });
        assert!(known.count() > 100);
        cache.insert(&[1; LONGEST], 1, &[1]);
        assert_eq!(cache.get(&[1; LONGEST], 1), None);
    }
}
