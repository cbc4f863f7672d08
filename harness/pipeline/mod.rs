//! The main job: raw text to a model directory, every stage in a row.
//!
//! ```text
//! corpus -> tokenizer.json -> train.tokens, valid.tokens -> vectors.bin -> model.barelm -> summary.json
//! ```
//! Each stage reads what the one before it wrote, so each can be run again alone. The files hold
//! nothing that differs between equal runs: no threads, paths or times.

mod lm_job;
mod lm_sample;
mod plan;
mod samples;
mod summary;
mod tokenizer_job;

pub use lm_job::{LmJob, LmReport};
pub use plan::{PipelineOptions, Plan};
pub use samples::{Analogies, Neighbors, Samples, Sentences, ShownPrediction};
pub use summary::{CorpusFigures, ModelFigures, Speeds, Summary, TokenizerFigures, VectorFigures};
pub use tokenizer_job::TokenizerJob;

use crate::attention_trainer;
use crate::bpe_trainer::BpeTrainerOptions;
use crate::cbow_trainer::{self, TokenSource};
use crate::corpus::Corpus;
use crate::model_file::{self, ModelFile, Origin, save_model};
use crate::ngram::NgramModel;
use crate::output::{OutputFile, write_file};
use crate::pretoken_counts::CountOptions;
use crate::progress::{Progress, note};
use crate::synthetic::SyntheticCorpus;
use crate::token_stream::{self, TokenStream};
use crate::tokenizer::{HarnessPattern, Tokenizer};
use crate::{Error, Result};
use std::path::Path;
use std::time::Instant;

/// Bytes of the built-in corpus.
pub const BUILT_IN_BYTES: u64 = 6 << 20;

/// The built-in corpus of a seed.
///
/// # Errors
/// None in practice: it is written to memory.
pub fn built_in_corpus(seed: u64) -> Result<Corpus> {
    let mut text = Vec::new();
    let written = SyntheticCorpus::new(seed).write_into(BUILT_IN_BYTES, &mut text);
    written.map_err(Error::io("built-in corpus"))?;
    Ok(Corpus::from_bytes("built-in corpus", text))
}

/// Runs every stage on a corpus; `synthetic` says that the built-in grammar knows the answers.
///
/// # Errors
/// [`Error::Usage`] for senseless options, [`Error::Data`] for a corpus that is too small,
/// [`Error::Io`] when the folder cannot be written.
pub fn run(corpus: &Corpus, synthetic: bool, options: &PipelineOptions) -> Result<Summary> {
    options.validate()?;
    let start = Instant::now();
    let place = |name: &str| options.out.join(name);
    // A folder that cannot be written should be known now, not after the work.
    drop(OutputFile::create(place("summary.json"))?);
    let plan = Plan::new(corpus.bytes(), options);
    note(format!("plan: {plan}"));
    let (train_text, valid_text) = corpus.split_off_tail(plan.held_out_bytes);

    let bpe = BpeTrainerOptions {
        vocab_size: plan.vocab_size,
        ..Default::default()
    };
    let tokenizer = train_tokenizer(&train_text, &options.pattern, &bpe, options.threads)?;
    tokenizer.save_json(place("tokenizer.json"))?;
    let train = encode(
        &train_text,
        &tokenizer,
        &place("train.tokens"),
        options.threads,
    )?;
    let valid = encode(
        &valid_text,
        &tokenizer,
        &place("valid.tokens"),
        options.threads,
    )?;
    let counts = train.counts();

    let source = TokenSource {
        ids: train.ids(),
        counts: &counts,
    };
    let vectors = cbow_trainer::train(source, spellings(&tokenizer), &plan.cbow_options(options))?;
    vectors.embeddings.save_binary(place("vectors.bin"))?;

    let bigram = NgramModel::train(&train, 2, options.threads)?.bits_per_byte(
        &valid,
        valid.text_bytes(),
        options.threads,
    )?;
    note(format!(
        "smoothed bigram: {bigram:.3} bits per byte of held-out text"
    ));
    let table = &vectors.embeddings.data;
    let held_out = Some((&valid, valid.text_bytes()));
    let lm = attention_trainer::train(
        &train,
        held_out,
        Some(table),
        &counts,
        &plan.lm_options(options),
    )?;
    let origin = Origin {
        corpus_bytes: corpus.bytes(),
        corpus_hash: corpus.hash(),
    };
    save_model(
        place(model_file::FILE_NAME),
        &lm,
        &tokenizer,
        origin,
        Some(table),
    )?;

    let model = ModelFile::open(&options.out)?;
    let samples = samples::draw(&model, &vectors.embeddings, &valid, synthetic, options.seed)?;
    let stages = summary::Stages {
        train: &train,
        valid: &valid,
        vectors: &vectors,
        lm: &lm,
        bigram,
    };
    let summary = Summary::new(
        plan,
        origin,
        &stages,
        samples,
        start.elapsed().as_secs_f64(),
    );
    write_file(
        place("summary.json"),
        summary.to_reproducible_json().as_bytes(),
    )?;
    Ok(summary)
}

/// Learns a tokenizer from a corpus, with progress: [`TokenizerJob`] with its defaults.
///
/// # Errors
/// [`Error::Usage`] for senseless options, [`Error::Data`] for a corpus without pretokens.
pub fn train_tokenizer(
    corpus: &Corpus,
    pattern: &HarnessPattern,
    options: &BpeTrainerOptions,
    threads: usize,
) -> Result<Tokenizer> {
    let job = TokenizerJob {
        pattern: pattern.clone(),
        counting: CountOptions {
            threads,
            ..CountOptions::default()
        },
        trainer: options.clone(),
    };
    job.run(corpus)
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

/// Calls `use_ids` with a corpus as ids of a tokenizer's pieces, which lie in a temporary file
/// meanwhile.
///
/// # Errors
/// Those of [`encode`] and of `use_ids`.
pub fn with_ids_of<R>(
    corpus: &Corpus,
    tokenizer: &Tokenizer,
    threads: usize,
    use_ids: impl FnOnce(TokenSource<'_>) -> Result<R>,
) -> Result<R> {
    let folder = tempfile::tempdir().map_err(Error::io("temporary folder"))?;
    let path = folder.path().join("corpus.tokens");
    let stream = encode(corpus, tokenizer, &path, threads)?;
    use_ids(TokenSource {
        ids: stream.ids(),
        counts: &stream.counts(),
    })
}

/// The bytes of every token, by id.
pub fn spellings(tokenizer: &Tokenizer) -> Vec<Vec<u8>> {
    let ids = 0..tokenizer.vocab_size() as u32;
    ids.map(|id| tokenizer.token_bytes(id).unwrap_or_default().to_vec())
        .collect()
}
