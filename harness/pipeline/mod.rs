//! Stages in a row: what one stage wrote, the next one reads.

use crate::bpe_trainer::{self, BpeTrainerOptions};
use crate::cbow_trainer::{self, CbowOptions, TokenSource, Trained};
use crate::corpus::Corpus;
use crate::pretoken_counts::{CountMode, PretokenCounts};
use crate::progress::Progress;
use crate::token_stream::{self, TokenStream};
use crate::tokenizer::{HarnessPattern, Tokenizer};
use crate::{Error, Result};
use std::path::Path;

/// Learns a tokenizer from a corpus, with progress.
///
/// # Errors
/// [`Error::Usage`] for senseless options, [`Error::Data`] for a corpus without pretokens.
pub fn train_tokenizer(
    corpus: &Corpus,
    pattern: &HarnessPattern,
    options: &BpeTrainerOptions,
    threads: usize,
) -> Result<Tokenizer> {
    options.validate()?;
    let progress = Progress::new("count pretokens", corpus.bytes(), "bytes");
    let counts = PretokenCounts::count(corpus, pattern, CountMode::Lines, threads, &progress)?;
    progress.finish();
    let progress = Progress::new("learn merges", options.vocab_size as u64 - 256, "merges");
    let vocabulary = bpe_trainer::train(&counts, options, &progress)?;
    progress.finish();
    Tokenizer::from_vocabulary(&vocabulary)
}

/// Encodes a corpus to a file of token ids, and maps it.
///
/// # Errors
/// [`Error::Io`].
pub fn encode(
    corpus: &Corpus,
    tokenizer: &Tokenizer,
    path: &Path,
    threads: usize,
) -> Result<TokenStream> {
    let progress = Progress::new("encode", corpus.bytes(), "bytes");
    token_stream::encode_corpus(tokenizer, corpus, threads, path, &progress)?;
    progress.finish();
    TokenStream::open(path)
}

/// Trains vectors of a tokenizer's pieces: encodes the corpus to a temporary file first.
///
/// # Errors
/// Those of [`encode`] and [`cbow_trainer::train`].
pub fn train_piece_vectors(
    corpus: &Corpus,
    tokenizer: &Tokenizer,
    options: &CbowOptions,
) -> Result<Trained> {
    let folder = tempfile::tempdir().map_err(Error::io("temporary folder"))?;
    let stream = encode(
        corpus,
        tokenizer,
        &folder.path().join("corpus.tokens"),
        options.threads,
    )?;
    let source = TokenSource {
        ids: stream.ids(),
        counts: &stream.counts(),
    };
    cbow_trainer::train(source, spellings(tokenizer), options)
}

/// The bytes of every token, by id.
pub fn spellings(tokenizer: &Tokenizer) -> Vec<Vec<u8>> {
    let ids = 0..tokenizer.vocab_size() as u32;
    ids.map(|id| tokenizer.token_bytes(id).unwrap_or_default().to_vec())
        .collect()
}
