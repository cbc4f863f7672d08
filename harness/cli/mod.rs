//! The command line: arguments in, exit code out. stdout carries data, stderr progress.
//!
//! Each subcommand has its file; all of them call the library and print what it returns.

mod architecture;
mod checkpoints;
mod corpus;
mod lm;
mod print;
mod profile;
mod tokenizer;
mod train;
mod vectors;

use crate::corpus::{Corpus, CorpusOptions};
use crate::output::OutputFile;
use crate::{Error, Result, parallel, progress};
use clap::{Args, Parser, Subcommand};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Parser)]
#[command(
    name = "barelm",
    version,
    about = "Raw text to a language model, down to bare metal"
)]
#[command(
    after_help = "Start with `barelm train`: it learns from a built-in corpus in a minute or \
                        two.\nExit codes: 0 done, 1 nothing found, 2 wrong usage, 3 bad data, \
                        4 input or output, 130 interrupted."
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options that every subcommand takes.
#[derive(Args, Clone)]
struct Global {
    /// No progress on stderr
    #[arg(long, short, global = true)]
    quiet: bool,
    /// Results as JSON on stdout
    #[arg(long, global = true)]
    json: bool,
    /// Threads to use; results do not depend on it [default: one a core]
    #[arg(long, global = true, value_name = "N")]
    threads: Option<usize>,
}

impl Global {
    fn threads(&self) -> usize {
        self.threads
            .unwrap_or_else(parallel::default_threads)
            .clamp(1, MAX_THREADS)
    }
}

/// More than machines have cores; a system may refuse to start as many as a user may type.
const MAX_THREADS: usize = 1024;

#[derive(Subcommand)]
enum Command {
    /// The main job: text to tokenizer, word vectors and language model
    Train(train::TrainArgs),
    /// Train and use byte-pair tokenizers
    #[command(subcommand)]
    Tokenizer(tokenizer::TokenizerCommand),
    /// Train and query word vectors
    #[command(subcommand)]
    Vectors(vectors::VectorsCommand),
    /// Train and use attention language models
    #[command(subcommand)]
    Lm(lm::LmCommand),
    /// Write the synthetic corpus, or look into one of your own
    #[command(subcommand)]
    Corpus(corpus::CorpusCommand),
    /// Measure this machine, then every hot loop as a share of its peak
    Profile(profile::ProfileArgs),
}

/// Text files that a command reads.
#[derive(Args, Clone)]
struct Input {
    /// Text files or folders; .gz, .zst and .jsonl are unpacked, `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// The field of each JSON record that holds its text (for .jsonl files)
    #[arg(long, value_name = "FIELD")]
    jsonl: Option<String>,
}

impl Input {
    fn open(&self) -> Result<Corpus> {
        open_corpus(&self.files, self.jsonl.as_ref())
    }

    /// The corpus of what is to be written to `output`: a place that cannot be written should be known
    /// now, not after the work.
    fn open_for(&self, output: &Path) -> Result<Corpus> {
        refuse_to_overwrite(&self.files, output)?;
        drop(OutputFile::create(output)?);
        self.open()
    }
}

/// Refuses an output that is one of the files that are read, or in a folder all of which is.
fn refuse_to_overwrite(inputs: &[PathBuf], output: &Path) -> Result<()> {
    let folder = output.parent().filter(|f| *f != Path::new(""));
    let folder = folder.unwrap_or(Path::new(".")).canonicalize().ok();
    let place = output.canonicalize().ok();
    let place = place.or_else(|| Some(folder?.join(output.file_name()?)));
    let is_read = |input: &&PathBuf| match (input.canonicalize(), &place) {
        (Ok(input), Some(place)) => place.starts_with(input),
        _ => false,
    };
    match inputs.iter().find(is_read) {
        Some(input) => Err(usage(format!(
            "the output {} is, or is in, {}, which is read; name another place",
            output.display(),
            input.display()
        ))),
        None => Ok(()),
    }
}

fn open_corpus(files: &[PathBuf], jsonl_field: Option<&String>) -> Result<Corpus> {
    Corpus::open(
        files,
        &CorpusOptions {
            jsonl_field: jsonl_field.cloned(),
        },
    )
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let Cli { global, command } = Cli::parse();
    progress::catch_interrupts();
    progress::set_quiet(global.quiet);
    match run(&global, command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) if e.is_broken_pipe() => ExitCode::SUCCESS,
        Err(e) => {
            progress::say(format_args!("barelm: {e}"));
            ExitCode::from(e.exit_code())
        }
    }
}

fn run(global: &Global, command: Command) -> Result<()> {
    match command {
        Command::Train(args) => train::run(global, &args),
        Command::Tokenizer(command) => tokenizer::run(global, command),
        Command::Vectors(command) => vectors::run(global, command),
        Command::Lm(command) => lm::run(global, command),
        Command::Corpus(command) => corpus::run(global, command),
        Command::Profile(args) => profile::run(global, &args),
    }
}

/// `10G`, `512M`, `64K` or plain bytes.
fn parse_size(text: &str) -> std::result::Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let factor: u64 = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" | "B" => 1,
        "K" | "KB" | "KIB" => 1 << 10,
        "M" | "MB" | "MIB" => 1 << 20,
        "G" | "GB" | "GIB" => 1 << 30,
        "T" | "TB" | "TIB" => 1 << 40,
        _ => return Err("a size is a number with K, M, G or T, such as 512M".into()),
    };
    let number: u64 = digits
        .parse()
        .map_err(|_| "a size starts with a whole number".to_string())?;
    number
        .checked_mul(factor)
        .ok_or_else(|| "that size is too large".into())
}

/// Refuses a usage that clap cannot see.
fn usage(message: impl Into<String>) -> Error {
    Error::Usage(message.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn sizes_carry_units() {
        assert_eq!(parse_size("10G"), Ok(10 << 30));
        assert_eq!(parse_size("512m"), Ok(512 << 20));
        assert_eq!(parse_size("7"), Ok(7));
        assert!(
            parse_size("").is_err()
                && parse_size("3x").is_err()
                && parse_size("99999999T").is_err()
        );
    }
}
