//! How often each pretoken occurs in a corpus: all that the trainer of merges needs to know.
//!
//! Most pretokens are short and most occurrences are of a few thousand words, so a pretoken of up
//! to 15 bytes is packed with its length into one key of 16 bytes, which is hashed and compared in
//! a few instructions (`key`, `short`); longer ones have a table of their own (`long`). Each thread
//! fills its own pair of tables (`table`). A pair that has reached its bound is sorted by bytes and
//! appended to a file (`run`, `run_file`); at the end all such runs are merged, and the sums are
//! sorted by count (`sorted`). Sums do not depend on their order, so the result is the same for
//! any bound and any number of threads.

mod estimate;
mod key;
mod long;
mod run;
mod run_file;
mod short;
mod sorted;
mod table;
#[cfg(test)]
mod tests;

pub use estimate::Estimate;

use crate::corpus::{Chunk, Corpus, Cuts, map_chunks};
use crate::parallel;
use crate::progress::Progress;
use crate::scratch::{Scratch, ScratchVec};
use crate::tokenizer::HarnessPattern;
use crate::{Error, Result};
use run::{push_record, take_word};
use run_file::RunFile;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use table::Table;
use xxhash_rust::xxh64::Xxh64;

/// A chunk is counted in some milliseconds.
const CHUNK_LEN: usize = 1 << 20;

/// What is cut into pretokens at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CountMode {
    /// Each line alone, with its newline, as Hugging Face's trainer reads files.
    #[default]
    Lines,
    /// Whole documents: a run of newlines can be one pretoken.
    Documents,
}

/// How to count.
#[derive(Clone, Debug)]
pub struct CountOptions {
    /// What is cut into pretokens at a time.
    pub mode: CountMode,
    /// Threads; the result does not depend on it.
    pub threads: usize,
    /// Bytes that the tables of all threads together may take. Full tables go to a file. A single
    /// pretoken that is larger is held alone.
    pub memory: usize,
    /// The folder for temporary files.
    pub folder: PathBuf,
    /// A folder to keep what was counted in, so that an equal call goes on where this one was
    /// killed; see [`PretokenCounts::forget`].
    pub work: Option<PathBuf>,
    /// Bytes of text between two states that are kept there.
    pub interval: u64,
}

impl Default for CountOptions {
    fn default() -> Self {
        Self {
            mode: CountMode::Lines,
            threads: 1,
            memory: usize::MAX,
            folder: std::env::temp_dir(),
            work: None,
            interval: 1 << 30,
        }
    }
}

impl CountOptions {
    /// The smallest bound of [`CountOptions::memory`] for each thread.
    pub const LEAST_MEMORY: usize = 1 << 19;

    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// [`Error::Usage`].
    pub fn validate(&self) -> Result<()> {
        let least = Self::LEAST_MEMORY.saturating_mul(self.threads.max(1));
        if self.memory < least {
            return Err(Error::Usage(format!(
                "a memory of {} bytes is too small for {} threads; give it {least} or more",
                self.memory, self.threads
            )));
        }
        Ok(())
    }

    fn scratch(&self) -> Scratch {
        Scratch {
            folder: self.folder.clone(),
            in_memory: match self.memory {
                usize::MAX => usize::MAX,
                memory => memory / 4,
            },
        }
    }
}

/// Distinct pretokens with their counts, the most frequent first, equal counts in byte order.
///
/// # Example
/// ```
/// use barelm::{corpus::Corpus, pretoken_counts::*, progress::Progress, tokenizer::HarnessPattern};
/// let corpus = Corpus::from_bytes("sample", b"to be or not to be".to_vec());
/// let (pattern, progress) = (HarnessPattern::parse("whitespace")?, Progress::new("", 0, ""));
/// let counts = PretokenCounts::count(&corpus, &pattern, CountMode::Lines, 1, &progress)?;
/// assert_eq!(counts.iter().next(), Some((&b"be"[..], 2)));
/// assert_eq!((counts.len(), counts.total()), (4, 6));
/// # Ok::<(), barelm::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct PretokenCounts {
    pattern: HarnessPattern,
    /// Every pretoken behind its length.
    words: Arc<ScratchVec<u8>>,
    /// The steps of falling counts.
    groups: Vec<Group>,
    len: usize,
    distinct_bytes: usize,
    scratch: Scratch,
}

/// Pretokens of equal count.
#[derive(Clone, Debug)]
struct Group {
    count: u64,
    words: usize,
    /// Where they end.
    end: usize,
}

impl PretokenCounts {
    /// Counts the pretokens of a corpus on up to `threads` threads, in memory.
    ///
    /// # Errors
    /// Those of `progress`; [`Error::Data`] when there is no pretoken at all.
    pub fn count(
        corpus: &Corpus,
        pattern: &HarnessPattern,
        mode: CountMode,
        threads: usize,
        progress: &Progress,
    ) -> Result<Self> {
        let options = CountOptions {
            mode,
            threads,
            ..CountOptions::default()
        };
        Self::count_with(corpus, pattern, &options, progress)
    }

    /// Counts the pretokens of a corpus; `progress` advances by bytes of text.
    ///
    /// # Errors
    /// Those of [`CountOptions::validate`] and `progress`; [`Error::Data`] when there is no
    /// pretoken at all, or the work folder's state is another corpus's; [`Error::Io`], a full disk
    /// for instance.
    pub fn count_with(
        corpus: &Corpus,
        pattern: &HarnessPattern,
        options: &CountOptions,
        progress: &Progress,
    ) -> Result<Self> {
        options.validate()?;
        let mut chunks = corpus.chunks_at(CHUNK_LEN, cuts(pattern, options.mode));
        let (runs, position) = match &options.work {
            Some(folder) => RunFile::resume(folder, fingerprint(&chunks, pattern, options.mode))?,
            None => (RunFile::temporary(&options.folder), 0),
        };
        chunks.retain(|chunk| chunk.range().start >= position);
        progress.advance(position)?;
        let counting = Counting {
            pattern,
            options,
            runs: &runs,
            idle: Mutex::new(Vec::new()),
        };
        counting.count_all(chunks, progress)?;
        let sum = counting.sum()?;
        if sum.is_empty() {
            let name = corpus.documents().next().map_or(Path::new("-"), |d| d.name);
            let message = "no pretoken in it (nothing but white space?); give it some text";
            return Err(Error::data(name, message));
        }
        Ok(sum)
    }

    /// Removes what [`CountOptions::work`] keeps.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn forget(work: &Path) -> Result<()> {
        RunFile::forget(work)
    }

    /// Counts that are known already; equal pretokens are added up.
    pub fn from_counts<'a>(
        pattern: HarnessPattern,
        counts: impl IntoIterator<Item = (&'a [u8], u64)>,
    ) -> Self {
        let runs = RunFile::temporary(Path::new(""));
        let mut table = Table::new(usize::MAX, &runs);
        for (pretoken, count) in counts {
            table.add(pretoken, count);
        }
        let (run, silent) = (run_of(table), Progress::new("", 0, ""));
        let sorted = sorted::sort(&[&run], pattern, Scratch::default(), &silent);
        sorted.expect("nothing is written to disk")
    }

    /// The pattern that the pretokens were cut with.
    pub fn pattern(&self) -> &HarnessPattern {
        &self.pattern
    }

    /// Number of distinct pretokens.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Number of occurrences of all together.
    pub fn total(&self) -> u64 {
        let of = |group: &Group| group.count * group.words as u64;
        self.groups.iter().map(of).sum()
    }

    /// Length of all distinct pretokens together.
    pub fn distinct_bytes(&self) -> usize {
        self.distinct_bytes
    }

    /// The pretokens with their counts, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], u64)> {
        let starts = std::iter::once(0).chain(self.groups.iter().map(|group| group.end));
        self.groups.iter().zip(starts).flat_map(|(group, start)| {
            let mut bytes = &self.words[start..group.end];
            std::iter::from_fn(move || take_word(&mut bytes)).map(|word| (word, group.count))
        })
    }

    /// Where arrays that grow with the pretokens go.
    pub(crate) fn scratch(&self) -> &Scratch {
        &self.scratch
    }
}

/// Where the corpus may be cut without changing a pretoken.
fn cuts(pattern: &HarnessPattern, mode: CountMode) -> Cuts {
    Cuts {
        lines: mode == CountMode::Lines,
        words: pattern.known().is_some(),
    }
}

/// A number that tells corpora and ways to cut them apart, at no more cost than the chunks had.
fn fingerprint(chunks: &[Chunk<'_>], pattern: &HarnessPattern, mode: CountMode) -> String {
    let mut hash = Xxh64::new(0);
    hash.update(format!("{pattern}\n{mode:?}").as_bytes());
    for chunk in chunks {
        hash.update(&chunk.range().end.to_le_bytes());
        let (text, starts) = chunk.pieces().next().unwrap_or_default();
        hash.update(&text[..text.len().min(64)]);
        hash.update(&[u8::from(starts)]);
    }
    format!("{:016x}", hash.digest())
}

/// Counting under way.
struct Counting<'a> {
    pattern: &'a HarnessPattern,
    options: &'a CountOptions,
    runs: &'a RunFile,
    /// The tables that no thread is filling.
    idle: Mutex<Vec<Table<'a>>>,
}

impl<'a> Counting<'a> {
    /// Counts chunks; with a work folder, the state is kept there after each interval.
    fn count_all(&self, chunks: Vec<Chunk<'_>>, progress: &Progress) -> Result<()> {
        let keep = self.options.work.is_some();
        let mut chunks = chunks.into_iter().peekable();
        while let Some(first) = chunks.peek() {
            let end = match keep {
                true => first
                    .range()
                    .start
                    .saturating_add(self.options.interval.max(1)),
                false => u64::MAX,
            };
            let mut position = 0;
            let part = std::iter::from_fn(|| chunks.next_if(|chunk| chunk.range().start < end));
            let part: Vec<_> = part.inspect(|chunk| position = chunk.range().end).collect();
            map_chunks(self.options.threads, part, progress, |chunk| {
                self.count_chunk(&chunk)
            })?;
            if keep {
                self.flush()?;
                self.runs.checkpoint(position)?;
            }
        }
        Ok(())
    }

    fn count_chunk(&self, chunk: &Chunk<'_>) -> Result<()> {
        let lock = || self.idle.lock().expect("no holder panics");
        let idle = lock().pop();
        let mut table = idle.unwrap_or_else(|| self.new_table());
        for (text, _) in chunk.pieces() {
            count_text(&mut table, text, self.pattern, self.options.mode);
        }
        let written = table.check();
        lock().push(table);
        written
    }

    fn new_table(&self) -> Table<'a> {
        Table::new(self.options.memory / self.options.threads.max(1), self.runs)
    }

    /// Writes all tables to runs.
    fn flush(&self) -> Result<()> {
        let mut idle = self.idle.lock().expect("no holder panics");
        idle.iter_mut().try_for_each(Table::flush)
    }

    /// The sum of all tables and runs.
    fn sum(self) -> Result<PretokenCounts> {
        let scratch = self.options.scratch();
        if self.runs.is_empty() {
            let tables = self.idle.into_inner().expect("no holder panics");
            let runs = parallel::map(self.options.threads, tables, run_of);
            let runs: Vec<&[u8]> = runs.iter().map(Vec::as_slice).collect();
            let progress = Progress::new("sort pretokens", 0, "bytes");
            return sorted::sort(&runs, self.pattern.clone(), scratch, &progress);
        }
        self.flush()?;
        drop(self.idle);
        let mapped = self.runs.map()?;
        let runs: Vec<&[u8]> = mapped.iter().collect();
        let progress = Progress::new("merge runs", 0, "bytes");
        let sum = sorted::sort(&runs, self.pattern.clone(), scratch, &progress)?;
        progress.finish();
        Ok(sum)
    }
}

fn count_text(table: &mut Table<'_>, text: &[u8], pattern: &HarnessPattern, mode: CountMode) {
    let mut count = |text| table.count(text, pattern);
    if mode == CountMode::Documents {
        return count(text);
    }
    let cuts = cuts(pattern, CountMode::Documents);
    let mut start = 0;
    let ends = memchr::memchr_iter(b'\n', text).map(|newline| newline + 1);
    // Where a document may be cut as well, the lines on both sides can be cut into pieces together:
    // few long texts are faster than many short ones.
    for end in ends.filter(|end| !cuts.allow(text, *end)) {
        count(&text[start..end]);
        start = end;
    }
    count(&text[start..]);
}

/// The content of a table as a run in memory.
fn run_of(table: Table<'_>) -> Vec<u8> {
    let mut run = Vec::new();
    table.drain_sorted(&mut |word, count| push_record(&mut run, word, count));
    run
}
