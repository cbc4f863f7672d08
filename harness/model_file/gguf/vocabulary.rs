//! The tokenizer: llama.cpp's `gpt2` model, byte-level merges by rank.

use super::header::Header;
use crate::kernels::bpe::{MergeRule, Pattern};
use crate::tokenizer::{Tokenizer, Vocabulary, byte_chars};
use crate::{Error, Result};

/// Types of tokens.
const NORMAL: i32 = 1;
const CONTROL: i32 = 3;
const UNUSED: i32 = 5;

/// llama.cpp takes token 11 for the end where no other is named. Where the vocabulary has no special
/// token, this byte's is named, which no text in UTF-8 holds.
const NEVER_TEXT: u8 = 0xFF;

pub(super) fn fields(header: &mut Header, tokenizer: &Tokenizer) -> Result<()> {
    let vocabulary = tokenizer.vocabulary();
    let pattern = pattern_name(&vocabulary)?;
    header.text("tokenizer.ggml.model", "gpt2");
    header.text("tokenizer.ggml.pre", pattern);
    let (names, types) = tokens(&vocabulary);
    header.texts("tokenizer.ggml.tokens", &names);
    header.integers("tokenizer.ggml.token_type", &types);
    let merge = |(left, right): &(u32, u32)| {
        let [left, right] = [left, right].map(|id| &names[*id as usize]);
        format!("{left} {right}")
    };
    let merges: Vec<String> = vocabulary.merges.iter().map(merge).collect();
    header.texts("tokenizer.ggml.merges", &merges);
    if let Some(end) = end_of_text(&vocabulary) {
        header.number("tokenizer.ggml.bos_token_id", end);
        header.number("tokenizer.ggml.eos_token_id", end);
    }
    header.flag("tokenizer.ggml.add_bos_token", false);
    header.flag("tokenizer.ggml.add_eos_token", false);
    Ok(())
}

/// llama.cpp's name for how text is cut into pieces.
fn pattern_name(vocabulary: &Vocabulary) -> Result<&'static str> {
    let usage = |message: &str| Err(Error::Usage(format!("llama.cpp has {message}")));
    if vocabulary.rule == MergeRule::BytesRank {
        return usage(
            "no merges by the rank of bytes (.tiktoken); use a tokenizer.json with merges",
        );
    }
    match vocabulary.pattern.known() {
        Some(Pattern::Gpt2) => Ok("gpt-2"),
        Some(Pattern::Cl100k) => Ok("llama-bpe"),
        Some(Pattern::O200k) => Ok("gpt-4o"),
        Some(Pattern::Whitespace) => usage("no name for the pattern `whitespace`"),
        None => usage("no name for a pattern that is a regular expression of one's own"),
    }
}

/// Names and types of all tokens.
fn tokens(vocabulary: &Vocabulary) -> (Vec<String>, Vec<i32>) {
    let ordinary = |(id, bytes): (usize, &Vec<u8>)| match bytes.is_empty() {
        true => (format!("[UNUSED{id}]"), UNUSED),
        false => (byte_chars::to_text(bytes), NORMAL),
    };
    let tokens = vocabulary.tokens.iter().enumerate().map(ordinary);
    let (mut names, mut types): (Vec<_>, Vec<_>) = tokens.unzip();
    for (name, id) in &vocabulary.specials {
        names[*id as usize] = name.clone();
        types[*id as usize] = CONTROL;
    }
    (names, types)
}

/// The first special token, or one that ends no text.
fn end_of_text(vocabulary: &Vocabulary) -> Option<u32> {
    let special = vocabulary.specials.first().map(|(_, id)| *id);
    let bytes = |token: &Vec<u8>| *token == [NEVER_TEXT];
    let byte = || vocabulary.tokens.iter().position(bytes);
    special.or_else(|| byte().map(|id| id as u32))
}
