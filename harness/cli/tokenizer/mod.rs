//! `barelm tokenizer`: train, encode, decode, inspect, convert.

mod chunks;
mod convert;
mod count;
mod decode;
mod encode;
mod format;
mod ids;
mod inspect;
mod offsets;
mod output;
mod train;
mod view;

use super::Global;
use super::print::Stdout;
use crate::Result;
use crate::tokenizer::inspect::Inspection;
use crate::tokenizer::{
    EncodeOptions, HarnessPattern, LoadOptions, MergeRule, SpecialSet, Tokenizer,
};
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Subcommand)]
pub(super) enum TokenizerCommand {
    /// Learn a vocabulary from text
    Train(train::TrainArgs),
    /// Text to token ids
    Encode(encode::EncodeArgs),
    /// How many tokens texts have
    Count(count::CountArgs),
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
    /// Which pair merges first: that whose bytes together have the lowest id (tiktoken), or that
    /// of the earliest merge (GPT-2, Hugging Face) [default: as in the file]
    #[arg(long, value_enum)]
    rule: Option<Rule>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Rule {
    Bytes,
    Pairs,
}

/// Which special tokens a text may have.
#[derive(Args)]
struct EncodeRules {
    /// Special tokens that become their ids: all, none, or a name; may be repeated. Any other one
    /// in the text is an error
    #[arg(long, value_name = "NAME")]
    allow_special: Vec<String>,
    /// Special tokens that are not allowed are ordinary text, no error
    #[arg(long)]
    ordinary: bool,
}

impl EncodeRules {
    fn options(&self) -> EncodeOptions {
        let has = |word: &str| self.allow_special.iter().any(|name| name == word);
        let names = self.allow_special.iter().filter(|name| *name != "none");
        EncodeOptions {
            allowed: match has("all") {
                true => SpecialSet::All,
                false => SpecialSet::Names(names.cloned().collect()),
            },
            disallowed: match self.ordinary {
                true => SpecialSet::None,
                false => SpecialSet::All,
            },
            dropout: None,
        }
    }
}

pub(super) fn run(global: &Global, command: TokenizerCommand) -> Result<()> {
    match command {
        TokenizerCommand::Train(args) => train::run(global, &args),
        TokenizerCommand::Encode(args) => encode::run(global, &args),
        TokenizerCommand::Count(args) => count::run(global, &args),
        TokenizerCommand::Decode(args) => decode::run(&args),
        TokenizerCommand::Inspect(args) => inspect::run(global, &args),
        TokenizerCommand::Convert(args) => convert::run(global, &args),
    }
}

/// With `--json`, what `inspect` says of a tokenizer that was written.
fn summarize(global: &Global, tokenizer: impl FnOnce() -> Result<Tokenizer>) -> Result<()> {
    if !global.json {
        return Ok(());
    }
    let mut stdout = Stdout::new();
    stdout.json(&Inspection::new(&tokenizer()?))?;
    stdout.flush()
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
        let rule = self.rule.map(|rule| match rule {
            Rule::Bytes => MergeRule::BytesRank,
            Rule::Pairs => MergeRule::PairRank,
        });
        Tokenizer::load_with(&self.model, &LoadOptions { pattern, rule })
    }
}
