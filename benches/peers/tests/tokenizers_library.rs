//! A `tokenizer.json` of ours opens in Hugging Face's `tokenizers`, which gives equal ids.

use barelm::bpe_trainer::{BpeTrainerOptions, train};
use barelm::corpus::Corpus;
use barelm::pretoken_counts::{CountMode, PretokenCounts};
use barelm::progress::Progress;
use barelm::tokenizer::{HarnessPattern, MergeRule, Tokenizer, TokenizerFormat};
use barelm_peers::{texts, training_text};
use std::path::{Path, PathBuf};
use tokenizers::models::bpe::BPE;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;

fn trained(pattern: &str) -> Tokenizer {
    barelm::progress::set_quiet(true);
    let corpus = Corpus::from_bytes("training text", training_text().into_bytes());
    let pattern = HarnessPattern::parse(pattern).unwrap();
    let progress = Progress::new("", 0, "bytes");
    let counts = PretokenCounts::count(&corpus, &pattern, CountMode::Documents, 1, &progress);
    let options = BpeTrainerOptions {
        vocab_size: 400,
        specials: vec!["<|endoftext|>".into()],
        ..Default::default()
    };
    let vocabulary = train(&counts.unwrap(), &options, &progress).unwrap();
    assert!(vocabulary.merges.len() > 50);
    Tokenizer::from_vocabulary(&vocabulary).unwrap()
}

fn open(path: &Path) -> tokenizers::Tokenizer {
    tokenizers::Tokenizer::from_file(path).unwrap()
}

/// Saves ours, opens it in the library, and compares ids and decoded text.
fn assert_same(ours: &Tokenizer, path: &Path) {
    ours.save_json(path).unwrap();
    let theirs = open(path);
    let pattern = ours.pattern();
    for text in texts() {
        let ids = ours.encode(text.as_bytes());
        let encoding = theirs.encode(text.as_str(), false).unwrap();
        assert_eq!(ids, encoding.get_ids(), "{pattern}: {text:?}");
        let decoded = theirs.decode(&ids, false).unwrap();
        let bytes = ours.decode(&ids);
        assert_eq!(
            String::from_utf8_lossy(&bytes),
            decoded,
            "{pattern}: {text:?}"
        );
    }
}

#[test]
fn our_vocabularies_open_there_and_give_equal_ids() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer.json");
    for pattern in [
        "gpt2",
        "cl100k",
        "o200k",
        "whitespace",
        r"\p{L}+|\d|[^\s\d\p{L}]+",
    ] {
        assert_same(&trained(pattern), &path);
    }
}

#[test]
fn a_vocabulary_by_the_rank_of_bytes_gives_equal_ids() {
    let folder = tempfile::tempdir().unwrap();
    let mut vocabulary = trained("cl100k").vocabulary();
    vocabulary.rule = MergeRule::BytesRank;
    // Swapped ranks: merging alone does not lead to every token any more.
    let tokens = vocabulary.tokens.len();
    for at in (300..tokens - 1).step_by(3) {
        vocabulary.tokens.swap(at, tokens - at + 299);
    }
    let ours = Tokenizer::from_vocabulary(&vocabulary).unwrap();
    assert_same(&ours, &folder.path().join("tokenizer.json"));
}

/// Saves ours as `vocab.json` and `merges.txt`, opens them in the library, and compares ids.
fn assert_same_by_gpt2_files(ours: &Tokenizer, folder: &Path) {
    let (vocab, merges) = (folder.join("vocab.json"), folder.join("merges.txt"));
    ours.save_as(&vocab, TokenizerFormat::Gpt2, &[]).unwrap();
    let [vocab, merges] = [vocab, merges].map(|path| path.to_str().unwrap().to_string());
    let model = BPE::from_file(&vocab, &merges).build().unwrap();
    let mut theirs = tokenizers::Tokenizer::new(model);
    theirs.with_pre_tokenizer(Some(ByteLevel::default().add_prefix_space(false)));
    for text in texts() {
        let encoding = theirs.encode(text.as_str(), false).unwrap();
        assert_eq!(ours.encode(text.as_bytes()), encoding.get_ids(), "{text:?}");
    }
}

#[test]
fn our_vocab_and_merges_open_there_and_give_equal_ids() {
    let folder = tempfile::tempdir().unwrap();
    assert_same_by_gpt2_files(&trained("gpt2"), folder.path());
}

#[test]
#[ignore = "needs BARELM_DATA"]
fn ranks_of_bytes_as_vocab_and_merges_give_equal_ids() {
    let data = std::env::var_os("BARELM_DATA").expect("BARELM_DATA names the data folder");
    let ours = Tokenizer::load(PathBuf::from(data).join("bpe/r50k_base.tiktoken")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    assert_same_by_gpt2_files(&ours, folder.path());
}

#[test]
fn what_the_library_saves_we_load() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("a.json"), folder.path().join("b.json"));
    for pattern in ["gpt2", "o200k", "whitespace", r"\w+|\W"] {
        let ours = trained(pattern);
        ours.save_json(&first).unwrap();
        open(&first).save(&second, false).unwrap();
        let back = Tokenizer::load(&second).unwrap();
        assert!(back.vocabulary() == ours.vocabulary(), "{pattern}");
    }
}

#[test]
#[ignore = "needs BARELM_DATA"]
fn the_published_vocabularies_give_equal_ids() {
    let data = std::env::var_os("BARELM_DATA").expect("BARELM_DATA names the data folder");
    let data = PathBuf::from(data).join("bpe");
    let folder = tempfile::tempdir().unwrap();
    let files = [
        "gpt2-vocab.json",
        "r50k_base.tiktoken",
        "cl100k_base.tiktoken",
    ];
    for file in files {
        let ours = Tokenizer::load(data.join(file)).unwrap();
        assert_same(&ours, &folder.path().join("tokenizer.json"));
    }
}
