//! Encodes long texts: the kernels' encoder behind caches of pieces.
//!
//! Text repeats itself: the thousand most frequent pieces make up two thirds of English. Pieces
//! are taken in batches. First the keys and hashes of all of a batch are computed and the memory
//! is asked for the cache lines where they should be; then the ids are looked up and written one
//! piece after the other, when most of those lines have come. A piece that is not known goes to
//! the kernels' encoder, and what that gives is noted: so the caches change no id. They grow with
//! the text, to some 64 MiB at most.

mod hash;
mod phrases;
mod words;

use super::{HarnessPattern, Tokenizer};
use crate::kernels::bpe::{BATCH, CharMemo, PairIndex, Pieces, TokenizerRef};
use hash::hash_of_bytes;
use phrases::PhraseCache;
use std::ops::Range;
use words::{Key, MAX_IDS, WordCache};

/// Bytes to merge from which on an index of the pairs pays for being made.
const INDEX_FROM: usize = 1 << 14;
/// Windows of a longer piece that are merged without an index, to see whether it repeats itself.
const FEW_WINDOWS: usize = 64;
/// From as many new pieces in a batch on, those of the next are encoded several at once.
const MANY_NEWS: usize = 4;
/// Pieces of fewer bytes can be.
const SHORT: usize = 64;
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
    pieces: PieceEncoder<'t>,
}

impl<'t> Encoder<'t> {
    /// An encoder with empty caches.
    pub fn new(tokenizer: &'t Tokenizer) -> Self {
        Self {
            pattern: tokenizer.pattern(),
            pieces: PieceEncoder {
                source: tokenizer,
                tokenizer: tokenizer.as_ref(),
                index: None,
                chars: Vec::new(),
                work: 0,
                news: 0,
                words: WordCache::new(),
                phrases: PhraseCache::new(),
                workspace: vec![0; 1024],
                ids: vec![0; 128],
            },
        }
    }

    /// Appends the ids of a text; see [`Tokenizer::encode`].
    pub fn encode_into(&mut self, text: &[u8], ids: &mut Vec<u32>) {
        let mut batch = Batch::of(text);
        let mut out = Output::after(ids);
        if let Some(pattern) = self.pattern.known() {
            let mut pieces = pattern.pieces(text);
            while batch.fill(&mut pieces) {
                self.pieces.encode(&mut batch, &mut out);
            }
        } else {
            self.pattern.for_each_piece(text, |piece| {
                if batch.add(piece) {
                    self.pieces.encode(&mut batch, &mut out);
                }
            });
            self.pieces.encode(&mut batch, &mut out);
        }
        out.finish();
    }
}

/// Pieces of a text, with their keys (no piece's where one is too long) and hashes.
struct Batch<'t> {
    text: &'t [u8],
    ranges: [Range<usize>; BATCH],
    keys: [Key; BATCH],
    hashes: [u64; BATCH],
    len: usize,
}

impl<'t> Batch<'t> {
    const fn of(text: &'t [u8]) -> Self {
        Self {
            text,
            ranges: [const { 0..0 }; BATCH],
            keys: [const { Key::NONE }; BATCH],
            hashes: [0; BATCH],
            len: 0,
        }
    }

    /// Takes the next pieces; `false` if there are none.
    fn fill(&mut self, pieces: &mut Pieces<'_>) -> bool {
        self.len = pieces.fill(&mut self.ranges);
        self.len > 0
    }

    /// Adds a piece; `true` if the batch is full with it.
    fn add(&mut self, piece: &[u8]) -> bool {
        let start = piece.as_ptr().addr() - self.text.as_ptr().addr();
        self.ranges[self.len] = start..start + piece.len();
        self.len += 1;
        self.len == BATCH
    }

    fn piece(&self, at: usize) -> New<'t> {
        let piece = &self.text[self.ranges[at].clone()];
        (piece, self.keys[at], self.hashes[at])
    }
}

/// Ids behind those that a vector had, with room made in advance.
struct Output<'v> {
    ids: &'v mut Vec<u32>,
    len: usize,
}

impl<'v> Output<'v> {
    fn after(ids: &'v mut Vec<u32>) -> Self {
        let len = ids.len();
        Self { ids, len }
    }

    /// Makes room for as many more ids.
    #[inline]
    fn reserve(&mut self, more: usize) {
        if self.ids.len() < self.len + more {
            self.ids.resize(self.len + more + 16 * BATCH, 0);
        }
    }

    /// Appends the ids of words up to one that is not known; how many they are.
    #[inline]
    fn words(&mut self, words: &WordCache, batch: &Batch<'_>, first: usize) -> usize {
        let (mut known, mut len) = (0, 0);
        let room = self.ids.get_mut(self.len..).unwrap_or(&mut []);
        let pieces = first..batch.len;
        for (key, hash) in batch.keys[pieces.clone()].iter().zip(&batch.hashes[pieces]) {
            let place = room.get_mut(len..).and_then(<[_]>::first_chunk_mut);
            let (Some(word), Some(place)) = (words.get(*key, *hash), place) else {
                break;
            };
            *place = *word.ids();
            len += word.len();
            known += 1;
        }
        self.len += len;
        known
    }

    fn extend(&mut self, ids: &[u32]) {
        self.reserve(ids.len() + MAX_IDS * BATCH);
        self.ids[self.len..][..ids.len()].copy_from_slice(ids);
        self.len += ids.len();
    }

    /// Takes the room back that was not used.
    fn finish(self) {
        self.ids.truncate(self.len);
    }
}

/// A piece, its key and its hash.
type New<'t> = (&'t [u8], Key, u64);

/// Notes the ids of a piece that is in no cache.
fn note(words: &mut WordCache, phrases: &mut PhraseCache, new: New<'_>, ids: &[u32]) {
    let (piece, key, hash) = new;
    if key.is_some() && ids.len() <= MAX_IDS {
        words.insert(key, hash, ids);
    } else {
        phrases.insert(piece, hash, ids);
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
    /// Pieces of this batch that were in no cache.
    news: usize,
    words: WordCache,
    phrases: PhraseCache,
    workspace: Vec<u32>,
    ids: Vec<u32>,
}

impl PieceEncoder<'_> {
    /// Computes the keys and hashes of a batch, and asks for the memory where they lead.
    #[inline]
    fn look_ahead(&self, batch: &mut Batch<'_>) {
        let Batch {
            text,
            ranges,
            keys,
            hashes,
            len,
        } = batch;
        let places = keys[..*len].iter_mut().zip(&mut hashes[..*len]);
        for (range, (key, hash)) in ranges[..*len].iter().zip(places) {
            let rest = text.get(range.start..).unwrap_or(&[]);
            if let Some(short) = Key::new(range.end - range.start, rest) {
                (*key, *hash) = (short, short.hash());
                self.words.prefetch(*hash);
            } else {
                let piece = text.get(range.clone()).unwrap_or(&[]);
                (*key, *hash) = (Key::NONE, hash_of_bytes(piece));
                self.phrases.prefetch(*hash);
            }
        }
    }

    /// Appends the ids of a batch, and empties it.
    #[inline]
    fn encode(&mut self, batch: &mut Batch<'_>, out: &mut Output<'_>) {
        self.look_ahead(batch);
        let before = std::mem::take(&mut self.news);
        if before >= MANY_NEWS {
            self.learn(batch);
        }
        let mut at = 0;
        while at < batch.len {
            out.reserve(MAX_IDS * BATCH);
            at += out.words(&self.words, batch, at);
            if at < batch.len {
                self.encode_other(batch.piece(at), out);
                at += 1;
            }
        }
        batch.len = 0;
    }

    /// Encodes a piece that is in no slot of the words.
    #[cold]
    fn encode_other(&mut self, new: New<'_>, out: &mut Output<'_>) {
        let (piece, _, hash) = new;
        if let Some(ids) = self.phrases.get(piece, hash) {
            return out.extend(ids);
        }
        self.news += 1;
        let len = self.encode_uncached(piece);
        out.extend(&self.ids[..len]);
        note(&mut self.words, &mut self.phrases, new, &self.ids[..len]);
    }

    /// Encodes those pieces of a batch that are short and new, several at once, for the caches.
    #[inline(never)]
    fn learn(&mut self, batch: &Batch<'_>) {
        let Some(index) = self.index else { return };
        let (places, count) = self.no_words(batch);
        let mut places = places[..count].iter();
        while places.len() > 0 {
            let mut new: [New<'_>; _] = [(&[], Key::NONE, 0); PairIndex::AT_ONCE];
            let mut len = 0;
            while len < new.len()
                && let Some(at) = places.next()
            {
                new[len] = batch.piece(*at);
                len += usize::from(self.is_new_and_short(&new[..=len]));
            }
            let pieces = new.map(|(piece, ..)| piece);
            let (words, phrases) = (&mut self.words, &mut self.phrases);
            self.tokenizer
                .encode_short_pieces_with(&index, &pieces[..len], |at, ids| {
                    note(words, phrases, new[at], ids);
                });
            self.news += len;
        }
    }

    /// Places of a batch's pieces that are no known words, and how many they are; asks for the
    /// memory where they are if they are phrases.
    fn no_words(&self, batch: &Batch<'_>) -> ([usize; BATCH], usize) {
        let (mut places, mut count) = ([0; BATCH], 0);
        for at in 0..batch.len {
            let (_, key, hash) = batch.piece(at);
            if self.words.get(key, hash).is_none() {
                self.phrases.prefetch(hash);
                places[count] = at;
                count += 1;
            }
        }
        (places, count)
    }

    /// Whether the last of these pieces is short, in no cache, and not among the others.
    fn is_new_and_short(&self, pieces: &[New<'_>]) -> bool {
        let Some(((piece, key, hash), others)) = pieces.split_last() else {
            return false;
        };
        let short = (1..SHORT).contains(&piece.len()) && !CharMemo::suits(piece);
        let known = key.is_some() && self.words.get(*key, *hash).is_some();
        short
            && !known
            && self.phrases.get(piece, *hash).is_none()
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
