//! What counting will take, from a sample.

use super::{CHUNK_LEN, CountOptions, Counting, cuts};
use crate::Result;
use crate::corpus::{Chunk, Corpus};
use crate::progress::{Progress, human};
use crate::tokenizer::HarnessPattern;
use std::fmt;
use std::sync::Mutex;
use std::time::Instant;

/// Chunks in a sample.
const SAMPLE: usize = 16;
/// Bytes of table for each distinct pretoken: slots are a third to three quarters full.
const TABLE_BYTES: f64 = 48.0;
/// Bytes of the trainer's arrays for each byte of distinct pretokens: itself, cell, positions.
const TRAINER_BYTES: f64 = 1.0 + 4.0 + 8.0;

/// What counting a corpus will take, roughly.
///
/// The number of distinct pretokens is extrapolated by Heaps' law, `K n^beta`, through two
/// samples that are spread over the corpus.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Bytes of text.
    pub bytes: u64,
    /// Seconds of counting.
    pub seconds: f64,
    /// Distinct pretokens.
    pub pretokens: f64,
    /// Bytes of the tables of all threads.
    pub tables: f64,
    /// Bytes of the trainer's arrays, in memory or in temporary files.
    pub trainer: f64,
}

impl Estimate {
    /// Counts a sample; `None` for a corpus that is not much larger than that.
    ///
    /// # Errors
    /// [`Error::Interrupted`](crate::Error::Interrupted).
    pub fn new(
        corpus: &Corpus,
        pattern: &HarnessPattern,
        options: &CountOptions,
    ) -> Result<Option<Self>> {
        let worth_it = corpus.bytes() >= (16 * SAMPLE * CHUNK_LEN) as u64;
        worth_it
            .then(|| Self::sampled(corpus, pattern, options))
            .transpose()
    }

    /// Counts a sample.
    pub(super) fn sampled(
        corpus: &Corpus,
        pattern: &HarnessPattern,
        options: &CountOptions,
    ) -> Result<Self> {
        let chunks = corpus.chunks_at(CHUNK_LEN, cuts(pattern, options.mode));
        let sample: Vec<_> = (0..SAMPLE)
            .filter_map(|i| chunks.get(i * chunks.len() / SAMPLE))
            .collect();
        let halves = sample.split_at(sample.len() / 2);
        let start = Instant::now();
        let (half, _) = distinct(pattern, options, halves.0)?;
        let (all, bytes) = distinct(pattern, options, &sample)?;
        let counted: u64 = halves.0.iter().chain(&sample).map(|c| c.bytes()).sum();
        let rate = counted as f64 / start.elapsed().as_secs_f64().max(1e-9);
        let exponent = (all as f64 / half.max(1) as f64).log2().clamp(0.0, 1.0);
        let sampled: u64 = sample.iter().map(|chunk| chunk.bytes()).sum();
        let growth = (corpus.bytes() as f64 / sampled.max(1) as f64).powf(exponent);
        let threads = options.threads.max(1) as f64;
        let pretokens = all as f64 * growth;
        Ok(Self {
            bytes: corpus.bytes(),
            seconds: corpus.bytes() as f64 / rate / threads,
            pretokens,
            tables: (pretokens * TABLE_BYTES * threads).min(options.memory as f64),
            trainer: bytes as f64 * growth * TRAINER_BYTES,
        })
    }
}

/// Distinct pretokens of some chunks, and their bytes.
fn distinct(
    pattern: &HarnessPattern,
    options: &CountOptions,
    chunks: &[&Chunk<'_>],
) -> Result<(usize, usize)> {
    let options = CountOptions {
        threads: 1,
        memory: usize::MAX,
        work: None,
        ..options.clone()
    };
    let runs = super::RunFile::temporary(&options.folder);
    let counting = Counting {
        pattern,
        options: &options,
        runs: &runs,
        idle: Mutex::new(Vec::new()),
    };
    let chunks = chunks.iter().map(|chunk| (*chunk).clone()).collect();
    let silent = Progress::new("estimate", 0, "bytes");
    counting.count_all(chunks, &silent)?;
    let counts = counting.sum()?;
    Ok((counts.len(), counts.distinct_bytes()))
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}B of text: some {:.0} s to count; about {} distinct pretokens, {}B for their \
             counts, then {}B for their merges",
            human(self.bytes as f64),
            self.seconds.ceil(),
            human(self.pretokens),
            human(self.tables),
            human(self.trainer)
        )
    }
}
