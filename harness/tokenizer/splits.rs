//! Whether listed pairs are those that make the tokens, seen without merging.
//!
//! A token's pair, the last two parts of its own bytes' encoding, splits it where no merge crosses.
//! Each part was made by a pair of its own, and so on down to bytes. Whether a merge crosses a split
//! is seen by going back in time: of the two tokens that meet there, the one that was made later is
//! replaced by that part of it which touches the split, and the two that meet now must not have
//! merged by then. At most one split of a token can hold, for it has one encoding. The pair of two
//! neighbours is found in the table of tokens, by the bytes of both: no table of pairs is needed.
//!
//! A split is judged by how shorter tokens are made. So each listed pair is first taken for the right
//! one, and all are looked at, on all cores: if each holds where the others do, all do. Only if one
//! does not, tokens are gone through in the order of their lengths.
//!
//! Going back in time needs tokens that come after their parts, as those of all trained vocabularies
//! do; others are merged byte by byte, by the [speller](super::speller).

use super::lexicon::TokenBytes;
use super::merges::Mergeable;
use super::speller::SHORT;
use super::token_table::TokenTable;
use crate::huge::HugeSlice;
use crate::parallel;
use barelm_kernels::bpe::table::{HashedParts, NONE, PairSlot};
use barelm_kernels::simd::prefetch;
use bytemuck::{Pod, Zeroable};

/// Tokens whose memory is asked for before they are looked at.
const BATCH: usize = 16;

/// Tokens that a thread takes at a time.
const CHUNK: usize = 1 << 14;

/// How a token is made.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Made {
    /// When: 0 for a byte, one more than their id for others; [`NEVER`] for those that are not.
    time: u32,
    left: u32,
    right: u32,
    len: u32,
}

const _: () = assert!(SHORT <= HashedParts::MOST);

const NEVER: u32 = NONE;
const NOT: Made = Made {
    time: NEVER,
    left: NONE,
    right: NONE,
    len: 0,
};

/// A token that comes before one of its parts.
#[derive(Debug)]
pub(super) struct Disorder;

/// What pairs do that are not listed.
#[derive(Clone, Copy)]
pub(super) enum Others {
    /// Nothing.
    DoNotMerge,
    /// They merge where their bytes are a token's.
    ByBytes,
}

/// The pairs of tokens that merge in the order of their ids.
pub(super) struct Splits<'t> {
    tokens: &'t TokenBytes,
    table: &'t TokenTable,
    made: HugeSlice<Made>,
    all_listed: bool,
}

impl<'t> Splits<'t> {
    /// Finds the pairs of short tokens among `listed`: one for each token at most, the last one that
    /// is listed.
    pub(super) fn new(
        all: Mergeable<'t>,
        listed: &[PairSlot],
        others: Others,
    ) -> Result<Self, Disorder> {
        let mut splits = Self {
            tokens: all.tokens,
            table: all.table,
            made: HugeSlice::filled(all.tokens.len(), NOT),
            all_listed: true,
        };
        for [left, right, _, whole] in listed {
            let made = &mut splits.made[*whole as usize];
            (made.left, made.right) = (*left, *right);
        }
        for id in all.bytes.iter().filter(|id| **id != NONE) {
            let (time, len) = (0, 1);
            #[rustfmt::skip]
            let byte = Made { time, len, ..NOT };
            splits.made[*id as usize] = byte;
        }
        let short = || all.ids.groups().skip(2);
        short().for_each(|group| splits.believe(group));
        let chunks = short().flat_map(|group| group.chunks(CHUNK)).collect();
        let as_listed = |ids: &[u32]| splits.are_as_listed(ids, others);
        let found = parallel::map(parallel::default_threads(), chunks, as_listed);
        splits.all_listed = !found.contains(&false);
        if !splits.all_listed {
            for ids in short().flat_map(|group| group.chunks(BATCH)) {
                splits.prefetch(ids);
                ids.iter().try_for_each(|id| splits.make(*id, others))?;
            }
        }
        Ok(splits)
    }

    /// Whether each token's pair is the one that was listed for it.
    pub(super) fn are_all_listed(&self) -> bool {
        self.all_listed
    }

    /// Takes the listed pairs of these tokens for those that make them.
    fn believe(&mut self, ids: &[u32]) {
        for id in ids {
            let len = self.tokens.len_of(*id) as u32;
            let made = &mut self.made[*id as usize];
            if made.left != NONE {
                (made.time, made.len) = (id + 1, len);
            }
        }
    }

    /// Whether these tokens are made of their listed pairs, and of no pair if none is listed, as far
    /// as that holds for all shorter ones.
    fn are_as_listed(&self, ids: &[u32], others: Others) -> bool {
        let is_as_listed = |id: &u32| {
            let token = self.tokens.get(*id);
            let parts = HashedParts::new(token);
            match (self.pair(*id), others) {
                (Some(pair), _) => self.holds(&parts, pair) && self.comes_after(*id, pair),
                (None, Others::DoNotMerge) => true,
                (None, Others::ByBytes) => self.find(token, &parts).is_none(),
            }
        };
        ids.chunks(BATCH).all(|ids| {
            self.prefetch(ids);
            ids.iter().all(is_as_listed)
        })
    }

    /// The two tokens that make a short one.
    pub(super) fn pair(&self, id: u32) -> Option<(u32, u32)> {
        let made = &self.made[id as usize];
        (made.left != NONE).then_some((made.left, made.right))
    }

    /// Whether merging a short token's bytes leads to it.
    pub(super) fn is_made(&self, id: u32) -> bool {
        self.made[id as usize].time != NEVER
    }

    /// Asks for what tokens are made of.
    fn prefetch(&self, ids: &[u32]) {
        for id in ids {
            let Made { left, right, .. } = self.made[*id as usize];
            for part in [left, right] {
                self.made.get(part as usize).into_iter().for_each(prefetch);
            }
        }
    }

    /// Finds out how a token is made; all shorter ones are known.
    fn make(&mut self, id: u32, others: Others) -> Result<(), Disorder> {
        let token = self.tokens.get(id);
        let parts = HashedParts::new(token);
        let listed = self.pair(id).filter(|pair| self.holds(&parts, *pair));
        let found = listed.or_else(|| match others {
            Others::DoNotMerge => None,
            Others::ByBytes => self.find(token, &parts),
        });
        let Some((left, right)) = found else {
            self.made[id as usize] = NOT;
            return Ok(());
        };
        let (time, len) = (id + 1, token.len() as u32);
        #[rustfmt::skip]
        let made = Made { time, left, right, len };
        self.made[id as usize] = made;
        match self.comes_after(id, (left, right)) {
            true => Ok(()),
            false => Err(Disorder),
        }
    }

    /// Whether a token comes after its parts.
    fn comes_after(&self, id: u32, (left, right): (u32, u32)) -> bool {
        let time = |id: u32| self.made[id as usize].time;
        time(left).max(time(right)) <= id
    }

    /// The split of a token that holds.
    fn find(&self, token: &[u8], parts: &HashedParts) -> Option<(u32, u32)> {
        let id = |start, len| {
            let is_it = |id| self.tokens.get(id) == &token[start..start + len];
            self.table.find(parts.hash(start, len), is_it)
        };
        let split = |at| Some((id(0, at)?, id(at, token.len() - at)?));
        let mut splits = (1..token.len()).filter_map(split);
        splits.find(|pair| self.holds(parts, *pair))
    }

    /// Whether two tokens are made and no merge crosses the place where they meet.
    fn holds(&self, parts: &HashedParts, (mut left, mut right): (u32, u32)) -> bool {
        let made = |id: u32| self.made[id as usize];
        let (mut l, mut r) = (made(left), made(right));
        let at = l.len;
        // When the token on either side becomes a part of another.
        let (mut left_end, mut right_end) = (NEVER, NEVER);
        loop {
            if l.time.max(r.time) == NEVER {
                return false;
            }
            if l.time > r.time {
                (left_end, left) = (l.time, l.right);
                l = made(left);
            } else if r.time > 0 {
                (right_end, right) = (r.time, r.left);
                r = made(right);
            } else {
                return true;
            }
            // Of merges of one pair the first comes first: the one on the left, then this one.
            let is_before = |id: u32| id + 1 < left_end && id < right_end;
            let is_pair = |id: u32| (made(id).left, made(id).right) == (left, right);
            let hash = parts.hash((at - l.len) as usize, (l.len + r.len) as usize);
            let crosses = |id| is_before(id) && is_pair(id);
            if self.table.may_have(hash, left_end.min(right_end))
                && self.table.find(hash, crosses).is_some()
            {
                return false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::rng::Rng;
    use crate::tokenizer::merges::{ByLength, agree, pairs_from_listed, spelled_pairs};
    use std::collections::HashMap;

    /// Tokens over few letters, mostly two earlier ones together, in any order if `mixed`.
    fn vocabulary(rng: &mut Rng, mixed: bool) -> TokenBytes {
        let mut list = vec![b"a".to_vec(), b"b".to_vec(), b"c".to_vec()];
        while list.len() < 60 {
            let mut part = || list[rng.below(list.len() as u64) as usize].clone();
            let token = [part(), part()].concat();
            if token.len() <= 20 && !list.contains(&token) && rng.below(8) > 0 {
                list.push(token);
            }
        }
        for at in 0..if mixed { list.len() } else { 0 } {
            list.swap(at, rng.below(60) as usize);
        }
        let mut tokens = TokenBytes::with_capacity(0, 0);
        list.iter().for_each(|token| tokens.push(token));
        tokens
    }

    /// One pair of each of most tokens, not always that of its encoding.
    fn some_pairs(rng: &mut Rng, by_bytes: &HashMap<&[u8], u32>) -> Vec<PairSlot> {
        let mut pairs = Vec::new();
        for (token, id) in by_bytes {
            let ids = |at| Some((by_bytes.get(&token[..at])?, by_bytes.get(&token[at..])?));
            let splits: Vec<_> = (1..token.len()).filter_map(ids).collect();
            if !splits.is_empty() && rng.below(8) > 0 {
                let (left, right) = splits[rng.below(splits.len() as u64) as usize];
                pairs.push([*left, *right, *id, *id]);
            }
        }
        pairs.sort_unstable_by_key(|[.., id]| *id);
        pairs
    }

    /// Merges the first pair of the lowest rank until there is none.
    fn merged(mut ids: Vec<u32>, pairs: &[PairSlot]) -> Vec<u32> {
        let by_ids: HashMap<_, _> = pairs.iter().map(|[l, r, _, id]| ([*l, *r], *id)).collect();
        loop {
            let whole = |at: usize| Some((*by_ids.get(&ids[at..at + 2])?, at));
            let Some((id, at)) = (1..ids.len()).filter_map(|at| whole(at - 1)).min() else {
                return ids;
            };
            ids.splice(at..at + 2, [id]);
        }
    }

    #[test]
    fn splits_are_what_merging_leads_to() {
        let mut rng = Rng::new(1);
        let (mut in_order, mut all_listed) = (0, 0);
        for round in 0..600 {
            let tokens = vocabulary(&mut rng, round % 3 == 0);
            let by_bytes: HashMap<_, _> = tokens.iter().map(|(id, t)| (t, id)).collect();
            let mut bytes = vec![NONE; 256];
            for letter in b"abc" {
                bytes[usize::from(*letter)] = by_bytes[&[*letter][..]];
            }
            let ids: Vec<u32> = (0..tokens.len() as u32).collect();
            let table = TokenTable::new(&tokens, &ids, 256).unwrap_or_else(|_| panic!());
            let ids = &ByLength::tokens(&tokens, &ids);
            #[rustfmt::skip]
            let all = Mergeable { tokens: &tokens, table: &table, bytes: &bytes, ids };
            let spelled = spelled_pairs(&tokens, &bytes, ids);
            let listed = match round % 4 {
                0 => {
                    let mut pairs = spelled.clone();
                    pairs.sort_unstable_by_key(|[.., id]| *id);
                    pairs
                }
                _ => some_pairs(&mut rng, &by_bytes),
            };
            let (pairs, are_listed) = pairs_from_listed(all, &listed);
            assert!(pairs == spelled && (!are_listed || agree(&listed, &pairs).is_ok()));
            all_listed += u32::from(are_listed);
            let Ok(splits) = Splits::new(all, &listed, Others::DoNotMerge) else {
                continue;
            };
            in_order += 1;
            for (id, token) in tokens.iter() {
                let start = token.iter().map(|byte| bytes[usize::from(*byte)]);
                let is_made = merged(start.collect(), &listed) == [id];
                assert_eq!(splits.is_made(id), is_made, "{token:?}");
            }
        }
        assert!((300..590).contains(&in_order), "{in_order}");
        assert!((50..400).contains(&all_listed), "{all_listed}");
    }
}
