//! Writes `tokenizer.json` in the layout of `tokenizers` 0.23.

use super::split;
use crate::tokenizer::{MergeRule, Vocabulary, byte_chars};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

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
    model: Model<'v>,
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
struct Model<'v> {
    #[serde(rename = "type")]
    kind: &'static str,
    dropout: Value,
    unk_token: Value,
    continuing_subword_prefix: Value,
    end_of_word_suffix: Value,
    fuse_unk: bool,
    byte_fallback: bool,
    ignore_merges: bool,
    vocab: Tokens<'v>,
    merges: Vec<(&'v str, &'v str)>,
}

/// Names by id; those that are empty do not exist.
struct Tokens<'v>(&'v [String]);

impl Serialize for Tokens<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let named = self
            .0
            .iter()
            .enumerate()
            .filter(|(_, name)| !name.is_empty());
        for (id, name) in named {
            map.serialize_entry(name, &id)?;
        }
        map.end()
    }
}

/// The text of the file.
pub(in crate::tokenizer) fn to_json(vocabulary: &Vocabulary) -> String {
    let names = names(vocabulary);
    let file = File {
        version: "1.0",
        truncation: Value::Null,
        padding: Value::Null,
        added_tokens: vocabulary.specials.iter().map(added_token).collect(),
        normalizer: split::normalizer(&vocabulary.pattern),
        pre_tokenizer: split::pre_tokenizer(&vocabulary.pattern),
        post_processor: Value::Null,
        decoder: split::decoder(),
        model: model(vocabulary, &names),
    };
    let text = serde_json::to_string_pretty(&file);
    text.expect("names and numbers are JSON") + "\n"
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

/// A map from tokens to ids, special tokens by their names: GPT-2's `vocab.json`.
pub(in crate::tokenizer) fn to_vocab(vocabulary: &Vocabulary) -> String {
    let text = serde_json::to_string(&Tokens(&names(vocabulary)));
    text.expect("names and numbers are JSON") + "\n"
}

/// Names by id: bytes as characters, those of special tokens as they are.
fn names(vocabulary: &Vocabulary) -> Vec<String> {
    let tokens = vocabulary.tokens.iter();
    let mut names: Vec<String> = tokens.map(|t| byte_chars::to_text(t)).collect();
    for (name, id) in &vocabulary.specials {
        names[*id as usize] = name.clone();
    }
    names
}

fn model<'v>(vocabulary: &Vocabulary, names: &'v [String]) -> Model<'v> {
    let name = |id: &u32| names[*id as usize].as_str();
    let merges = vocabulary.merges.iter();
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
        vocab: Tokens(names),
        merges: merges
            .map(|(left, right)| (name(left), name(right)))
            .collect(),
    }
}
