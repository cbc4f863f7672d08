//! Pieces on their way through the encoder: a batch of them, those that wait, and finished ids.

use super::words::{MAX_IDS, Slot, WordCache};
use crate::kernels::bpe::{Bounds, Key, Keys, NO_KEY, PairIndex, Pieces};
use crate::kernels::simd::prefetch;

/// Pieces that wait, to be encoded at once.
pub(super) const WAITING: usize = PairIndex::AT_ONCE;
/// Pieces of a batch.
const BATCH: usize = Bounds::MOST;
/// Ids of words that may wait with them: some dozen batches' of English.
const ROOM: usize = 1 << 12;

/// Ids in a cache line.
const LINE: usize = 16;

/// A piece, its key and its hash.
pub(super) type New<'t> = (&'t [u8], Key, u64);
/// No piece.
pub(super) const NO_PIECE: New<'static> = (&[], NO_KEY, 0);

/// Pieces of a text, with their keys and hashes; those of long pieces are of all of their bytes.
pub(super) struct Batch<'b, 't> {
    pub(super) text: &'t [u8],
    pub(super) bounds: &'b mut Bounds,
    pub(super) keys: &'b mut Keys,
    pub(super) waiting: Waiting<'t>,
}

/// Where the bounds and keys of batches lie: to make them anew would take longer than a short text.
#[derive(Default)]
pub(super) struct Room {
    bounds: Bounds,
    keys: Keys,
}

impl<'b, 't> Batch<'b, 't> {
    pub(super) fn of(text: &'t [u8], room: &'b mut Room) -> Self {
        let Room { bounds, keys } = room;
        bounds.clear(0);
        Self {
            text,
            bounds,
            keys,
            waiting: Waiting::new(),
        }
    }

    /// Takes the next pieces; `false` if there are none.
    pub(super) fn fill(&mut self, pieces: &mut Pieces<'_>) -> bool {
        pieces.fill(self.bounds);
        !self.bounds.is_empty()
    }

    /// Adds a piece of the text; `true` if the batch is full with it.
    pub(super) fn add(&mut self, piece: &[u8]) -> bool {
        let start = piece.as_ptr().addr() - self.text.as_ptr().addr();
        if self.bounds.is_empty() {
            self.bounds.clear(start);
        }
        !self.bounds.push(start..start + piece.len())
    }

    pub(super) const fn len(&self) -> usize {
        self.bounds.len()
    }

    pub(super) fn piece(&self, at: usize) -> New<'t> {
        let piece = self.bounds.get(at).and_then(|range| self.text.get(range));
        let piece = piece.unwrap_or(&[]);
        (piece, self.keys.keys[at], self.keys.hashes[at])
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
        batch: &Batch<'_, '_>,
        first: usize,
    ) -> usize {
        let homes = words.homes();
        let Keys { keys, hashes } = &*batch.keys;
        let pieces = first..batch.len();
        let (mut len, mut at) = (self.len, first);
        for (key, hash) in keys[pieces.clone()].iter().zip(&hashes[pieces]) {
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
