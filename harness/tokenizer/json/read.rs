//! Reads `tokenizer.json`.
//!
//! The two long lists, vocabulary and merges, are read where they stand; what is left when they
//! are cut out is small, and goes to a parser of values.

use super::cursor::Bad;
use super::lists::Lists;
use super::names::Vocab;
use super::split;
use crate::Error;
use crate::corpus::map::map_path;
use crate::tokenizer::lexicon::{Lexicon, Merges, PartList, TokenBytes};
use crate::tokenizer::{LoadOptions, MergeRule};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// What of the file says which model it is; other models' lists have other shapes.
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
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
    #[serde(default)]
    normalized: bool,
    special: Option<bool>,
}

#[derive(Deserialize)]
struct Model {
    /// Cut out of what this is read from, as the merges are: but they must be there.
    #[serde(rename = "vocab")]
    _vocab: IgnoredAny,
    #[serde(rename = "merges")]
    _merges: IgnoredAny,
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
pub(in crate::tokenizer) fn read(
    path: &Path,
    content: &[u8],
    options: &LoadOptions,
) -> crate::Result<Lexicon> {
    let not_json = |e: serde_json::Error| Error::data(path, format!("not a tokenizer.json: {e}"));
    let bad = |bad: Bad| Error::data_at(path, bad.at as u64, bad.message);
    let lists = Lists::find(content).map_err(bad)?;
    let outline = lists.cut_out(content);
    let model = serde_json::from_slice::<Outline>(&outline)
        .map_err(not_json)?
        .model;
    if let Some(kind) = model.kind.filter(|kind| kind != "BPE") {
        let message = format!("{kind} is not supported; only BPE models are");
        return Err(Error::data(path, message));
    }
    let file: File = serde_json::from_slice(&outline).map_err(not_json)?;
    let lost = || {
        Error::data(
            path,
            "not a tokenizer.json: its model has no vocab or no merges",
        )
    };
    let (vocab, merges) = (
        lists.vocab.ok_or_else(lost)?.1,
        lists.merges.ok_or_else(lost)?.1,
    );
    let (vocab, merges) = (vocab.map_err(bad)?, merges.map_err(bad)?);
    let lexicon = lexicon(file, vocab, merges, content, options);
    lexicon.map_err(|message| Error::data(path, message))
}

/// Names of the parts that stand in a file and are not read, though they change ids after
/// encoding; none for a file that is no `tokenizer.json`.
pub(in crate::tokenizer) fn unread_parts(path: &Path) -> crate::Result<Vec<String>> {
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let content = map_path(path)?;
    let lists = Lists::find(&content);
    let outline = lists
        .map(|lists| lists.cut_out(&content))
        .unwrap_or_default();
    let outline: Value = serde_json::from_slice(&outline).unwrap_or_default();
    // A `vocab.json` may have tokens of these names.
    if !outline["model"].is_object() {
        return Ok(Vec::new());
    }
    let does_something = |part: &str| match &outline[part] {
        Value::Null => false,
        // It moves offsets and leaves ids alone.
        part => part["type"] != "ByteLevel",
    };
    let parts = ["post_processor", "truncation", "padding"].into_iter();
    let parts = parts.filter(|part| does_something(part));
    Ok(parts.map(String::from).collect())
}

fn lexicon(
    file: File,
    vocab: Vocab,
    merges: PartList,
    content: &[u8],
    options: &LoadOptions,
) -> Result<Lexicon, String> {
    refuse_unsupported(&file.model)?;
    let normalizes = !file.normalizer.is_null();
    let refused = file
        .added_tokens
        .iter()
        .map(|token| token.refuse_unsupported(normalizes));
    refused.collect::<Result<(), _>>()?;
    let pattern = split::pattern(&file.normalizer, &file.pre_tokenizer)?;
    let specials: Vec<_> = file
        .added_tokens
        .into_iter()
        .map(|t| (t.content, t.id))
        .collect();
    let tokens = tokens(vocab, &specials, content)?;
    if let Some(unknown) = &file.model.unk_token
        && !has_all_bytes(&tokens)
    {
        return Err(format!(
            "unk_token {unknown:?} is not supported: some bytes have no token"
        ));
    }
    let by_file = match file.model.ignore_merges {
        true => MergeRule::BytesRank,
        false => MergeRule::PairRank,
    };
    let rule = options.rule.unwrap_or(by_file);
    // Whoever chooses the rule says that the list does not matter where ids decide.
    let merges = match (rule, options.rule) {
        (MergeRule::BytesRank, Some(_)) => Merges::Ids(Vec::new()),
        _ => Merges::Parts(merges),
    };
    Ok(Lexicon {
        tokens,
        merges,
        specials,
        pattern,
        rule,
    })
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

impl AddedToken {
    fn refuse_unsupported(&self, normalizes: bool) -> Result<(), String> {
        let unsupported = [
            ("single_word", self.single_word),
            ("lstrip", self.lstrip),
            ("rstrip", self.rstrip),
            ("normalized", self.normalized && normalizes),
            (
                "not special, so that every text is searched for it, which",
                self.special == Some(false),
            ),
        ];
        match unsupported.iter().find(|(_, used)| *used) {
            Some((name, _)) => Err(format!(
                "added token {:?}: {name} is not supported",
                self.content
            )),
            None => Ok(()),
        }
    }
}

/// The tokens by id. Names of special tokens are text; all others are bytes.
fn tokens(vocab: Vocab, specials: &[(String, u32)], content: &[u8]) -> Result<TokenBytes, String> {
    let mut special: Vec<u32> = specials.iter().map(|(_, id)| *id).collect();
    special.sort_unstable();
    let is_special = |id: u32| special.binary_search(&id).is_ok();
    let name = |place| vocab.name(place, content).unwrap_or_default();
    let odd = vocab.odd().iter();
    if let Some(place) = odd.copied().find(|place| !is_special(vocab.id(*place))) {
        return Err(format!("token {:?} is not byte-level", name(place)));
    }
    let named = vocab.iter().filter(|(_, id, _)| is_special(*id));
    let names: BTreeMap<u32, String> = named.map(|(place, id, _)| (id, name(place))).collect();
    let tokens = vocab.into_tokens()?;
    let names: BTreeMap<u32, &[u8]> = names.iter().map(|(id, n)| (*id, n.as_bytes())).collect();
    match names.iter().all(|(id, name)| tokens.get(*id) == *name) {
        true => Ok(tokens),
        false => Ok(tokens.replaced(&names)),
    }
}

fn has_all_bytes(tokens: &TokenBytes) -> bool {
    let mut has = [false; 256];
    for (_, token) in tokens.iter() {
        if let [byte] = token {
            has[usize::from(*byte)] = true;
        }
    }
    has.iter().all(|has| *has)
}
