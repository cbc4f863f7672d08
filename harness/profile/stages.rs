//! The stages that a user waits for, over a text.
//!
//! Counting, encoding and decoding are medians of repetitions; merges and the two trainers run
//! once. Megabytes are millions of bytes of text.

use super::ProfileOptions;
use super::machine::row;
use super::report::Row;
use super::timing::median_seconds;
use crate::Result;
use crate::attention_trainer::{self, LmOptions};
use crate::bpe_trainer::{self, BpeTrainerOptions};
use crate::cbow_trainer::{self, CbowOptions, TokenSource};
use crate::corpus::Corpus;
use crate::kernels::bpe::Pattern;
use crate::pipeline::spellings;
use crate::pretoken_counts::{CountMode, PretokenCounts};
use crate::progress::{self, Progress};
use crate::token_stream::TokenStream;
use crate::tokenizer::{HarnessPattern, Tokenizer};
use std::time::Instant;

/// Tokens of the vocabulary.
const VOCAB_SIZE: usize = 4096;
/// The trainers see at most so many tokens.
const MAX_TOKENS: usize = 1_000_000;
/// Steps of the attention model.
const STEPS: u64 = 20;

/// A row for each stage.
///
/// # Errors
/// [`crate::Error::Usage`] when the text is too short to train on, [`crate::Error::Interrupted`].
pub(super) fn measure(corpus: &Corpus, options: &ProfileOptions) -> Result<Vec<Row>> {
    let (count, counts) = count(corpus, options)?;
    let (merges, tokenizer) = learn_merges(&counts)?;
    let (encode, mut ids) = encode(corpus, &tokenizer, options.seconds_per_row)?;
    let decode = decode(&tokenizer, &ids, options.seconds_per_row)?;
    ids.truncate(MAX_TOKENS);
    let stream = TokenStream::from_ids(ids, tokenizer.vocab_size());
    let vectors = train_vectors(&stream, &tokenizer, options.threads)?;
    let model = train_model(&stream, options.threads)?;
    Ok(vec![count, merges, encode, decode, vectors, model])
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 * 1e-6
}

fn threads(threads: usize) -> String {
    match threads {
        1 => "1 thread".into(),
        n => format!("{n} threads"),
    }
}

fn count(corpus: &Corpus, options: &ProfileOptions) -> Result<(Row, PretokenCounts)> {
    let pattern = HarnessPattern::Known(Pattern::Gpt2);
    let once = || {
        let progress = Progress::new("count pretokens", corpus.bytes(), "bytes");
        PretokenCounts::count(
            corpus,
            &pattern,
            CountMode::Lines,
            options.threads,
            &progress,
        )
    };
    let counts = once()?;
    let seconds = median_seconds(options.seconds_per_row, || drop(once()))?;
    let megabytes = megabytes(corpus.bytes());
    let shape = format!("{megabytes:.1} MB, {}", threads(options.threads));
    let row = row("count pretokens", shape, megabytes / seconds, "MB/s");
    Ok((row, counts))
}

fn learn_merges(counts: &PretokenCounts) -> Result<(Row, Tokenizer)> {
    let options = BpeTrainerOptions {
        vocab_size: VOCAB_SIZE,
        ..Default::default()
    };
    let progress = Progress::new("learn merges", VOCAB_SIZE as u64 - 256, "merges");
    let start = Instant::now();
    let vocabulary = bpe_trainer::train(counts, &options, &progress)?;
    let seconds = start.elapsed().as_secs_f64();
    let (merges, pretokens) = (vocabulary.merges.len(), counts.len());
    let shape = format!("{merges} of {pretokens} pretokens");
    let row = row("learn merges", shape, merges as f64 / seconds, "merges/s");
    Ok((row, Tokenizer::from_vocabulary(&vocabulary)?))
}

fn encode(corpus: &Corpus, tokenizer: &Tokenizer, seconds: f64) -> Result<(Row, Vec<u32>)> {
    let mut ids = Vec::new();
    let once = || {
        ids.clear();
        let mut encoder = tokenizer.encoder();
        for document in corpus.documents() {
            encoder.encode_into(document.text, &mut ids);
        }
    };
    let seconds = median_seconds(seconds, once)?;
    let megabytes = megabytes(corpus.bytes());
    let shape = format!("{megabytes:.1} MB, {}", threads(1));
    Ok((row("encode", shape, megabytes / seconds, "MB/s"), ids))
}

fn decode(tokenizer: &Tokenizer, ids: &[u32], seconds: f64) -> Result<Row> {
    let megabytes = megabytes(tokenizer.decode(ids).len() as u64);
    let seconds = median_seconds(seconds, || drop(tokenizer.decode(ids)))?;
    let shape = format!("{} tokens, {}", ids.len(), threads(1));
    Ok(row("decode", shape, megabytes / seconds, "MB/s"))
}

fn train_vectors(stream: &TokenStream, tokenizer: &Tokenizer, count: usize) -> Result<Row> {
    progress::check()?;
    let options = CbowOptions {
        dim: 100,
        epochs: 1,
        threads: count,
        ..Default::default()
    };
    let source = TokenSource {
        ids: stream.ids(),
        counts: &stream.counts(),
    };
    let trained = cbow_trainer::train(source, spellings(tokenizer), &options)?;
    let rate = |epoch: &cbow_trainer::EpochReport| epoch.tokens as f64 / epoch.seconds;
    let rate = trained.epochs.first().map_or(0.0, rate);
    let shape = format!("d = 100, {}", threads(count));
    Ok(row("CBOW epoch", shape, rate, "words/s"))
}

fn train_model(stream: &TokenStream, count: usize) -> Result<Row> {
    progress::check()?;
    let options = LmOptions {
        steps: Some(STEPS),
        threads: count,
        ..Default::default()
    };
    let trained = attention_trainer::train(stream, None, None, &stream.counts(), &options)?;
    let shape = format!("d = 128, {}", threads(count));
    let rate = trained.tokens_per_second;
    Ok(row("attention training", shape, rate, "tokens/s"))
}
