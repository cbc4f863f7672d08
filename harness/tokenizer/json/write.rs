//! Writes `tokenizer.json` in the layout of `tokenizers` 0.23.
//!
//! The two long lists, vocabulary and merges, are written by hand behind the rest: nearly all of the
//! file is in them, and each name is made ready for JSON once.

use super::split;
use crate::tokenizer::{MergeRule, Vocabulary, byte_chars};
use serde_json::Value;
use std::fmt::Write;

#[derive(serde::Serialize)]
struct File<'v> {
    version: &'static str,
    truncation: Value,
    padding: Value,
    added_tokens: Vec<AddedToken<'v>>,
    normalizer: Value,
    pre_tokenizer: Value,
    post_processor: Value,
    decoder: Value,
    model: Model,
}

#[derive(serde::Serialize)]
struct AddedToken<'v> {
    id: u32,
    content: &'v str,
    single_word: bool,
    lstrip: bool,
    rstrip: bool,
    normalized: bool,
    special: bool,
}

#[derive(serde::Serialize)]
struct Model {
    #[serde(rename = "type")]
    kind: &'static str,
    dropout: Value,
    unk_token: Value,
    continuing_subword_prefix: Value,
    end_of_word_suffix: Value,
    fuse_unk: bool,
    byte_fallback: bool,
    ignore_merges: bool,
}

/// The text of the file.
pub(in crate::tokenizer) fn to_json(vocabulary: &Vocabulary) -> String {
    let file = File {
        version: "1.0",
        truncation: Value::Null,
        padding: Value::Null,
        added_tokens: vocabulary.specials.iter().map(added_token).collect(),
        normalizer: split::normalizer(&vocabulary.pattern),
        pre_tokenizer: split::pre_tokenizer(&vocabulary.pattern),
        post_processor: Value::Null,
        decoder: split::decoder(),
        model: model(vocabulary),
    };
    let head = serde_json::to_string_pretty(&file).expect("names and numbers are JSON");
    let names = quoted_names(vocabulary);
    let bytes: usize = names.iter().map(String::len).sum();
    let mut text = String::with_capacity(head.len() + 8 * bytes + 100 * names.len());
    text += head.strip_suffix("\n  }\n}").expect("two braces are open");
    text += ",\n    \"vocab\": {";
    push_list(&mut text, 6, listed(&names), |text, (id, name)| {
        push_id(text, name, id)
    });
    text += "\n    },\n    \"merges\": [";
    push_list(&mut text, 6, &vocabulary.merges, |text, (left, right)| {
        text.push('[');
        let pair = [left, right].map(|id| &names[*id as usize]);
        push_list(text, 8, pair, |text, name| text.push_str(name));
        text.push_str("\n      ]");
    });
    text += if vocabulary.merges.is_empty() {
        "]"
    } else {
        "\n    ]"
    };
    text + "\n  }\n}\n"
}

fn added_token((content, id): &(String, u32)) -> AddedToken<'_> {
    AddedToken {
        id: *id,
        content,
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
        special: true,
    }
}

/// Appends items, each on a line of its own.
fn push_list<T>(
    text: &mut String,
    indent: usize,
    items: impl IntoIterator<Item = T>,
    mut push: impl FnMut(&mut String, T),
) {
    for (i, item) in items.into_iter().enumerate() {
        text.push_str(if i > 0 { ",\n" } else { "\n" });
        text.push_str(&"        "[..indent]);
        push(text, item);
    }
}

fn push_id(text: &mut String, name: &str, id: usize) {
    text.push_str(name);
    write!(text, ": {id}").expect("a string takes in everything");
}

/// Names of the tokens that exist, with their ids.
fn listed(names: &[String]) -> impl Iterator<Item = (usize, &str)> {
    let all = names.iter().map(String::as_str).enumerate();
    all.filter(|(_, name)| *name != EMPTY)
}

/// What is written for no name.
const EMPTY: &str = "\"\"";

/// A map from tokens to ids, special tokens by their names: GPT-2's `vocab.json`.
pub(in crate::tokenizer) fn to_vocab(vocabulary: &Vocabulary) -> String {
    let mut text = String::from("{");
    for (i, (id, name)) in listed(&quoted_names(vocabulary)).enumerate() {
        text.push_str(if i > 0 { "," } else { "" });
        text.push_str(name);
        write!(text, ":{id}").expect("a string takes in everything");
    }
    text + "}\n"
}

/// Names by id as JSON: bytes as characters, those of special tokens as they are.
fn quoted_names(vocabulary: &Vocabulary) -> Vec<String> {
    let tokens = vocabulary.tokens.iter();
    let mut names: Vec<String> = tokens.map(|token| quoted(token)).collect();
    for (name, id) in &vocabulary.specials {
        // It may stand behind all tokens.
        if names.len() <= *id as usize {
            names.resize(*id as usize + 1, EMPTY.into());
        }
        names[*id as usize] = serde_json::to_string(name).expect("text is JSON");
    }
    names
}

/// A token as JSON: its characters are printable, so that two of them need a backslash.
fn quoted(token: &[u8]) -> String {
    let mut name = String::with_capacity(2 * token.len() + 2);
    name.push('"');
    for byte in token {
        if matches!(byte, b'"' | b'\\') {
            name.push('\\');
        }
        name.push(byte_chars::CHARS[usize::from(*byte)]);
    }
    name.push('"');
    name
}

fn model(vocabulary: &Vocabulary) -> Model {
    Model {
        kind: "BPE",
        dropout: Value::Null,
        unk_token: Value::Null,
        continuing_subword_prefix: Value::Null,
        end_of_word_suffix: Value::Null,
        fuse_unk: false,
        byte_fallback: false,
        // A piece that is a token is that token, whatever merging would lead to.
        ignore_merges: vocabulary.rule == MergeRule::BytesRank,
    }
}
