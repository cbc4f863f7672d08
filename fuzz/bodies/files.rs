//! Readers of files, on whatever a file may hold.

use super::naive::{self, Input};
use barelm::embeddings::Embeddings;
use barelm::kernels::format::{Container, ENTRY_LEN, HEADER_LEN, MAX_SECTIONS};
use barelm::kernels::model::ModelRef;
use barelm::token_stream::TokenStream;
use barelm::tokenizer::Tokenizer;
use std::path::Path;
use xxhash_rust::xxh64::xxh64;

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

/// A flat tokenizer with some of its bytes changed is refused, or encodes and decodes any text in
/// bounded time: opening checks the structure, and lookups trust nothing that it does not check.
pub fn flat_tables(bytes: &[u8]) {
    let mut input = Input(bytes);
    let tokenizer = naive::tokenizer(&input.vocabulary());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("tokenizer.barelm");
    tokenizer.save_flat(&path).expect("a writable folder");
    let mut file = std::fs::read(&path).expect("the file that was written");
    for _ in 0..1 + input.byte() % 32 {
        let at = (input.byte() << 16 | input.byte() << 8 | input.byte()) % file.len();
        file[at] = input.byte() as u8;
    }
    std::fs::write(&path, &file).expect("a writable folder");
    if let Ok(damaged) = Tokenizer::load(&path) {
        let text = input.text(500);
        let ids = damaged.encode(&text);
        assert!(ids.iter().all(|id| (*id as usize) < damaged.vocab_size()));
        damaged.decode(&ids);
        damaged.vocabulary();
    }
}

/// Containers, models and token streams are read or refused, without a read outside the file.
pub fn mapped_files(bytes: &[u8]) {
    let mut buffer = vec![0_u8; bytes.len() + 64];
    let start = buffer.as_ptr().align_offset(64);
    let aligned = &mut buffer[start..start + bytes.len()];
    aligned.copy_from_slice(bytes);
    container_and_model(aligned);
    mend(aligned);
    container_and_model(aligned);
    with_file("train.tokens", bytes, |path| {
        if let Ok(stream) = TokenStream::open(path) {
            let counted: u64 = stream.counts().iter().sum();
            assert_eq!(counted, stream.len() as u64);
        }
    });
}

fn container_and_model(bytes: &[u8]) {
    for kind in [b"model\0\0\0", b"tokens\0\0", b"tokenizr"] {
        if let Ok(container) = Container::new(bytes, kind) {
            let _ = container.verify();
        }
    }
    let needed = ModelRef::check_workspace_len(bytes).unwrap_or(0);
    let mut workspace = vec![0; needed.min(1 << 20)];
    if let Ok(model) = ModelRef::new_checked(bytes, &mut workspace) {
        let mut floats = vec![0.0; model.session_workspace_len().min(1 << 20)];
        let mut logits = vec![0.0; model.config().vocab_size];
        let _ = model.predict(&[0], &mut logits, &mut floats);
    }
}

/// Makes length and checksums right, wherever the sections are said to be: what lies under them is
/// looked at then.
fn mend(bytes: &mut [u8]) {
    let word = |bytes: &[u8], at: usize| {
        let eight = bytes.get(at..).and_then(|rest| rest.first_chunk());
        eight.map_or(0, |eight| u64::from_le_bytes(*eight))
    };
    if bytes.len() < HEADER_LEN {
        return;
    }
    let len = bytes.len() as u64;
    bytes[16..24].copy_from_slice(&len.to_le_bytes());
    let sections = (word(bytes, 8) >> 32).min(MAX_SECTIONS as u64) as usize;
    let end = HEADER_LEN + sections * ENTRY_LEN;
    if bytes.len() < end {
        return;
    }
    for entry in (HEADER_LEN..end).step_by(ENTRY_LEN) {
        let start = word(bytes, entry + 8) as usize;
        let stop = start.saturating_add(word(bytes, entry + 16) as usize);
        if let Some(payload) = bytes.get(start..stop) {
            let sum = xxh64(payload, 0);
            bytes[entry + 24..entry + 32].copy_from_slice(&sum.to_le_bytes());
        }
    }
    let sum = xxh64(&bytes[32..end], 0);
    bytes[24..32].copy_from_slice(&sum.to_le_bytes());
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
