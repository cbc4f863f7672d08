//! `barelm tokenizer train`: text to a vocabulary.

use super::summarize;
use crate::Result;
use crate::bpe_trainer::{BpeTrainerOptions, Compat, InitialAlphabet};
use crate::cli::{Global, Input, parse_size};
use crate::pipeline::TokenizerJob;
use crate::pretoken_counts::{CountMode, CountOptions, PretokenCounts};
use crate::tokenizer::{HarnessPattern, Tokenizer};
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};

#[derive(Args)]
pub(in crate::cli) struct TrainArgs {
    #[command(flatten)]
    input: Input,
    /// gpt2, cl100k, o200k, whitespace, or a regular expression; under whitespace, words are cut
    /// at white space, which is normalised: decoding gives one space behind each word
    #[arg(long, default_value = "gpt2", conflicts_with = "extend")]
    pattern: String,
    /// Tokens in the vocabulary, the 256 bytes and specials included
    #[arg(long, value_name = "N", default_value_t = 32_768)]
    vocab_size: usize,
    /// Pairs that occur less often are not merged
    #[arg(long, value_name = "N", default_value_t = 0)]
    min_frequency: u64,
    /// Tokens that merging makes have fewer bytes than this (pairs of bytes are exempt)
    #[arg(long, value_name = "BYTES")]
    max_token_length: Option<usize>,
    /// A tokenizer to go on from: its ids, merges, special tokens and pattern stay, and new merges
    /// are learned behind them until the vocabulary has --vocab-size tokens
    #[arg(long, value_name = "FILE")]
    extend: Option<PathBuf>,
    /// A special token, such as <|endoftext|>; may be repeated
    #[arg(long = "special", value_name = "TEXT", conflicts_with = "extend")]
    specials: Vec<String>,
    /// Tokens to start from: `bytes` (all 256), `seen` (bytes of the text), or characters whose
    /// bytes are to be tokens beside those that are seen
    #[arg(long, value_name = "KIND", default_value_t = InitialAlphabet::Bytes, conflicts_with = "extend")]
    initial_alphabet: InitialAlphabet,
    /// `hf`: what Hugging Face's trainer gives; `clean`: no merge gives a special token
    #[arg(long, value_enum, default_value_t = CompatArg::Hf)]
    compat: CompatArg,
    /// What is cut into pieces at a time
    #[arg(long, value_enum, default_value_t = By::Line)]
    by: By,
    /// Memory for the table of counts, such as 512M; what is more goes to temporary files
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    memory: Option<u64>,
    /// Folder for temporary files [default: that of the output]; where memory is free, one in
    /// memory (tmpfs) keeps the system from writing them to a disk again and again
    #[arg(long, value_name = "FOLDER")]
    tmp: Option<PathBuf>,
    /// Keep what was counted in OUTPUT.work, and go on from there if a run was killed
    #[arg(long)]
    resume: bool,
    /// Where to write tokenizer.json
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum CompatArg {
    Hf,
    Clean,
}

#[derive(Clone, Copy, ValueEnum)]
enum By {
    /// Each line alone, with its newline
    Line,
    /// Whole documents: a run of newlines can be one piece
    Document,
}

impl TrainArgs {
    fn options(&self) -> BpeTrainerOptions {
        BpeTrainerOptions {
            vocab_size: self.vocab_size,
            min_frequency: self.min_frequency,
            max_token_length: self.max_token_length,
            specials: self.specials.clone(),
            alphabet: self.initial_alphabet.clone(),
            compat: match self.compat {
                CompatArg::Hf => Compat::Hf,
                CompatArg::Clean => Compat::Clean,
            },
        }
    }
}

impl TrainArgs {
    fn counting(&self, threads: usize) -> CountOptions {
        let defaults = CountOptions::default();
        let parent = self.output.parent().filter(|p| !p.as_os_str().is_empty());
        let beside = || parent.unwrap_or(Path::new(".")).to_path_buf();
        CountOptions {
            mode: match self.by {
                By::Line => CountMode::Lines,
                By::Document => CountMode::Documents,
            },
            threads,
            memory: self.memory.map_or(defaults.memory, |size| size as usize),
            folder: self.tmp.clone().unwrap_or_else(beside),
            work: self.resume.then(|| {
                let mut name = self.output.clone().into_os_string();
                name.push(".work");
                name.into()
            }),
            ..defaults
        }
    }
}

pub(super) fn run(global: &Global, args: &TrainArgs) -> Result<()> {
    let base = args.extend.as_ref().map(Tokenizer::load).transpose()?;
    let job = TokenizerJob {
        pattern: match &base {
            Some(base) => base.pattern().clone(),
            None => HarnessPattern::parse(&args.pattern)?,
        },
        counting: args.counting(global.threads()),
        trainer: args.options(),
    };
    job.trainer.validate()?;
    let corpus = args.input.open_for(&args.output)?;
    let vocabulary = match &base {
        Some(base) => job.extend(base, &corpus)?,
        None => job.learn(&corpus)?,
    };
    vocabulary.save_json(&args.output)?;
    if let Some(work) = &job.counting.work {
        PretokenCounts::forget(work)?;
    }
    summarize(global, || Tokenizer::from_vocabulary(&vocabulary))
}
