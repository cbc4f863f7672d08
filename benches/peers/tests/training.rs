//! Merges that we learn equal those of Hugging Face's trainer, reading the same files line by line.

use barelm::bpe_trainer::{BpeTrainerOptions, train};
use barelm::corpus::Corpus;
use barelm::pretoken_counts::{CountMode, PretokenCounts};
use barelm::progress::Progress;
use barelm::tokenizer::{HarnessPattern, Tokenizer};
use std::path::{Path, PathBuf};
use tokenizers::Tokenizer as Library;
use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;

const SIZES: [usize; 4] = [1_000, 8_000, 32_000, 64_000];

fn data(name: &str) -> PathBuf {
    let data = std::env::var_os("BARELM_DATA").expect("BARELM_DATA names the data folder");
    PathBuf::from(data).join(name)
}

/// The vocabulary and the merges, as a `tokenizer.json` has them.
fn model(json: &Path) -> serde_json::Value {
    let file: serde_json::Value =
        serde_json::from_slice(&std::fs::read(json).unwrap()).expect("valid JSON");
    let merges = file["model"]["merges"].as_array().unwrap();
    // Both spellings of a merge, "a b" and ["a", "b"], are in use.
    let merges: Vec<_> = merges
        .iter()
        .map(|merge| match merge.as_str() {
            Some(text) => text.split(' ').map(serde_json::Value::from).collect(),
            None => merge.clone(),
        })
        .collect();
    serde_json::json!({ "vocab": file["model"]["vocab"], "merges": merges })
}

fn theirs(text: &Path, vocab_size: usize, json: &Path) {
    let pattern = ByteLevel::new(false, true, true);
    let mut library = Library::new(BPE::default());
    library.with_pre_tokenizer(Some(pattern));
    let trainer = BpeTrainer::builder()
        .vocab_size(vocab_size)
        .show_progress(false)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .special_tokens(vec![tokenizers::AddedToken::from("<|endoftext|>", true)])
        .build();
    let mut trainer = TrainerWrapper::BpeTrainer(trainer);
    let file = text.to_str().unwrap().to_owned();
    library.train_from_files(&mut trainer, vec![file]).unwrap();
    library.save(json, false).unwrap();
}

fn ours(counts: &PretokenCounts, vocab_size: usize, json: &Path) {
    let options = BpeTrainerOptions {
        vocab_size,
        specials: vec!["<|endoftext|>".into()],
        ..Default::default()
    };
    let vocabulary = train(counts, &options, &Progress::new("", 0, "merges")).unwrap();
    let tokenizer = Tokenizer::from_vocabulary(&vocabulary).unwrap();
    tokenizer.save_json(json).unwrap();
}

fn assert_same(name: &str, sizes: &[usize]) {
    barelm::progress::set_quiet(true);
    let text = data(name);
    let corpus = Corpus::open(std::slice::from_ref(&text), &Default::default()).unwrap();
    let gpt2 = HarnessPattern::parse("gpt2").unwrap();
    let progress = Progress::new("", 0, "bytes");
    let counts = PretokenCounts::count(&corpus, &gpt2, CountMode::Lines, 2, &progress).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let json = |name: &str| folder.path().join(name);
    for size in sizes {
        theirs(&text, *size, &json("theirs.json"));
        ours(&counts, *size, &json("ours.json"));
        let (theirs, ours) = (model(&json("theirs.json")), model(&json("ours.json")));
        assert!(ours == theirs, "{name}, {size} tokens");
        assert!(!ours["merges"].as_array().unwrap().is_empty());
    }
}

#[test]
#[ignore = "needs BARELM_DATA"]
fn tinyshakespeare_gives_equal_merges() {
    assert_same("tinyshakespeare.txt", &SIZES);
}

#[test]
#[ignore = "needs BARELM_DATA"]
fn chinese_gives_equal_merges() {
    assert_same("zh-hongloumeng.txt", &SIZES);
}

#[test]
#[ignore = "needs BARELM_DATA"]
fn text_in_388_languages_gives_equal_merges() {
    assert_same("multi-udhr.txt", &SIZES);
}

#[test]
#[ignore = "needs BARELM_DATA"]
fn a_hundred_megabytes_give_equal_merges() {
    assert_same("classics-100m.txt", &SIZES);
}
