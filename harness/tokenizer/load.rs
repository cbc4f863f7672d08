//! Finds out what kind of file a tokenizer is in.

use super::lexicon::Lexicon;
use super::{HarnessPattern, MergeRule, Tokenizer, Vocabulary, gpt2_files, json, mapped, tiktoken};
use crate::corpus::map::map_path;
use crate::{Error, Result};
use barelm_kernels::format::MAGIC;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// How to read a tokenizer's file.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// The pattern of a `.tiktoken` file, which does not name its own (that of the published
    /// files is known), or of `vocab.json` and `merges.txt` (`gpt2` if nothing is said).
    pub pattern: Option<HarnessPattern>,
    /// The rule by which pairs merge, if not that of the file: `.tiktoken` files merge by
    /// [`MergeRule::BytesRank`], the others by [`MergeRule::PairRank`] (a `tokenizer.json` with
    /// `ignore_merges` by the former). Text can get other ids by the other rule.
    pub rule: Option<MergeRule>,
}

/// Files looked for in a folder, in this order.
const IN_FOLDER: [&str; 3] = ["tokenizer.json", "tokenizer.barelm", "vocab.json"];

/// The file itself, or the tokenizer's file in a folder.
pub(super) fn file_at(path: &Path) -> Result<PathBuf> {
    if !path.is_dir() {
        return Ok(path.into());
    }
    let files = IN_FOLDER.map(|name| path.join(name));
    let found = files.into_iter().find(|file| file.is_file());
    let message = format!("no tokenizer in this folder ({})", IN_FOLDER.join(", "));
    found.ok_or_else(|| Error::data(path, message))
}

/// See [`Tokenizer::load`].
pub(super) fn load(path: &Path, options: &LoadOptions) -> Result<Tokenizer> {
    let path = &file_at(path)?;
    let tokenizer = match starts_with_magic(path)? {
        true => mapped::load(path)?,
        false => {
            let lexicon = parse(path, &map_path(path)?, options)?;
            // A file that shrank while it was read ends here.
            crate::progress::check()?;
            build(path, lexicon)?
        }
    };
    match options.rule {
        Some(rule) if rule != tokenizer.as_ref().rule() => {
            let vocabulary = tokenizer.vocabulary();
            build(path, Lexicon::from(&Vocabulary { rule, ..vocabulary }))
        }
        _ => Ok(tokenizer),
    }
}

fn build(path: &Path, lexicon: Lexicon) -> Result<Tokenizer> {
    let built = Tokenizer::from_lexicon(lexicon);
    built.map_err(|e| Error::data(path, format!("not a vocabulary: {e}")))
}

fn parse(path: &Path, content: &[u8], options: &LoadOptions) -> Result<Lexicon> {
    let first = content.iter().find(|byte| !byte.is_ascii_whitespace());
    let is_merges =
        path.extension().is_some_and(|e| e == "txt") || content.starts_with(b"#version");
    u32::try_from(content.len()).map_err(|_| Error::data(path, "a tokenizer of more than 4 GB"))?;
    match first {
        None => Err(Error::data(path, "the file is empty; name a tokenizer")),
        Some(b'{') if gpt2_files::is_vocab(content) => gpt2_files::read(path, options),
        Some(b'{') => json::read(path, content, options),
        Some(_) if is_merges => gpt2_files::read(path, options),
        Some(_) => tiktoken::read(path, content, options),
    }
}

fn starts_with_magic(path: &Path) -> Result<bool> {
    let mut start = Vec::new();
    let file = File::open(path).map_err(Error::io(path))?;
    let read = file.take(MAGIC.len() as u64).read_to_end(&mut start);
    read.map_err(Error::io(path))?;
    Ok(start == MAGIC)
}
