//! `barelm tokenizer`: train, encode, decode, inspect, convert.

use super::ids::{IdFormat, IdWriter, parse_ids};
use super::print::Stdout;
use super::{Global, Input, open_corpus, usage};
use crate::bpe_trainer::BpeTrainerOptions;
use crate::corpus::{Chunk, Corpus, Cuts, map_chunks};
use crate::output::OutputFile;
use crate::progress::Progress;
use crate::tokenizer::{HarnessPattern, LoadOptions, Tokenizer};
use crate::{Result, pipeline};
use clap::{Args, Subcommand};
use serde::Serialize;
use std::path::PathBuf;
use std::slice;

#[derive(Subcommand)]
pub(super) enum TokenizerCommand {
    /// Learn a vocabulary from text
    Train(TrainArgs),
    /// Text to token ids
    Encode(EncodeArgs),
    /// Token ids to text
    Decode(DecodeArgs),
    /// What a tokenizer holds
    Inspect(InspectArgs),
    /// From one file format to another
    Convert(ConvertArgs),
}

#[derive(Args)]
pub(super) struct TrainArgs {
    #[command(flatten)]
    input: Input,
    /// gpt2, cl100k, o200k, whitespace, or a regular expression
    #[arg(long, default_value = "gpt2")]
    pattern: String,
    /// Tokens in the vocabulary, the 256 bytes and specials included
    #[arg(long, value_name = "N", default_value_t = 32_768)]
    vocab_size: usize,
    /// Pairs that occur less often are not merged
    #[arg(long, value_name = "N", default_value_t = 0)]
    min_frequency: u64,
    /// A special token, such as <|endoftext|>; may be repeated
    #[arg(long = "special", value_name = "TEXT")]
    specials: Vec<String>,
    /// Where to write tokenizer.json
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
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

#[derive(Args)]
pub(super) struct EncodeArgs {
    #[command(flatten)]
    model: Model,
    /// One line of ids for each line of text
    #[arg(long)]
    lines: bool,
    /// How ids are written
    #[arg(long, value_enum, default_value_t = IdFormat::Text)]
    format: IdFormat,
    /// Where to write [default: stdout]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    input: Input,
}

#[derive(Args)]
pub(super) struct DecodeArgs {
    #[command(flatten)]
    model: Model,
    /// Ids as decimal text; `-` is standard input
    #[arg(value_name = "FILE")]
    ids: PathBuf,
}

#[derive(Args)]
pub(super) struct InspectArgs {
    #[command(flatten)]
    model: Model,
}

#[derive(Args)]
pub(super) struct ConvertArgs {
    #[command(flatten)]
    model: Model,
    /// Where to write: a name ending in .json or .barelm
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

pub(super) fn run(global: &Global, command: TokenizerCommand) -> Result<()> {
    match command {
        TokenizerCommand::Train(args) => train(global, &args),
        TokenizerCommand::Encode(args) => encode(global, &args),
        TokenizerCommand::Decode(args) => decode(&args),
        TokenizerCommand::Inspect(args) => inspect(global, &args),
        TokenizerCommand::Convert(args) => convert(&args),
    }
}

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

fn train(global: &Global, args: &TrainArgs) -> Result<()> {
    let pattern = HarnessPattern::parse(&args.pattern)?;
    let options = BpeTrainerOptions {
        vocab_size: args.vocab_size,
        min_frequency: args.min_frequency,
        specials: args.specials.clone(),
        ..BpeTrainerOptions::default()
    };
    options.validate()?;
    // A place that cannot be written should be known now, not after the work.
    drop(OutputFile::create(&args.output)?);
    let corpus = args.input.open()?;
    let tokenizer = pipeline::train_tokenizer(&corpus, &pattern, &options, global.threads())?;
    tokenizer.save_json(&args.output)
}

/// Text encoded and written at a time: memory stays flat however long the text is.
const CHUNK_LEN: usize = 1 << 20;

fn encode(global: &Global, args: &EncodeArgs) -> Result<()> {
    let tokenizer = args.model.load()?;
    if args.format == IdFormat::U16 && tokenizer.vocab_size() > 1 << 16 {
        return Err(usage("--format u16 cannot hold this vocabulary; use u32"));
    }
    let corpus = args.input.open()?;
    let mut writer = IdWriter::new(args.format);
    let Some(path) = &args.output else {
        if args.format == IdFormat::Npy {
            return Err(usage(
                "--format npy needs -o FILE: its header says how many ids follow",
            ));
        }
        let mut stdout = Stdout::new();
        encode_to(
            global,
            args,
            &tokenizer,
            &corpus,
            |bytes| stdout.bytes(bytes),
            &mut writer,
        )?;
        return stdout.flush();
    };
    let mut file = OutputFile::create(path)?;
    encode_to(
        global,
        args,
        &tokenizer,
        &corpus,
        |bytes| file.write(bytes),
        &mut writer,
    )?;
    if let Some(header) = writer.header() {
        file.write_at(0, &header)?;
    }
    file.commit()
}

/// Encodes a few chunks on all threads, writes them in order, goes on.
fn encode_to(
    global: &Global,
    args: &EncodeArgs,
    tokenizer: &Tokenizer,
    corpus: &Corpus,
    mut sink: impl FnMut(&[u8]) -> Result<()>,
    writer: &mut IdWriter,
) -> Result<()> {
    let threads = global.threads();
    let progress = Progress::new("encode", corpus.bytes(), "bytes");
    let cuts = if args.lines { Cuts::LINES } else { Cuts::WORDS };
    let mut chunks = corpus.chunks_at(CHUNK_LEN, cuts).into_iter();
    sink(writer.start())?;
    loop {
        let group: Vec<Chunk<'_>> = chunks.by_ref().take(4 * threads).collect();
        if group.is_empty() {
            break;
        }
        let encoded = map_chunks(threads, group, &progress, |chunk| {
            Ok(encode_chunk(tokenizer, &chunk, args.lines))
        })?;
        for (ids, starts_record) in encoded.iter().flatten() {
            sink(writer.piece(ids, *starts_record))?;
        }
    }
    progress.finish();
    sink(writer.end())
}

/// Ids of each record, or part of one, and whether it starts the record.
fn encode_chunk(tokenizer: &Tokenizer, chunk: &Chunk<'_>, lines: bool) -> Vec<(Vec<u32>, bool)> {
    let mut encoder = tokenizer.encoder();
    let mut encode = |text: &[u8], starts| {
        let mut ids = Vec::new();
        encoder.encode_into(text, &mut ids);
        (ids, starts)
    };
    let mut records = Vec::new();
    for (text, starts) in chunk.pieces() {
        match lines {
            true => records.extend(
                text.split_inclusive(|byte| *byte == b'\n')
                    .map(|line| encode(line.strip_suffix(b"\n").unwrap_or(line), true)),
            ),
            false => records.push(encode(text, starts)),
        }
    }
    records
}

fn decode(args: &DecodeArgs) -> Result<()> {
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

fn inspect(global: &Global, args: &InspectArgs) -> Result<()> {
    let tokenizer = args.model.load()?;
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

fn convert(args: &ConvertArgs) -> Result<()> {
    let tokenizer = args.model.load()?;
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
