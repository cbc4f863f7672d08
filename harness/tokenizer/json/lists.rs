//! Finds the two long lists of a `tokenizer.json`, and reads them where they stand.
//!
//! Merges are the longer list and come last, so another thread reads them meanwhile, from the first
//! place that looks like their start.

use super::cursor::{Bad, Cursor, Scan};
use super::names::{End, Vocab, append_name};
use crate::parallel::default_threads;
use crate::tokenizer::lexicon::PartList;
use std::ops::Range;
use std::thread::{Scope, ScopedJoinHandle};

/// A list in the file: where it stands, and what was read.
pub(super) type Found<T> = Option<(Range<usize>, Scan<T>)>;

#[derive(Default)]
pub(super) struct Lists {
    pub(super) vocab: Found<Vocab>,
    pub(super) merges: Found<PartList>,
}

impl Lists {
    pub(super) fn find(content: &[u8]) -> Scan<Self> {
        std::thread::scope(|scope| {
            let mut early = EarlyMerges::begin(scope, content);
            let mut merges = |cursor: &mut Cursor<'_>| {
                let read = early.take().and_then(|early| early.finish(cursor));
                read.map_or_else(|| read_merges(cursor), Ok)
            };
            let mut lists = Self::default();
            let mut cursor = Cursor::new(content);
            cursor.members(|cursor, key| match (key, cursor.peek()) {
                (b"model", Some(b'{')) => cursor.members(|cursor, key| match key {
                    b"vocab" => found(&mut lists.vocab, cursor, Vocab::read),
                    b"merges" => found(&mut lists.merges, cursor, &mut merges),
                    _ => cursor.skip(),
                }),
                _ => cursor.skip(),
            })?;
            Ok(lists)
        })
    }

    /// The file with something short in the place of each list.
    pub(super) fn cut_out(&self, content: &[u8]) -> Vec<u8> {
        let vocab = self.vocab.iter().map(|(range, _)| range.clone());
        let mut ranges: Vec<_> = vocab
            .chain(self.merges.iter().map(|(r, _)| r.clone()))
            .collect();
        ranges.sort_by_key(|range| range.start);
        let (mut outline, mut done) = (Vec::new(), 0);
        for range in ranges {
            outline.extend_from_slice(&content[done..range.start]);
            outline.extend_from_slice(b"0");
            done = range.end;
        }
        outline.extend_from_slice(&content[done..]);
        outline
    }
}

/// Merges that another thread reads while this one reads the vocabulary: from the first place that
/// looks like the start of their list. Only the walk that comes by there knows whether it is.
struct EarlyMerges<'s> {
    start: usize,
    /// The list and where it ends.
    read: ScopedJoinHandle<'s, Option<(PartList, usize)>>,
}

impl<'s> EarlyMerges<'s> {
    fn begin<'c: 's>(scope: &'s Scope<'s, '_>, content: &'c [u8]) -> Option<Self> {
        if default_threads() == 1 {
            return None;
        }
        let mut cursor = Cursor::new(content);
        let mut places = memchr::memmem::find_iter(content, KEY);
        places.find(|at| {
            cursor.go_to(at + KEY.len());
            cursor.take(b':') && cursor.peek() == Some(b'[')
        })?;
        let start = cursor.at();
        let read = scope.spawn(move || Some((read_merges(&mut cursor).ok()?, cursor.at())));
        Some(Self { start, read })
    }

    /// The list, if it is the one at the cursor, which goes behind it.
    fn finish(self, cursor: &mut Cursor<'_>) -> Option<PartList> {
        if self.start != cursor.at() {
            return None;
        }
        let (parts, end) = self.read.join().ok()??;
        cursor.go_to(end);
        Some(parts)
    }
}

const KEY: &[u8] = b"\"merges\"";

/// Reads the list at the cursor, or walks over it if it is of another kind of model.
fn found<T>(
    list: &mut Found<T>,
    cursor: &mut Cursor<'_>,
    read: impl FnOnce(&mut Cursor<'_>) -> Scan<T>,
) -> Scan<()> {
    if list.is_some() {
        return cursor.bad("not a tokenizer.json: this list stands here twice");
    }
    cursor.peek();
    let start = cursor.at();
    let content = read(cursor);
    if content.is_err() {
        cursor.go_to(start);
        cursor.skip()?;
    }
    *list = Some((start..cursor.at(), content));
    Ok(())
}

/// `["left right", ["left", "right"], ...]`: both forms are in use.
fn read_merges(cursor: &mut Cursor<'_>) -> Scan<PartList> {
    let mut parts = PartList::default();
    parts.ends.reserve(cursor.rest().len() / 64);
    cursor.elements(|cursor| {
        let in_list = cursor.take(b'[');
        let middle = read_part(cursor, &mut parts.blob, in_list, true)?;
        if in_list {
            cursor.expect(b',')?;
        }
        let end = read_part(cursor, &mut parts.blob, in_list, false)?;
        if in_list {
            cursor.expect(b']')?;
        }
        parts.ends.push((middle, end));
        Ok(())
    })?;
    Ok(parts)
}

/// Appends one part of a merge; returns where it ends.
fn read_part(
    cursor: &mut Cursor<'_>,
    blob: &mut Vec<u8>,
    in_list: bool,
    is_left: bool,
) -> Scan<u32> {
    if in_list || is_left {
        cursor.expect(b'"')?;
    }
    let start = cursor.at();
    let end = match (in_list, is_left) {
        (false, true) => End::Space,
        _ => End::Quote,
    };
    if append_name(cursor, blob) != end {
        let at = start;
        let message = "a merge is two tokens of a byte-level vocabulary; this is none".into();
        return Err(Bad { at, message });
    }
    Ok(blob.len() as u32)
}
