//! How often each pretoken occurs in a corpus: all that the trainer of merges needs to know.
//!
//! Most pretokens are short and most occurrences are of a few thousand words, so a pretoken of up
//! to 15 bytes is packed with its length into one `u128`, which is hashed and compared in a few
//! instructions; longer ones have a table of their own. Each thread fills its own pair of tables.
//! Sums do not depend on their order, and the result is sorted, so it is the same for any number
//! of threads.

use crate::corpus::{Corpus, Cuts, map_chunks};
use crate::fold_hash::HashMap;
use crate::progress::Progress;
use crate::tokenizer::HarnessPattern;
use crate::{Error, Result};
use std::cmp::Reverse;
use std::path::Path;
use std::sync::Mutex;

/// A chunk is counted in some ten milliseconds.
const CHUNK_LEN: usize = 1 << 20;
/// Longest pretoken that is packed into a key.
const SHORT: usize = 15;

/// What is cut into pretokens at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CountMode {
    /// Each line alone, with its newline, as Hugging Face's trainer reads files.
    #[default]
    Lines,
    /// Whole documents: a run of newlines can be one pretoken.
    Documents,
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
    bytes: Vec<u8>,
    ends: Vec<usize>,
    counts: Vec<u64>,
}

impl PretokenCounts {
    /// Counts the pretokens of a corpus on up to `threads` threads.
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
        let idle = Mutex::new(Vec::<Table>::new());
        let lock = || idle.lock().expect("no holder panics");
        let chunks = corpus.chunks_at(CHUNK_LEN, cuts(pattern, mode));
        map_chunks(threads, chunks, progress, |chunk| {
            let mut table = lock().pop().unwrap_or_default();
            for (text, _) in chunk.pieces() {
                table.count_text(text, pattern, mode);
            }
            lock().push(table);
            Ok(())
        })?;
        let tables = idle.into_inner().expect("no holder panics");
        let sum = tables.into_iter().reduce(Table::plus).unwrap_or_default();
        if sum.is_empty() {
            let name = corpus.documents().next().map_or(Path::new("-"), |d| d.name);
            let message = "no pretoken in it (nothing but white space?); give it some text";
            return Err(Error::data(name, message));
        }
        Ok(sum.sorted(pattern.clone()))
    }

    /// Counts that are known already; equal pretokens are added up.
    pub fn from_counts<'a>(
        pattern: HarnessPattern,
        counts: impl IntoIterator<Item = (&'a [u8], u64)>,
    ) -> Self {
        let mut table = Table::default();
        for (pretoken, count) in counts {
            table.add(pretoken, count);
        }
        table.sorted(pattern)
    }

    /// The pattern that the pretokens were cut with.
    pub fn pattern(&self) -> &HarnessPattern {
        &self.pattern
    }

    /// Number of distinct pretokens.
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Number of occurrences of all together.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Length of all distinct pretokens together.
    pub fn distinct_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The pretokens with their counts, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], u64)> {
        let starts = std::iter::once(&0).chain(&self.ends);
        let ranges = starts.zip(&self.ends).map(|(&start, &end)| start..end);
        let words = ranges.map(|range| &self.bytes[range]);
        words.zip(self.counts.iter().copied())
    }

    fn push(&mut self, pretoken: &[u8], count: u64) {
        self.bytes.extend_from_slice(pretoken);
        self.ends.push(self.bytes.len());
        self.counts.push(count);
    }
}

/// Where the corpus may be cut without changing a pretoken.
fn cuts(pattern: &HarnessPattern, mode: CountMode) -> Cuts {
    Cuts {
        lines: mode == CountMode::Lines,
        words: pattern.known().is_some(),
    }
}

/// Counts of one thread.
#[derive(Default)]
struct Table {
    short: HashMap<u128, u64>,
    long: HashMap<Box<[u8]>, u64>,
}

impl Table {
    fn count_text(&mut self, text: &[u8], pattern: &HarnessPattern, mode: CountMode) {
        match mode {
            CountMode::Documents => pattern.for_each_piece(text, |piece| self.add(piece, 1)),
            CountMode::Lines => text
                .split_inclusive(|&b| b == b'\n')
                .for_each(|line| pattern.for_each_piece(line, |piece| self.add(piece, 1))),
        }
    }

    #[inline]
    fn add(&mut self, pretoken: &[u8], count: u64) {
        if pretoken.len() <= SHORT {
            *self.short.entry(pack(pretoken)).or_default() += count;
        } else {
            self.add_long(pretoken, count);
        }
    }

    #[cold]
    fn add_long(&mut self, pretoken: &[u8], count: u64) {
        match self.long.get_mut(pretoken) {
            Some(sum) => *sum += count,
            None => drop(self.long.insert(pretoken.into(), count)),
        }
    }

    fn is_empty(&self) -> bool {
        self.short.is_empty() && self.long.is_empty()
    }

    fn plus(mut self, other: Self) -> Self {
        for (key, count) in other.short {
            *self.short.entry(key).or_default() += count;
        }
        for (pretoken, count) in other.long {
            *self.long.entry(pretoken).or_default() += count;
        }
        self
    }

    fn sorted(self, pattern: HarnessPattern) -> PretokenCounts {
        let mut short: Vec<_> = self.short.into_iter().collect();
        let mut long: Vec<_> = self.long.into_iter().collect();
        // Read from the other end, a key compares like its bytes, and then like its length.
        short.sort_unstable_by_key(|(key, count)| (Reverse(*count), key.swap_bytes()));
        long.sort_unstable_by(|a, b| (b.1, &a.0).cmp(&(a.1, &b.0)));
        let mut sorted = PretokenCounts {
            pattern,
            bytes: Vec::new(),
            ends: Vec::with_capacity(short.len() + long.len()),
            counts: Vec::with_capacity(short.len() + long.len()),
        };
        let mut long = long.iter().peekable();
        for (key, count) in short {
            let (bytes, len) = unpack(key);
            let word = &bytes[..len];
            while let Some((w, c)) =
                long.next_if(|(w, c)| (Reverse(*c), &**w) < (Reverse(count), word))
            {
                sorted.push(w, *c);
            }
            sorted.push(word, count);
        }
        long.for_each(|(word, count)| sorted.push(word, *count));
        sorted
    }
}

/// Up to 15 bytes, first byte lowest, and their number in the highest byte.
#[inline]
fn pack(piece: &[u8]) -> u128 {
    let len = piece.len();
    let low_bits = |word: u64, bytes: usize| word >> (64 - 8 * bytes);
    let (low, high) = match (piece.first_chunk(), piece.last_chunk()) {
        (Some(first), Some(last)) => {
            let last = u64::from_le_bytes(*last);
            let high = if len > 8 { low_bits(last, len - 8) } else { 0 };
            (u64::from_le_bytes(*first), high)
        }
        _ => (pack_below_8(piece), 0),
    };
    u128::from(low) | u128::from(high) << 64 | (len as u128) << 120
}

#[inline]
fn pack_below_8(piece: &[u8]) -> u64 {
    let len = piece.len();
    if let (Some(first), Some(last)) = (piece.first_chunk(), piece.last_chunk()) {
        let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        return u64::from(first) | u64::from(last) << (8 * (len - 4));
    }
    match *piece {
        [a] => u64::from(a),
        [a, b] => u64::from(u16::from_le_bytes([a, b])),
        [a, b, c] => u64::from(u32::from_le_bytes([a, b, c, 0])),
        _ => 0,
    }
}

fn unpack(key: u128) -> ([u8; 16], usize) {
    (key.to_le_bytes(), (key >> 120) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(text: &[u8], pattern: &str, mode: CountMode, threads: usize) -> PretokenCounts {
        let corpus = Corpus::from_bytes("text", text.to_vec());
        let progress = Progress::new("test", corpus.bytes(), "bytes");
        PretokenCounts::count(
            &corpus,
            &HarnessPattern::parse(pattern).unwrap(),
            mode,
            threads,
            &progress,
        )
        .unwrap()
    }

    fn list(counts: &PretokenCounts) -> Vec<(String, u64)> {
        let text =
            |(word, count): (&[u8], u64)| (String::from_utf8_lossy(word).into_owned(), count);
        counts.iter().map(text).collect()
    }

    #[test]
    fn pretokens_of_every_length_are_counted_and_sorted() {
        let word = |len: usize| "abcdefghijklmnopqrstuvwxyz".repeat(2)[..len].to_owned();
        let text: Vec<String> = (1..=52)
            .flat_map(|len| vec![word(len); 1 + len % 3])
            .collect();
        let counts = count(
            text.join("\n").as_bytes(),
            "whitespace",
            CountMode::Lines,
            1,
        );
        let mut expected: Vec<_> = (1..=52)
            .map(|len| (word(len), 1 + len as u64 % 3))
            .collect();
        expected.sort_by(|a, b| (b.1, &a.0).cmp(&(a.1, &b.0)));
        assert_eq!(list(&counts), expected);
        assert_eq!(counts.total(), text.len() as u64);
    }

    #[test]
    fn lines_and_documents_differ_at_runs_of_newlines() {
        let text = b"a\n\nb\n\nc";
        let lines = count(text, "gpt2", CountMode::Lines, 1);
        assert_eq!(list(&lines)[0], ("\n".into(), 4));
        let documents = count(text, "cl100k", CountMode::Documents, 1);
        assert_eq!(list(&documents)[0], ("\n\n".into(), 2));
    }

    #[test]
    fn threads_do_not_change_the_counts() {
        let mut rng = barelm_kernels::rng::Rng::new(7);
        let mut text = Vec::new();
        while text.len() < 4 << 20 {
            let word = 1 + rng.below(9);
            text.extend((0..word).map(|_| b'a' + rng.below(3) as u8));
            text.push(if rng.below(8) == 0 { b'\n' } else { b' ' });
        }
        for pattern in ["gpt2", r"\w+|\s"] {
            for mode in [CountMode::Lines, CountMode::Documents] {
                let one = list(&count(&text, pattern, mode, 1));
                assert_eq!(list(&count(&text, pattern, mode, 3)), one);
                let whole: u64 = one.iter().map(|(word, n)| word.len() as u64 * n).sum();
                assert_eq!(whole, text.len() as u64);
            }
        }
    }

    #[test]
    fn text_without_pretokens_is_refused() {
        let corpus = Corpus::from_bytes("blank.txt", b" \n\n ".to_vec());
        let pattern = HarnessPattern::parse("whitespace").unwrap();
        let progress = Progress::new("test", 4, "bytes");
        let counted = PretokenCounts::count(&corpus, &pattern, CountMode::Lines, 1, &progress);
        let error = counted.unwrap_err();
        assert_eq!(error.exit_code(), 3);
        assert!(
            error.to_string().starts_with("blank.txt: no pretoken"),
            "{error}"
        );
    }
}
