//! Looks up the tokens that a list of merges names.

use super::byte_chars;
use super::flat::FlatTables;
use super::lexicon::PartList;
use crate::parallel;
use barelm_kernels::bpe::TokenizerRef;
use barelm_kernels::bpe::table::{NONE, PairSlot};
use std::collections::HashMap;
use std::ops::Range;

/// Merges that a thread takes at a time.
const CHUNK: usize = 1 << 14;

/// Ids by bytes, special tokens included; where a special and an ordinary token share theirs, that
/// of the ordinary one.
#[derive(Clone)]
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
    pub(super) fn pairs_of_parts(&self, parts: &PartList) -> Result<Vec<PairSlot>, String> {
        self.map(parts, |names, rank, [left, right, whole]| {
            let (left, right) = (names.part(left)?, names.part(right)?);
            Ok([left, right, rank, names.whole(rank, whole)?])
        })
    }

    /// `f` of the rank and the parts of each merge, on all cores.
    fn map<R: Clone + Send>(
        &self,
        parts: &PartList,
        f: impl Fn(&mut Self, u32, [&[u8]; 3]) -> Result<R, String> + Sync,
    ) -> Result<Vec<R>, String> {
        let starts = (0..parts.len()).step_by(CHUNK);
        let ranges = starts.map(|start| start..parts.len().min(start + CHUNK));
        let look_up = |range: Range<usize>| -> Result<Vec<R>, String> {
            let mut names = self.clone();
            let ranked = (range.start as u32..).zip(parts.iter(range));
            ranked
                .map(|(rank, parts)| f(&mut names, rank, parts))
                .collect()
        };
        let found = parallel::map(parallel::default_threads(), ranges.collect(), look_up);
        Ok(found.into_iter().collect::<Result<Vec<_>, _>>()?.concat())
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
    pub(super) fn agree_with_ranks(&self, parts: &PartList) -> Result<(), String> {
        // Length of the left part of each token's pair; none for tokens that no pair gives.
        let mut lefts = vec![NONE; self.flat.tokens.len()];
        for [left, _, _, id] in self.tokenizer.tables().pairs {
            if let Some(len) = lefts.get_mut(*id as usize) {
                *len = self.flat.tokens.get(*left).len() as u32;
            }
        }
        let listed = self.map(parts, |names, rank, [left, right, whole]| {
            let id = names.whole(rank, whole)?;
            if lefts[id as usize] != left.len() as u32 {
                names.part(left).and_then(|_| names.part(right))?;
            }
            Ok((id, left.len() as u32))
        })?;
        for (id, left) in &listed {
            if lefts[*id as usize] == *left {
                lefts[*id as usize] = NONE;
            }
        }
        let in_order = listed.is_sorted_by_key(|(id, _)| *id);
        match in_order && lefts.iter().all(|left| *left == NONE) {
            true => Ok(()),
            false => Err(NOT_BY_RANK.into()),
        }
    }
}

const NOT_BY_RANK: &str = "ignore_merges is not supported where merges are not in the order of \
    ids; choose with --rule which of them counts, bytes or pairs";
