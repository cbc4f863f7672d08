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
use crate::kernels::bpe::{PairIndex, TokenizerRef};
use hash::{hash_of_bytes, hash_of_key};
use phrases::PhraseCache;
use words::{MAX_IDS, WordCache, key};

/// Bytes to merge from which on an index of the pairs pays for being made.
const INDEX_FROM: usize = 1 << 14;
/// Pieces in a batch.
const BATCH: usize = 64;

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
                work: 0,
                words: WordCache::new(),
                phrases: PhraseCache::new(),
                workspace: vec![0; 1024],
                ids: vec![0; 128],
            },
        }
    }

    /// Appends the ids of a text; see [`Tokenizer::encode`].
    pub fn encode_into(&mut self, text: &[u8], ids: &mut Vec<u32>) {
        let mut batch = Batch::new();
        let mut out = Output::after(ids);
        self.pattern.for_each_piece(text, |piece| {
            self.pieces.add(&mut batch, text, piece);
            if batch.len == BATCH {
                self.pieces.encode(&mut batch, &mut out);
            }
        });
        self.pieces.encode(&mut batch, &mut out);
        out.finish();
    }
}

/// Pieces with their keys (0 where a piece is too long for one) and hashes.
struct Batch<'t> {
    pieces: [&'t [u8]; BATCH],
    keys: [u128; BATCH],
    hashes: [u64; BATCH],
    len: usize,
}

impl Batch<'_> {
    const fn new() -> Self {
        Self {
            pieces: [&[]; BATCH],
            keys: [0; BATCH],
            hashes: [0; BATCH],
            len: 0,
        }
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

    /// Appends the ids of a word, for which there is room.
    #[inline]
    fn word(&mut self, ids: &words::Ids) {
        if let Some(place) = self.ids.get_mut(self.len..self.len + ids.len()) {
            place.copy_from_slice(ids);
        }
        self.len += ids[MAX_IDS] as usize;
    }

    fn extend(&mut self, ids: &[u32]) {
        self.reserve(ids.len() + (MAX_IDS + 1) * BATCH);
        self.ids[self.len..][..ids.len()].copy_from_slice(ids);
        self.len += ids.len();
    }

    /// Takes the room back that was not used.
    fn finish(self) {
        self.ids.truncate(self.len);
    }
}

/// Encodes pieces, with the caches.
struct PieceEncoder<'t> {
    source: &'t Tokenizer,
    tokenizer: TokenizerRef<'t>,
    index: Option<PairIndex<'t>>,
    /// Bytes that were merged without the index; [`INDEX_FROM`] when that is decided.
    work: usize,
    words: WordCache,
    phrases: PhraseCache,
    workspace: Vec<u32>,
    ids: Vec<u32>,
}

impl PieceEncoder<'_> {
    /// Adds a piece of a text to a batch that has room.
    #[inline]
    fn add<'t>(&self, batch: &mut Batch<'t>, text: &'t [u8], piece: &'t [u8]) {
        let start = piece.as_ptr().addr() - text.as_ptr().addr();
        let (key, hash) = match key(piece.len(), &text[start..]) {
            Some(key) => (key, hash_of_key(key)),
            None => (0, hash_of_bytes(piece)),
        };
        self.words.prefetch(hash);
        let at = batch.len % BATCH;
        batch.pieces[at] = piece;
        batch.keys[at] = key;
        batch.hashes[at] = hash;
        batch.len = at + 1;
    }

    /// Appends the ids of a batch, and empties it.
    #[inline]
    fn encode(&mut self, batch: &mut Batch<'_>, out: &mut Output<'_>) {
        out.reserve((MAX_IDS + 1) * BATCH);
        let pieces = batch.pieces.iter().zip(&batch.keys).zip(&batch.hashes);
        for ((piece, key), hash) in pieces.take(batch.len) {
            match self.words.get(*key, *hash) {
                Some(ids) if *key != 0 => out.word(ids),
                _ => self.encode_other(piece, *key, *hash, out),
            }
        }
        batch.len = 0;
    }

    /// Encodes a piece that is in no slot of the words.
    #[cold]
    fn encode_other(&mut self, piece: &[u8], key: u128, hash: u64, out: &mut Output<'_>) {
        if let Some(ids) = self.phrases.get(piece, hash) {
            return out.extend(ids);
        }
        let len = self.encode_uncached(piece);
        let ids = &self.ids[..len];
        out.extend(ids);
        if key != 0 && ids.len() <= MAX_IDS {
            self.words.insert(key, hash, ids);
        } else {
            self.phrases.insert(piece, hash, ids);
        }
    }

    /// Encodes a piece into `ids`; returns their number.
    fn encode_uncached(&mut self, piece: &[u8]) -> usize {
        if self.ids.len() <= piece.len() {
            // New zeros cost nothing before they are written, and most will not be.
            self.ids = vec![0; piece.len() + 1];
        }
        self.count(piece.len());
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

    /// Takes the index to help as soon as there is much to merge.
    #[inline]
    fn count(&mut self, bytes: usize) {
        if self.work < INDEX_FROM {
            self.work += bytes;
            if self.work >= INDEX_FROM {
                self.index = self.source.pair_index();
            }
        }
    }
}
