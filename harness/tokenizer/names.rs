//! Looks up the tokens that a list of merges names.

use super::byte_chars;
use super::flat::FlatTables;
use super::lexicon::PartList;
use super::token_table::TokenTable;
use crate::huge::HugeSlice;
use crate::parallel;
use barelm_kernels::bpe::table::{PairSlot, token_hash};
use std::collections::HashMap;

/// Merges that a thread takes at a time.
const CHUNK: usize = 1 << 14;

/// Merges whose slots are asked for at a time.
const BATCH: usize = 16;

/// Ids by bytes, special tokens included; where a special and an ordinary token share theirs, that
/// of the ordinary one.
#[derive(Clone)]
pub(super) struct Names<'t> {
    flat: &'t FlatTables,
    table: &'t TokenTable,
    specials: HashMap<&'t [u8], u32>,
    /// What the merge before gave: the next one mostly gives the same token or the next.
    last: u32,
}

impl<'t> Names<'t> {
    pub(super) fn new(
        flat: &'t FlatTables,
        table: &'t TokenTable,
        specials: &'t [(String, u32)],
    ) -> Self {
        let entry = |(name, id): &'t (String, u32)| (name.as_bytes(), *id);
        Self {
            flat,
            table,
            specials: specials.iter().map(entry).collect(),
            last: 0,
        }
    }

    fn id(&self, bytes: &[u8], hash: u64) -> Option<u32> {
        let is_it = |id| self.flat.tokens.get(id) == bytes;
        let ordinary = self.table.find(hash, is_it);
        ordinary.or_else(|| self.specials.get(bytes).copied())
    }

    /// Merges that are given as ids.
    pub(super) fn pairs_of_ids(
        &mut self,
        merges: &[(u32, u32)],
    ) -> Result<HugeSlice<PairSlot>, String> {
        let mut pairs = HugeSlice::zeroed(merges.len());
        let mut whole = Vec::new();
        for ((rank, (left, right)), pair) in (0u32..).zip(merges).zip(&mut pairs[..]) {
            whole.clear();
            for part in [*left, *right] {
                let token = self.flat.tokens.get(part);
                if token.is_empty() {
                    return Err(format!("a merge names token {part}, which does not exist"));
                }
                whole.extend_from_slice(token);
            }
            *pair = [*left, *right, rank, self.whole(rank, &whole)?];
        }
        Ok(pairs)
    }

    /// Merges that are given as bytes; looked up on all cores.
    pub(super) fn pairs_of_parts(&self, parts: &PartList) -> Result<HugeSlice<PairSlot>, String> {
        let starts = (0..parts.len()).step_by(CHUNK);
        let mut pairs = HugeSlice::zeroed(parts.len());
        let look_up = |(start, pairs): (usize, &mut [PairSlot])| -> Result<(), String> {
            let mut names = self.clone();
            let mut batches = (start..).step_by(BATCH).zip(pairs.chunks_mut(BATCH));
            batches.try_for_each(|(start, pairs)| names.look_up(parts, start, pairs))
        };
        let chunks = starts.zip(pairs.chunks_mut(CHUNK)).collect();
        let found = parallel::map(parallel::default_threads(), chunks, look_up);
        found.into_iter().collect::<Result<(), _>>()?;
        Ok(pairs)
    }

    /// A few merges from `start` on: their slots are asked for before the first is looked at.
    fn look_up(
        &mut self,
        parts: &PartList,
        start: usize,
        pairs: &mut [PairSlot],
    ) -> Result<(), String> {
        let range = start..start + pairs.len();
        let mut hashes = [[0; 2]; BATCH];
        for (hashes, [left, right, _]) in hashes.iter_mut().zip(parts.iter(range.clone())) {
            *hashes = [token_hash(left), token_hash(right)];
            hashes.iter().for_each(|hash| self.table.prefetch(*hash));
        }
        let ranked = (start as u32..).zip(parts.iter(range));
        for ((pair, (rank, [left, right, whole])), hashes) in
            pairs.iter_mut().zip(ranked).zip(hashes)
        {
            let (left, right) = (self.part(left, hashes[0])?, self.part(right, hashes[1])?);
            *pair = [left, right, rank, self.whole(rank, whole)?];
        }
        Ok(())
    }

    fn part(&self, part: &[u8], hash: u64) -> Result<u32, String> {
        self.id(part, hash).ok_or_else(|| {
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
        let id = guess
            .clone()
            .find(is_it)
            .or_else(|| self.id(whole, token_hash(whole)));
        self.last = id.ok_or_else(|| {
            let token = String::from_utf8_lossy(whole);
            format!("merge {rank} gives {token:?}, which is no token")
        })?;
        Ok(self.last)
    }
}
