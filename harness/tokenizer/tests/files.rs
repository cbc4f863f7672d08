//! What is saved is loaded again, and what cannot be loaded is named.

use super::*;
use std::fs;
use std::path::PathBuf;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: &[u8]) -> PathBuf {
        fs::write(self.path(name), content).unwrap();
        self.path(name)
    }
}

#[test]
fn a_saved_tokenizer_is_the_same_when_loaded() {
    let (folder, mut rng) = (Folder::new(), Rng::new(31));
    for pattern in ["gpt2", "cl100k", "o200k", "whitespace", r"\w+|\W"] {
        let vocabulary = random_vocabulary(&mut rng, pattern, 60);
        let tokenizer = Tokenizer::from_vocabulary(&vocabulary).unwrap();
        tokenizer.save_json(folder.path("tokenizer.json")).unwrap();
        tokenizer
            .save_flat(folder.path("tokenizer.barelm"))
            .unwrap();
        for name in ["tokenizer.json", "tokenizer.barelm", "."] {
            let loaded = Tokenizer::load(folder.path(name)).unwrap();
            assert_eq!(
                loaded.vocabulary(),
                tokenizer.vocabulary(),
                "{pattern} {name}"
            );
            assert_eq!(loaded.hash(), tokenizer.hash());
            let text = random_text(&mut rng, 500);
            assert_eq!(loaded.encode(&text), tokenizer.encode(&text));
        }
    }
}

#[test]
fn a_tokenizer_by_the_rank_of_bytes_survives_both_formats() {
    let (folder, mut rng) = (Folder::new(), Rng::new(32));
    let mut vocabulary = random_vocabulary(&mut rng, "gpt2", 60);
    vocabulary.rule = MergeRule::BytesRank;
    let tokenizer = Tokenizer::from_vocabulary(&vocabulary).unwrap();
    tokenizer.save_json(folder.path("t.json")).unwrap();
    tokenizer.save_flat(folder.path("t.barelm")).unwrap();
    for name in ["t.json", "t.barelm"] {
        let loaded = Tokenizer::load(folder.path(name)).unwrap();
        assert_eq!(loaded.vocabulary(), tokenizer.vocabulary(), "{name}");
    }
}

#[test]
fn a_file_of_another_kind_may_embed_a_tokenizer() {
    let folder = Folder::new();
    let vocabulary = random_vocabulary(&mut Rng::new(33), "o200k", 20);
    let tokenizer = Tokenizer::from_vocabulary(&vocabulary).unwrap();
    let path = folder.path("model.barelm");
    let sections = Tokenizer::SECTIONS + 1;
    let mut writer = ContainerWriter::create(&path, b"model\0\0\0", sections).unwrap();
    writer.section(b"weights\0", &[1, 2, 3]).unwrap();
    tokenizer.write_sections(&mut writer).unwrap();
    writer.finish().unwrap();
    assert_eq!(
        Tokenizer::load(&path).unwrap().vocabulary(),
        tokenizer.vocabulary()
    );
}

#[test]
fn damaged_flat_files_are_refused_or_do_no_harm() {
    let folder = Folder::new();
    let mut rng = Rng::new(34);
    let vocabulary = random_vocabulary(&mut rng, "cl100k", 20);
    let tokenizer = Tokenizer::from_vocabulary(&vocabulary).unwrap();
    tokenizer.save_flat(folder.path("good.barelm")).unwrap();
    let good = fs::read(folder.path("good.barelm")).unwrap();
    for len in [0, 7, 8, 63, 64, 200, good.len() - 1] {
        let path = folder.write("short.barelm", &good[..len]);
        assert!(
            matches!(Tokenizer::load(path), Err(Error::Data { .. })),
            "{len}"
        );
    }
    let text = random_text(&mut rng, 300);
    for _ in 0..300 {
        let mut bad = good.clone();
        let at = rng.below(bad.len() as u64) as usize;
        bad[at] ^= 1 << rng.below(8);
        if let Ok(loaded) = Tokenizer::load(folder.write("bad.barelm", &bad)) {
            loaded.decode(&loaded.encode(&text));
        }
    }
}

#[test]
fn damage_that_opening_does_not_see_is_found_by_verifying() {
    let folder = Folder::new();
    let vocabulary = random_vocabulary(&mut Rng::new(35), "gpt2", 20);
    let tokenizer = Tokenizer::from_vocabulary(&vocabulary).unwrap();
    tokenizer.verify().unwrap();
    tokenizer.save_flat(folder.path("t.barelm")).unwrap();
    let mut bytes = fs::read(folder.path("t.barelm")).unwrap();
    Tokenizer::load(folder.path("t.barelm"))
        .unwrap()
        .verify()
        .unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let damaged = Tokenizer::load(folder.write("bad.barelm", &bytes)).unwrap();
    let error = damaged.verify().unwrap_err();
    assert_eq!(error.exit_code(), 3);
    assert!(error.to_string().contains("bad.barelm"), "{error}");
}

/// What the error of loading `content` says.
fn refusal(name: &str, content: &[u8]) -> String {
    let folder = Folder::new();
    let error = Tokenizer::load(folder.write(name, content)).unwrap_err();
    assert_eq!(error.exit_code(), 3, "{error}");
    error.to_string()
}

#[test]
fn other_models_and_other_files_are_refused_by_name() {
    let wordpiece = br###"{"model": {"type": "WordPiece", "vocab": {"a": 0}, "unk_token": "a"}}"###;
    assert!(refusal("tokenizer.json", wordpiece).contains("WordPiece is not supported"));
    let unigram = br#"{"model": {"type": "Unigram", "vocab": [["a", -1.5]]}}"#;
    assert!(refusal("tokenizer.json", unigram).contains("Unigram is not supported"));
    let fallback =
        br#"{"model": {"type": "BPE", "vocab": {}, "merges": [], "byte_fallback": true}}"#;
    assert!(refusal("tokenizer.json", fallback).contains("byte_fallback is not supported"));
    assert!(refusal("tokenizer.json", b"{}").contains("not a tokenizer.json"));
    assert!(refusal("tokenizer.json", b"").contains("empty"));
    assert!(refusal("notes", b"Dear diary,\n").contains("not"));
    assert!(refusal("vocab.txt", b"hello").contains("merges.txt"));
    let missing = Tokenizer::load("no such file").unwrap_err();
    assert_eq!(missing.exit_code(), 4);
    let folder = Folder::new();
    assert!(
        Tokenizer::load(folder.path("."))
            .unwrap_err()
            .to_string()
            .contains("no tokenizer")
    );
}

#[test]
fn the_older_form_of_merges_is_read_too() {
    let json = r#"{"added_tokens": [{"id": 3, "content": "<s>"}],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false},
        "model": {"type": "BPE", "vocab": {"a": 0, "Ġ": 1, "Ġa": 2}, "merges": ["Ġ a"]}}"#;
    let folder = Folder::new();
    let tokenizer = Tokenizer::load(folder.write("tokenizer.json", json.as_bytes())).unwrap();
    assert_eq!(tokenizer.encode(b"a a<a"), [0, 2, 0]);
    assert_eq!(tokenizer.vocabulary().specials, [("<s>".to_string(), 3)]);
}

#[test]
fn whole_pieces_first_needs_merges_in_the_order_of_ids() {
    let json = |merges: &str| {
        let start = r#"{"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false},
            "model": {"type": "BPE", "ignore_merges": true,
            "vocab": {"a": 0, "b": 1, "c": 2, "ab": 3, "abc": 4, "cab": 5}, "merges": "#;
        format!("{start}{merges}}}}}")
    };
    let folder = Folder::new();
    let all = json(r#"["a b", "ab c", "c ab"]"#);
    let tokenizer = Tokenizer::load(folder.write("a.json", all.as_bytes())).unwrap();
    assert_eq!(tokenizer.vocabulary().rule, MergeRule::BytesRank);
    for merges in [r#"["c ab", "a b", "ab c"]"#, r#"["a b", "ab c"]"#] {
        let error = refusal("b.json", json(merges).as_bytes());
        assert!(error.contains("ignore_merges is not supported"), "{error}");
    }
}

/// A small tokenizer.json with more members in its special token and in its model.
fn small_json(special: &str, model: &str) -> Vec<u8> {
    let text = r#"{"added_tokens": [{"id": 3, "content": "<s>" SPECIAL}],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false},
        "model": {"type": "BPE", "vocab": {"a": 0, "\u0120": 1, "\u0120a": 2}, "merges": ["\u0120 a"]
        MODEL}}"#;
    let text = text.replace("SPECIAL", special).replace("MODEL", model);
    text.into_bytes()
}

#[test]
fn what_changes_ids_and_is_not_supported_is_refused_by_its_name() {
    let folder = Folder::new();
    let path = folder.write("t.json", &small_json("", ""));
    assert_eq!(Tokenizer::load(path).unwrap().encode(b"a a"), [0, 2]);
    for name in ["single_word", "lstrip", "rstrip"] {
        let json = small_json(&format!(r#", "{name}": true"#), "");
        let error = refusal("tokenizer.json", &json);
        assert!(error.contains(name) && error.contains("<s>"), "{error}");
    }
    let ordinary = small_json(r#", "special": false"#, "");
    assert!(refusal("tokenizer.json", &ordinary).contains("not special"));
    for (name, value) in [
        ("dropout", "0.1"),
        ("byte_fallback", "true"),
        ("unk_token", r#""<unk>""#),
        ("continuing_subword_prefix", r#""@""#),
        ("end_of_word_suffix", r#""</w>""#),
    ] {
        let json = small_json("", &format!(r#", "{name}": {value}"#));
        assert!(refusal("tokenizer.json", &json).contains(name));
    }
    // What changes nothing is read.
    let harmless = r#", "dropout": null, "fuse_unk": true, "byte_fallback": false"#;
    let json = small_json(r#", "normalized": true, "special": true"#, harmless);
    assert!(Tokenizer::load(folder.write("t.json", &json)).is_ok());
}

#[test]
fn broken_lists_of_a_tokenizer_json_are_refused_with_the_reason() {
    let good = String::from_utf8(small_json("", "")).unwrap();
    let merges = r#"["\u0120 a"]"#;
    for (from, to, why) in [
        (r#""a": 0"#, r#""a": -1"#, "whole number"),
        (r#""a": 0"#, r#""a": 2"#, "two tokens have the id 2"),
        (r#""a": 0"#, r#""a": 4000000000"#, "far-off"),
        (r#""a": 0"#, r#""中": 0"#, "not byte-level"),
        (r#""a": 0"#, r#""a" 0"#, "':' is missing"),
        (merges, r#"["a"]"#, "a merge is two tokens"),
        (merges, r#"[["a"]]"#, "',' is missing"),
        (merges, r#"["a z"]"#, "which is no token"),
        (merges, r#"["a a"]"#, "which is no token"),
        (merges, r#"["a a""#, "missing"),
        (r#""vocab""#, r#""vocal""#, "vocab"),
        (r#""merges""#, r#""vocab""#, "twice"),
    ] {
        assert!(good.contains(from), "{from}");
        let error = refusal("tokenizer.json", good.replace(from, to).as_bytes());
        assert!(error.contains(why), "{to}: {error}");
    }
    let half = &good.as_bytes()[..good.len() / 2];
    assert!(refusal("tokenizer.json", half).contains("byte "));
}

#[test]
fn names_of_special_tokens_are_text_and_all_others_are_bytes() {
    let json = r#"{"added_tokens": [{"id": 2, "content": "Ġ"}, {"id": 3, "content": "中 \"x\""}],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false},
        "model": {"type": "BPE", "merges": [["\"", "\\"]],
        "vocab": {"\"": 0, "\\": 1, "\u0120": 2, "中 \"x\"": 3, "\"\\": 4}}}"#;
    let folder = Folder::new();
    let tokenizer = Tokenizer::load(folder.write("t.json", json.as_bytes())).unwrap();
    let specials = [("Ġ".to_string(), 2), ("中 \"x\"".to_string(), 3)];
    assert_eq!(tokenizer.vocabulary().specials, specials);
    assert_eq!(tokenizer.encode(br#"\"\"#), [1, 4]);
    let again = folder.path("again.json");
    tokenizer.save_json(&again).unwrap();
    let again = Tokenizer::load(again).unwrap();
    assert_eq!(again.vocabulary(), tokenizer.vocabulary());
}

#[test]
fn the_rule_can_be_chosen() {
    let folder = Folder::new();
    // "cbcb" as a whole is a token that merging does not lead to: "bc" comes first.
    let ranks = "YQ== 0\nYg== 1\nYw== 2\nYmM= 3\nY2JjYg== 4\n";
    let path = folder.write("t.tiktoken", ranks.as_bytes());
    let load = |path: &PathBuf, rule| {
        let pattern = Some(HarnessPattern::parse("gpt2").unwrap());
        Tokenizer::load_with(path, &LoadOptions { pattern, rule }).unwrap()
    };
    let by_bytes = load(&path, None);
    assert_eq!(by_bytes.vocabulary().rule, MergeRule::BytesRank);
    assert_eq!(by_bytes.encode(b"cbcb"), [4]);
    let by_pairs = load(&path, Some(MergeRule::PairRank));
    assert_eq!(by_pairs.encode(b"cbcb"), [2, 3, 1]);
    assert_eq!(by_pairs.vocabulary().merges, by_bytes.vocabulary().merges);
    let saved = folder.path("pairs.barelm");
    by_pairs.save_flat(&saved).unwrap();
    let back = load(&saved, Some(MergeRule::BytesRank));
    assert_eq!(back.vocabulary(), by_bytes.vocabulary());
}
