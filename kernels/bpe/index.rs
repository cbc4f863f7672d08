//! A table of pairs for an encoder that asks it millions of times.
//!
//! The table of a file is made to be read where it lies. What a long text asks of it, mostly in
//! vain, does not fit a core's cache. This index holds the same pairs in half the room: eight
//! bytes a slot, `left + 1 (21 bits) | right (21) | rank + 1 (22)`, four slots a bucket, and a bucket that
//! is not full ends a search. All four are compared without a branch, since no processor could
//! foresee which of them matches. Pairs of single bytes, which every piece begins with, have a
//! table of their own, by the two bytes. The merged token is found from the rank, once a merge:
//! it is the rank itself where ranks are those of bytes.

use super::merge::Merges;
use super::ranks::{ID_BITS, NO_RANK, RANK_BITS, Ranks, pack, rank_of};
use super::table::{NONE, PairSlot};
use super::window::{MOST, WINDOW};
use super::{MergeRule, TokenizerRef};
use crate::simd::prefetch;

const RANK_MASK: u64 = (1 << RANK_BITS) - 1;
/// An empty slot. Memory that is new and was never written costs nothing to read as zeros.
const EMPTY: u64 = 0;
const SLOTS: usize = 4;
const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;
/// Slots of a file that are looked at before their pairs are added.
const GATHERED: usize = 8 * MOST;
/// Words for the ranks of pairs of bytes, two a word.
const BYTE_PAIRS: usize = 256 * 256 / 2;

/// The pairs of a tokenizer, in a buffer of the caller's.
///
/// # Example
/// ```
/// use barelm_kernels::bpe::{PairIndex, TokenizerRef};
/// fn encode(tokenizer: &TokenizerRef<'_>, words: &mut [u64], piece: &[u8], ids: &mut [u32]) -> Option<usize> {
///     if !PairIndex::build(tokenizer, words) {
///         return tokenizer.encode_piece_into(piece, ids, &mut [0; 4096]).ok();
///     }
///     let index = PairIndex::new(tokenizer, words)?;
///     tokenizer.encode_piece_with(&index, piece, ids, &mut [0; 4096]).ok()
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct PairIndex<'a> {
    buckets: &'a [[u64; SLOTS]],
    /// Packed ranks of pairs of bytes.
    byte_pairs: &'a [u32; 2 * BYTE_PAIRS],
    /// One more than the merged token, by rank; empty where ranks are tokens.
    merged: &'a [u32],
    /// Tokens of the bytes.
    letters: &'a [u32; 256],
}

/// A pair as one number, never 0.
#[inline]
const fn key(left: u32, right: u32) -> u64 {
    (left as u64 + 1) << ID_BITS | right as u64
}

/// The upper bits of a hash of the key, as a bucket of `buckets` (a power of two).
#[inline]
const fn home(key: u64, buckets: usize) -> usize {
    (key.wrapping_mul(MULTIPLIER) >> 32) as usize & buckets.wrapping_sub(1)
}

/// Words for the slots, and for a merged token of each rank, two a word.
const fn layout(tokenizer: &TokenizerRef<'_>) -> [usize; 2] {
    let (slots, vocab) = (tokenizer.tables().pairs.len(), tokenizer.vocab_size());
    let ranks = if slots > vocab { slots } else { vocab };
    [if slots > SLOTS { slots } else { SLOTS }, ranks.div_ceil(2)]
}

/// The packed rank of a pair: above [`POSITION_BITS`] zeros, or [`NO_RANK`].
#[inline]
fn rank(buckets: &[[u64; SLOTS]], left: u32, right: u32) -> u32 {
    let key = key(left, right);
    let first = home(key, buckets.len());
    for step in 0..buckets.len() {
        let at = (first + step) & buckets.len().wrapping_sub(1);
        let Some(bucket) = buckets.get(at) else {
            break;
        };
        // What is left of the slot of the pair is the rank alone, of all others more than that.
        let others = bucket.iter().map(|slot| slot ^ key << RANK_BITS);
        let least = others.fold(u64::MAX, u64::min);
        let is_found = least <= RANK_MASK;
        if is_found | (bucket[SLOTS - 1] == EMPTY) {
            return if is_found {
                pack(least.wrapping_sub(1))
            } else {
                NO_RANK
            };
        }
    }
    NO_RANK
}

/// The token that the pair of a rank merges to.
#[inline]
fn merged(merged: &[u32], rank: u32) -> u32 {
    merged
        .get(rank as usize)
        .map_or(rank, |id| id.wrapping_sub(1))
}

impl<'a> PairIndex<'a> {
    /// Pieces that [`TokenizerRef::encode_short_pieces_with`] takes at once: 8, or 1 on 32-bit machines
    /// without vectors.
    pub const AT_ONCE: usize = MOST;
    /// Bytes of a short piece: 64, or 32 on 32-bit machines without vectors, whose stack is small.
    pub const SHORT: usize = WINDOW;

    /// Words of the buffer for a tokenizer.
    pub const fn words(tokenizer: &TokenizerRef<'_>) -> usize {
        let [buckets, merged] = layout(tokenizer);
        buckets + BYTE_PAIRS + merged
    }

    /// Fills a buffer of [`PairIndex::words`] words, all zero before; the time is that of reading the table of pairs.
    ///
    /// Returns whether the index can stand for the tokenizer's tables. It cannot if there are more
    /// than two million tokens, if a byte has no token, or if some token's bytes do not merge to
    /// it under [`MergeRule::BytesRank`] (a piece would have to be looked up as a whole first).
    pub fn build(tokenizer: &TokenizerRef<'_>, words: &mut [u64]) -> bool {
        Builder::new(tokenizer, words).is_some_and(|builder| builder.fill())
    }

    /// The index of a tokenizer in a buffer that [`PairIndex::build`] filled for it; `None` if
    /// the buffer has another length. Other content gives wrong ids, and does no other harm.
    pub fn new(tokenizer: &TokenizerRef<'a>, words: &'a [u64]) -> Option<Self> {
        let (pairs, rest) = words.split_at_checked(layout(tokenizer)[0])?;
        let (byte_pairs, merged) = rest.split_at_checked(BYTE_PAIRS)?;
        let ranks_are_ids = tokenizer.rule() == MergeRule::BytesRank;
        Some(Self {
            buckets: pairs.as_chunks().0,
            byte_pairs: bytemuck::cast_slice(byte_pairs).first_chunk()?,
            merged: if ranks_are_ids {
                &[]
            } else {
                bytemuck::cast_slice(merged)
            },
            letters: tokenizer.tables().bytes.first_chunk()?,
        })
    }
}

impl Ranks for PairIndex<'_> {
    #[inline]
    fn letter(&self, byte: u8) -> u32 {
        self.letters[usize::from(byte)]
    }

    #[inline]
    fn rank_of_bytes(&self, left: u8, right: u8) -> u32 {
        self.byte_pairs[usize::from(left) << 8 | usize::from(right)]
    }

    #[inline]
    fn rank(&self, left: u32, right: u32) -> u32 {
        rank(self.buckets, left, right)
    }

    #[inline]
    fn prefetch(&self, left: u32, right: u32) {
        let at = home(key(left, right), self.buckets.len());
        if let Some(bucket) = self.buckets.get(at) {
            prefetch(bucket);
        }
    }

    #[inline]
    fn merged(&self, _: [u32; 2], packed: u32) -> u32 {
        merged(self.merged, rank_of(packed))
    }
}

impl Merges for PairIndex<'_> {
    #[inline]
    fn get(&self, left: u32, right: u32) -> (u32, u32) {
        match self.rank(left, right) {
            NO_RANK => (NONE, NONE),
            packed => (rank_of(packed), merged(self.merged, rank_of(packed))),
        }
    }
}

struct Builder<'t, 'w> {
    tokenizer: &'t TokenizerRef<'t>,
    buckets: &'w mut [[u64; SLOTS]],
    byte_pairs: &'w mut [u32],
    /// One more than the merged token, by rank; 0 for a rank that no pair has.
    merged: &'w mut [u32],
    used: usize,
}

impl<'t, 'w> Builder<'t, 'w> {
    fn new(tokenizer: &'t TokenizerRef<'t>, words: &'w mut [u64]) -> Option<Self> {
        let words = words.get_mut(..PairIndex::words(tokenizer))?;
        let (pairs, rest) = words.split_at_mut_checked(layout(tokenizer)[0])?;
        let (byte_pairs, merged) = rest.split_at_mut_checked(BYTE_PAIRS)?;
        Some(Self {
            tokenizer,
            buckets: pairs.as_chunks_mut().0,
            byte_pairs: bytemuck::cast_slice_mut(byte_pairs),
            merged: bytemuck::cast_slice_mut(merged),
            used: 0,
        })
    }

    fn fill(mut self) -> bool {
        let tables = self.tokenizer.tables();
        let vocab = self.tokenizer.vocab_size();
        let fits = vocab < (1 << ID_BITS) - 1 && vocab <= self.merged.len();
        if !fits || tables.bytes.contains(&NONE) {
            return false;
        }
        for slots in tables.pairs.chunks(GATHERED) {
            if !self.add_used(slots) {
                return false;
            }
        }
        self.rank_pairs_of_bytes();
        self.tokenizer.rule() == MergeRule::PairRank || self.every_token_merges()
    }

    /// Adds the pairs in at most [`GATHERED`] slots. First the used slots are gathered: which they are no
    /// branch could foresee.
    fn add_used(&mut self, slots: &[PairSlot]) -> bool {
        let mut used = [[0; 4]; GATHERED];
        let mut len = 0;
        for slot in slots {
            used[len % GATHERED] = *slot;
            len += usize::from(slot[0] != NONE);
        }
        let used = used.get(..len).unwrap_or(&[]);
        used.iter().for_each(|slot| self.prefetch(slot));
        used.iter().all(|slot| self.add(*slot))
    }

    /// Asks the memory for the places that [`Builder::add`] writes.
    fn prefetch(&self, [left, right, rank, _]: &PairSlot) {
        let bucket = home(key(*left, *right), self.buckets.len());
        self.buckets.get(bucket).into_iter().for_each(prefetch);
        let merged = self.merged.get(*rank as usize);
        merged.into_iter().for_each(prefetch);
    }

    /// Adds a pair; `false` if there is no room for its numbers or for itself.
    fn add(&mut self, [left, right, rank, id]: [u32; 4]) -> bool {
        let vocab = self.tokenizer.vocab_size() as u32;
        if id >= vocab {
            return true;
        }
        let ranks_are_ids = self.tokenizer.rule() == MergeRule::BytesRank;
        self.used += 1;
        let slots = self.buckets.len() * SLOTS;
        let fits =
            left.max(right) < vocab && u64::from(rank) + 1 < RANK_MASK && 2 * self.used <= slots;
        let Some(merged) = self.merged.get_mut(rank as usize).filter(|_| fits) else {
            return false;
        };
        if ranks_are_ids != (ranks_are_ids && rank == id) || *merged != 0 {
            return false;
        }
        *merged = id + 1;
        self.place(key(left, right), u64::from(rank) + 1);
        true
    }

    /// Puts a pair in the first free slot from its bucket on; at least half of them are free.
    fn place(&mut self, key: u64, rank: u64) {
        let mask = self.buckets.len().wrapping_sub(1);
        let first = home(key, self.buckets.len());
        for step in 0..self.buckets.len() {
            let Some(bucket) = self.buckets.get_mut((first + step) & mask) else {
                return;
            };
            let used = bucket
                .iter()
                .map(|slot| usize::from(*slot != EMPTY))
                .sum::<usize>();
            if let Some(free) = bucket.get_mut(used) {
                *free = key << RANK_BITS | rank;
                return;
            }
        }
    }

    fn rank_pairs_of_bytes(&mut self) {
        let letters = self.tokenizer.tables().bytes;
        let rows = self.byte_pairs.chunks_mut(256).zip(letters);
        for (row, left) in rows {
            for (place, right) in row.iter_mut().zip(letters) {
                *place = rank(self.buckets, *left, *right);
            }
        }
    }

    /// Whether every ordinary token of two bytes or more has a pair that gives it.
    fn every_token_merges(&self) -> bool {
        let known = self.merged.iter().take(self.tokenizer.vocab_size());
        let mut others = (0u32..).zip(known).filter(|(_, id)| **id == 0);
        others.all(|(id, _)| {
            let bytes = self.tokenizer.token_bytes(id).unwrap_or(&[]);
            bytes.len() < 2 || self.tokenizer.is_special(id)
        })
    }
}
