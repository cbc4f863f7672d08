//! `barelm corpus`: the synthetic corpus, and a look into one of your own.

use super::print::Stdout;
use super::{Global, Input, parse_size};
use crate::corpus::inspect::inspect;
use crate::output::OutputFile;
use crate::progress::Progress;
use crate::synthetic::SyntheticCorpus;
use crate::{Error, Result};
use clap::{Args, Subcommand};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

#[derive(Subcommand)]
pub(super) enum CorpusCommand {
    /// Write the synthetic corpus: short stories of a seeded grammar, any size
    Generate(GenerateArgs),
    /// Sizes, encodings, longest line, share of bytes that are not UTF-8
    Inspect(Input),
}

#[derive(Args)]
pub(super) struct GenerateArgs {
    /// How much text, such as 10G; the last paragraph is finished
    #[arg(long, value_name = "SIZE", value_parser = parse_size, default_value = "1M")]
    bytes: u64,
    /// Equal seeds give equal text
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Behind each paragraph, a line of so many words that hardly occur again
    #[arg(long, value_name = "N", default_value_t = 0)]
    rare_words: usize,
    /// Where to write [default: stdout]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) fn run(global: &Global, command: CorpusCommand) -> Result<()> {
    match command {
        CorpusCommand::Generate(args) => generate(&args),
        CorpusCommand::Inspect(input) => {
            let inspection = inspect(&input.open()?, global.threads())?;
            let mut stdout = Stdout::new();
            stdout.report(global, &inspection)?;
            stdout.flush()
        }
    }
}

fn generate(args: &GenerateArgs) -> Result<()> {
    match &args.output {
        Some(path) => {
            let mut file = OutputFile::create(path)?;
            write_text(args, &mut file, path)?;
            file.commit()
        }
        None => {
            let mut stdout = Stdout::new();
            write_text(args, &mut stdout, Path::new("standard output"))?;
            stdout.flush()
        }
    }
}

fn write_text(args: &GenerateArgs, sink: &mut impl Write, path: &Path) -> Result<()> {
    let progress = Progress::new("generate", args.bytes, "bytes");
    let mut metered = Metered {
        sink,
        progress: &progress,
    };
    let mut corpus = SyntheticCorpus::new(args.seed).with_rare_words(args.rare_words);
    let written = corpus.write_into(args.bytes, &mut metered);
    // An interrupt reaches us dressed as a write error: say what it was.
    crate::progress::check()?;
    written.map_err(Error::io(path))?;
    progress.finish();
    Ok(())
}

/// Counts what passes through, and stops when the work should stop.
struct Metered<'a, W> {
    sink: &'a mut W,
    progress: &'a Progress,
}

impl<W: Write> Write for Metered<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.sink.write(bytes)?;
        self.progress
            .advance(written as u64)
            .map_err(io::Error::other)?;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}
