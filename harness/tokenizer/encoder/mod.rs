//! Encodes long texts: the kernels' encoder behind caches of pieces.
//!
//! Text repeats itself: the thousand most frequent pieces make up two thirds of English. Pieces
//! are taken in batches. First the keys and hashes of all of a batch are computed and the memory
//! is asked for the cache lines where they should be; then the ids are looked up and staged one
//! piece after the other, when most of those lines have come. A piece that is not known waits,
//! with its place among the staged ids, until there are enough of them for the kernels' encoder to
//! merge several at once, and what that gives is noted. So the caches change no id. They grow with
//! the text, to some 90 MiB at most.

mod batch;
mod caches;
mod hash;
mod phrases;
mod words;

use super::{HarnessPattern, Tokenizer};
use crate::kernels::bpe::{Bounds, CharMemo, Keys, NO_KEY, PairIndex, TokenizerRef};
use batch::{Batch, NO_PIECE, New, Staged, WAITING, Waiting};
use caches::Caches;
use hash::hash_of_bytes;
use std::sync::Arc;
use words::Slot;

pub(super) use caches::SharedWords;

/// Bytes to merge from which on an index of the pairs pays for being made.
const INDEX_FROM: usize = 1 << 14;
/// Windows of a longer piece that are merged without an index, to see whether it repeats itself.
const FEW_WINDOWS: usize = 64;
/// Pieces of fewer bytes can be encoded several at once.
const SHORT: usize = PairIndex::SHORT;

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
/// #     ..Default::default()
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
    /// Of batches: to make them anew would take longer than a short text.
    bounds: Box<Bounds>,
    keys: Box<Keys>,
    pieces: PieceEncoder<'t>,
}

impl<'t> Encoder<'t> {
    /// An encoder with empty caches.
    pub fn new(tokenizer: &'t Tokenizer) -> Self {
        Self {
            pattern: tokenizer.pattern(),
            bounds: Box::default(),
            keys: Box::default(),
            pieces: PieceEncoder {
                source: tokenizer,
                tokenizer: tokenizer.as_ref(),
                index: None,
                chars: Vec::new(),
                work: 0,
                caches: Caches::new(),
                staged: Box::new(Staged::new()),
                workspace: vec![0; 1024],
                ids: vec![0; 128],
            },
        }
    }

    /// Tells others of the same tokenizer what it learns, and learns from them.
    pub(super) fn sharing(mut self, words: Arc<SharedWords>) -> Self {
        self.pieces.caches.share(words);
        self
    }

    /// Appends the ids of a text; see [`Tokenizer::encode`].
    pub fn encode_into(&mut self, text: &[u8], ids: &mut Vec<u32>) {
        let Self {
            pattern,
            bounds,
            keys,
            pieces,
        } = self;
        let waiting = Waiting::new();
        #[rustfmt::skip]
        let mut batch = Batch { text, keys, waiting };
        // What a panic in a text before may have left.
        pieces.staged.len = 0;
        pattern.for_each_batch(text, bounds, |bounds| {
            pieces.encode(&mut batch, bounds, ids)
        });
        pieces.finish(&mut batch, ids);
    }
}

/// Encodes pieces, with the caches.
struct PieceEncoder<'t> {
    source: &'t Tokenizer,
    tokenizer: TokenizerRef<'t>,
    index: Option<PairIndex<'t>>,
    /// Words of a [`CharMemo`], made with the index.
    chars: Vec<u64>,
    /// Bytes that were merged without the index; [`INDEX_FROM`] when that is decided.
    work: usize,
    caches: Caches,
    staged: Box<Staged>,
    workspace: Vec<u32>,
    ids: Vec<u32>,
}

impl PieceEncoder<'_> {
    /// Computes the keys and hashes of a batch, and asks for the memory where they lead.
    #[inline]
    fn look_ahead(&self, batch: &mut Batch<'_, '_>, bounds: &Bounds) {
        if !batch.keys.read(batch.text, bounds) {
            self.look_at_long(batch, bounds);
        }
        let homes = self.caches.words.homes();
        for hash in &batch.keys.hashes[..bounds.len()] {
            homes.prefetch(*hash);
        }
    }

    /// Computes the hashes of those pieces that are too long for a key.
    #[cold]
    fn look_at_long(&self, batch: &mut Batch<'_, '_>, bounds: &Bounds) {
        for at in 0..bounds.len() {
            let (piece, key, _) = batch.piece(bounds, at);
            if key == NO_KEY {
                let hash = hash_of_bytes(piece);
                self.caches.phrases.prefetch(hash);
                batch.keys.hashes[at] = hash;
            }
        }
    }

    /// Appends the ids of a batch; [`PieceEncoder::finish`] appends the last.
    #[inline]
    fn encode(&mut self, batch: &mut Batch<'_, '_>, bounds: &Bounds, ids: &mut Vec<u32>) {
        self.look_ahead(batch, bounds);
        if !self.staged.has_room_for_a_batch() {
            self.finish(batch, ids);
        }
        self.staged.ask_for_room(ids);
        let (mut at, end) = (0, bounds.len());
        loop {
            at = self
                .staged
                .add_words(&self.caches.words, batch.keys, at, end);
            if at == end {
                return;
            }
            let piece = batch.piece(bounds, at);
            self.encode_other(piece, batch, ids);
            at += 1;
        }
    }

    /// Encodes a piece that is at home in no slot of the words, or lets it wait.
    #[cold]
    fn encode_other<'t>(&mut self, piece: New<'t>, batch: &mut Batch<'_, 't>, ids: &mut Vec<u32>) {
        if let Some(word) = self.caches.words.get(piece.1, piece.2) {
            return self.staged.add(word);
        }
        self.caches.phrases.prefetch(piece.2);
        if !batch.waiting.add(self.staged.len, piece) {
            self.finish(batch, ids);
        }
    }

    /// Encodes all pieces that wait, and moves all ids to where they belong.
    fn finish(&mut self, batch: &mut Batch<'_, '_>, ids: &mut Vec<u32>) {
        let waiting = &batch.waiting.pieces[..batch.waiting.len];
        let learned = self.learn(waiting);
        let mut from = 0;
        for ((place, piece), word) in waiting.iter().zip(&learned) {
            ids.extend_from_slice(&self.staged.ids[from..*place]);
            from = *place;
            match word {
                Some(word) => ids.extend_from_slice(&word.ids()[..word.len()]),
                None => self.encode_waiting(*piece, ids),
            }
        }
        ids.extend_from_slice(&self.staged.ids[from..self.staged.len]);
        (self.staged.len, batch.waiting.len) = (0, 0);
        self.caches.exchange();
    }

    /// Encodes a piece that is perhaps in a cache.
    fn encode_waiting(&mut self, new: New<'_>, out: &mut Vec<u32>) {
        let (piece, key, hash) = new;
        if let Some(word) = self.caches.words.get(key, hash) {
            return out.extend_from_slice(&word.ids()[..word.len()]);
        }
        if let Some(ids) = self.caches.phrases.get(piece, hash) {
            return out.extend_from_slice(ids);
        }
        let len = self.encode_uncached(piece);
        out.extend_from_slice(&self.ids[..len]);
        self.caches.note(new, &self.ids[..len]);
    }

    /// Encodes those pieces that are short and new, several at once, for the caches; of each that
    /// is a word, its slot.
    fn learn(&mut self, waiting: &[(usize, New<'_>)]) -> [Option<Slot>; WAITING] {
        let mut learned = [None; WAITING];
        let Some(index) = self.index else {
            return learned;
        };
        let (mut new, mut places) = ([NO_PIECE; WAITING], [0; WAITING]);
        let mut len = 0;
        for (at, (_, piece)) in waiting.iter().enumerate() {
            (new[len], places[len]) = (*piece, at);
            len += usize::from(self.is_new_and_short(&new[..=len]));
        }
        let pieces = new.map(|(piece, ..)| piece);
        let caches = &mut self.caches;
        self.tokenizer
            .encode_short_pieces_with(&index, &pieces[..len], |at, ids| {
                learned[places[at]] = caches.note(new[at], ids);
            });
        learned
    }

    /// Whether the last of these pieces, which are no known words, is short, new, and not among the
    /// others.
    fn is_new_and_short(&self, pieces: &[New<'_>]) -> bool {
        let Some(((piece, _, hash), others)) = pieces.split_last() else {
            return false;
        };
        let short = (1..SHORT).contains(&piece.len()) && !CharMemo::suits(piece);
        short
            && self.caches.phrases.get(piece, *hash).is_none()
            && others.iter().all(|other| other.0 != *piece)
    }

    /// Encodes a piece into `ids`; returns their number.
    fn encode_uncached(&mut self, piece: &[u8]) -> usize {
        if self.ids.len() <= piece.len() {
            // New zeros cost nothing before they are written, and most will not be.
            self.ids = vec![0; piece.len() + 1];
        }
        let known = self.encode_repetitive(piece);
        self.count(if known.is_some() { 0 } else { piece.len() });
        if let Some(len) = known.or_else(|| self.encode_chars(piece)) {
            return len;
        }
        loop {
            let (ids, workspace) = (&mut self.ids, &mut self.workspace);
            let encoded = match &self.index {
                Some(index) => self
                    .tokenizer
                    .encode_piece_with(index, piece, ids, workspace),
                None => self.tokenizer.encode_piece_into(piece, ids, workspace),
            };
            match encoded {
                Ok(len) => return len,
                Err(small) => self.workspace = vec![0; small.needed],
            }
        }
    }

    /// Encodes a long piece that repeats itself into `ids`, if it is one and there is no index.
    fn encode_repetitive(&mut self, piece: &[u8]) -> Option<usize> {
        if self.index.is_some() || piece.len() < INDEX_FROM {
            return None;
        }
        loop {
            let (ids, workspace) = (&mut self.ids, &mut self.workspace);
            let tokenizer = self.tokenizer;
            match tokenizer.encode_repetitive_piece_into(piece, ids, workspace, FEW_WINDOWS) {
                Ok(len) => return len,
                Err(small) => self.workspace = vec![0; small.needed],
            }
        }
    }

    /// Encodes a piece of wide characters into `ids`, if it is one.
    fn encode_chars(&mut self, piece: &[u8]) -> Option<usize> {
        let index = self.index.as_ref().filter(|_| CharMemo::suits(piece))?;
        let mut memo = CharMemo::new(&mut self.chars)?;
        let ids = &mut self.ids;
        self.tokenizer
            .encode_chars_with(index, &mut memo, piece, ids)
    }

    /// Takes the index to help as soon as there is much to merge.
    #[inline]
    fn count(&mut self, bytes: usize) {
        if self.work < INDEX_FROM {
            self.work += bytes;
            if self.work >= INDEX_FROM {
                self.index = self.source.pair_index();
                self.chars = vec![0; CharMemo::WORDS];
            }
        }
    }
}
