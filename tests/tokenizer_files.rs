//! `barelm tokenizer convert` and `inspect` as a user runs them.

use crate::support::{Workplace, refuse, succeed};
use serde_json::Value;

fn trained(place: &Workplace, arguments: &[&str]) -> (String, String) {
    let (text, model) = (place.stories("200K"), place.arg("tokenizer.json"));
    let size = ["--vocab-size", "500", "-o", &model, &text];
    succeed(&[&["tokenizer", "train"], arguments, &size].concat());
    (text, model)
}

fn convert(from: &str, to: &str) {
    succeed(&["tokenizer", "convert", "-m", from, "-o", to]);
}

fn json(arguments: &[&str]) -> Value {
    serde_json::from_slice(&succeed(
        &[&["--json", "tokenizer", "inspect"], arguments].concat(),
    ))
    .expect("one JSON value")
}

#[test]
fn training_and_converting_tell_what_was_written() {
    let place = Workplace::new();
    let text = place.write("few", b"hello hello hello");
    let (model, flat) = (place.arg("t.json"), place.arg("t.barelm"));
    let train = ["--json", "tokenizer", "train", "--vocab-size", "9000"];
    let trained = succeed(&[&train[..], &["-o", &model, &text]].concat());
    let trained: Value = serde_json::from_slice(&trained).expect("one JSON value");
    assert_eq!(trained, json(&["-m", &model]));
    // "hello" has four merges, " hello" one more.
    assert_eq!(
        (&trained["vocab_size"], &trained["merges"]),
        (&261.into(), &5.into())
    );
    let converted = ["--json", "tokenizer", "convert", "-m", &model, "-o", &flat];
    let converted: Value = serde_json::from_slice(&succeed(&converted)).expect("one JSON value");
    assert_eq!(converted, json(&["-m", &flat]));
}

#[test]
fn a_tokenizer_goes_through_all_formats_and_comes_back() {
    let place = Workplace::new();
    let (_, model) = trained(&place, &[]);
    let steps = ["a.barelm", "b/vocab.json", "c.json"].map(|name| place.arg(name));
    let mut from = &model;
    for to in &steps {
        convert(from, to);
        from = to;
    }
    assert!(place.path("b/merges.txt").exists());
    let (first, last) = (place.path("tokenizer.json"), place.path("c.json"));
    assert_eq!(std::fs::read(first).unwrap(), std::fs::read(last).unwrap());
}

#[test]
fn the_merges_of_a_json_file_are_those_of_its_model_wherever_they_stand() {
    let place = Workplace::new();
    let (text, model) = trained(&place, &[]);
    let ids = |model: &str| succeed(&["tokenizer", "encode", "-m", model, &text]);
    let file: Value = serde_json::from_slice(&std::fs::read(&model).unwrap()).unwrap();
    let [vocab, merges] = ["vocab", "merges"].map(|list| file["model"][list].to_string());
    let rest = |value: &Value| {
        let text = value.to_string();
        text[1..text.len() - 1].to_string()
    };
    let mut outline = file.clone();
    let of_model = outline.as_object_mut().unwrap().remove("model").unwrap();
    let mut of_model = of_model.as_object().unwrap().clone();
    of_model.retain(|name, _| name != "vocab" && name != "merges");
    let (outline, of_model) = (rest(&outline), rest(&of_model.into()));
    let in_order = format!(r#"{of_model}, "vocab": {vocab}, "merges": {merges}"#);
    let merges_first = format!(r#""merges": {merges}, "vocab": {vocab}, {of_model}"#);
    let other_lists = r#""merges": ["a b"], "notes": {"merges" : [1, 2"#;
    for file in [
        format!(r#"{{{outline}, "model": {{{in_order}}}}}"#),
        format!(r#"{{{outline}, "model": {{{merges_first}}}}}"#),
        format!(r#"{{{other_lists}]}}, {outline}, "model": {{{in_order}}}}}"#),
    ] {
        let other = place.write("other.json", file.as_bytes());
        assert!(ids(&other) == ids(&model));
    }
}

#[test]
fn what_a_format_cannot_hold_is_refused_by_name() {
    let place = Workplace::new();
    let (text, model) = trained(&place, &["--special", "<|end|>"]);
    let ranks = place.arg("ranks.tiktoken");
    let arguments = ["tokenizer", "convert", "-m", &model, "-o", &ranks];
    refuse(&arguments, 1, "--drop pattern");
    refuse(
        &[&arguments[..], &["--drop", "pattern"]].concat(),
        1,
        "<|end|>",
    );
    succeed(&[&arguments[..], &["--drop", "pattern", "--drop", "specials"]].concat());
    let encode =
        |arguments: &[&str]| succeed(&[&["tokenizer", "encode"], arguments, &[&text]].concat());
    assert_eq!(
        encode(&["-m", &ranks, "--pattern", "gpt2"]),
        encode(&["-m", &model])
    );
    refuse(
        &["tokenizer", "convert", "-m", &model, "-o", "x.txt"],
        2,
        "must end in",
    );
}

#[test]
fn inspect_tells_lengths_merges_and_what_a_text_uses() {
    let place = Workplace::new();
    let (text, model) = trained(&place, &["--special", "<|end|>"]);
    let flat = place.arg("t.barelm");
    convert(&model, &flat);
    let summary = json(&["-m", &flat, "--verify"]);
    assert_eq!(
        (&summary["vocab_size"], &summary["unreachable"]),
        (&500.into(), &0.into())
    );
    assert_eq!(summary["specials"][0]["text"], "<|end|>");
    let counts = summary["tokens_by_bytes"].as_object().unwrap();
    let tokens: u64 = counts.values().filter_map(Value::as_u64).sum();
    assert_eq!(tokens, 499);

    let longest = &summary["longest_tokens"][0];
    let by_id = json(&["-m", &flat, "--token", &longest["id"].to_string()]);
    assert_eq!(by_id["tokens"], Value::from(vec![longest.clone()]));
    let by_text = json(&["-m", &flat, "--token", longest["text"].as_str().unwrap()]);
    assert_eq!(by_id, by_text);
    assert!(!by_id["steps"].as_array().unwrap().is_empty());
    refuse(
        &["tokenizer", "inspect", "-m", &flat, "--token", "99999"],
        2,
        "99999",
    );

    let usage = json(&["-m", &flat, "--text", &text]);
    let bytes = std::fs::metadata(&text).unwrap().len();
    assert_eq!(usage["text_bytes"], bytes);
    let tokens = String::from_utf8(succeed(&["tokenizer", "encode", "-m", &flat, &text])).unwrap();
    assert_eq!(usage["text_tokens"], tokens.split_whitespace().count());
    // Nothing but people's words: unused letters and controls remain.
    assert!(usage["unused"].as_u64() > Some(100));
    for view in [
        &["-m", &flat][..],
        &["-m", &flat, "--text", &text],
        &["-m", &flat, "--unreachable"],
    ] {
        let shown = succeed(&[&["tokenizer", "inspect"], view].concat());
        assert_eq!(shown.is_empty(), view.contains(&"--unreachable"));
    }
}

#[test]
fn damage_in_a_flat_file_is_found_by_verifying() {
    let place = Workplace::new();
    let (_, model) = trained(&place, &[]);
    let flat = place.arg("t.barelm");
    convert(&model, &flat);
    let mut bytes = std::fs::read(&flat).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&flat, bytes).unwrap();
    let inspect = ["tokenizer", "inspect", "-m", &flat];
    succeed(&inspect);
    refuse(&[&inspect[..], &["--verify"]].concat(), 3, "checksum");
    let again = place.arg("again.json");
    refuse(
        &["tokenizer", "convert", "-m", &flat, "-o", &again],
        3,
        "checksum",
    );
}
