//! `barelm tokenizer decode`: token ids to text.

use super::{CHUNK_LEN, Model};
use crate::Result;
use crate::cli::ids::parse_ids;
use crate::cli::open_corpus;
use crate::cli::print::Stdout;
use crate::corpus::Cuts;
use clap::Args;
use std::path::PathBuf;
use std::slice;

#[derive(Args)]
pub(in crate::cli) struct DecodeArgs {
    #[command(flatten)]
    model: Model,
    /// Ids as decimal text; `-` is standard input
    #[arg(value_name = "FILE")]
    ids: PathBuf,
}

pub(super) fn run(args: &DecodeArgs) -> Result<()> {
    let tokenizer = args.model.load()?;
    let corpus = open_corpus(slice::from_ref(&args.ids), None)?;
    let mut stdout = Stdout::new();
    for chunk in corpus.chunks_at(CHUNK_LEN, Cuts::LINES_AND_WORDS) {
        for (text, _) in chunk.pieces() {
            let ids = parse_ids(text, &args.ids, chunk.range().start, tokenizer.vocab_size())?;
            stdout.bytes(&tokenizer.decode(&ids))?;
        }
    }
    stdout.flush()
}
