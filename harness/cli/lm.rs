//! `barelm lm`: train, ngram, evaluate, predict, generate, convert.

mod convert;
mod generate;
mod ngram;
mod predict;
mod train;

use super::{Global, Input};
use crate::Result;
use clap::{Args, Subcommand};
use ngram::MixtureArgs;
use std::path::PathBuf;

#[derive(Subcommand)]
pub(super) enum LmCommand {
    /// Train an attention language model
    Train(Box<train::TrainArgs>),
    /// Count an n-gram model: a baseline, and a partner for an attention model
    Ngram(ngram::NgramArgs),
    /// Bits per byte of a text
    Evaluate(EvaluateArgs),
    /// The likeliest next tokens after a prompt
    Predict(predict::PredictArgs),
    /// Continue a prompt
    Generate(generate::GenerateArgs),
    /// To a directory that transformers opens as LlamaForCausalLM or from one, to GGUF, to int8
    Convert(convert::ConvertArgs),
}

/// A model on disk.
#[derive(Args)]
struct ModelArg {
    /// The model directory, or its model.barelm; to evaluate, an ngram.barelm, too
    #[arg(long = "model", short = 'm', value_name = "DIR")]
    path: PathBuf,
}

#[derive(Args)]
pub(super) struct EvaluateArgs {
    #[command(flatten)]
    model: ModelArg,
    #[command(flatten)]
    mixture: MixtureArgs,
    #[command(flatten)]
    input: Input,
}

pub(super) fn run(global: &Global, command: LmCommand) -> Result<()> {
    match command {
        LmCommand::Train(args) => train::train(global, &args),
        LmCommand::Ngram(args) => ngram::train(global, &args),
        LmCommand::Evaluate(args) => {
            ngram::evaluate(global, &args.model.path, &args.mixture, &args.input.open()?)
        }
        LmCommand::Predict(args) => predict::predict(global, &args),
        LmCommand::Generate(args) => generate::generate(global, &args),
        LmCommand::Convert(args) => convert::convert(global, &args),
    }
}
