//! `barelm tokenizer encode`: text to token ids.

use super::chunks::{Job, Source};
use super::format::{FormattedIds, IdFormat, IdWriter};
use super::offsets::{OffsetUnit, OffsetWriter, TokenPlaces};
use super::output::Output;
use super::view::View;
use super::{EncodeRules, Model};
use crate::Result;
use crate::cli::{Global, Input, usage};
use crate::token_stream::TokenStreamWriter;
use crate::tokenizer::{Dropout, EncodeOptions, Tokenizer};
use clap::Args;
use std::path::PathBuf;

#[derive(Args)]
pub(in crate::cli) struct EncodeArgs {
    #[command(flatten)]
    model: Model,
    #[command(flatten)]
    rules: EncodeRules,
    /// One line of ids for each line of text
    #[arg(long)]
    lines: bool,
    /// How ids are written
    #[arg(long, value_enum, default_value_t = IdFormat::Text)]
    format: IdFormat,
    /// A line for each token: its id, and where it starts and ends in its record (--json: as JSON)
    #[arg(long, value_enum, value_name = "UNIT", conflicts_with = "format")]
    offsets: Option<OffsetUnit>,
    /// Show the pieces, coloured on a terminal, else with marks between them
    #[arg(long, conflicts_with_all = ["format", "offsets", "lines"])]
    view: bool,
    /// With --view: the id behind each piece
    #[arg(long, requires = "view")]
    ids: bool,
    /// Leave out each merge with this probability (BPE dropout; 0.1 is usual)
    #[arg(long, value_name = "P", default_value_t = 0.0)]
    dropout: f32,
    /// Which of the random encodings --dropout gives
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Where to write [default: stdout]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    input: Input,
}

pub(super) fn run(global: &Global, args: &EncodeArgs) -> Result<()> {
    let tokenizer = args.model.load()?;
    let options = args.options()?;
    args.check_format(&tokenizer)?;
    let job = Job {
        tokenizer: &tokenizer,
        options: &options,
        lines: args.lines,
    };
    let source = Source::open(&args.input)?;
    match args
        .output
        .as_ref()
        .filter(|_| args.format == IdFormat::Tokens)
    {
        Some(path) => encode_stream(global, &job, &source, path),
        None if args.view => view(global, args, &job, &source),
        None => match args.offsets {
            Some(unit) => encode_offsets(global, args, &job, &source, unit),
            None => encode(global, args, &job, &source),
        },
    }
}

impl EncodeArgs {
    fn options(&self) -> Result<EncodeOptions> {
        let dropout = Dropout {
            probability: self.dropout,
            seed: self.seed,
        };
        dropout.validate()?;
        Ok(EncodeOptions {
            dropout: Some(dropout),
            ..self.rules.options()
        })
    }

    fn check_format(&self, tokenizer: &Tokenizer) -> Result<()> {
        let refuse = |message: &str| Err(usage(message));
        match (self.format, &self.output) {
            (IdFormat::U16, _) if tokenizer.vocab_size() > 1 << 16 => {
                refuse("--format u16 cannot hold this vocabulary; use u32")
            }
            (IdFormat::Npy, None) => {
                refuse("--format npy needs -o FILE: its header says how many ids follow")
            }
            (IdFormat::Tokens, None) => {
                refuse("--format tokens needs -o FILE: the file ends with a list of its documents")
            }
            _ => Ok(()),
        }
    }

    fn create_output(&self) -> Result<Output> {
        Output::create(self.output.as_deref())
    }
}

fn encode(global: &Global, args: &EncodeArgs, job: &Job<'_>, source: &Source) -> Result<()> {
    let format = match args.format {
        IdFormat::Text if global.json => IdFormat::Json,
        format => format,
    };
    let mut writer = IdWriter::new(format, args.create_output()?)?;
    let begin = || (Vec::new(), FormattedIds::new(format));
    job.run(
        (global, "encode"),
        source,
        begin,
        |encoder, record, (ids, formatted)| {
            ids.clear();
            record.encode(encoder, ids)?;
            formatted.push(ids, record.starts);
            Ok(())
        },
        |(_, formatted)| {
            writer.write(&formatted)?;
            if source.is_live() {
                writer.flush()
            } else {
                Ok(())
            }
        },
    )?;
    writer.finish()
}

fn encode_stream(global: &Global, job: &Job<'_>, source: &Source, path: &PathBuf) -> Result<()> {
    let mut writer = TokenStreamWriter::create(path, job.tokenizer)?;
    job.run(
        (global, "encode"),
        source,
        Vec::new,
        |encoder, record, parts| {
            let mut ids = Vec::new();
            record.encode(encoder, &mut ids)?;
            parts.push((record.starts, record.text.len() as u64, ids));
            Ok(())
        },
        |parts| {
            parts.into_iter().try_for_each(|(starts, bytes, ids)| {
                if starts {
                    writer.start_document();
                }
                writer.append(&ids, bytes)
            })
        },
    )?;
    writer.finish()
}

fn encode_offsets(
    global: &Global,
    args: &EncodeArgs,
    job: &Job<'_>,
    source: &Source,
    unit: OffsetUnit,
) -> Result<()> {
    let mut writer = OffsetWriter::new(args.create_output()?, global.json);
    job.run(
        (global, "encode"),
        source,
        Vec::new,
        |encoder, record, parts| {
            let (ids, ranges) = record.encode_with_offsets(encoder)?;
            parts.push(TokenPlaces::new(record, ids, ranges, unit));
            Ok(())
        },
        |parts| {
            parts.iter().try_for_each(|places| writer.write(places))?;
            if source.is_live() {
                writer.flush()
            } else {
                Ok(())
            }
        },
    )?;
    writer.finish()
}

fn view(global: &Global, args: &EncodeArgs, job: &Job<'_>, source: &Source) -> Result<()> {
    let mut output = args.create_output()?;
    let mut view = View::new(args.output.is_none(), args.ids);
    job.run(
        (global, "encode"),
        source,
        Vec::new,
        |encoder, record, parts| {
            let mut ids = Vec::new();
            record.encode(encoder, &mut ids)?;
            parts.push((record.starts, ids));
            Ok(())
        },
        |parts| {
            for (starts, ids) in parts {
                output.write(view.record(job.tokenizer, &ids, starts).as_bytes())?;
            }
            if source.is_live() {
                output.flush()
            } else {
                Ok(())
            }
        },
    )?;
    output.write(view.end().as_bytes())?;
    output.finish()
}
