//! Pieces on their way through the encoder: a batch of them, those that wait, and finished ids.

use super::words::{MAX_IDS, Slot, WordCache};
use crate::kernels::bpe::{Bounds, Key, Keys, NO_KEY, PairIndex};
use crate::kernels::simd::prefetch;

/// Pieces that wait, to be encoded at once.
pub(super) const WAITING: usize = PairIndex::AT_ONCE;
/// Pieces of a batch.
const BATCH: usize = Bounds::MOST;
/// Ids of words that may wait with them: some dozen batches' of English.
const ROOM: usize = 16 * BATCH;
/// Ids in a cache line.
const LINE: usize = 16;

/// A piece, its key and its hash.
pub(super) type New<'t> = (&'t [u8], Key, u64);
/// No piece.
pub(super) const NO_PIECE: New<'static> = (&[], NO_KEY, 0);

/// The keys and hashes of pieces of a text (of long ones, the hash is of all bytes), and those that
/// wait.
pub(super) struct Batch<'k, 't> {
    pub(super) text: &'t [u8],
    pub(super) keys: &'k mut Keys,
    pub(super) waiting: Waiting<'t>,
}

impl<'t> Batch<'_, 't> {
    /// One of these pieces.
    pub(super) fn piece(&self, bounds: &Bounds, at: usize) -> New<'t> {
        let piece = bounds.get(at).and_then(|range| self.text.get(range));
        let Keys { keys, hashes } = &*self.keys;
        (piece.unwrap_or(&[]), keys[at], hashes[at])
    }
}

/// Ids on their way to the end of a text's ids.
pub(super) struct Staged {
    pub(super) ids: [u32; ROOM + MAX_IDS],
    pub(super) len: usize,
}

impl Staged {
    pub(super) const fn new() -> Self {
        Self {
            ids: [0; _],
            len: 0,
        }
    }

    /// Adds the ids of a batch's words from `first` on, up to a piece that is not at home in the
    /// cache; which one that is, or `end`. There is room for a whole batch.
    #[inline]
    pub(super) fn add_words(
        &mut self,
        words: &WordCache,
        Keys { keys, hashes }: &Keys,
        first: usize,
        end: usize,
    ) -> usize {
        let homes = words.homes();
        let (mut len, mut at) = (self.len, first);
        for (key, hash) in keys[first..end].iter().zip(&hashes[first..end]) {
            let Some(word) = homes.get(*key, *hash) else {
                break;
            };
            // The remainder is for the compiler.
            let place = len % ROOM;
            self.ids[place..place + MAX_IDS].copy_from_slice(word.ids());
            len += word.len();
            at += 1;
        }
        self.len = len;
        at
    }

    /// Adds the ids of a word.
    pub(super) fn add(&mut self, word: &Slot) {
        self.ids[self.len..][..MAX_IDS].copy_from_slice(word.ids());
        self.len += word.len();
    }

    /// Asks the memory for the place where the next ids will go: long texts' come from afar.
    pub(super) fn ask_for_room(&self, ids: &mut Vec<u32>) {
        let room = ids.spare_capacity_mut().iter().skip(self.len);
        for place in room.take(BATCH).step_by(LINE) {
            prefetch(place);
        }
    }

    pub(super) fn has_room_for_a_batch(&self) -> bool {
        self.len + MAX_IDS * BATCH <= ROOM
    }
}

/// Pieces that wait to be encoded, and their places among the staged ids.
pub(super) struct Waiting<'t> {
    pub(super) pieces: [(usize, New<'t>); WAITING],
    pub(super) len: usize,
}

impl<'t> Waiting<'t> {
    pub(super) const fn new() -> Self {
        Self {
            pieces: [(0, NO_PIECE); _],
            len: 0,
        }
    }

    /// Takes a piece; whether there is room for another.
    pub(super) fn add(&mut self, place: usize, piece: New<'t>) -> bool {
        self.pieces[self.len] = (place, piece);
        self.len += 1;
        self.len < WAITING
    }
}
