//! `barelm vectors train`.

use super::super::print::Stdout;
use super::super::{Global, Input};
use super::save;
use crate::cbow_trainer::{self, CbowOptions, EpochReport};
use crate::output::OutputFile;
use crate::progress::human;
use crate::tokenizer::Tokenizer;
use crate::{Result, pipeline};
use barelm_kernels::cbow::Projection;
use barelm_kernels::sigmoid::SigmoidMethod;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Args)]
pub(in crate::cli) struct TrainArgs {
    #[command(flatten)]
    input: Input,
    /// Pieces of this tokenizer instead of words between white space
    #[arg(long, value_name = "FILE")]
    tokenizer: Option<PathBuf>,
    /// Length of a vector
    #[arg(long, value_name = "N", default_value_t = 100)]
    dim: usize,
    /// Words of context on each side
    #[arg(long, value_name = "N", default_value_t = 5)]
    window: usize,
    /// Rarer words are left out
    #[arg(long, value_name = "N", default_value_t = 5)]
    min_count: u64,
    /// Keep the N most frequent words only
    #[arg(long, value_name = "N", default_value_t = usize::MAX, hide_default_value = true)]
    max_vocab: usize,
    /// Words more frequent than this share are thinned out; 0 for none
    #[arg(long, value_name = "X", default_value_t = 1e-3)]
    sample: f64,
    /// Learning rate at the start; it falls to nearly 0
    #[arg(long, value_name = "X", default_value_t = 0.05)]
    alpha: f32,
    /// Passes over the text
    #[arg(long, value_name = "N", default_value_t = 5)]
    epochs: usize,
    /// How the context's vectors become one
    #[arg(long, value_enum, default_value_t = ProjectionArg::MeanFullShare)]
    projection: ProjectionArg,
    /// Sigmoid by table or by polynomial
    #[arg(long, value_enum, default_value_t = SigmoidArg::Polynomial)]
    sigmoid: SigmoidArg,
    /// Equal seeds give equal vectors
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// word2vec binary, or text if the name ends in .txt
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ProjectionArg {
    /// The mean; each word gets its exact share of the gradient
    Mean,
    /// The mean; each word gets the whole gradient, as in word2vec.c
    MeanFullShare,
    /// The sum; each word gets the whole gradient, which is exact
    Sum,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SigmoidArg {
    Table,
    Polynomial,
}

impl TrainArgs {
    fn options(&self, global: &Global) -> CbowOptions {
        CbowOptions {
            dim: self.dim,
            window: self.window,
            min_count: self.min_count,
            max_vocab: self.max_vocab,
            sample: self.sample,
            alpha: self.alpha,
            epochs: self.epochs,
            projection: match self.projection {
                ProjectionArg::Mean => Projection::Mean,
                ProjectionArg::MeanFullShare => Projection::MeanFullShare,
                ProjectionArg::Sum => Projection::Sum,
            },
            sigmoid: match self.sigmoid {
                SigmoidArg::Table => SigmoidMethod::Table,
                SigmoidArg::Polynomial => SigmoidMethod::Polynomial,
            },
            seed: self.seed,
            threads: global.threads(),
            ..CbowOptions::default()
        }
    }
}

pub(super) fn train(global: &Global, args: &TrainArgs) -> Result<()> {
    let options = args.options(global);
    options.validate()?;
    // A place that cannot be written should be known now, not after the work.
    drop(OutputFile::create(&args.output)?);
    let corpus = args.input.open()?;
    let trained = match &args.tokenizer {
        Some(path) => pipeline::train_piece_vectors(&corpus, &Tokenizer::load(path)?, &options)?,
        None => cbow_trainer::train_words(&corpus, &options)?,
    };
    save(&trained.embeddings, &args.output)?;
    let mut stdout = Stdout::new();
    if global.json {
        stdout.json(&trained.epochs)?;
    } else {
        for (epoch, report) in (1..).zip(&trained.epochs) {
            let EpochReport {
                loss_nats,
                loss_bits,
                tokens_per_second,
                ..
            } = report;
            let speed = human(*tokens_per_second);
            stdout.line(format!(
                "epoch {epoch}: loss {loss_nats:.4} nats ({loss_bits:.4} bits) a token, {speed} words/s"
            ))?;
        }
    }
    stdout.flush()
}
