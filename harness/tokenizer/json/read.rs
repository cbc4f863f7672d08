//! Reads `tokenizer.json`.

use super::split;
use crate::Error;
use crate::tokenizer::{MergeRule, Tokenizer, Vocabulary, byte_chars};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::Path;

/// What of the file says which model it is; other models' vocabularies have other shapes.
#[derive(Deserialize)]
struct Outline {
    model: OutlineModel,
}

#[derive(Deserialize)]
struct OutlineModel {
    #[serde(rename = "type")]
    kind: Option<String>,
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    added_tokens: Vec<AddedToken>,
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
    model: Model,
}

#[derive(Deserialize)]
struct AddedToken {
    id: u32,
    content: String,
}

#[derive(Deserialize)]
struct Model {
    vocab: Tokens,
    merges: Vec<Merge>,
    dropout: Option<f64>,
    unk_token: Option<String>,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
    #[serde(default)]
    byte_fallback: bool,
    #[serde(default)]
    ignore_merges: bool,
}

/// Reads the file's vocabulary.
pub(in crate::tokenizer) fn read(path: &Path, content: &[u8]) -> crate::Result<Vocabulary> {
    let not_json = |e: serde_json::Error| Error::data(path, format!("not a tokenizer.json: {e}"));
    let outline: Outline = serde_json::from_slice(content).map_err(not_json)?;
    if let Some(kind) = outline.model.kind.filter(|kind| kind != "BPE") {
        return Err(Error::data(
            path,
            format!("{kind} is not supported; only BPE models are"),
        ));
    }
    let file: File = serde_json::from_slice(content).map_err(not_json)?;
    vocabulary(file).map_err(|message| Error::data(path, message))
}

fn vocabulary(file: File) -> Result<Vocabulary, String> {
    refuse_unsupported(&file.model)?;
    let pattern = split::pattern(&file.normalizer, &file.pre_tokenizer)?;
    let merges = merge_ids(&file.model)?;
    let specials: Vec<_> = file
        .added_tokens
        .into_iter()
        .map(|t| (t.content, t.id))
        .collect();
    let tokens = tokens(&file.model.vocab, &specials)?;
    let unknown = file
        .model
        .unk_token
        .filter(|_| (0..=255).any(|b| !tokens.contains(&vec![b])));
    if let Some(unknown) = unknown {
        return Err(format!(
            "unk_token {unknown:?} is not supported: some bytes have no token"
        ));
    }
    let rule = MergeRule::PairRank;
    let vocabulary = Vocabulary {
        tokens,
        merges,
        specials,
        pattern,
        rule,
    };
    if file.model.ignore_merges {
        whole_pieces_first(vocabulary)
    } else {
        Ok(vocabulary)
    }
}

fn refuse_unsupported(model: &Model) -> Result<(), String> {
    let set = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
    let unsupported = [
        ("dropout", model.dropout.is_some_and(|p| p != 0.0)),
        (
            "continuing_subword_prefix",
            set(&model.continuing_subword_prefix),
        ),
        ("end_of_word_suffix", set(&model.end_of_word_suffix)),
        ("byte_fallback", model.byte_fallback),
    ];
    match unsupported.iter().find(|(_, used)| *used) {
        Some((name, _)) => Err(format!("{name} is not supported")),
        None => Ok(()),
    }
}

fn tokens(vocab: &Tokens, specials: &[(String, u32)]) -> Result<Vec<Vec<u8>>, String> {
    let special: HashSet<u32> = specials.iter().map(|(_, id)| *id).collect();
    let mut tokens: Vec<Vec<u8>> = Vec::with_capacity(vocab.0.len());
    for (name, id) in &vocab.0 {
        let at = *id as usize;
        if at > 2 * vocab.0.len() + 1024 {
            return Err(format!("token {name:?} has the far-off id {id}"));
        }
        tokens.resize(tokens.len().max(at + 1), Vec::new());
        if !tokens[at].is_empty() {
            return Err(format!("two tokens have the id {id}"));
        }
        tokens[at] = match special.contains(id) {
            true => name.as_bytes().to_vec(),
            false => byte_chars::to_bytes(name)
                .ok_or_else(|| format!("token {name:?} is not byte-level"))?,
        };
    }
    Ok(tokens)
}

fn merge_ids(model: &Model) -> Result<Vec<(u32, u32)>, String> {
    let ids: HashMap<&str, u32> = model
        .vocab
        .0
        .iter()
        .map(|(n, id)| (n.as_str(), *id))
        .collect();
    let id = |name: &str| {
        let id = ids.get(name).copied();
        id.ok_or_else(|| format!("a merge names {name:?}, which is no token"))
    };
    model
        .merges
        .iter()
        .map(|Merge(left, right)| Ok((id(left)?, id(right)?)))
        .collect()
}

/// With `ignore_merges`, a piece that is a token is that token. Together with merges in the order
/// of their tokens' ids that is [`MergeRule::BytesRank`]; nothing else is known to need it.
fn whole_pieces_first(vocabulary: Vocabulary) -> Result<Vocabulary, String> {
    let refused = || "ignore_merges is not supported where merges are not in the order of ids";
    let by_rank = Vocabulary {
        rule: MergeRule::BytesRank,
        ..vocabulary
    };
    let known = Tokenizer::from_vocabulary(&by_rank)
        .map_err(|e| e.to_string())?
        .vocabulary();
    let listed: HashSet<_> = by_rank.merges.iter().collect();
    let tokens = by_rank.all_tokens()?;
    let ids = by_rank.ids(&tokens)?;
    let whole = |(l, r): &(u32, u32)| {
        ids.get(&[tokens[*l as usize], tokens[*r as usize]].concat()[..])
            .copied()
    };
    let in_order = by_rank.merges.iter().map(whole).is_sorted();
    let complete = known.merges.iter().all(|merge| listed.contains(merge));
    if in_order && complete {
        Ok(by_rank)
    } else {
        Err(refused().into())
    }
}

/// `{"token": id, ...}` in the order of the file.
struct Tokens(Vec<(String, u32)>);

impl<'de> Deserialize<'de> for Tokens {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TokensVisitor;
        impl<'de> Visitor<'de> for TokensVisitor {
            type Value = Tokens;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map from tokens to ids")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tokens, A::Error> {
                let mut tokens = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    tokens.push(entry);
                }
                Ok(Tokens(tokens))
            }
        }
        deserializer.deserialize_map(TokensVisitor)
    }
}

/// `"left right"`, or `["left", "right"]`.
struct Merge(String, String);

impl<'de> Deserialize<'de> for Merge {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MergeVisitor;
        impl<'de> Visitor<'de> for MergeVisitor {
            type Value = Merge;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a merge of two tokens")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Merge, E> {
                let pair = text.split_once(' ').map(|(l, r)| Merge(l.into(), r.into()));
                pair.ok_or_else(|| E::custom("a merge without a space"))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Merge, A::Error> {
                let pair = (seq.next_element()?, seq.next_element()?);
                let (Some(left), Some(right)) = pair else {
                    return Err(serde::de::Error::custom("a merge of fewer than two tokens"));
                };
                Ok(Merge(left, right))
            }
        }
        deserializer.deserialize_any(MergeVisitor)
    }
}
