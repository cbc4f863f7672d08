//! Words between white space: their counts, and the text as numbers in a temporary file.
//!
//! One pass numbers words in the order in which they first appear and writes those numbers; when
//! all are counted, a second pass over the numbers alone leaves the rare words out and gives the
//! others their final ids: by falling count, then by bytes. What stays in memory is the vocabulary.

use super::TokenSource;
use crate::corpus::Corpus;
use crate::corpus::map::{Mapping, map_file};
use crate::fold_hash::Seeded;
use crate::progress::Progress;
use crate::token_stream::Ids;
use crate::{Error, Result};
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

/// Marks the end of a line or document among provisional ids.
const END: u32 = u32::MAX;

/// A text as ids of its words.
#[derive(Debug)]
pub struct WordStream {
    words: Vec<Vec<u8>>,
    counts: Vec<u64>,
    ids: Option<Mapping>,
}

impl WordStream {
    /// Counts and numbers the words of a corpus.
    ///
    /// # Errors
    /// [`Error::Data`] when no word is frequent enough, [`Error::Io`] when the temporary file
    /// cannot be written.
    pub fn new(corpus: &Corpus, min_count: u64, max_vocab: usize) -> Result<Self> {
        let mut counter = Counter::default();
        let provisional = counter.read(corpus)?;
        let order = counter.order(min_count, max_vocab);
        if order.len() < 2 {
            let message = format!(
                "fewer than two words appear {min_count} times or more; give it more text or lower the minimum count"
            );
            let name = corpus.documents().next().map(|d| d.name.to_path_buf());
            return Err(Error::data(name.unwrap_or_default(), message));
        }
        let ids = rewrite(provisional.as_deref().unwrap_or(&[]), &counter, &order)?;
        let mut words: Vec<Vec<u8>> = vec![Vec::new(); counter.counts.len()];
        for (word, id) in counter.ids {
            words[id as usize] = word.into_vec();
        }
        Ok(Self {
            words: order
                .iter()
                .map(|id| std::mem::take(&mut words[*id as usize]))
                .collect(),
            counts: order
                .iter()
                .map(|id| counter.counts[*id as usize])
                .collect(),
            ids,
        })
    }

    /// The vocabulary, most frequent word first.
    pub fn words(&self) -> &[Vec<u8>] {
        &self.words
    }

    /// How often each word appears.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// The text without its rare words; the id after the last word's ends a line or document.
    pub fn source(&self) -> TokenSource<'_> {
        let bytes = self.ids.as_deref().unwrap_or(&[]);
        TokenSource {
            ids: Ids::U32(bytemuck::cast_slice(bytes)),
            counts: &self.counts,
        }
    }
}

/// Words in order of their first appearance.
#[derive(Default)]
struct Counter {
    ids: HashMap<Box<[u8]>, u32, Seeded>,
    counts: Vec<u64>,
}

impl Counter {
    /// Counts all words, and writes their provisional ids.
    fn read(&mut self, corpus: &Corpus) -> Result<Option<Mapping>> {
        let progress = Progress::new("Counting words", corpus.bytes(), "bytes");
        let mut out = IdWriter::new()?;
        for document in corpus.documents() {
            for line in document.text.split(|byte| *byte == b'\n') {
                let mut unreported = 0;
                for word in line.split(|byte| byte.is_ascii_whitespace()) {
                    unreported += word.len() as u64 + 1;
                    if !word.is_empty() {
                        out.write(self.count(word)?)?;
                    }
                    if unreported > 1 << 16 {
                        progress.advance(std::mem::take(&mut unreported))?;
                    }
                }
                progress.advance(unreported)?;
                out.write(END)?;
            }
        }
        progress.finish();
        out.finish()
    }

    fn count(&mut self, word: &[u8]) -> Result<u32> {
        let id = match self.ids.get(word) {
            Some(id) => *id,
            None => {
                let id = u32::try_from(self.counts.len()).ok().filter(|id| *id < END);
                let id = id.ok_or_else(|| Error::Failed("more than 2^32 - 2 words".into()))?;
                self.ids.insert(word.into(), id);
                self.counts.push(0);
                id
            }
        };
        self.counts[id as usize] += 1;
        Ok(id)
    }

    /// Provisional ids of the words to keep, most frequent first, equal counts by their bytes.
    fn order(&self, min_count: u64, max_vocab: usize) -> Vec<u32> {
        let count = |id: u32| self.counts[id as usize];
        let frequent = self.ids.iter().filter(|(_, id)| count(**id) >= min_count);
        let mut kept: Vec<(&[u8], u32)> = frequent.map(|(word, id)| (&word[..], *id)).collect();
        kept.sort_unstable_by_key(|(word, id)| (std::cmp::Reverse(count(*id)), *word));
        kept.truncate(max_vocab);
        kept.into_iter().map(|(_, id)| id).collect()
    }
}

/// Replaces provisional ids by final ones; rare words vanish, and so do empty lines.
fn rewrite(provisional: &[u8], counter: &Counter, order: &[u32]) -> Result<Option<Mapping>> {
    let mut final_ids = vec![END; counter.counts.len()];
    for (id, old) in (0..).zip(order) {
        final_ids[*old as usize] = id;
    }
    let line_end = order.len() as u32;
    let (mut out, mut last) = (IdWriter::new()?, line_end);
    for (i, old) in bytemuck::cast_slice::<u8, u32>(provisional)
        .iter()
        .enumerate()
    {
        if i % (1 << 20) == 0 {
            crate::progress::check()?;
        }
        let id = match *old {
            END => line_end,
            // A mapped file may change under us; a number that is no id is left out.
            old => final_ids.get(old as usize).copied().unwrap_or(END),
        };
        if id != END && (id, last) != (line_end, line_end) {
            out.write(id)?;
            last = id;
        }
    }
    out.finish()
}

/// Numbers on their way to a temporary file that has no name.
struct IdWriter {
    folder: PathBuf,
    file: BufWriter<File>,
    empty: bool,
}

impl IdWriter {
    fn new() -> Result<Self> {
        let folder = std::env::temp_dir();
        let file = tempfile::tempfile().map_err(Error::io(&folder))?;
        Ok(Self {
            folder,
            file: BufWriter::with_capacity(1 << 18, file),
            empty: true,
        })
    }

    #[inline]
    fn write(&mut self, id: u32) -> Result<()> {
        self.empty = false;
        let written = self.file.write_all(&id.to_ne_bytes());
        written.map_err(|e| Error::io(&self.folder)(e))
    }

    /// The file's bytes, mapped; an empty file cannot be.
    fn finish(self) -> Result<Option<Mapping>> {
        let Self {
            folder,
            file,
            empty,
        } = self;
        let file = file.into_inner().map_err(|e| e.into_error());
        let file = file.map_err(Error::io(&folder))?;
        (!empty).then(|| map_file(&file, &folder)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(text: &str, min_count: u64) -> Result<WordStream> {
        WordStream::new(
            &Corpus::from_bytes("text", text.into()),
            min_count,
            usize::MAX,
        )
    }

    #[test]
    fn words_are_ordered_by_count_and_then_by_bytes() {
        let stream = stream("b a c b\ta d\r\nb\n\n\nb rare\n", 1).unwrap();
        let words: Vec<_> = stream
            .words()
            .iter()
            .map(|w| str::from_utf8(w).unwrap())
            .collect();
        assert_eq!(words, ["b", "a", "c", "d", "rare"]);
        assert_eq!(stream.counts(), [4, 2, 1, 1, 1]);
        let TokenSource {
            ids: Ids::U32(ids), ..
        } = stream.source()
        else {
            panic!("words are 32-bit ids");
        };
        assert_eq!(ids, [0, 1, 2, 0, 1, 3, 5, 0, 5, 0, 4, 5]);
    }

    #[test]
    fn rare_words_leave_the_text() {
        let stream = stream("x y x z y x\nz\nx", 2).unwrap();
        assert_eq!(stream.counts(), [4, 2, 2]);
        assert!(super::tests::stream("x y z", 2).is_err_and(|e| e.exit_code() == 3));
        let kept = WordStream::new(&Corpus::from_bytes("text", b"x y x z y x".to_vec()), 1, 2);
        assert_eq!(kept.unwrap().counts(), [3, 2]);
    }
}
