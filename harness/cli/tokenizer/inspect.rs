//! `barelm tokenizer inspect`: what a tokenizer holds.

use super::Model;
use crate::Result;
use crate::cli::Global;
use crate::cli::print::Stdout;
use clap::Args;
use serde::Serialize;

#[derive(Args)]
pub(in crate::cli) struct InspectArgs {
    #[command(flatten)]
    model: Model,
    /// Read a mapped file to its end: checksums, and every slot of its tables
    #[arg(long)]
    verify: bool,
}

/// What `inspect` prints.
#[derive(Serialize)]
struct Inspection {
    vocab_size: usize,
    merges: usize,
    specials: Vec<String>,
    pattern: String,
    merge_rule: String,
    longest_token_bytes: usize,
    hash: String,
}

pub(super) fn run(global: &Global, args: &InspectArgs) -> Result<()> {
    let tokenizer = args.model.load()?;
    if args.verify {
        tokenizer.verify()?;
    }
    let vocabulary = tokenizer.vocabulary();
    let inspection = Inspection {
        vocab_size: tokenizer.vocab_size(),
        merges: vocabulary.merges.len(),
        specials: vocabulary
            .specials
            .iter()
            .map(|(name, _)| name.clone())
            .collect(),
        pattern: tokenizer.pattern().regex().to_string(),
        merge_rule: format!("{:?}", vocabulary.rule),
        longest_token_bytes: tokenizer.longest_token(),
        hash: format!("{:016x}", tokenizer.hash()),
    };
    let mut stdout = Stdout::new();
    stdout.report(global, &inspection)?;
    stdout.flush()
}
