//! `barelm tokenizer convert`: from one file format to another.

use super::Model;
use crate::Result;
use crate::cli::usage;
use clap::Args;
use std::path::PathBuf;

#[derive(Args)]
pub(in crate::cli) struct ConvertArgs {
    #[command(flatten)]
    model: Model,
    /// Where to write: a name ending in .json or .barelm
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

pub(super) fn run(args: &ConvertArgs) -> Result<()> {
    let tokenizer = args.model.load()?;
    tokenizer.verify()?;
    match args
        .output
        .extension()
        .and_then(|extension| extension.to_str())
    {
        Some("json") => tokenizer.save_json(&args.output),
        Some("barelm") => tokenizer.save_flat(&args.output),
        _ => Err(usage("the output's name must end in .json or .barelm")),
    }
}
