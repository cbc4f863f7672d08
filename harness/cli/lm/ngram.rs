//! `barelm lm ngram`, and n-gram models beside a neural one.

use super::super::print::Stdout;
use super::super::{Global, Input, open_corpus, usage};
use crate::corpus::Corpus;
use crate::model_file::{DEFAULT_WEIGHT, Mixture, ModelFile, evaluate_ngram, evaluate_text};
use crate::ngram::{NgramFile, NgramModel};
use crate::pipeline::encode;
use crate::tokenizer::Tokenizer;
use crate::{Error, Result};
use clap::Args;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::slice;

#[derive(Args)]
pub(in crate::cli) struct NgramArgs {
    #[command(flatten)]
    input: Input,
    /// A trained tokenizer, or a model that holds one
    #[arg(long, value_name = "FILE")]
    tokenizer: PathBuf,
    /// Tokens of the longest n-grams, 1 to 8
    #[arg(long, value_name = "N", default_value_t = 5)]
    order: usize,
    /// Where to write
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

/// An n-gram model's share in a neural model's answers.
#[derive(Args)]
pub(super) struct MixtureArgs {
    /// An n-gram model of the same tokenizer to mix in
    #[arg(long, value_name = "FILE")]
    ngram: Option<PathBuf>,
    /// The n-gram model's share
    #[arg(long, value_name = "X", requires = "ngram", default_value_t = DEFAULT_WEIGHT)]
    weight: f64,
    /// Choose the share that predicts this text best; it should be neither trained nor evaluated on
    #[arg(
        long,
        value_name = "FILE",
        requires = "ngram",
        conflicts_with = "weight"
    )]
    fit_weight: Option<PathBuf>,
}

/// What was counted.
#[derive(Serialize)]
struct Report {
    order: usize,
    tokens: usize,
    text_bytes: u64,
    /// Different n-grams of one token, of two and so on.
    ngrams: Vec<usize>,
    /// What a count of one, two, and three or more gives up, for each order.
    discounts: Vec<[f64; 3]>,
}

impl MixtureArgs {
    /// The n-gram model asked for, with its share beside `model`.
    pub(super) fn open(&self, global: &Global, model: &ModelFile) -> Result<Option<Mixture>> {
        let Some(path) = &self.ngram else {
            return Ok(None);
        };
        let mut mixture = Mixture::new(NgramFile::open(path)?, model, self.weight)?;
        if let Some(path) = &self.fit_weight {
            let text = text_of(&open_corpus(slice::from_ref(path), None)?);
            mixture.fit(model, &text, global.threads())?;
        }
        Ok(Some(mixture))
    }

    /// Opens a model with the n-gram model asked for at its side.
    pub(super) fn open_mixed(&self, global: &Global, path: &Path) -> Result<ModelFile> {
        let mut model = ModelFile::open(path)?;
        if let Some(mixture) = self.open(global, &model)? {
            model.mix_with(mixture);
        }
        Ok(model)
    }
}

/// The whole text of a corpus.
pub(super) fn text_of(corpus: &Corpus) -> Vec<u8> {
    let documents = corpus.documents().flat_map(|document| document.text);
    documents.copied().collect()
}

/// Counts a text and writes the model.
pub(super) fn train(global: &Global, args: &NgramArgs) -> Result<()> {
    let tokenizer = Tokenizer::load(&args.tokenizer)?;
    let corpus = args.input.open_for(&args.output)?;
    let folder = tempfile::tempdir().map_err(Error::io("temporary folder"))?;
    let stream = folder.path().join("train.tokens");
    let stream = encode(&corpus, &tokenizer, &stream, global.threads())?;
    let model = NgramModel::train(&stream, args.order, global.threads())?;
    NgramFile::save(
        &args.output,
        &model,
        &tokenizer,
        corpus.bytes(),
        corpus.hash(),
    )?;
    let mut stdout = Stdout::new();
    let report = Report {
        order: model.order(),
        tokens: stream.len(),
        text_bytes: corpus.bytes(),
        ngrams: model.counts(),
        discounts: model.discounts(),
    };
    stdout.report(global, &report)?;
    stdout.flush()
}

/// Measures a model, an n-gram model, or both together.
pub(super) fn evaluate(
    global: &Global,
    path: &Path,
    mixture: &MixtureArgs,
    corpus: &Corpus,
) -> Result<()> {
    let (text, threads) = (text_of(corpus), global.threads());
    let mut stdout = Stdout::new();
    if NgramFile::is_one(path) {
        if mixture.ngram.is_some() {
            return Err(usage(
                "--ngram mixes into a neural model, and --model names an n-gram model",
            ));
        }
        stdout.report(
            global,
            &evaluate_ngram(&NgramFile::open(path)?, &text, threads)?,
        )?;
        return stdout.flush();
    }
    let model = ModelFile::open(path)?;
    match mixture.open(global, &model)? {
        Some(mixture) => stdout.report(global, &mixture.evaluate(&model, &text, threads)?)?,
        None => stdout.report(global, &evaluate_text(&model, &text, threads)?)?,
    }
    stdout.flush()
}
