//! `barelm tokenizer decode`: token ids to text.

use super::ids::IdParser;
use super::output::Output;
use super::{CHUNK_LEN, Model};
use crate::cli::open_corpus;
use crate::progress;
use crate::tokenizer::{Decoder, InvalidBytes};
use crate::{Error, Result};
use clap::Args;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::slice;

#[derive(Args)]
pub(in crate::cli) struct DecodeArgs {
    #[command(flatten)]
    model: Model,
    /// Leave out special tokens
    #[arg(long)]
    skip_special: bool,
    /// Write U+FFFD for bytes that are not UTF-8
    #[arg(long)]
    replace_invalid: bool,
    /// Where to write [default: stdout]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Ids as decimal text or JSON arrays; `-` is standard input
    #[arg(value_name = "FILE")]
    ids: PathBuf,
}

pub(super) fn run(args: &DecodeArgs) -> Result<()> {
    let tokenizer = args.model.load()?;
    let tables = tokenizer.as_ref();
    let invalid = match args.replace_invalid {
        true => InvalidBytes::Replace,
        false => InvalidBytes::Keep,
    };
    let mut parser = IdParser::new(&args.ids, |id| tables.token_bytes(id).is_some());
    let mut decoder = Decoder::new(&tokenizer, invalid);
    let mut output = Output::create(args.output.as_deref())?;
    let (mut ids, mut text) = (Vec::new(), Vec::new());
    let mut decode = |block: Option<&[u8]>| {
        match block {
            Some(block) => parser.push(block, &mut ids)?,
            None => parser.finish(&mut ids)?,
        }
        if args.skip_special {
            ids.retain(|id| !tables.is_special(*id));
        }
        decoder.push(&ids, &mut text);
        if block.is_none() {
            decoder.finish(&mut text);
        }
        output.write(&text)?;
        ids.clear();
        text.clear();
        output.flush()
    };
    for_each_block(&args.ids, |block| decode(Some(block)))?;
    decode(None)?;
    output.finish()
}

/// Standard input as it comes; files as they are mapped or unpacked.
fn for_each_block(path: &Path, mut f: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
    if path.as_os_str() != "-" {
        let corpus = open_corpus(slice::from_ref(&path.to_path_buf()), None)?;
        let blocks = corpus
            .documents()
            .flat_map(|document| document.text.chunks(CHUNK_LEN));
        return blocks
            .into_iter()
            .try_for_each(|block| progress::check().and_then(|()| f(block)));
    }
    let mut block = vec![0; CHUNK_LEN];
    loop {
        progress::check()?;
        match std::io::stdin().read(&mut block) {
            Ok(0) => return Ok(()),
            Ok(len) => f(&block[..len])?,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(Error::io(path)(e)),
        }
    }
}
