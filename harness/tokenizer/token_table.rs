//! Builds the kernels' table of bytes.
//!
//! A part of each hash stands beside the id meanwhile, so that tokens of equal bytes are noticed
//! and others need not be compared, which would fetch their bytes from all over the vocabulary.

use super::lexicon::TokenBytes;
use barelm_kernels::bpe::table::{MAX_PROBES, NONE, probes, token_hash};

/// Open addressing; a slot is the lower half of a token's hash and its id.
pub(super) struct TokenTable {
    slots: Vec<[u32; 2]>,
    longest: u32,
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
            slots: vec![[NONE; 2]; slots],
            longest: 1,
        };
        ids.iter().try_for_each(|id| table.add(tokens, *id))?;
        Ok(table)
    }

    fn add(&mut self, tokens: &TokenBytes, id: u32) -> Result<(), Refused> {
        let token = tokens.get(id);
        let hash = token_hash(token);
        for (probe, at) in (1..).zip(probes(hash, self.slots.len(), MAX_PROBES)) {
            let [tag, other] = self.slots[at];
            if other == NONE {
                self.slots[at] = [hash as u32, id];
                self.longest = self.longest.max(probe);
                return Ok(());
            }
            if tag == hash as u32 && tokens.get(other) == token {
                return Err(Refused::Twins(other, id));
            }
        }
        Err(Refused::Full)
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
