//! `barelm tokenizer`: train, encode, decode, inspect, convert.

mod convert;
mod decode;
mod encode;
mod inspect;
mod train;

use super::Global;
use crate::Result;
use crate::tokenizer::{HarnessPattern, LoadOptions, Tokenizer};
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Subcommand)]
pub(super) enum TokenizerCommand {
    /// Learn a vocabulary from text
    Train(train::TrainArgs),
    /// Text to token ids
    Encode(encode::EncodeArgs),
    /// Token ids to text
    Decode(decode::DecodeArgs),
    /// What a tokenizer holds
    Inspect(inspect::InspectArgs),
    /// From one file format to another
    Convert(convert::ConvertArgs),
}

/// A tokenizer on disk.
#[derive(Args)]
pub(super) struct Model {
    /// tokenizer.json, .tiktoken, vocab.json or tokenizer.barelm
    #[arg(long, short, value_name = "FILE")]
    model: PathBuf,
    /// The pattern of a .tiktoken file that is not a known one
    #[arg(long, value_name = "NAME")]
    pattern: Option<String>,
}

pub(super) fn run(global: &Global, command: TokenizerCommand) -> Result<()> {
    match command {
        TokenizerCommand::Train(args) => train::run(global, &args),
        TokenizerCommand::Encode(args) => encode::run(global, &args),
        TokenizerCommand::Decode(args) => decode::run(&args),
        TokenizerCommand::Inspect(args) => inspect::run(global, &args),
        TokenizerCommand::Convert(args) => convert::run(&args),
    }
}

/// Text read and written at a time: memory stays flat however long the text is.
const CHUNK_LEN: usize = 1 << 20;

impl Model {
    fn load(&self) -> Result<Tokenizer> {
        let pattern = self
            .pattern
            .as_deref()
            .map(HarnessPattern::parse)
            .transpose()?;
        Tokenizer::load_with(&self.model, &LoadOptions { pattern })
    }
}
