//! `barelm tokenizer convert`: from one file format to another.

use super::{Model, summarize};
use crate::Result;
use crate::cli::Global;
use crate::tokenizer::{Loss, TokenizerFormat, refuse_unread_parts};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Args)]
pub(in crate::cli) struct ConvertArgs {
    #[command(flatten)]
    model: Model,
    /// Where to write: a name ending in .json, .barelm or .tiktoken, or vocab.json, beside which
    /// merges.txt is written
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// What may be lost because the format has no place for it; may be repeated
    #[arg(long, value_enum, value_name = "PART")]
    drop: Vec<Part>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Part {
    /// Special tokens
    Specials,
    /// How text is cut into pieces
    Pattern,
    /// post_processor, truncation and padding of a tokenizer.json
    Processing,
}

pub(super) fn run(global: &Global, args: &ConvertArgs) -> Result<()> {
    let format = TokenizerFormat::of_name(&args.output)?;
    let may_lose: Vec<Loss> = args.drop.iter().map(|part| part.loss()).collect();
    let tokenizer = args.model.load()?;
    tokenizer.verify()?;
    refuse_unread_parts(&args.model.model, &may_lose)?;
    tokenizer.save_as(&args.output, format, &may_lose)?;
    summarize(global, || Ok(tokenizer))
}

impl Part {
    fn loss(self) -> Loss {
        match self {
            Self::Specials => Loss::Specials,
            Self::Pattern => Loss::Pattern,
            Self::Processing => Loss::Processing,
        }
    }
}
