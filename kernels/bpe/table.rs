//! The two hash tables of a tokenizer: pair of tokens to merged token, and bytes to token.
//!
//! Both are open addressing with linear probing over a power of two of slots, at most half full.
//! The file states the longest probe, so a lookup ends even in a table that a stranger filled.

use crate::simd::prefetch;

/// No token, no rank, an empty slot.
pub const NONE: u32 = u32::MAX;
/// Longest probe that a table may need; a builder takes more slots instead.
pub const MAX_PROBES: u32 = 128;
/// Set beside a token's id in the table of bytes if merging its bytes does not lead to it.
pub const UNREACHABLE: u32 = 1 << 31;

/// A slot of the table of pairs: left token, right token, rank, merged token.
pub type PairSlot = [u32; 4];
/// An empty slot of the table of pairs.
pub const EMPTY_PAIR: PairSlot = [NONE; 4];

const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;

/// The upper bits of a hash, as a slot of a table of `slots` (a power of two) slots.
#[inline]
const fn home(hash: u64, slots: usize) -> usize {
    (hash >> 32) as usize & slots.wrapping_sub(1)
}

#[inline]
const fn mix(hash: u64, word: u64) -> u64 {
    let product = (hash ^ word).wrapping_mul(MULTIPLIER);
    product ^ (product >> 32)
}

#[inline]
const fn pair_hash(left: u32, right: u32) -> u64 {
    mix(0, (left as u64) << 32 | right as u64).wrapping_mul(MULTIPLIER)
}

/// Hash of a token's bytes, by which it is found.
#[inline]
pub fn token_hash(bytes: &[u8]) -> u64 {
    bytes_hash(bytes, None)
}

/// Hash of `bytes` followed by `end`.
#[inline]
fn bytes_hash(bytes: &[u8], end: Option<u8>) -> u64 {
    let len = bytes.len() + usize::from(end.is_some());
    let (words, rest) = bytes.as_chunks::<8>();
    let start = (len as u64).wrapping_mul(MULTIPLIER);
    let hash = words
        .iter()
        .fold(start, |h, w| mix(h, u64::from_le_bytes(*w)));
    if rest.is_empty() && end.is_none() {
        return hash.wrapping_mul(MULTIPLIER);
    }
    let end = u64::from(end.unwrap_or(0)) << (8 * rest.len());
    mix(hash, word(rest) | end).wrapping_mul(MULTIPLIER)
}

/// Bytes of which many parts are hashed.
#[derive(Clone, Copy)]
pub struct HashedParts([u8; Self::ROOM]);

impl HashedParts {
    /// Most bytes that there may be.
    pub const MOST: usize = 48;
    /// Words are read from every byte on.
    const ROOM: usize = Self::MOST + 8;

    /// The first [`Self::MOST`] of these bytes.
    #[inline]
    pub fn new(bytes: &[u8]) -> Self {
        let mut room = [0; Self::ROOM];
        let places = room.iter_mut().take(Self::MOST);
        places.zip(bytes).for_each(|(to, from)| *to = *from);
        Self(room)
    }

    /// [`token_hash`] of the `len` bytes from `start` on; `len` is not 0.
    #[inline(always)]
    pub fn hash(&self, start: usize, len: usize) -> u64 {
        let word = |at: usize| {
            let bytes = self.0.get(at..).and_then(|bytes| bytes.first_chunk());
            bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
        };
        let mut hash = (len as u64).wrapping_mul(MULTIPLIER);
        let (mut at, mut left) = (start, len);
        while left > 8 {
            hash = mix(hash, word(at));
            (at, left) = (at + 8, left - 8);
        }
        let last = word(at) & (u64::MAX >> ((64 - 8 * left) & 63));
        mix(hash, last).wrapping_mul(MULTIPLIER)
    }
}

/// Fewer than eight bytes as a little-endian word.
#[inline]
fn word(bytes: &[u8]) -> u64 {
    let wide = |half: &[u8; 4]| u64::from(u32::from_le_bytes(*half));
    match *bytes {
        [] => 0,
        [a] => u64::from(a),
        [a, b] => u64::from(u16::from_le_bytes([a, b])),
        [a, b, c] => u64::from(u32::from_le_bytes([a, b, c, 0])),
        _ => match (bytes.first_chunk(), bytes.last_chunk()) {
            // Both halves say the same where they overlap.
            (Some(low), Some(high)) => wide(low) | wide(high) << (8 * (bytes.len() - 4)),
            _ => 0,
        },
    }
}

/// Slots to look at for a hash, in order, in a table of `slots` (a power of two) slots.
#[inline]
pub fn probes(hash: u64, slots: usize, most: u32) -> impl Iterator<Item = usize> {
    let first = home(hash, slots);
    (0..most as usize).map(move |step| (first + step) & slots.wrapping_sub(1))
}

/// Number of slots to start with for `entries` entries.
pub const fn slots_for(entries: usize) -> usize {
    (2 * entries + 1).next_power_of_two()
}

/// Rank and merged token of a pair; [`NONE`] for both if the pair does not merge.
#[inline]
pub(super) fn find_pair(slots: &[PairSlot], most: u32, left: u32, right: u32) -> (u32, u32) {
    for at in probes(pair_hash(left, right), slots.len(), most) {
        match slots.get(at) {
            Some([l, r, rank, id]) if (*l, *r) == (left, right) => return (*rank, *id),
            Some([l, ..]) if *l != NONE => {}
            _ => break,
        }
    }
    (NONE, NONE)
}

/// Asks for the slot where the search for a pair begins.
#[inline]
pub fn prefetch_pair(slots: &[PairSlot], left: u32, right: u32) {
    let mut home = probes(pair_hash(left, right), slots.len(), 1);
    if let Some(slot) = home.next().and_then(|at| slots.get(at)) {
        prefetch(slot);
    }
}

/// Adds a pair; returns the length of its probe, or `None` if that is above [`MAX_PROBES`].
pub fn insert_pair(slots: &mut [PairSlot], slot: PairSlot) -> Option<u32> {
    let hash = pair_hash(slot[0], slot[1]);
    for (step, at) in probes(hash, slots.len(), MAX_PROBES).enumerate() {
        let place = slots.get_mut(at)?;
        if place[0] == NONE {
            *place = slot;
            return Some(step as u32 + 1);
        }
    }
    None
}

/// The entry of `bytes` followed by `end`, where `token_bytes` gives the bytes of an id.
#[inline]
pub(super) fn find_bytes<'a>(
    slots: &[u32],
    most: u32,
    (bytes, end): (&[u8], Option<u8>),
    token_bytes: impl Fn(u32) -> Option<&'a [u8]>,
) -> Option<u32> {
    let same = |token: &[u8]| match end {
        None => token == bytes,
        Some(end) => token.split_last() == Some((&end, bytes)),
    };
    for at in probes(bytes_hash(bytes, end), slots.len(), most) {
        let entry = *slots.get(at).filter(|entry| **entry != NONE)?;
        if token_bytes(entry & !UNREACHABLE).is_some_and(same) {
            return Some(entry);
        }
    }
    None
}

/// Adds the entry of a token; returns the length of its probe, or `None` if that is above
/// [`MAX_PROBES`].
pub fn insert_bytes(slots: &mut [u32], bytes: &[u8], entry: u32) -> Option<u32> {
    let hash = token_hash(bytes);
    for (step, at) in probes(hash, slots.len(), MAX_PROBES).enumerate() {
        let place = slots.get_mut(at)?;
        if *place == NONE {
            *place = entry;
            return Some(step as u32 + 1);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    #[test]
    fn pairs_that_were_added_are_found_and_no_others() {
        let pairs: Vec<(u32, u32)> = (0..5000).map(|i| (i % 71, i / 71)).collect();
        let mut slots = vec![EMPTY_PAIR; slots_for(pairs.len())];
        let mut most = 0;
        for (i, (left, right)) in pairs.iter().enumerate() {
            let slot = [*left, *right, i as u32, 2 * i as u32];
            most = most.max(insert_pair(&mut slots, slot).unwrap());
        }
        for (i, (left, right)) in pairs.iter().enumerate() {
            let found = find_pair(&slots, most, *left, *right);
            assert_eq!(found, (i as u32, 2 * i as u32));
            assert_eq!(find_pair(&slots, most, *left + 71, *right), (NONE, NONE));
        }
        assert!(most < 32, "longest probe {most}");
    }

    #[test]
    fn an_end_byte_counts_like_a_byte_of_the_text() {
        let bytes: Vec<u8> = (0..40).collect();
        for len in 1..bytes.len() {
            let (body, end) = bytes[..len].split_at(len - 1);
            assert_eq!(
                bytes_hash(&bytes[..len], None),
                bytes_hash(body, Some(end[0]))
            );
        }
    }

    #[test]
    fn parts_are_hashed_as_tokens_are() {
        let bytes: Vec<u8> = (1..=HashedParts::MOST as u8).collect();
        let parts = HashedParts::new(&bytes);
        for start in 0..bytes.len() {
            for len in 1..=bytes.len() - start {
                let want = token_hash(&bytes[start..start + len]);
                assert_eq!(parts.hash(start, len), want, "{len} from {start}");
            }
        }
    }

    #[test]
    fn a_word_is_its_bytes_one_after_the_other() {
        let bytes = [1, 2, 3, 4, 5, 6, 7];
        for len in 0..=bytes.len() {
            let fold = |word, byte: &u8| word << 8 | u64::from(*byte);
            assert_eq!(word(&bytes[..len]), bytes[..len].iter().rev().fold(0, fold));
        }
    }

    #[test]
    fn a_full_table_ends_every_search() {
        let slots = [[1, 1, 1, 1]; 256];
        assert_eq!(find_pair(&slots, MAX_PROBES, 2, 2), (NONE, NONE));
        assert_eq!(insert_pair(&mut slots.clone(), [2, 2, 0, 0]), None);
        let found = find_bytes(&[7; 256], MAX_PROBES, (b"a", None), |_| Some(b"b"));
        assert_eq!(found, None);
        assert_eq!(find_pair(&[], MAX_PROBES, 1, 1), (NONE, NONE));
    }
}
