//! GPT-2's pair of files: `vocab.json` (token to id) and `merges.txt` (a merge a line).

use super::json::cursor::Cursor;
use super::json::names::Vocab;
use super::lexicon::{Lexicon, Merges};
use super::load::LoadOptions;
use super::{HarnessPattern, MergeRule, Pattern, Vocabulary, byte_chars};
use crate::fold_hash::HashMap;
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const VOCAB: &str = "vocab.json";
const MERGES: &str = "merges.txt";

/// Whether a JSON file is a map from tokens to ids, by its first member.
pub(super) fn is_vocab(content: &[u8]) -> bool {
    let mut cursor = Cursor::new(content);
    let first = cursor.expect(b'{').and_then(|()| cursor.string());
    let first = first.and_then(|_| cursor.expect(b':'));
    first.is_ok() && cursor.peek().is_some_and(|byte| byte.is_ascii_digit())
}

/// Reads both files, given the path of either.
pub(super) fn read(path: &Path, options: &LoadOptions) -> Result<Lexicon> {
    let (vocab_path, merges_path) = both(path)?;
    let content = std::fs::read(&vocab_path).map_err(Error::io(&vocab_path))?;
    let mut cursor = Cursor::new(&content);
    let vocab = Vocab::read(&mut cursor).map_err(|bad| {
        let message = format!("not a map from tokens to ids: {}", bad.message);
        Error::data_at(&vocab_path, bad.at as u64, message)
    })?;
    if cursor.peek().is_some() {
        let message = "something stands behind the map from tokens to ids";
        return Err(Error::data_at(&vocab_path, cursor.at() as u64, message));
    }
    let merges = std::fs::read_to_string(&merges_path).map_err(Error::io(&merges_path))?;
    let merges = parse_merges(&merges_path, &merges, &vocab)?;
    let pattern = options.pattern.clone();
    let pattern = pattern.unwrap_or(HarnessPattern::Known(Pattern::Gpt2));
    let lexicon = lexicon(vocab, &content, merges, pattern);
    lexicon.map_err(|message| Error::data(&vocab_path, message))
}

/// Either file's name with its last part replaced: `gpt2-vocab.json` goes with `gpt2-merges.txt`.
pub(super) fn both(path: &Path) -> Result<(PathBuf, PathBuf)> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let sibling = |suffix, other| {
        let stem = name.strip_suffix(suffix)?;
        Some(path.with_file_name(format!("{stem}{other}")))
    };
    if let Some(merges) = sibling(VOCAB, MERGES) {
        return Ok((path.into(), merges));
    }
    let vocab = sibling(MERGES, VOCAB).ok_or_else(|| {
        let message = format!("one of the pair {VOCAB} and {MERGES}; name them so, side by side");
        Error::data(path, message)
    })?;
    Ok((vocab, path.into()))
}

fn parse_merges(path: &Path, text: &str, vocab: &Vocab) -> Result<Vec<(u32, u32)>> {
    let ids: HashMap<&[u8], u32> = vocab.iter().map(|(_, id, token)| (token, id)).collect();
    let id = |name: &str| ids.get(&byte_chars::to_bytes(name)?[..]).copied();
    let mut merges = Vec::new();
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let at = offset;
        offset += line.len() as u64;
        let line = line.trim_end_matches(['\n', '\r']);
        if line.is_empty() || line.starts_with("#version") {
            continue;
        }
        let pair = line
            .split_once(' ')
            .and_then(|(l, r)| Some((id(l)?, id(r)?)));
        let message = "this line is not two tokens of the vocabulary";
        merges.push(pair.ok_or_else(|| Error::data_at(path, at, message))?);
    }
    Ok(merges)
}

/// The content of `merges.txt`.
pub(super) fn to_merges(vocabulary: &Vocabulary) -> String {
    let mut text = String::from("#version: 0.2\n");
    let name = |id: u32| byte_chars::to_text(&vocabulary.tokens[id as usize]);
    for (left, right) in &vocabulary.merges {
        text += &format!("{} {}\n", name(*left), name(*right));
    }
    text
}

/// Tokens by id. One of several characters that no merge gives is special: its name is text.
fn lexicon(
    vocab: Vocab,
    content: &[u8],
    merges: Vec<(u32, u32)>,
    pattern: HarnessPattern,
) -> std::result::Result<Lexicon, String> {
    let specials = specials(&vocab, content, &merges)?;
    let names: BTreeMap<u32, &[u8]> = specials.iter().map(|(n, id)| (*id, n.as_bytes())).collect();
    Ok(Lexicon {
        tokens: vocab.into_tokens()?.replaced(&names),
        merges: Merges::Ids(merges),
        specials,
        pattern,
        rule: MergeRule::PairRank,
    })
}

fn specials(
    vocab: &Vocab,
    content: &[u8],
    merges: &[(u32, u32)],
) -> std::result::Result<Vec<(String, u32)>, String> {
    let tokens: HashMap<u32, &[u8]> = vocab.iter().map(|(_, id, token)| (id, token)).collect();
    let whole = |(l, r): &(u32, u32)| [tokens[l], tokens[r]].concat();
    let merged: HashMap<Vec<u8>, ()> = merges.iter().map(|pair| (whole(pair), ())).collect();
    let mut specials = Vec::new();
    for (place, id, token) in vocab.iter() {
        let odd = vocab.is_odd(place);
        if !odd && (token.len() < 2 || merged.contains_key(token)) {
            continue;
        }
        let name = vocab.name(place, content).unwrap_or_default();
        if odd && name.chars().count() < 2 {
            return Err(format!("token {name:?} is no bytes"));
        }
        specials.push((name, id));
    }
    specials.sort_unstable_by_key(|(_, id)| *id);
    Ok(specials)
}
