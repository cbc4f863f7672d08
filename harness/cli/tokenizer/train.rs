//! `barelm tokenizer train`: text to a vocabulary.

use crate::bpe_trainer::BpeTrainerOptions;
use crate::cli::{Global, Input};
use crate::output::OutputFile;
use crate::tokenizer::HarnessPattern;
use crate::{Result, pipeline};
use clap::Args;
use std::path::PathBuf;

#[derive(Args)]
pub(in crate::cli) struct TrainArgs {
    #[command(flatten)]
    input: Input,
    /// gpt2, cl100k, o200k, whitespace, or a regular expression
    #[arg(long, default_value = "gpt2")]
    pattern: String,
    /// Tokens in the vocabulary, the 256 bytes and specials included
    #[arg(long, value_name = "N", default_value_t = 32_768)]
    vocab_size: usize,
    /// Pairs that occur less often are not merged
    #[arg(long, value_name = "N", default_value_t = 0)]
    min_frequency: u64,
    /// A special token, such as <|endoftext|>; may be repeated
    #[arg(long = "special", value_name = "TEXT")]
    specials: Vec<String>,
    /// Where to write tokenizer.json
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

pub(super) fn run(global: &Global, args: &TrainArgs) -> Result<()> {
    let pattern = HarnessPattern::parse(&args.pattern)?;
    let options = BpeTrainerOptions {
        vocab_size: args.vocab_size,
        min_frequency: args.min_frequency,
        specials: args.specials.clone(),
        ..BpeTrainerOptions::default()
    };
    options.validate()?;
    // A place that cannot be written should be known now, not after the work.
    drop(OutputFile::create(&args.output)?);
    let corpus = args.input.open()?;
    let tokenizer = pipeline::train_tokenizer(&corpus, &pattern, &options, global.threads())?;
    tokenizer.save_json(&args.output)
}
