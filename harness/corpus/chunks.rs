//! Pieces of a corpus for several threads, cut where no pretoken is changed.
//!
//! A cut is safe if text before it and text after it give the same pretokens apart as together.
//! That is so, under the patterns of GPT-2, cl100k and o200k and for words between white space,
//!
//! - after a newline that has neighbours on both sides which are not white space, the next one
//!   not being `/` (o200k lets `/` follow a newline in one pretoken; and GPT-2 gives the last
//!   character of a run of white space a pretoken of its own, but only if text follows);
//! - before a space that follows a character which is not white space.
//!
//! A pass that takes every line alone may also cut after any newline, and one that knows nothing
//! about the text's structure (a pattern of the user's) cuts between documents alone. Where there
//! is no safe cut, the chunk grows. Cuts depend on the text and the wanted length, never on the
//! number of threads.

use super::Corpus;
use crate::progress::Progress;
use crate::{Result, parallel};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

/// Where a document may be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cuts {
    /// After any newline.
    pub lines: bool,
    /// Where the built-in patterns give the same pretokens on both sides.
    pub words: bool,
}

impl Cuts {
    /// Only between documents.
    pub const DOCUMENTS: Self = Self {
        lines: false,
        words: false,
    };
    /// After newlines, for work that takes each line alone.
    pub const LINES: Self = Self {
        lines: true,
        words: false,
    };
    /// Where no pretoken of a built-in pattern is changed.
    pub const WORDS: Self = Self {
        lines: false,
        words: true,
    };
    /// Both: for pretokens of lines taken alone.
    pub const LINES_AND_WORDS: Self = Self {
        lines: true,
        words: true,
    };

    /// The first place at `from` or after it, strictly inside `text`, where a cut is allowed.
    pub(super) fn next(self, text: &[u8], from: usize) -> Option<usize> {
        (from.max(1)..text.len()).find(|&at| self.allow(text, at))
    }

    /// Whether a cut is allowed at `at`, which must lie inside `text` or at its end.
    #[inline]
    pub(crate) fn allow(self, text: &[u8], at: usize) -> bool {
        let (before, after) = text.split_at(at);
        match (before, after) {
            ([line @ .., b'\n'], _) => {
                self.lines || (self.words && !ends_with_space(line) && starts_plainly(after))
            }
            (word, [b' ', ..]) => self.words && !ends_with_space(word),
            _ => false,
        }
    }
}

/// Whether the last character is white space (Unicode's) or a control character.
fn ends_with_space(text: &[u8]) -> bool {
    match text {
        [.., 0xC2, 0x85 | 0xA0]
        | [.., 0xE1, 0x9A, 0x80]
        | [.., 0xE2, 0x80, 0x80..=0x8A | 0xA8 | 0xA9 | 0xAF]
        | [.., 0xE2, 0x81, 0x9F]
        | [.., 0xE3, 0x80, 0x80] => true,
        [.., last] => last.is_ascii() && !last.is_ascii_graphic(),
        [] => false,
    }
}

/// Whether the first character can neither be white space nor belong to the newline before it.
fn starts_plainly(text: &[u8]) -> bool {
    match text {
        [0xC2, 0x85 | 0xA0, ..] | [0xE1, 0x9A, 0x80, ..] | [0xE3, 0x80, 0x80, ..] => false,
        [0xE2, 0x80 | 0x81, ..] => false,
        [first, ..] => *first != b'/' && (first.is_ascii_graphic() || !first.is_ascii()),
        [] => false,
    }
}

/// A range of a corpus: whole documents, or parts of them.
#[derive(Clone, Debug)]
pub struct Chunk<'a> {
    corpus: &'a Corpus,
    range: Range<u64>,
}

impl<'a> Chunk<'a> {
    /// The documents, or parts of them, in order, and whether each starts a document.
    pub fn pieces(&self) -> impl Iterator<Item = (&'a [u8], bool)> + use<'a> {
        let pieces = self.corpus.pieces(self.range.clone());
        pieces.map(|piece| (piece.document.text, piece.starts))
    }

    /// Length in bytes.
    pub fn bytes(&self) -> u64 {
        self.range.end - self.range.start
    }

    /// Where in the corpus it lies.
    pub fn range(&self) -> Range<u64> {
        self.range.clone()
    }
}

impl Corpus {
    /// Chunks of about `target_len` bytes, cut at [`Cuts::WORDS`].
    pub fn chunks(&self, target_len: usize) -> Vec<Chunk<'_>> {
        self.chunks_at(target_len, Cuts::WORDS)
    }

    /// Chunks of about `target_len` bytes: each is cut at the first allowed place past it.
    pub fn chunks_at(&self, target_len: usize, cuts: Cuts) -> Vec<Chunk<'_>> {
        let mut chunks = Vec::new();
        let mut start = 0;
        while start < self.bytes() {
            let end = self.cut_after(start.saturating_add(target_len.max(1) as u64), cuts);
            chunks.push(Chunk {
                corpus: self,
                range: start..end,
            });
            start = end;
        }
        chunks
    }

    /// The first place at `position` or after it where `cuts` or a document's end allow a cut.
    pub(super) fn cut_after(&self, position: u64, cuts: Cuts) -> u64 {
        let Some(piece) = self.pieces(position..self.bytes()).next() else {
            return self.bytes();
        };
        if piece.starts {
            return position;
        }
        let whole = self.document_at(position);
        let from = whole.text.len() - piece.document.text.len();
        let cut = cuts.next(whole.text, from).unwrap_or(whole.text.len());
        position + (cut - from) as u64
    }

    /// `f` of every chunk on up to `threads` threads; results in the order of the chunks.
    ///
    /// `progress` advances by bytes. After an error no further chunk is begun.
    ///
    /// # Errors
    /// The first error of `f` in the order of the chunks, or that of `progress`.
    pub fn map_chunks<R: Send>(
        &self,
        threads: usize,
        target_len: usize,
        progress: &Progress,
        f: impl Fn(Chunk<'_>) -> Result<R> + Sync,
    ) -> Result<Vec<R>> {
        map(threads, self.chunks(target_len), progress, f)
    }
}

/// [`Corpus::map_chunks`] over chunks that the caller cut.
///
/// # Errors
/// The first error of `f` in the order of the chunks, or that of `progress`.
pub fn map<'a, R: Send>(
    threads: usize,
    chunks: Vec<Chunk<'a>>,
    progress: &Progress,
    f: impl Fn(Chunk<'a>) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let failed = AtomicBool::new(false);
    let results = parallel::map(threads, chunks, |chunk| {
        if failed.load(Ordering::Relaxed) {
            return None;
        }
        let bytes = chunk.bytes();
        let result = f(chunk).and_then(|r| progress.advance(bytes).map(|()| r));
        failed.fetch_or(result.is_err(), Ordering::Relaxed);
        Some(result)
    });
    // Chunks are begun in order, so an error stands before everything that was left out.
    results.into_iter().flatten().collect()
}
