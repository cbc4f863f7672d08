//! The counts of one thread: a table for short pretokens and one for long ones, within a bound.

use super::key::unpack;
use super::long::LongTable;
use super::run_file::RunFile;
use super::short::ShortTable;
use crate::Result;
use crate::kernels::bpe::{Bounds, Keys, NO_KEY, key_of};
use crate::tokenizer::HarnessPattern;

/// Counts that take at most `bound` bytes of memory; a full table goes to a file as a run.
pub(super) struct Table<'r> {
    short: ShortTable,
    long: LongTable,
    /// Those of the batch that is counted.
    keys: Box<Keys>,
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
            keys: Box::default(),
            bound,
            runs,
            written: Ok(()),
        }
    }

    /// Counts the pieces of a text.
    pub(super) fn count(&mut self, text: &[u8], pattern: &HarnessPattern) {
        let mut bounds = Bounds::new();
        pattern.for_each_batch(text, &mut bounds, |bounds| self.count_batch(text, bounds));
    }

    /// Bytes that the tables take.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        self.short.memory() + self.long.memory()
    }

    fn count_batch(&mut self, text: &[u8], bounds: &Bounds) {
        let all_are_short = self.keys.read(text, bounds);
        let len = match all_are_short {
            true => bounds.len(),
            false => self.count_long(text, bounds),
        };
        self.make_room();
        let Keys { keys, hashes } = &*self.keys;
        self.short.add_batch(&keys[..len], &hashes[..len]);
    }

    /// Counts those pieces that have no key, and takes them from the batch; how many others there are.
    #[cold]
    fn count_long(&mut self, text: &[u8], bounds: &Bounds) -> usize {
        let mut len = 0;
        for (at, piece) in bounds.iter().enumerate() {
            let Keys { keys, hashes } = &mut *self.keys;
            if keys[at] == NO_KEY {
                self.add_long(&text[piece], 1);
                continue;
            }
            (keys[len], hashes[len]) = (keys[at], hashes[at]);
            len += 1;
        }
        len
    }

    /// Adds to the count of a pretoken.
    pub(super) fn add(&mut self, pretoken: &[u8], count: u64) {
        let Some(key) = key_of(pretoken) else {
            return self.add_long(pretoken, count);
        };
        self.make_room();
        self.short.add(key, count);
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
