//! What windows of bytes ask of the pairs, and the answers of a file's own table.

use super::TokenizerRef;
use super::merge::{Merges, Pairs};
use super::table::NONE;

/// Bits of a token.
pub(super) const ID_BITS: u32 = 21;
/// Bits of one more than a rank.
pub(super) const RANK_BITS: u32 = 22;
/// The least rank that is not packed.
const LEAST_UNPACKED: u32 = (1 << RANK_BITS) - 2;
/// Bits below a packed rank that are left free, for a position.
pub(super) const POSITION_BITS: u32 = 6;

/// Above every packed rank: the bits of the largest float.
///
/// Packed ranks are the bits of positive floats, which are ordered as the floats are. The oldest
/// vector instructions have a minimum of floats, and none of integers.
pub(super) const NO_RANK: u32 = f32::MAX.to_bits();
/// Packed rank 0: what is less are bits of floats that are not normal, and slow.
const RANK_ZERO: u32 = f32::MIN_POSITIVE.to_bits();

/// A rank as the bits of a float, with room for a position.
#[inline]
pub(super) const fn pack(rank: u64) -> u32 {
    RANK_ZERO.wrapping_add((rank << POSITION_BITS) as u32)
}

/// The rank of a packed one.
#[inline]
pub(super) const fn rank_of(packed: u32) -> u32 {
    packed.wrapping_sub(RANK_ZERO) >> POSITION_BITS
}

/// What windows ask of the pairs.
pub(super) trait Ranks: Merges {
    /// The token of a byte.
    fn letter(&self, byte: u8) -> u32;
    /// [`Ranks::rank`] of the tokens of two bytes.
    fn rank_of_bytes(&self, left: u8, right: u8) -> u32;
    /// The packed rank of a pair, or [`NO_RANK`].
    fn rank(&self, left: u32, right: u32) -> u32;
    /// The token that a pair of that packed rank merges to.
    fn merged(&self, pair: [u32; 2], packed: u32) -> u32;
    /// Asks the memory for the place where a pair should be.
    fn prefetch(&self, left: u32, right: u32);
}

/// The pairs as they lie in a file.
#[derive(Clone, Copy)]
pub(super) struct FilePairs<'a> {
    pairs: Pairs<'a>,
    letters: &'a [u32; 256],
}

impl<'a> FilePairs<'a> {
    /// `None` if their numbers are too large to be packed, or if a byte has no token.
    pub(super) fn new(tokenizer: &TokenizerRef<'a>) -> Option<Self> {
        let pairs = tokenizer.pairs();
        let fits = pairs.slots.len() < 1 << RANK_BITS && pairs.vocab < 1 << ID_BITS;
        let letters = tokenizer.tables().bytes.first_chunk()?;
        (fits && !letters.contains(&NONE)).then_some(Self { pairs, letters })
    }
}

impl Merges for FilePairs<'_> {
    fn get(&self, left: u32, right: u32) -> (u32, u32) {
        self.pairs.get(left, right)
    }
}

impl Ranks for FilePairs<'_> {
    fn letter(&self, byte: u8) -> u32 {
        self.letters[usize::from(byte)]
    }

    fn rank_of_bytes(&self, left: u8, right: u8) -> u32 {
        self.rank(self.letter(left), self.letter(right))
    }

    fn rank(&self, left: u32, right: u32) -> u32 {
        match self.get(left, right) {
            (rank @ 0..LEAST_UNPACKED, _) => pack(u64::from(rank)),
            _ => NO_RANK,
        }
    }

    fn merged(&self, [left, right]: [u32; 2], _: u32) -> u32 {
        self.get(left, right).1
    }

    fn prefetch(&self, _: u32, _: u32) {}
}
