//! The words of a new text and of an earlier training, and the text as their numbers.
//!
//! Words of the earlier training stay, however rare they are in the new text, and are found in it;
//! other words join them if they are frequent enough there, as gensim's
//! `build_vocab(update=True)` has it. All are numbered by falling count over both texts.

use super::{Earlier, TokenSource, WordStream};
use crate::corpus::Corpus;
use crate::corpus::map::{Mapping, map_file};
use crate::token_stream::Ids;
use crate::{Error, Result};
use std::cmp::Reverse;
use std::io::{BufWriter, Write};

/// A new text as ids of its own words and those of an earlier training.
#[derive(Debug)]
pub struct ExtendedStream {
    words: Vec<Vec<u8>>,
    counts: Vec<u64>,
    ids: Option<Mapping>,
}

/// A word of the vocabulary.
struct Entry<'a> {
    word: &'a [u8],
    /// Its number among the words of the text, if it is there.
    in_text: Option<usize>,
    count: u64,
    /// In the earlier text as well.
    total: u64,
}

impl ExtendedStream {
    /// Counts and numbers the words of a corpus. A new word needs `min_count` appearances; the most
    /// frequent ones are taken while the vocabulary has fewer than `max_vocab` words.
    ///
    /// # Errors
    /// Those of [`WordStream::new`].
    pub fn new(
        corpus: &Corpus,
        min_count: u64,
        max_vocab: usize,
        earlier: &Earlier,
    ) -> Result<Self> {
        let text = WordStream::new(corpus, 1, usize::MAX)?;
        let vocabulary = vocabulary(&text, min_count, max_vocab, earlier);
        let mut final_ids = vec![None; text.words().len()];
        for (id, entry) in (0..).zip(&vocabulary) {
            if let Some(i) = entry.in_text {
                final_ids[i] = Some(id);
            }
        }
        Ok(Self {
            ids: rewrite(text.source().ids, &final_ids, vocabulary.len() as u32)?,
            counts: vocabulary.iter().map(|entry| entry.count).collect(),
            words: vocabulary.iter().map(|entry| entry.word.to_vec()).collect(),
        })
    }

    /// The vocabulary, the most frequent word of both texts first.
    pub fn words(&self) -> &[Vec<u8>] {
        &self.words
    }

    /// The new text without its rare words, and how often each word appears in it. The id after the
    /// last word's ends a line or document.
    pub fn source(&self) -> TokenSource<'_> {
        let ids = self.ids.as_deref().map(bytemuck::cast_slice);
        TokenSource {
            ids: Ids::U32(ids.unwrap_or_default()),
            counts: &self.counts,
        }
    }
}

/// Old words and frequent new ones, in the order of their final numbers.
fn vocabulary<'a>(
    text: &'a WordStream,
    min_count: u64,
    max_vocab: usize,
    earlier: &'a Earlier,
) -> Vec<Entry<'a>> {
    let old = earlier.words().iter().zip(earlier.counts());
    let mut entries: Vec<Entry<'_>> = old
        .map(|(word, total)| Entry {
            word,
            in_text: None,
            count: 0,
            total: *total,
        })
        .collect();
    let new = text.words().iter().zip(text.counts()).enumerate();
    for ((i, (word, count)), old) in new.zip(earlier.ids_of(text.words())) {
        if let Some(old) = old {
            let entry = &mut entries[old as usize];
            (entry.in_text, entry.count) = (Some(i), *count);
            entry.total += count;
        } else if *count >= min_count && entries.len() < max_vocab {
            entries.push(Entry {
                word,
                in_text: Some(i),
                count: *count,
                total: *count,
            });
        }
    }
    entries.sort_unstable_by_key(|entry| (Reverse(entry.total), entry.word));
    entries
}

/// Replaces ids by final ones in a temporary file; rare words vanish, and so do empty lines.
fn rewrite(ids: Ids<'_>, final_ids: &[Option<u32>], line_end: u32) -> Result<Option<Mapping>> {
    let folder = std::env::temp_dir();
    let file = tempfile::tempfile().map_err(Error::io(&folder))?;
    let mut out = BufWriter::with_capacity(1 << 18, file);
    let mut last = line_end;
    for at in 0..ids.len() {
        if at % (1 << 20) == 0 {
            crate::progress::check()?;
        }
        let id = ids.get(at).map_or(line_end as usize, |id| id as usize);
        // What is no word of the text ends a line.
        let id = final_ids.get(id).copied().unwrap_or(Some(line_end));
        if let Some(id) = id.filter(|id| (*id, last) != (line_end, line_end)) {
            out.write_all(&id.to_ne_bytes())
                .map_err(Error::io(&folder))?;
            last = id;
        }
    }
    let file = out
        .into_inner()
        .map_err(|e| Error::io(&folder)(e.into_error()))?;
    let is_empty = file.metadata().map_err(Error::io(&folder))?.len() == 0;
    (!is_empty).then(|| map_file(&file, &folder)).transpose()
}
