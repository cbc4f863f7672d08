//! Short pieces as numbers, with hashes: eight pieces at a time where the processor can.
//!
//! Whoever looks a piece up, to count it or to find its tokens, compares and hashes it. For a piece
//! of up to 15 bytes both are a few instructions on two numbers of 64 bits: its bytes, and its
//! length in the uppermost one. No branch depends on the length.

use super::Bounds;
use crate::simd::key::key;
use crate::simd::{Backend, Kernel, Simd};
use core::ops::Range;

pub use crate::simd::key::{KEY_LEN, Key, NO_KEY, hash_of_key, key_of};

/// The keys of some pieces, and their hashes.
///
/// # Example
/// ```
/// use barelm_kernels::bpe::{Bounds, Keys, Pattern, key_of, hash_of_key};
/// let text = b"two words";
/// let (mut bounds, mut keys) = (Bounds::new(), Keys::new());
/// Pattern::Gpt2.pieces(text).fill(&mut bounds);
/// assert!(keys.read(text, &bounds));
/// assert_eq!(keys.keys[..2], [key_of(b"two").unwrap(), key_of(b" words").unwrap()]);
/// assert_eq!(keys.hashes[1], hash_of_key(keys.keys[1]));
/// ```
#[derive(Clone, Debug)]
#[repr(align(64))]
pub struct Keys {
    /// The pieces' keys, [`NO_KEY`] for those that are too long.
    pub keys: [Key; Bounds::MOST],
    /// The keys' hashes.
    pub hashes: [u64; Bounds::MOST],
}

impl Keys {
    /// No keys.
    pub const fn new() -> Self {
        Self {
            keys: [NO_KEY; _],
            hashes: [0; _],
        }
    }

    /// Reads the keys of pieces of a text; whether all of them are short enough to have one.
    pub fn read(&mut self, text: &[u8], bounds: &Bounds) -> bool {
        Backend::best().run(Read(self, text, bounds))
    }
}

impl Default for Keys {
    fn default() -> Self {
        Self::new()
    }
}

/// [`Keys::read`].
pub(super) struct Read<'k, 't>(
    pub(super) &'k mut Keys,
    pub(super) &'t [u8],
    pub(super) &'t Bounds,
);

impl Kernel for Read<'_, '_> {
    type Output = bool;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> bool {
        let Self(Keys { keys, hashes }, text, bounds) = self;
        let (len, mut at, mut all_are_short) = (bounds.len(), 0, true);
        while at < len {
            if let Some((base, places)) = bounds.gapless()
                && let Some(keys) = keys.get_mut(at..len)
                && let Some(hashes) = hashes.get_mut(at..len)
            {
                let places = places.get(at..).unwrap_or(&[]);
                at += simd.read_keys(text.get(base..).unwrap_or(&[]), places, keys, hashes);
            }
            if let Some(piece) = bounds.get(at)
                && let (Some(key), Some(hash)) = (keys.get_mut(at), hashes.get_mut(at))
            {
                *key = key_at(text, piece);
                *hash = hash_of_key(*key);
                all_are_short &= *key != NO_KEY;
            }
            at += 1;
        }
        all_are_short
    }
}

/// The key of a piece of a text, or [`NO_KEY`].
#[inline(always)]
fn key_at(text: &[u8], piece: Range<usize>) -> Key {
    let window = text.get(piece.start..).and_then(<[u8]>::first_chunk);
    match (window, piece.end.wrapping_sub(piece.start)) {
        (Some(window), len @ 1..=KEY_LEN) => key(window, len),
        _ => key_of(text.get(piece).unwrap_or(&[])).unwrap_or(NO_KEY),
    }
}
