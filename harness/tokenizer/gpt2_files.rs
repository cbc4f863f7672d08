//! GPT-2's pair of files: `vocab.json` (token to id) and `merges.txt` (a merge a line).

use super::load::LoadOptions;
use super::{HarnessPattern, MergeRule, Pattern, Vocabulary, byte_chars};
use crate::{Error, Result};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

const VOCAB: &str = "vocab.json";
const MERGES: &str = "merges.txt";

/// Whether a JSON file is a plain map from tokens to ids.
pub(super) fn is_vocab(content: &[u8]) -> bool {
    let map = serde_json::from_slice::<HashMap<String, u32>>(content);
    map.is_ok_and(|map| !map.is_empty())
}

/// Reads both files, given the path of either.
pub(super) fn read(path: &Path, options: &LoadOptions) -> Result<Vocabulary> {
    let (vocab_path, merges_path) = both(path)?;
    let vocab = std::fs::read(&vocab_path).map_err(Error::io(&vocab_path))?;
    let vocab: HashMap<String, u32> = serde_json::from_slice(&vocab)
        .map_err(|e| Error::data(&vocab_path, format!("not a map from tokens to ids: {e}")))?;
    let merges = std::fs::read_to_string(&merges_path).map_err(Error::io(&merges_path))?;
    let merges = parse_merges(&merges_path, &merges, &vocab)?;
    let pattern = options.pattern.clone();
    let mut vocabulary = Vocabulary {
        tokens: Vec::new(),
        merges,
        specials: Vec::new(),
        pattern: pattern.unwrap_or(HarnessPattern::Known(Pattern::Gpt2)),
        rule: MergeRule::PairRank,
    };
    fill_tokens(&mut vocabulary, vocab).map_err(|message| Error::data(&vocab_path, message))?;
    Ok(vocabulary)
}

/// Either file's name with its last part replaced: `gpt2-vocab.json` goes with `gpt2-merges.txt`.
fn both(path: &Path) -> Result<(PathBuf, PathBuf)> {
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

fn parse_merges(path: &Path, text: &str, vocab: &HashMap<String, u32>) -> Result<Vec<(u32, u32)>> {
    let mut merges = Vec::new();
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let at = offset;
        offset += line.len() as u64;
        let line = line.trim_end_matches(['\n', '\r']);
        if line.is_empty() || line.starts_with("#version") {
            continue;
        }
        let id = |token: &str| vocab.get(token).copied();
        let pair = line
            .split_once(' ')
            .and_then(|(l, r)| Some((id(l)?, id(r)?)));
        let message = "this line is not two tokens of the vocabulary";
        merges.push(pair.ok_or_else(|| Error::data_at(path, at, message))?);
    }
    Ok(merges)
}

/// Sorts the tokens by id. One of several characters that no merge gives is special.
fn fill_tokens(
    vocabulary: &mut Vocabulary,
    vocab: HashMap<String, u32>,
) -> std::result::Result<(), String> {
    let mut names = vec![""; vocab.len()];
    for (name, id) in &vocab {
        let slot = names.get_mut(*id as usize);
        let slot = slot.filter(|slot| slot.is_empty());
        *slot.ok_or_else(|| format!("the ids are not 0 to {}: see {id}", vocab.len() - 1))? = name;
    }
    let merged: HashSet<String> = vocabulary
        .merges
        .iter()
        .map(|(left, right)| [names[*left as usize], names[*right as usize]].concat())
        .collect();
    for (id, name) in (0u32..).zip(&names) {
        if name.chars().count() > 1 && !merged.contains(*name) {
            vocabulary.specials.push((name.to_string(), id));
            vocabulary.tokens.push(name.as_bytes().to_vec());
        } else {
            let bytes = byte_chars::to_bytes(name);
            vocabulary
                .tokens
                .push(bytes.ok_or_else(|| format!("token {name:?} is no bytes"))?);
        }
    }
    Ok(())
}
