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
use wide::u32x8;

/// Longest token that is spelled here, in bytes: the time grows with the square.
pub(super) const SHORT: usize = 48;
/// Tokens that a thread takes at a time.
const CHUNK: usize = 1024;

/// Tokens that are spelled side by side.
const LANES: usize = 8;
/// Pairs whose slots are asked for before they are added.
const BATCH: usize = 16;

/// One number a token.
type Lanes = [u32; LANES];

/// What tokens of one length are made of so far: all have as many parts, or have none and are left
/// out in the end. A part that does not exist stands before the first and behind the last one.
struct Parts {
    ids: [Lanes; SHORT + 2],
    /// Ranks of the pairs of neighbours, each at the place of the left one.
    ranks: [Lanes; SHORT + 2],
    len: usize,
    /// Whether a token's bytes merge.
    merges: [bool; LANES],
}

impl Parts {
    const NONE: Self = Self {
        ids: [[NONE; LANES]; SHORT + 2],
        ranks: [[NONE; LANES]; SHORT + 2],
        len: 0,
        merges: [false; LANES],
    };

    /// The first pair of the lowest rank of each token: rank and place.
    #[inline]
    fn lowest(&self) -> (Lanes, Lanes) {
        let (mut lowest, mut at) = (u32x8::splat(NONE), u32x8::ONE);
        for (place, ranks) in (1..).zip(&self.ranks[1..self.len]) {
            let ranks = u32x8::new(*ranks);
            let is_lower = ranks.simd_lt(lowest);
            lowest = is_lower.select(ranks, lowest);
            at = is_lower.select(u32x8::splat(place), at);
        }
        (lowest.to_array(), at.to_array())
    }

    /// Moves what stands behind the right one of two neighbours over it.
    #[inline]
    fn close_up(&mut self, at: &Lanes) {
        let at = u32x8::new(*at);
        for place in 1..=self.len {
            let moves = u32x8::splat(place as u32).simd_gt(at);
            for list in [&mut self.ids, &mut self.ranks] {
                let [here, next] = [place, place + 1].map(|at| u32x8::new(list[at]));
                list[place] = moves.select(next, here).to_array();
            }
        }
        self.len -= 1;
    }
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
                self.pairs.prefetch(self.pairs.hash(*left, *right));
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
            let mut parts = Parts::NONE;
            let mut pairs = Vec::with_capacity(ids.len());
            for ids in ids.chunks(LANES) {
                self.spell(ids, &mut parts);
                let last = (0..ids.len()).map(|lane| [1, 2].map(|at| parts.ids[at][lane]));
                let last = last.zip(parts.merges);
                pairs.extend(last.map(|([left, right], merges)| merges.then_some((left, right))));
            }
            pairs
        };
        if ids.len() <= CHUNK {
            return spell(ids);
        }
        let chunks = ids.chunks(CHUNK).collect();
        parallel::map(parallel::default_threads(), chunks, spell).concat()
    }

    /// Merges the bytes of tokens of one length down to two parts. All take a step at a time, for
    /// most of the time is spent waiting for slots of the table.
    fn spell(&self, ids: &[u32], parts: &mut Parts) {
        parts.merges = [false; LANES];
        for (lane, id) in ids.iter().enumerate() {
            self.start(parts, lane, self.tokens.get(*id));
        }
        for _ in 2..parts.len {
            self.merge_lowest(parts);
        }
    }

    /// A token's bytes.
    #[inline]
    fn start(&self, parts: &mut Parts, lane: usize, token: &[u8]) {
        let mut all_exist = token.len() > 1;
        for (ids, byte) in parts.ids[1..].iter_mut().zip(token) {
            ids[lane] = self.bytes[usize::from(*byte)];
            all_exist &= ids[lane] != NONE;
        }
        parts.ids[token.len() + 1][lane] = NONE;
        for (ranks, pair) in parts.ranks[1..].iter_mut().zip(token.windows(2)) {
            ranks[lane] = self.byte_pairs[place(pair[0], pair[1])];
        }
        (parts.len, parts.merges[lane]) = (token.len(), all_exist);
    }

    /// Merges the first pair of the lowest rank of each token.
    #[inline]
    fn merge_lowest(&self, parts: &mut Parts) {
        let (lowest, at) = parts.lowest();
        parts.close_up(&at);
        let mut pairs = [[NONE; 2]; 2 * LANES];
        for (lane, pairs) in pairs.chunks_exact_mut(2).enumerate() {
            let at = at[lane] as usize;
            let whole = self.whole(lowest[lane]);
            parts.merges[lane] &= whole != NONE;
            parts.ids[at][lane] = whole;
            let [left, right] = [at - 1, at + 1].map(|at| parts.ids[at][lane]);
            (pairs[0], pairs[1]) = ([left, whole], [whole, right]);
        }
        let ranks = self.pairs.get_all(&pairs);
        for (lane, ranks) in ranks.chunks_exact(2).enumerate() {
            let at = at[lane] as usize;
            (parts.ranks[at - 1][lane], parts.ranks[at][lane]) = (ranks[0], ranks[1]);
        }
    }

    fn whole(&self, rank: u32) -> u32 {
        match self.wholes {
            None => rank,
            Some(wholes) => wholes.get(rank as usize).copied().unwrap_or(NONE),
        }
    }
}

fn place(left: u8, right: u8) -> usize {
    usize::from(left) << 8 | usize::from(right)
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

    /// [`PairMap::get`] of many pairs: the filter decides about each without a branch, and the slots
    /// of those it lets through are asked for together.
    #[inline]
    fn get_all<const N: usize>(&self, pairs: &[[u32; 2]; N]) -> [u32; N] {
        let hashes = pairs.map(|[left, right]| self.hash(left, right));
        let (mut passed, mut count) = ([0; N], 0);
        for (pair, hash) in hashes.iter().enumerate() {
            let (word, bit) = filter_place(*hash);
            passed[count] = pair;
            count += usize::from(self.filter[word] & bit != 0);
        }
        for pair in &passed[..count] {
            self.prefetch(hashes[*pair]);
        }
        let mut ranks = [NONE; N];
        for pair in &passed[..count] {
            let [left, right] = pairs[*pair];
            ranks[*pair] = self.slots[self.find(left, right, hashes[*pair])][2];
        }
        ranks
    }

    /// Asks for the slot where the search for a hash begins.
    fn prefetch(&self, hash: u64) {
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
