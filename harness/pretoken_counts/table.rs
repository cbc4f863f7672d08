//! The counts of one thread: a table for short pretokens and one for long ones, within a bound.

use super::key::{Key, SHORT, pack, unpack};
use super::long::LongTable;
use super::run_file::RunFile;
use super::short::{BATCH, ShortTable};
use crate::Result;

/// Counts that take at most `bound` bytes of memory; a full table goes to a file as a run.
pub(super) struct Table<'r> {
    short: ShortTable,
    long: LongTable,
    /// Keys that wait to be counted.
    batch: Vec<Key>,
    bound: usize,
    runs: &'r RunFile,
    /// The first error of writing a run.
    written: Result<()>,
}

impl<'r> Table<'r> {
    pub(super) fn new(bound: usize, runs: &'r RunFile) -> Self {
        Self {
            short: ShortTable::default(),
            long: LongTable::default(),
            batch: Vec::with_capacity(BATCH),
            bound,
            runs,
            written: Ok(()),
        }
    }

    /// Counts a piece of `text`.
    #[inline(always)]
    pub(super) fn count(&mut self, text: &[u8], piece: &[u8]) {
        if piece.len() > SHORT {
            return self.add_long(piece, 1);
        }
        // A piece is a part of its text: where it begins is the distance of the two.
        let at = piece.as_ptr().addr() - text.as_ptr().addr();
        self.batch.push(pack(text, at, piece.len()));
        if self.batch.len() == BATCH {
            self.count_batch();
        }
    }

    /// Bytes that the tables take.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        self.short.memory() + self.long.memory()
    }

    #[inline(never)]
    fn count_batch(&mut self) {
        self.make_room();
        self.short.add_batch(&self.batch);
        self.batch.clear();
    }

    /// Adds to the count of a pretoken.
    pub(super) fn add(&mut self, pretoken: &[u8], count: u64) {
        if pretoken.len() > SHORT {
            return self.add_long(pretoken, count);
        }
        self.make_room();
        self.short.add(pack(pretoken, 0, pretoken.len()), count);
    }

    #[cold]
    fn add_long(&mut self, pretoken: &[u8], count: u64) {
        let needed = self.short.memory() + self.long.memory_with(pretoken);
        if needed > self.bound && self.long.len() > 0 {
            self.spill();
        }
        self.long.add(pretoken, count);
    }

    fn make_room(&mut self) {
        let memory = self.bound.saturating_sub(self.long.memory());
        if !self.short.make_room(memory) {
            self.spill();
        }
    }

    /// Writes everything to a run and starts anew, with as much memory as the bound allows.
    #[cold]
    fn spill(&mut self) {
        let written = self.write_run();
        self.written = std::mem::replace(&mut self.written, Ok(())).and(written);
        // A part is left for long pretokens.
        self.short.restart(self.bound / 4 * 3);
    }

    /// Writes everything that was counted to a run, and leaves the table empty.
    pub(super) fn flush(&mut self) -> Result<()> {
        self.count_batch();
        self.check()?;
        if self.short.len() + self.long.len() > 0 {
            self.write_run()?;
            self.short.clear();
        }
        Ok(())
    }

    fn write_run(&mut self) -> Result<()> {
        self.short.sort();
        self.long.sort();
        let written = self.runs.append(|record| {
            self.for_each_sorted(record);
            Ok(())
        });
        self.long.clear();
        written
    }

    /// Calls `f` with all pretokens and their counts in the order of bytes; ends the table.
    pub(super) fn drain_sorted(mut self, f: &mut dyn FnMut(&[u8], u64)) {
        self.count_batch();
        self.short.sort();
        self.long.sort();
        self.for_each_sorted(f);
    }

    fn for_each_sorted(&self, f: &mut dyn FnMut(&[u8], u64)) {
        let mut long = self.long.sorted().peekable();
        for [low, high, count] in self.short.sorted() {
            let (bytes, len) = unpack([*low, *high]);
            let word = &bytes[..len];
            while let Some((word, count)) = long.next_if(|(long, _)| *long < word) {
                f(word, count);
            }
            f(word, *count);
        }
        long.for_each(|(word, count)| f(word, count));
    }

    /// Fails if a run could not be written.
    pub(super) fn check(&mut self) -> Result<()> {
        std::mem::replace(&mut self.written, Ok(()))
    }
}
