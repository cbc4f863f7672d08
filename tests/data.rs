//! The promises that need real text. `BARELM_DATA` names the folder that holds it.

use crate::support::{Workplace, succeed};
use std::path::PathBuf;

fn data(name: &str) -> String {
    let folder = std::env::var_os("BARELM_DATA").expect("BARELM_DATA names the folder of corpora");
    let path = PathBuf::from(folder).join(name);
    assert!(path.exists(), "{} is missing", path.display());
    path.to_str().expect("a UTF-8 path").to_string()
}

#[test]
#[ignore = "needs BARELM_DATA"]
fn every_file_comes_back_from_its_ids() {
    let place = Workplace::new();
    let model = place.arg("tokenizer.json");
    succeed(&[
        "tokenizer",
        "train",
        "--vocab-size",
        "8192",
        "-o",
        &model,
        &data("tinyshakespeare.txt"),
    ]);
    let files = [
        "tinyshakespeare.txt",
        "zh-hongloumeng.txt",
        "multi-udhr.txt",
        "questions-words.txt",
        "CA8-semantic.txt",
    ];
    for name in files
        .into_iter()
        .chain(["bpe/vectors.jsonl", "bpe/gpt2-vocab.json"])
    {
        // Read as plain text, whatever the name says.
        let text = std::fs::read(data(name)).unwrap();
        let file = place.write("plain", &text);
        let ids = place.write(
            "ids",
            &succeed(&["tokenizer", "encode", "-m", &model, &file]),
        );
        assert!(
            succeed(&["tokenizer", "decode", "-m", &model, &ids]) == text,
            "{name}"
        );
    }
}

#[test]
#[ignore = "needs BARELM_DATA"]
fn shakespeare_is_predicted_better_than_a_smoothed_bigram_predicts_it() {
    let place = Workplace::new();
    let out = place.arg("model");
    let json = succeed(&[
        "lm",
        "train",
        "--json",
        "--vocab-size",
        "1024",
        "--dim",
        "128",
        "--context",
        "64",
        "--steps",
        "500",
        "-o",
        &out,
        &data("tinyshakespeare.txt"),
    ]);
    let report: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let figure = |name: &str| report[name].as_f64().unwrap();
    assert!(
        (2.5..2.65).contains(&figure("bigram_bits_per_byte")),
        "{report}"
    );
    assert!(figure("bits_per_byte") <= 2.45, "{report}");
    assert!(figure("bits_per_byte") < figure("bigram_bits_per_byte"));
}

#[test]
#[ignore = "needs BARELM_DATA"]
fn word_vectors_of_wikipedia_answer_analogies() {
    let place = Workplace::new();
    let out = place.arg("vectors.bin");
    succeed(&[
        "vectors",
        "train",
        "--dim",
        "100",
        "--epochs",
        "1",
        "-o",
        &out,
        &data("wiki-100m.txt"),
    ]);
    let json = succeed(&[
        "vectors",
        "evaluate",
        "--json",
        "-m",
        &out,
        &data("questions-words.txt"),
        &data("wordsim353.tsv"),
    ]);
    let lines: Vec<serde_json::Value> = String::from_utf8(json)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let accuracy = lines[0]["result"]["total"]["accuracy"].as_f64().unwrap();
    let spearman = lines[1]["result"]["spearman"].as_f64().unwrap();
    assert!(
        accuracy >= 0.13 && spearman >= 0.48,
        "one seed: {accuracy}, {spearman}"
    );
}
