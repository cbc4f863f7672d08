//! Builds the kernels' table of bytes.
//!
//! A part of each hash stands beside the id meanwhile, so that tokens of equal bytes are noticed
//! and others need not be compared, which would fetch their bytes from all over the vocabulary.

use super::lexicon::TokenBytes;
use crate::huge::HugeSlice;
use barelm_kernels::bpe::table::{MAX_PROBES, NONE, probes, token_hash};
use barelm_kernels::simd::prefetch;

/// Tokens whose slots are asked for before they are added.
const BATCH: usize = 16;
/// Upper bits of a hash that say which byte of the filter is its own: 256 kB in all.
const FILTER_BITS: u32 = 18;

/// Open addressing; a slot is the lower half of a token's hash and its id.
pub(super) struct TokenTable {
    slots: HugeSlice<[u32; 2]>,
    longest: u32,
    /// The lowest id of each part of the hashes, in steps of `1 << shift`: in a core's cache, it tells
    /// for most bytes that they are no token up to some id.
    filter: Vec<u8>,
    shift: u32,
}

/// Why a table cannot be made.
pub(super) enum Refused {
    /// A probe is too long in a table of so many slots.
    Full,
    /// Two tokens have the same bytes.
    Twins(u32, u32),
}

impl TokenTable {
    /// Adds the tokens in the order of `ids`, so that the slots are those of the kernels' table.
    pub(super) fn new(tokens: &TokenBytes, ids: &[u32], slots: usize) -> Result<Self, Refused> {
        let mut table = Self {
            slots: HugeSlice::filled(slots, [NONE; 2]),
            longest: 1,
            filter: vec![u8::MAX; 1 << FILTER_BITS],
            // The highest id is some 64 to 127 steps.
            shift: tokens.len().checked_ilog2().unwrap_or(0).saturating_sub(6),
        };
        let mut hashes = [0; BATCH];
        for ids in ids.chunks(BATCH) {
            for (hash, id) in hashes.iter_mut().zip(ids) {
                *hash = token_hash(tokens.get(*id));
                table.prefetch(*hash);
            }
            let mut hashed = hashes.iter().zip(ids);
            hashed.try_for_each(|(hash, id)| table.add(tokens, *hash, *id))?;
        }
        Ok(table)
    }

    fn add(&mut self, tokens: &TokenBytes, hash: u64, id: u32) -> Result<(), Refused> {
        let slots = &mut self.slots[..];
        for (probe, at) in (1..).zip(probes(hash, slots.len(), MAX_PROBES)) {
            let [tag, other] = slots[at];
            if other == NONE {
                slots[at] = [hash as u32, id];
                self.longest = self.longest.max(probe);
                let lowest = &mut self.filter[filter_place(hash)];
                *lowest = (*lowest).min((id >> self.shift) as u8);
                return Ok(());
            }
            if tag == hash as u32 && tokens.get(other) == tokens.get(id) {
                return Err(Refused::Twins(other, id));
            }
        }
        Err(Refused::Full)
    }

    /// Asks for the slot where the search for a hash begins.
    #[inline]
    pub(super) fn prefetch(&self, hash: u64) {
        for at in probes(hash, self.slots.len(), 1) {
            prefetch(&self.slots[at]);
        }
    }

    /// Whether there may be a token of this hash and an id of at most `most`.
    #[inline]
    pub(super) fn may_have(&self, hash: u64, most: u32) -> bool {
        u32::from(self.filter[filter_place(hash)]) <= most >> self.shift
    }

    /// The first token that has this hash, as far as a slot tells, and for which `is_it` holds.
    #[inline]
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let slots = &self.slots[..];
        for at in probes(hash, slots.len(), self.longest) {
            let [tag, id] = slots[at];
            if id == NONE {
                break;
            }
            if tag == hash as u32 && is_it(id) {
                return Some(id);
            }
        }
        None
    }

    /// The kernels' table.
    pub(super) fn ids(&self) -> Vec<u32> {
        self.slots.iter().map(|[_, id]| *id).collect()
    }

    /// The longest probe.
    pub(super) fn longest(&self) -> u32 {
        self.longest
    }
}

/// Place of a hash in the filter.
#[inline]
fn filter_place(hash: u64) -> usize {
    (hash >> (64 - FILTER_BITS)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use barelm_kernels::bpe::table::{insert_bytes, slots_for};

    #[test]
    fn the_table_is_the_one_of_the_kernels() {
        let mut tokens = TokenBytes::with_capacity(0, 0);
        (0..3000_u32).for_each(|i| tokens.push(format!("{}", i * i).as_bytes()));
        let ids: Vec<u32> = (0..3000).rev().collect();
        let slots = slots_for(ids.len());
        let mut want = vec![NONE; slots];
        let insert = |id: &u32| insert_bytes(&mut want, tokens.get(*id), *id).unwrap();
        let longest = ids.iter().map(insert).max();
        let Ok(table) = TokenTable::new(&tokens, &ids, slots) else {
            panic!("these tokens differ")
        };
        assert_eq!(Some(table.longest()), longest);
        assert!(table.ids() == want);
    }

    #[test]
    fn tokens_are_found_by_their_hashes() {
        let mut tokens = TokenBytes::with_capacity(0, 0);
        (0..3000_u32).for_each(|i| tokens.push(format!("{}", i * i).as_bytes()));
        let ids: Vec<u32> = (0..3000).collect();
        let Ok(table) = TokenTable::new(&tokens, &ids, slots_for(ids.len())) else {
            panic!("these tokens differ")
        };
        let find = |text: &str| {
            let is_it = |id| tokens.get(id) == text.as_bytes();
            table.find(token_hash(text.as_bytes()), is_it)
        };
        for id in ids {
            let hash = token_hash(tokens.get(id));
            assert_eq!(find(&format!("{}", id * id)), Some(id));
            assert!(table.may_have(hash, id));
            assert_eq!(find(&format!("{}x", id * id)), None);
        }
        let absent = (0..1000).map(|i| token_hash(format!("x{i}").as_bytes()));
        assert!(absent.filter(|hash| table.may_have(*hash, 2999)).count() < 50);
    }

    #[test]
    fn twins_are_refused_and_full_tables() {
        let mut tokens = TokenBytes::with_capacity(0, 0);
        [&b"a"[..], b"b", b"a"]
            .iter()
            .for_each(|token| tokens.push(token));
        let refused = |ids: &[u32], slots| TokenTable::new(&tokens, ids, slots).err();
        assert!(matches!(refused(&[0, 1, 2], 8), Some(Refused::Twins(0, 2))));
        assert!(matches!(refused(&[0, 1], 1), Some(Refused::Full)));
        assert!(refused(&[0, 1], 2).is_none());
    }
}
