//! Pieces on their way through the encoder: a batch of them, those that wait, and finished ids.

use super::words::{Key, MAX_IDS, Slot, WordCache};
use crate::kernels::bpe::{BATCH, PairIndex, Pieces};
use std::ops::Range;

/// Pieces that wait, to be encoded at once.
pub(super) const WAITING: usize = PairIndex::AT_ONCE;
/// Ids of words that may wait with them: some dozen batches' of English.
const ROOM: usize = 16 * BATCH;

/// A piece, its key and its hash.
pub(super) type New<'t> = (&'t [u8], Key, u64);
/// No piece.
pub(super) const NO_PIECE: New<'static> = (&[], Key::NONE, 0);

/// Pieces of a text, with their keys (no piece's where one is too long) and hashes.
pub(super) struct Batch<'t> {
    pub(super) text: &'t [u8],
    pub(super) ranges: [Range<usize>; BATCH],
    pub(super) keys: [Key; BATCH],
    pub(super) hashes: [u64; BATCH],
    pub(super) len: usize,
    pub(super) waiting: Waiting<'t>,
}

impl<'t> Batch<'t> {
    pub(super) const fn of(text: &'t [u8]) -> Self {
        Self {
            text,
            ranges: [const { 0..0 }; BATCH],
            keys: [const { Key::NONE }; BATCH],
            hashes: [0; BATCH],
            len: 0,
            waiting: Waiting::new(),
        }
    }

    /// Takes the next pieces; `false` if there are none.
    pub(super) fn fill(&mut self, pieces: &mut Pieces<'_>) -> bool {
        self.len = pieces.fill(&mut self.ranges);
        self.len > 0
    }

    /// Adds a piece; `true` if the batch is full with it.
    pub(super) fn add(&mut self, piece: &[u8]) -> bool {
        let start = piece.as_ptr().addr() - self.text.as_ptr().addr();
        self.ranges[self.len] = start..start + piece.len();
        self.len += 1;
        self.len == BATCH
    }

    pub(super) fn piece(&self, at: usize) -> New<'t> {
        let piece = &self.text[self.ranges[at].clone()];
        (piece, self.keys[at], self.hashes[at])
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
    /// cache; which one that is. There is room for a whole batch.
    #[inline]
    pub(super) fn add_words(
        &mut self,
        words: &WordCache,
        batch: &Batch<'_>,
        first: usize,
    ) -> usize {
        let pieces = first..batch.len;
        let (mut len, mut at) = (self.len, first);
        for (key, hash) in batch.keys[pieces.clone()].iter().zip(&batch.hashes[pieces]) {
            let Some(word) = words.get_home(*key, *hash) else {
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
