//! What the fuzz targets assert, as ordinary functions: the test suite replays them over
//! `fuzz/regressions/`, so that what a fuzzer found once is checked on every run.

use barelm::embeddings::Embeddings;
use barelm::kernels::format::Container;
use barelm::kernels::model::ModelRef;
use barelm::token_stream::TokenStream;
use barelm::tokenizer::{HarnessPattern, MergeRule, Tokenizer, Vocabulary};
use std::path::Path;

/// What a target does to its input.
pub type Body = fn(&[u8]);

/// A body by the name of its target.
pub const BODIES: [(&str, Body); 4] = [
    ("tokenizer_round_trip", tokenizer_round_trip),
    ("tokenizer_files", tokenizer_files),
    ("mapped_files", mapped_files),
    ("vector_files", vector_files),
];

/// A vocabulary whose merges overlap in awkward ways.
fn tokenizer(pattern: &str, rule: MergeRule) -> Tokenizer {
    let mut tokens: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
    let mut merges = Vec::new();
    for pair in [
        "aa", "ab", "ba", "aab", "aaaa", " a", "th", "the", " the", "\n\n", "é", "  ",
    ] {
        let half = (1..pair.len()).rev().find_map(|at| {
            let id = |part: &[u8]| tokens.iter().position(|token| token == part);
            Some((id(&pair.as_bytes()[..at])?, id(&pair.as_bytes()[at..])?))
        });
        let (left, right) = half.expect("every token is two earlier ones");
        merges.push((left as u32, right as u32));
        tokens.push(pair.as_bytes().to_vec());
    }
    let pattern = HarnessPattern::parse(pattern).expect("a known pattern");
    let vocabulary = Vocabulary {
        tokens,
        merges,
        specials: Vec::new(),
        pattern,
        rule,
    };
    Tokenizer::from_vocabulary(&vocabulary).expect("a sound vocabulary")
}

/// Any bytes come back from their ids, in one piece and whatever the pattern and rule.
pub fn tokenizer_round_trip(bytes: &[u8]) {
    for pattern in ["gpt2", "cl100k", "o200k"] {
        for rule in [MergeRule::PairRank, MergeRule::BytesRank] {
            let tokenizer = tokenizer(pattern, rule);
            let ids = tokenizer.encode(bytes);
            assert_eq!(tokenizer.decode(&ids), bytes, "{pattern} {rule:?}");
        }
    }
}

/// Writes the bytes under a name and lets `open` have the file.
fn with_file(name: &str, bytes: &[u8], open: impl FnOnce(&Path)) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).expect("a writable folder");
    open(&path);
}

/// A tokenizer file is read or refused; what is read encodes and decodes.
pub fn tokenizer_files(bytes: &[u8]) {
    for name in [
        "tokenizer.json",
        "ranks.tiktoken",
        "vocab.json",
        "tokenizer.barelm",
    ] {
        with_file(name, bytes, |path| {
            if let Ok(tokenizer) = Tokenizer::load(path) {
                let ids = tokenizer.encode(b"the caab \xff");
                tokenizer.decode(&ids);
            }
        });
    }
}

/// Containers, models and token streams are read or refused, without a read outside the file.
pub fn mapped_files(bytes: &[u8]) {
    let mut buffer = vec![0_u8; bytes.len() + 64];
    let start = buffer.as_ptr().align_offset(64);
    let aligned = &mut buffer[start..start + bytes.len()];
    aligned.copy_from_slice(bytes);
    for kind in [b"model\0\0\0", b"tokens\0\0", b"tokenizr"] {
        if let Ok(container) = Container::new(aligned, kind) {
            let _ = container.verify();
        }
    }
    let needed = ModelRef::check_workspace_len(aligned).unwrap_or(0);
    let mut workspace = vec![0; needed.min(1 << 20)];
    let _ = ModelRef::new_checked(aligned, &mut workspace);
    with_file("train.tokens", bytes, |path| {
        if let Ok(stream) = TokenStream::open(path) {
            let counted: u64 = stream.counts().iter().sum();
            assert_eq!(counted, stream.len() as u64);
        }
    });
}

/// Vectors are read or refused; what is read has as many numbers as it says.
pub fn vector_files(bytes: &[u8]) {
    with_file("vectors.bin", bytes, |path| {
        if let Ok(embeddings) = Embeddings::load(path) {
            assert_eq!(
                embeddings.data.len(),
                embeddings.words.len() * embeddings.dim
            );
        }
    });
}
