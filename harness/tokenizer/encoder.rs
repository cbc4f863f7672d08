//! Encodes long texts: the kernels' encoder behind a cache of words.
//!
//! Text repeats itself: the thousand most frequent pieces make up two thirds of English. A piece
//! of up to 15 bytes is one 128-bit key (its bytes, and its length on top); a slot of the cache
//! holds the key and up to three ids in 32 bytes, half a cache line. A piece has one set of two
//! slots, and a new one takes the place of the one that came in earlier. Longer pieces, and those
//! of more tokens, go to the kernels' encoder each time. What is cached is what that encoder
//! gave, so the cache changes no id.

use super::{HarnessPattern, Tokenizer};
use crate::kernels::bpe::TokenizerRef;

/// Pieces of up to this many bytes are cached.
const MAX_KEY_LEN: usize = 15;
/// Ids in a slot.
const MAX_IDS: usize = 3;
/// Sets of two slots: 2 MiB, which stays in a core's cache where it is used.
const SETS_BITS: u32 = 15;

/// Encodes texts one after the other; each thread has its own.
///
/// # Example
/// ```
/// use barelm::tokenizer::Tokenizer;
/// # fn main() -> barelm::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("a.tiktoken");
/// # std::fs::write(&path, "YQ== 0\nYg== 1\nYWI= 2\n").unwrap();
/// # let options = barelm::tokenizer::LoadOptions {
/// #     pattern: Some(barelm::tokenizer::HarnessPattern::parse("gpt2")?),
/// # };
/// let tokenizer = Tokenizer::load_with(&path, &options)?;
/// let mut encoder = tokenizer.encoder();
/// let mut ids = Vec::new();
/// encoder.encode_into(b"abba", &mut ids);
/// encoder.encode_into(b"ab", &mut ids);
/// assert_eq!(ids, [2, 1, 0, 2]);
/// # Ok(())
/// # }
/// ```
pub struct Encoder<'t> {
    pattern: &'t HarnessPattern,
    pieces: PieceEncoder<'t>,
}

/// Encodes pieces, with the cache.
struct PieceEncoder<'t> {
    tokenizer: TokenizerRef<'t>,
    cache: Vec<[Slot; 2]>,
    workspace: Vec<u32>,
    ids: Vec<u32>,
}

/// Key 0 is an empty slot: every key has a length.
#[derive(Clone, Copy, Default)]
struct Slot {
    key: u128,
    ids: [u32; MAX_IDS],
    len: u32,
}

impl<'t> Encoder<'t> {
    /// An encoder with an empty cache.
    pub fn new(tokenizer: &'t Tokenizer) -> Self {
        let pieces = PieceEncoder {
            tokenizer: tokenizer.as_ref(),
            cache: vec![Default::default(); 1 << SETS_BITS],
            workspace: vec![0; 1024],
            ids: vec![0; 128],
        };
        Self {
            pattern: tokenizer.pattern(),
            pieces,
        }
    }

    /// Appends the ids of a text; see [`Tokenizer::encode`].
    pub fn encode_into(&mut self, text: &[u8], ids: &mut Vec<u32>) {
        self.pattern
            .for_each_piece(text, |piece| self.pieces.encode(piece, ids));
    }
}

impl PieceEncoder<'_> {
    #[inline]
    fn encode(&mut self, piece: &[u8], out: &mut Vec<u32>) {
        let Some(key) = key(piece) else {
            return out.extend_from_slice(self.encode_uncached(piece));
        };
        let set = set(key);
        let slot = match &self.cache[set] {
            [first, _] if first.key == key => first,
            [_, second] if second.key == key => second,
            _ => return self.encode_and_note(piece, key, set, out),
        };
        match slot.len {
            1 => out.push(slot.ids[0]),
            len => out.extend_from_slice(&slot.ids[..len as usize]),
        }
    }

    #[cold]
    fn encode_and_note(&mut self, piece: &[u8], key: u128, set: usize, out: &mut Vec<u32>) {
        let ids = self.encode_uncached(piece);
        out.extend_from_slice(ids);
        if ids.len() <= MAX_IDS {
            let mut slot = Slot {
                key,
                len: ids.len() as u32,
                ..Slot::default()
            };
            slot.ids[..ids.len()].copy_from_slice(ids);
            let [first, second] = &mut self.cache[set];
            (*first, *second) = (slot, *first);
        }
    }

    fn encode_uncached(&mut self, piece: &[u8]) -> &[u32] {
        self.ids.resize(self.ids.len().max(piece.len() + 1), 0);
        loop {
            let encoded =
                self.tokenizer
                    .encode_piece_into(piece, &mut self.ids, &mut self.workspace);
            match encoded {
                Ok(len) => return &self.ids[..len],
                Err(small) => self.workspace.resize(small.needed, 0),
            }
        }
    }
}

/// A short piece as one number, never 0.
#[inline]
fn key(piece: &[u8]) -> Option<u128> {
    let len = piece.len();
    if len > MAX_KEY_LEN {
        return None;
    }
    let bytes = if let Some(last) = piece.last_chunk::<8>() {
        let first = piece.first_chunk::<8>()?;
        let high = u128::from(u64::from_le_bytes(*last)) << (8 * (len - 8));
        high | u128::from(u64::from_le_bytes(*first))
    } else if let Some(last) = piece.last_chunk::<4>() {
        let first = piece.first_chunk::<4>()?;
        let high = u64::from(u32::from_le_bytes(*last)) << (8 * (len - 4));
        u128::from(high | u64::from(u32::from_le_bytes(*first)))
    } else {
        piece
            .iter()
            .rev()
            .fold(0, |key, byte| key << 8 | u128::from(*byte))
    };
    Some(bytes | (len as u128 + 1) << 120)
}

#[inline]
fn set(key: u128) -> usize {
    const MULTIPLIERS: [u64; 2] = [0x9E37_79B9_7F4A_7C15, 0xD6E8_FEB8_6659_FD93];
    let low = (key as u64).wrapping_mul(MULTIPLIERS[0]);
    let high = ((key >> 64) as u64).wrapping_mul(MULTIPLIERS[1]);
    let mixed = (low ^ low >> 32)
        .wrapping_add(high)
        .wrapping_mul(MULTIPLIERS[0]);
    (mixed >> (64 - SETS_BITS)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn keys_of_different_pieces_differ() {
        let mut pieces: Vec<Vec<u8>> = vec![vec![]];
        for len in 1..=MAX_KEY_LEN {
            for at in 0..len {
                let mut piece = vec![0; len];
                piece[at] = 1;
                pieces.push(piece.clone());
                piece[at] = 255;
                pieces.push(piece);
            }
            pieces.push(vec![0; len]);
        }
        let keys: HashSet<u128> = pieces.iter().map(|piece| key(piece).unwrap()).collect();
        assert_eq!(keys.len(), pieces.len());
        assert!(!keys.contains(&0));
        assert_eq!(key(&[0; MAX_KEY_LEN + 1]), None);
    }
}
