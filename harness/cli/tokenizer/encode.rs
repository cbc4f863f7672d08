//! `barelm tokenizer encode`: text to token ids.

use super::{CHUNK_LEN, Model};
use crate::Result;
use crate::cli::ids::{IdFormat, IdWriter};
use crate::cli::print::Stdout;
use crate::cli::{Global, Input, usage};
use crate::corpus::{Chunk, Corpus, Cuts, map_chunks};
use crate::output::OutputFile;
use crate::progress::Progress;
use crate::tokenizer::Tokenizer;
use clap::Args;
use std::path::PathBuf;

#[derive(Args)]
pub(in crate::cli) struct EncodeArgs {
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

pub(super) fn run(global: &Global, args: &EncodeArgs) -> Result<()> {
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
