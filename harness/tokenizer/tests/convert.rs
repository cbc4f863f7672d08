//! From format to format: the same tokenizer, or a refusal that names what would be lost.

use super::*;
use std::path::PathBuf;

const NO_LOSS: &[Loss] = &[];

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

fn save(tokenizer: &Tokenizer, path: &PathBuf, may_lose: &[Loss]) -> Result<()> {
    let format = TokenizerFormat::of_name(path)?;
    tokenizer.save_as(path, format, may_lose)
}

fn learned(pattern: &str, rule: MergeRule) -> Vocabulary {
    let vocabulary = random_vocabulary(&mut Rng::new(51), pattern, 60);
    Vocabulary { rule, ..vocabulary }
}

/// The vocabulary by the other rule, where that is the only difference that may be.
fn with_rule_of(vocabulary: Vocabulary, other: &Vocabulary) -> Vocabulary {
    let rule = other.rule;
    let by_rule = Vocabulary { rule, ..vocabulary };
    Tokenizer::from_vocabulary(&by_rule).unwrap().vocabulary()
}

#[test]
fn names_say_the_format() {
    let format = |name: &str| TokenizerFormat::of_name(name.as_ref());
    assert_eq!(format("a/vocab.json").unwrap(), TokenizerFormat::Gpt2);
    assert_eq!(format("gpt2-merges.txt").unwrap(), TokenizerFormat::Gpt2);
    assert_eq!(format("a.json").unwrap(), TokenizerFormat::Json);
    assert_eq!(format("a.barelm").unwrap(), TokenizerFormat::Flat);
    assert_eq!(format("a.tiktoken").unwrap(), TokenizerFormat::Tiktoken);
    assert_eq!(format("a.txt").unwrap_err().exit_code(), 2);
}

#[test]
fn vocab_and_merges_give_the_same_tokenizer_again() {
    let folder = Folder::new();
    let tokenizer = Tokenizer::from_vocabulary(&learned("gpt2", MergeRule::PairRank)).unwrap();
    save(&tokenizer, &folder.path("x-vocab.json"), NO_LOSS).unwrap();
    for name in ["x-vocab.json", "x-merges.txt"] {
        let back = Tokenizer::load(folder.path(name)).unwrap();
        assert_eq!(back.vocabulary(), tokenizer.vocabulary(), "{name}");
    }
}

#[test]
fn what_a_format_has_no_place_for_is_named_and_left_out_only_if_told_to() {
    let folder = Folder::new();
    let tokenizer = Tokenizer::from_vocabulary(&learned("cl100k", MergeRule::BytesRank)).unwrap();
    let refusal = |path: &PathBuf, may_lose| {
        let error = save(&tokenizer, path, may_lose).unwrap_err();
        assert_eq!(error.exit_code(), 1);
        assert!(!path.exists());
        error.to_string()
    };
    let ranks = folder.path("x.tiktoken");
    assert!(refusal(&ranks, NO_LOSS).contains("--drop pattern"));
    let error = refusal(&ranks, &[Loss::Pattern]);
    assert!(
        error.contains("<|end|>") && error.contains("--drop specials"),
        "{error}"
    );
    save(&tokenizer, &ranks, &[Loss::Pattern, Loss::Specials]).unwrap();
    let pattern = Some(tokenizer.pattern().clone());
    let options = LoadOptions {
        pattern,
        rule: None,
    };
    let back = Tokenizer::load_with(&ranks, &options).unwrap();
    let mut text = b"abcabc 1a b\n".repeat(20);
    text.extend(random_text(&mut Rng::new(52), 500));
    assert_eq!(back.encode(&text), tokenizer.encode(&text));
    assert!(back.vocabulary().specials.is_empty());

    let vocab = folder.path("vocab.json");
    assert!(refusal(&vocab, NO_LOSS).contains("--drop pattern"));
    let by_pairs = Tokenizer::from_vocabulary(&learned("cl100k", MergeRule::PairRank)).unwrap();
    save(&by_pairs, &vocab, &[Loss::Pattern, Loss::Specials]).unwrap();
    let back = Tokenizer::load_with(&vocab, &options).unwrap();
    assert_eq!(back.encode(&text), by_pairs.encode(&text));
    assert!(back.vocabulary().specials.is_empty());
}

#[test]
fn a_format_of_the_other_rule_is_refused_where_ids_would_differ() {
    let folder = Folder::new();
    // "cbcb" is a token that merging does not lead to.
    let mut vocabulary = learned("gpt2", MergeRule::BytesRank);
    vocabulary.specials.clear();
    vocabulary.tokens = (0..=255).map(|byte| vec![byte]).collect();
    vocabulary.tokens.extend([b"bc".to_vec(), b"cbcb".to_vec()]);
    vocabulary.merges.clear();
    let by_bytes = Tokenizer::from_vocabulary(&vocabulary).unwrap();
    let error = save(&by_bytes, &folder.path("vocab.json"), NO_LOSS).unwrap_err();
    assert!(error.to_string().contains("vocab.json"), "{error}");
    vocabulary.rule = MergeRule::PairRank;
    vocabulary.merges = vec![(98, 99)];
    let by_pairs = Tokenizer::from_vocabulary(&vocabulary).unwrap();
    let error = save(&by_pairs, &folder.path("x.tiktoken"), &[Loss::Pattern]).unwrap_err();
    assert!(error.to_string().contains("rank of bytes"), "{error}");
    // And merges in another order than the ids.
    let mut vocabulary = learned("gpt2", MergeRule::PairRank);
    vocabulary.merges.reverse();
    let reversed = Tokenizer::from_vocabulary(&vocabulary).unwrap();
    let may_lose = [Loss::Pattern, Loss::Specials];
    assert!(save(&reversed, &folder.path("x.tiktoken"), &may_lose).is_err());
}

#[test]
fn parts_of_a_tokenizer_json_that_are_not_read_are_named() {
    let folder = Folder::new();
    let tokenizer = Tokenizer::from_vocabulary(&learned("gpt2", MergeRule::PairRank)).unwrap();
    let path = folder.path("tokenizer.json");
    save(&tokenizer, &path, NO_LOSS).unwrap();
    refuse_unread_parts(&path, NO_LOSS).unwrap();
    let json = std::fs::read_to_string(&path).unwrap();
    let bos = r#""post_processor": {"type": "TemplateProcessing"}"#;
    let json = json.replace(r#""post_processor": null"#, bos);
    std::fs::write(&path, json).unwrap();
    let error = refuse_unread_parts(&path, NO_LOSS).unwrap_err().to_string();
    assert!(error.contains("post_processor"), "{error}");
    refuse_unread_parts(folder.path("."), &[Loss::Processing]).unwrap();
    // A token of that name is none.
    let vocab = folder.path("vocab.json");
    std::fs::write(&vocab, r#"{"padding": 0, "model": 1}"#).unwrap();
    refuse_unread_parts(&vocab, NO_LOSS).unwrap();
}

/// Every published vocabulary through every format, and back to the one it started from.
#[test]
#[ignore = "needs BARELM_DATA"]
fn published_tokenizers_go_through_all_formats() {
    let folder = Folder::new();
    let data = std::env::var_os("BARELM_DATA").expect("BARELM_DATA names the data folder");
    for file in [
        "r50k_base.tiktoken",
        "cl100k_base.tiktoken",
        "o200k_base.tiktoken",
        "gpt2-vocab.json",
    ] {
        let source = PathBuf::from(&data).join("bpe").join(file);
        let tokenizer = Tokenizer::load(&source).unwrap();
        let want = tokenizer.vocabulary();
        for name in ["t.json", "t.barelm", "t.tiktoken", "vocab.json"] {
            let path = folder.path(name);
            let first = save(&tokenizer, &path, NO_LOSS);
            // GPT-2's files do not say the pattern, and o200k has tokens that no merges lead to.
            if name == "vocab.json" && (file.starts_with("cl100k") || file.starts_with("o200k")) {
                assert!(
                    first.unwrap_err().to_string().contains("pattern"),
                    "{file} {name}"
                );
                continue;
            }
            first.unwrap();
            let back = Tokenizer::load(&path).unwrap().vocabulary();
            assert!(with_rule_of(back, &want) == want, "{file} {name}");
        }
        // The published file comes back byte for byte.
        if file.ends_with(".tiktoken") {
            let ours = std::fs::read(folder.path("t.tiktoken")).unwrap();
            assert!(ours == std::fs::read(source).unwrap(), "{file}");
        }
    }
}
