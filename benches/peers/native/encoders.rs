//! The encoders, each behind one closure that appends the ids of a text.

use barelm::kernels::bpe::encode_workspace_len;
use barelm::tokenizer::Tokenizer;
use std::path::Path;

/// Appends the ids of a text to a vector.
pub type Encode = Box<dyn FnMut(&str, &mut Vec<u32>)>;

/// The encoder of a peer for a vocabulary, if it has that one.
pub fn open(peer: &str, vocabulary: &Path) -> Option<Encode> {
    let name = vocabulary.file_stem()?.to_str()?;
    match peer {
        "barelm" => Some(barelm(vocabulary)),
        "barelm-kernels" => Some(barelm_kernels(vocabulary)),
        "tiktoken-rs" => tiktoken_rs(name),
        "bpe-openai" => bpe_openai(name),
        "toktok-rs" => toktok(name),
        _ => None,
    }
}

fn load(vocabulary: &Path) -> &'static Tokenizer {
    // One for the whole process; the encoders below borrow it.
    Box::leak(Box::new(
        Tokenizer::load(vocabulary).expect("a .tiktoken file"),
    ))
}

fn barelm(vocabulary: &Path) -> Encode {
    let mut encoder = load(vocabulary).encoder();
    Box::new(move |text, ids| encoder.encode_into(text.as_bytes(), ids))
}

fn barelm_kernels(vocabulary: &Path) -> Encode {
    let tokenizer = load(vocabulary).as_ref();
    let mut workspace = Vec::new();
    Box::new(move |text, ids| {
        let pattern = tokenizer.pattern().expect("a published pattern");
        let longest = pattern.pieces(text.as_bytes()).map(<[u8]>::len).max();
        workspace.resize(encode_workspace_len(longest.unwrap_or(0)), 0);
        ids.resize(text.len(), 0);
        let len = tokenizer.encode_into(text.as_bytes(), ids, &mut workspace);
        ids.truncate(len.expect("buffers are large enough"));
    })
}

fn tiktoken_rs(name: &str) -> Option<Encode> {
    let encoder = match name {
        "r50k_base" => tiktoken_rs::r50k_base_singleton(),
        "p50k_base" => tiktoken_rs::p50k_base_singleton(),
        "cl100k_base" => tiktoken_rs::cl100k_base_singleton(),
        "o200k_base" => tiktoken_rs::o200k_base_singleton(),
        _ => return None,
    };
    Some(Box::new(move |text, ids| {
        *ids = encoder.encode_ordinary(text)
    }))
}

fn bpe_openai(name: &str) -> Option<Encode> {
    let encoder = match name {
        "cl100k_base" => bpe_openai::cl100k_base(),
        "o200k_base" => bpe_openai::o200k_base(),
        _ => return None,
    };
    Some(Box::new(move |text, ids| *ids = encoder.encode(text)))
}

fn toktok(name: &str) -> Option<Encode> {
    let encoder = toktok::Tokenizer::builtin(name).ok()?;
    Some(Box::new(move |text, ids| {
        encoder.encode_into(text.as_bytes(), ids)
    }))
}
