//! Merges tokens' own bytes, to find out which pair makes each of them.
//!
//! Every token of a vocabulary is spelled when its tables are built, which is most of the time
//! that loading takes. Tokens are short: the ranks of all pairs of neighbours stand in an array
//! that is searched for the lowest. Pairs of two bytes, with which all begins, have a table of
//! their own. Tokens are spelled in the order of their lengths, for only pairs that make shorter
//! ones can come up: the table of pairs grows as they are found.

use super::lexicon::TokenBytes;
use crate::parallel;
use barelm_kernels::bpe::table::{NONE, PairSlot};
use barelm_kernels::simd::prefetch;
use std::hash::{BuildHasher, RandomState};

/// Longest token that is spelled here, in bytes: the time grows with the square.
pub(super) const SHORT: usize = 48;
/// Tokens that a thread takes at a time.
const CHUNK: usize = 4096;

/// Tokens that are spelled side by side.
const TOGETHER: usize = 8;
/// Pairs whose slots are asked for before they are added.
const BATCH: usize = 16;

/// What a token is made of so far.
struct Parts {
    ids: [u32; SHORT],
    /// Ranks of the pairs of neighbours.
    ranks: [u32; SHORT],
    len: usize,
}

impl Parts {
    const NONE: Self = Self {
        ids: [NONE; SHORT],
        ranks: [NONE; SHORT],
        len: 0,
    };
}

/// Tokens, and the pairs that make those shorter than the ones to be spelled.
pub(super) struct Speller<'t> {
    tokens: &'t TokenBytes,
    /// Token of each byte, or [`NONE`].
    bytes: &'t [u32],
    /// Token that the pair of each rank makes; none where ranks are the tokens' ids.
    wholes: Option<&'t [u32]>,
    /// Rank of each pair of bytes, at `left * 256 + right`.
    byte_pairs: Vec<u32>,
    pairs: PairMap,
}

impl<'t> Speller<'t> {
    /// A speller that knows no pairs yet.
    pub(super) fn new(tokens: &'t TokenBytes, bytes: &'t [u32], wholes: Option<&'t [u32]>) -> Self {
        Self {
            tokens,
            bytes,
            wholes,
            byte_pairs: vec![NONE; 1 << 16],
            pairs: PairMap::new(tokens.len()),
        }
    }

    /// Adds pairs that make tokens of one length, and their ranks; one that was added before gets
    /// the higher of both ranks, and `false` comes back.
    pub(super) fn add(&mut self, pairs: &[PairSlot]) -> bool {
        let mut distinct = true;
        for pairs in pairs.chunks(BATCH) {
            for [left, right, ..] in pairs {
                self.pairs.prefetch(*left, *right);
            }
            for [left, right, rank, _] in pairs {
                distinct &= self.pairs.insert(*left, *right, *rank);
            }
        }
        if pairs
            .first()
            .is_some_and(|[.., whole]| self.tokens.len_of(*whole) == 2)
        {
            self.rank_byte_pairs(pairs);
        }
        distinct
    }

    /// Notes the ranks of pairs of bytes.
    fn rank_byte_pairs(&mut self, pairs: &[PairSlot]) {
        let token_of = |byte: u8| self.bytes[usize::from(byte)];
        for [left, right, _, whole] in pairs {
            if let [l, r] = *self.tokens.get(*whole)
                && (token_of(l), token_of(r)) == (*left, *right)
            {
                self.byte_pairs[place(l, r)] = self.pairs.get(*left, *right);
            }
        }
    }

    /// Rank of a pair that was added, or [`NONE`].
    pub(super) fn rank(&self, left: u32, right: u32) -> u32 {
        self.pairs.get(left, right)
    }

    /// For each of `ids`, tokens of one length up to [`SHORT`] bytes, the last two parts of it:
    /// the pair of tokens that merging its bytes leads to. None where it leads to more, or to one, or where a
    /// byte has no token.
    pub(super) fn last_pairs(&self, ids: &[u32]) -> Vec<Option<(u32, u32)>> {
        let spell = |ids: &[u32]| -> Vec<_> {
            let mut parts = [const { Parts::NONE }; TOGETHER];
            let mut pairs = Vec::with_capacity(ids.len());
            for ids in ids.chunks(TOGETHER) {
                pairs.extend(self.last_pairs_of(ids, &mut parts));
            }
            pairs
        };
        if ids.len() <= CHUNK {
            return spell(ids);
        }
        let chunks = ids.chunks(CHUNK).collect();
        parallel::map(parallel::default_threads(), chunks, spell).concat()
    }

    /// The last pairs of tokens of one length, which take a step in turn: most of the time is
    /// spent waiting for slots of the table, and the processor waits for several at once.
    fn last_pairs_of<'p>(
        &self,
        ids: &[u32],
        parts: &'p mut [Parts; TOGETHER],
    ) -> impl Iterator<Item = Option<(u32, u32)>> + 'p {
        let parts = &mut parts[..ids.len()];
        for (parts, id) in parts.iter_mut().zip(ids) {
            self.start(parts, self.tokens.get(*id));
        }
        let len = ids.first().map_or(0, |id| self.tokens.len_of(*id));
        for _ in 2..len {
            parts.iter_mut().for_each(|parts| self.merge_lowest(parts));
        }
        parts.iter().map(|parts| match parts.len {
            2 => Some((parts.ids[0], parts.ids[1])),
            _ => None,
        })
    }

    /// A token's bytes; no parts if one has no token.
    #[inline]
    fn start(&self, parts: &mut Parts, token: &[u8]) {
        for (id, byte) in parts.ids.iter_mut().zip(token) {
            *id = self.bytes[usize::from(*byte)];
        }
        for (rank, pair) in parts.ranks.iter_mut().zip(token.windows(2)) {
            *rank = self.byte_pairs[place(pair[0], pair[1])];
        }
        parts.len = match parts.ids[..token.len()].contains(&NONE) {
            true => 0,
            false => token.len(),
        };
    }

    /// Merges the first pair of the lowest rank; leaves no parts if there is none.
    #[inline]
    fn merge_lowest(&self, parts: &mut Parts) {
        let Some(at) = lowest(&parts.ranks[..parts.len.saturating_sub(1)]) else {
            parts.len = 0;
            return;
        };
        let (ids, ranks) = (&mut parts.ids, &mut parts.ranks);
        ids[at] = self.whole(ranks[at]);
        parts.len -= 1;
        let len = parts.len;
        for to in at + 1..len {
            (ids[to], ranks[to]) = (ids[to + 1], ranks[to + 1]);
        }
        for left in at.saturating_sub(1)..(at + 1).min(len - 1) {
            ranks[left] = self.pairs.get(ids[left], ids[left + 1]);
        }
    }

    fn whole(&self, rank: u32) -> u32 {
        self.wholes.map_or(rank, |wholes| wholes[rank as usize])
    }
}

fn place(left: u8, right: u8) -> usize {
    usize::from(left) << 8 | usize::from(right)
}

/// Place of the first lowest rank, if any pair merges.
fn lowest(ranks: &[u32]) -> Option<usize> {
    let mut best = (NONE, 0);
    for (at, rank) in ranks.iter().enumerate() {
        if *rank < best.0 {
            best = (*rank, at);
        }
    }
    (best.0 != NONE).then_some(best.1)
}

/// Ranks of pairs: open addressing, at most seven eighths full, 12 bytes a slot. A filter of one bit
/// a hash stands before it and keeps most pairs that do not merge away from it.
struct PairMap {
    slots: Vec<[u32; 3]>,
    filter: Vec<u64>,
    len: usize,
    /// Another one in each run, so that no file can be made whose pairs collide.
    seed: u64,
}

const EMPTY: [u32; 3] = [NONE; 3];
/// Bits of the filter: 256 kB, which stay in a core's cache.
const FILTER_BITS: u32 = 21;

impl PairMap {
    /// No pairs, and room for a half of `len`.
    fn new(len: usize) -> Self {
        Self {
            slots: vec![EMPTY; (len / 2).next_power_of_two().max(1 << 12)],
            filter: vec![0; 1 << (FILTER_BITS - 6)],
            len: 0,
            seed: RandomState::new().hash_one(0),
        }
    }

    #[inline]
    fn hash(&self, left: u32, right: u32) -> u64 {
        let key = u64::from(left) << 32 | u64::from(right);
        let product = u128::from(key ^ self.seed) * 0x9E37_79B9_7F4A_7C15;
        (product ^ product >> 64) as u64
    }

    /// The slot of a pair, or the empty one where it belongs.
    #[inline]
    fn find(&self, left: u32, right: u32, hash: u64) -> usize {
        let mut at = hash as usize & (self.slots.len() - 1);
        while self.slots[at] != EMPTY && self.slots[at][..2] != [left, right] {
            at = (at + 1) & (self.slots.len() - 1);
        }
        at
    }

    #[inline]
    fn get(&self, left: u32, right: u32) -> u32 {
        let hash = self.hash(left, right);
        let (word, bit) = filter_place(hash);
        match self.filter[word] & bit {
            0 => NONE,
            _ => self.slots[self.find(left, right, hash)][2],
        }
    }

    /// Asks for the slot where the search for a pair begins.
    fn prefetch(&self, left: u32, right: u32) {
        let hash = self.hash(left, right);
        prefetch(&self.slots[hash as usize & (self.slots.len() - 1)]);
    }

    /// Notes the higher of the pair's ranks; returns whether the pair is new.
    fn insert(&mut self, left: u32, right: u32, rank: u32) -> bool {
        if 8 * self.len >= 7 * self.slots.len() {
            self.grow();
        }
        let hash = self.hash(left, right);
        let (word, bit) = filter_place(hash);
        self.filter[word] |= bit;
        let at = self.find(left, right, hash);
        let is_new = self.slots[at] == EMPTY;
        let highest = match is_new {
            true => rank,
            false => rank.max(self.slots[at][2]),
        };
        self.slots[at] = [left, right, highest];
        self.len += usize::from(is_new);
        is_new
    }

    fn grow(&mut self) {
        let larger = vec![EMPTY; 2 * self.slots.len()];
        for slot in std::mem::replace(&mut self.slots, larger) {
            if slot != EMPTY {
                let at = self.find(slot[0], slot[1], self.hash(slot[0], slot[1]));
                self.slots[at] = slot;
            }
        }
    }
}

/// Word and bit of a hash in the filter.
#[inline]
fn filter_place(hash: u64) -> (usize, u64) {
    let place = hash >> (64 - FILTER_BITS);
    ((place >> 6) as usize, 1 << (place & 63))
}
