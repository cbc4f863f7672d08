//! From runs to the final order, by counting sort: the most frequent pretoken first.
//!
//! One pass over the merged runs tallies how many pretokens there are of each count, and how long
//! they are; that says where each group begins. A second pass deals the pretokens out. Within a
//! group they stay in the order of their bytes.

use super::run::{Merged, Records, push_number, push_record};
use super::run_file::RunFile;
use super::{Group, PretokenCounts};
use crate::Result;
use crate::fold_hash::HashMap;
use crate::progress::Progress;
use crate::scratch::Scratch;
use crate::tokenizer::HarnessPattern;
use std::cmp::Reverse;
use std::sync::Arc;

/// Merges and sorts runs.
///
/// # Errors
/// Those of `progress`, which advances by bytes of records; [`Error::Io`].
pub(super) fn sort(
    runs: &[&[u8]],
    pattern: HarnessPattern,
    scratch: Scratch,
    progress: &Progress,
) -> Result<PretokenCounts> {
    let mut tally = Tally::default();
    if let [run] = runs {
        tally.add_all(Records(run), progress, |_, _| ())?;
        return tally.deal(run, pattern, scratch, progress);
    }
    let merged = Merged::new(runs.iter().copied());
    let len: usize = runs.iter().map(|run| run.len()).sum();
    if len <= scratch.in_memory {
        let mut run = Vec::with_capacity(len);
        tally.add_all(merged, progress, |word, count| {
            push_record(&mut run, word, count)
        })?;
        return tally.deal(&run, pattern, scratch, progress);
    }
    let file = RunFile::temporary(&scratch.folder);
    file.append(|record| tally.add_all(merged, progress, record))?;
    let mapped = file.map()?;
    let run = mapped.iter().next().unwrap_or(&[]);
    tally.deal(run, pattern, scratch, progress)
}

/// What there is of each count.
#[derive(Default)]
struct Tally(HashMap<u64, Room>);

#[derive(Default)]
struct Room {
    words: usize,
    /// Length of the words' bytes, and of everything that is stored for them.
    word_bytes: usize,
    bytes: usize,
    /// Where the next word goes.
    cursor: usize,
}

impl Tally {
    fn add_all<'a>(
        &mut self,
        records: impl Iterator<Item = (&'a [u8], u64)>,
        progress: &Progress,
        mut f: impl FnMut(&[u8], u64),
    ) -> Result<()> {
        let mut passed = Meter::new(progress);
        let mut number = Vec::new();
        for (word, count) in records.filter(|(_, count)| *count > 0) {
            number.clear();
            push_number(&mut number, word.len() as u64);
            let room = self.0.entry(count).or_default();
            room.words += 1;
            room.word_bytes += word.len();
            room.bytes += number.len() + word.len();
            f(word, count);
            passed.add(word.len())?;
        }
        passed.finish()
    }

    /// The groups in the order of falling counts, with their places set.
    fn lay_out(&mut self) -> Vec<Group> {
        let mut rooms: Vec<_> = self.0.iter_mut().collect();
        rooms.sort_unstable_by_key(|(count, _)| Reverse(**count));
        let mut end = 0;
        let group = |(count, room): (&u64, &mut Room)| {
            room.cursor = end;
            end += room.bytes;
            Group {
                count: *count,
                words: room.words,
                end,
            }
        };
        rooms.into_iter().map(group).collect()
    }

    fn deal(
        mut self,
        run: &[u8],
        pattern: HarnessPattern,
        scratch: Scratch,
        progress: &Progress,
    ) -> Result<PretokenCounts> {
        let groups = self.lay_out();
        let len = groups.last().map_or(0, |group| group.end);
        let mut words = scratch.zeros::<u8>(len)?;
        let mut passed = Meter::new(progress);
        let mut number = Vec::new();
        for (word, count) in Records(run).filter(|(_, count)| *count > 0) {
            number.clear();
            push_number(&mut number, word.len() as u64);
            let room = self.0.get_mut(&count).expect("it was tallied");
            for part in [&number[..], word] {
                words[room.cursor..room.cursor + part.len()].copy_from_slice(part);
                room.cursor += part.len();
            }
            passed.add(word.len())?;
        }
        passed.finish()?;
        Ok(PretokenCounts {
            pattern,
            words: Arc::new(words),
            len: self.0.values().map(|room| room.words).sum(),
            distinct_bytes: self.0.values().map(|room| room.word_bytes).sum(),
            groups,
            scratch,
        })
    }
}

/// Advances progress by bytes, now and then.
struct Meter<'p> {
    progress: &'p Progress,
    bytes: usize,
}

impl<'p> Meter<'p> {
    fn new(progress: &'p Progress) -> Self {
        Self { progress, bytes: 0 }
    }

    fn add(&mut self, bytes: usize) -> Result<()> {
        self.bytes += bytes;
        if self.bytes >= 1 << 20 {
            self.finish()?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.progress
            .advance(std::mem::take(&mut self.bytes) as u64)
    }
}
