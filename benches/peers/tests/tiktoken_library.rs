//! Ids of the published vocabularies equal those of tiktoken's Rust code, over whole corpora.

use barelm::tokenizer::Tokenizer;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs};
use tiktoken_rs::CoreBPE;

const CORPORA: [&str; 6] = [
    "classics-100m.txt",
    "wiki-100m.txt",
    "zh-hongloumeng.txt",
    "multi-udhr.txt",
    "tinyshakespeare.txt",
    "bpe/vectors.jsonl",
];

fn data() -> PathBuf {
    PathBuf::from(env::var_os("BARELM_DATA").expect("BARELM_DATA names the data folder"))
}

/// Compares both encoders of a vocabulary, ours with its cache and the kernels' without.
fn assert_same_on_every_corpus(ours: &Tokenizer, theirs: &CoreBPE) {
    let kernels = ours.as_ref();
    for name in CORPORA {
        let text = fs::read_to_string(data().join(name)).unwrap();
        let expected = theirs.encode_ordinary(&text);
        assert!(ours.encode(text.as_bytes()) == expected, "{name}");
        let mut workspace = vec![0; 1 << 20];
        let ids = kernels.tokens(text.as_bytes(), &mut workspace).unwrap();
        assert!(ids.map(Result::unwrap).eq(expected), "{name}, kernels");
    }
}

fn published(name: &str) -> Tokenizer {
    Tokenizer::load(data().join("bpe").join(name)).unwrap()
}

#[test]
#[ignore = "needs BARELM_DATA"]
fn r50k_gives_equal_ids_on_every_corpus() {
    let ours = published("r50k_base.tiktoken");
    assert_same_on_every_corpus(&ours, tiktoken_rs::r50k_base_singleton());
}

#[test]
#[ignore = "needs BARELM_DATA"]
fn cl100k_gives_equal_ids_on_every_corpus() {
    let ours = published("cl100k_base.tiktoken");
    assert_same_on_every_corpus(&ours, tiktoken_rs::cl100k_base_singleton());
}

#[test]
#[ignore = "needs BARELM_DATA"]
fn o200k_gives_equal_ids_on_every_corpus() {
    let ours = published("o200k_base.tiktoken");
    assert_same_on_every_corpus(&ours, tiktoken_rs::o200k_base_singleton());
}

/// The library brings this vocabulary with it; written as the published file, ours recognises it.
#[test]
#[ignore = "needs BARELM_DATA"]
fn p50k_gives_equal_ids_on_every_corpus() {
    let theirs = tiktoken_rs::p50k_base_singleton();
    let mut lines = String::new();
    let tokens = (0..50_281).filter(|id| *id != 50_256);
    for (id, token) in tokens.filter_map(|id| Some((id, theirs.decode_bytes(&[id]).ok()?))) {
        writeln!(lines, "{} {id}", base64(&token)).unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p50k_base.tiktoken");
    fs::write(&path, lines).unwrap();
    let ours = Tokenizer::load(&path).unwrap();
    assert_same_on_every_corpus(&ours, theirs);
}

/// RFC 4648, with padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let word = byte(0) << 16 | byte(1) << 8 | byte(2);
        for (at, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let digit = DIGITS[(word >> shift & 63) as usize] as char;
            text.push(if at <= group.len() { digit } else { '=' });
        }
    }
    text
}
