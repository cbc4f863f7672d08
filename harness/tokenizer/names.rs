//! Looks up the tokens that a list of merges names.

use super::byte_chars;
use super::flat::FlatTables;
use super::lexicon::PartList;
use barelm_kernels::bpe::TokenizerRef;
use barelm_kernels::bpe::table::{NONE, PairSlot};
use std::collections::HashMap;

/// Ids by bytes, special tokens included; where a special and an ordinary token share theirs, that
/// of the ordinary one.
pub(super) struct Names<'t> {
    flat: &'t FlatTables,
    tokenizer: TokenizerRef<'t>,
    specials: HashMap<&'t [u8], u32>,
    /// What the merge before gave: the next one mostly gives the same token or the next.
    last: u32,
}

impl<'t> Names<'t> {
    pub(super) fn new(flat: &'t FlatTables, specials: &'t [(String, u32)]) -> Self {
        let entry = |(name, id): &'t (String, u32)| (name.as_bytes(), *id);
        Self {
            flat,
            tokenizer: flat.tokenizer(),
            specials: specials.iter().map(entry).collect(),
            last: 0,
        }
    }

    fn id(&self, bytes: &[u8]) -> Option<u32> {
        let ordinary = self.tokenizer.token_id(bytes);
        ordinary.or_else(|| self.specials.get(bytes).copied())
    }

    /// Merges that are given as ids.
    pub(super) fn pairs_of_ids(&mut self, merges: &[(u32, u32)]) -> Result<Vec<PairSlot>, String> {
        let mut pairs = Vec::with_capacity(merges.len());
        let mut whole = Vec::new();
        for (rank, (left, right)) in (0u32..).zip(merges) {
            whole.clear();
            for part in [*left, *right] {
                let token = self.flat.tokens.get(part);
                if token.is_empty() {
                    return Err(format!("a merge names token {part}, which does not exist"));
                }
                whole.extend_from_slice(token);
            }
            pairs.push([*left, *right, rank, self.whole(rank, &whole)?]);
        }
        Ok(pairs)
    }

    /// Merges that are given as bytes.
    pub(super) fn pairs_of_parts(&mut self, parts: &PartList) -> Result<Vec<PairSlot>, String> {
        let mut pairs = Vec::with_capacity(parts.ends.len());
        for (rank, (left, right, whole)) in (0u32..).zip(parts.iter()) {
            let (left, right) = (self.part(left)?, self.part(right)?);
            pairs.push([left, right, rank, self.whole(rank, whole)?]);
        }
        Ok(pairs)
    }

    fn part(&self, part: &[u8]) -> Result<u32, String> {
        self.id(part).ok_or_else(|| {
            let name = byte_chars::to_text(part);
            format!("a merge names {name:?}, which is no token")
        })
    }

    /// What a merge gives.
    fn whole(&mut self, rank: u32, whole: &[u8]) -> Result<u32, String> {
        let guess = [self.last, self.last.saturating_add(1)].into_iter();
        let is_it = |id: &u32| {
            let special = self.flat.specials.binary_search(id).is_ok();
            self.flat.tokens.get(*id) == whole && !special && !whole.is_empty()
        };
        let id = guess.clone().find(is_it).or_else(|| self.id(whole));
        self.last = id.ok_or_else(|| {
            let token = String::from_utf8_lossy(whole);
            format!("merge {rank} gives {token:?}, which is no token")
        })?;
        Ok(self.last)
    }

    /// Whether merging by listed pairs, in their order, is merging by the rank of bytes: each pair
    /// that the ids lead to is listed, and what the pairs give is in the order of ids.
    pub(super) fn agree_with_ranks(&mut self, parts: &PartList) -> Result<(), String> {
        // Length of the left part of each token's pair; none for tokens that no pair gives.
        let mut lefts = vec![NONE; self.flat.tokens.len()];
        for [left, _, _, id] in self.tokenizer.tables().pairs {
            if let Some(len) = lefts.get_mut(*id as usize) {
                *len = self.flat.tokens.get(*left).len() as u32;
            }
        }
        let mut before = 0;
        for (rank, (left, right, whole)) in (0u32..).zip(parts.iter()) {
            let id = self.whole(rank, whole)?;
            if lefts[id as usize] == left.len() as u32 {
                lefts[id as usize] = NONE;
            } else {
                self.part(left).and_then(|_| self.part(right))?;
            }
            if id < before {
                return Err(NOT_BY_RANK.into());
            }
            before = id;
        }
        match lefts.iter().all(|left| *left == NONE) {
            true => Ok(()),
            false => Err(NOT_BY_RANK.into()),
        }
    }
}

const NOT_BY_RANK: &str = "ignore_merges is not supported where merges are not in the order of \
    ids; choose with --rule which of them counts, bytes or pairs";
