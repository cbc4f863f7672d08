//! The published tokenizers and real texts; these tests need the data folder.

use super::*;
use std::fs;
use std::path::PathBuf;

const ENCODINGS: [&str; 3] = ["r50k_base", "cl100k_base", "o200k_base"];

fn data(name: &str) -> PathBuf {
    let folder = std::env::var_os("BARELM_DATA").expect("BARELM_DATA names the data folder");
    PathBuf::from(folder).join(name)
}

fn published(encoding: &str) -> Tokenizer {
    Tokenizer::load(data(&format!("bpe/{encoding}.tiktoken"))).unwrap()
}

/// Texts, each with its ids under an encoding.
fn vectors(encoding: &str) -> Vec<(String, Vec<u32>)> {
    let lines = fs::read_to_string(data("bpe/vectors.jsonl")).unwrap();
    let vector = |line: &str| {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        let ids = serde_json::from_value(record[encoding].clone()).unwrap();
        (record["text"].as_str().unwrap().to_string(), ids)
    };
    lines.lines().map(vector).collect()
}

#[test]
#[ignore = "needs BARELM_DATA"]
fn all_published_vectors_are_exact() {
    for encoding in ENCODINGS {
        let tokenizer = published(encoding);
        let vectors = vectors(encoding);
        assert!(vectors.len() > 400);
        for (text, want) in vectors {
            assert_eq!(
                tokenizer.encode(text.as_bytes()),
                want,
                "{encoding} {text:?}"
            );
            assert_eq!(tokenizer.decode(&want), text.as_bytes());
            let mut ids = vec![0; text.len()];
            let mut workspace = vec![0; encode_workspace_len(text.len())];
            let kernel = tokenizer.as_ref();
            let len = kernel
                .encode_into(text.as_bytes(), &mut ids, &mut workspace)
                .unwrap();
            assert_eq!(ids[..len], want, "kernel, {encoding} {text:?}");
        }
    }
}

#[test]
#[ignore = "needs BARELM_DATA"]
fn p50k_is_known_by_its_content() {
    // p50k_base is r50k_base and runs of 2 to 25 spaces.
    let mut content = fs::read(data("bpe/r50k_base.tiktoken")).unwrap();
    for (spaces, id) in (2..=25).zip(50257..) {
        let base64 = [
            "ICAg".repeat(spaces / 3),
            ["", "IA==", "ICA="][spaces % 3].into(),
        ]
        .concat();
        content.extend(format!("{base64} {id}\n").bytes());
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("any name");
    fs::write(&path, content).unwrap();
    let tokenizer = Tokenizer::load(path).unwrap();
    assert_eq!(tokenizer.pattern().known(), Some(Pattern::Gpt2));
    assert_eq!(tokenizer.encode(b"    x"), [50258, 2124]);
}

#[test]
#[ignore = "needs BARELM_DATA"]
fn the_files_of_gpt2_give_the_ids_of_r50k() {
    let vocab = Tokenizer::load(data("bpe/gpt2-vocab.json")).unwrap();
    let merges = Tokenizer::load(data("bpe/gpt2-merges.txt")).unwrap();
    assert_eq!(vocab.vocabulary(), merges.vocabulary());
    assert_eq!(
        vocab.vocabulary().specials,
        [("<|endoftext|>".to_string(), 50256)]
    );
    for (text, want) in vectors("r50k_base") {
        assert_eq!(vocab.encode(text.as_bytes()), want, "{text:?}");
    }
}

#[test]
#[ignore = "needs BARELM_DATA"]
fn a_published_tokenizer_is_the_same_in_our_formats() {
    let folder = tempfile::tempdir().unwrap();
    for encoding in ENCODINGS {
        let tokenizer = published(encoding);
        for name in ["t.json", "t.barelm"] {
            let path = folder.path().join(name);
            match name {
                "t.json" => tokenizer.save_json(&path).unwrap(),
                _ => tokenizer.save_flat(&path).unwrap(),
            }
            let loaded = Tokenizer::load(&path).unwrap();
            assert!(
                loaded.vocabulary() == tokenizer.vocabulary(),
                "{encoding} {name}"
            );
        }
    }
}

#[test]
#[ignore = "needs BARELM_DATA"]
fn every_file_comes_back_byte_for_byte() {
    for encoding in ENCODINGS {
        let tokenizer = published(encoding);
        let mut encoder = tokenizer.encoder();
        for entry in fs::read_dir(data("."))
            .unwrap()
            .chain(fs::read_dir(data("bpe")).unwrap())
        {
            let path = entry.unwrap().path();
            if path.is_dir() {
                continue;
            }
            let text = fs::read(&path).unwrap();
            let mut ids = Vec::new();
            encoder.encode_into(&text, &mut ids);
            assert!(
                tokenizer.decode(&ids) == text,
                "{encoding} {}",
                path.display()
            );
        }
    }
}
