//! What a tokenizer holds: lengths, tokens that nothing leads to, the way to a token, and what a
//! text makes use of.

use super::{MergeRule, Tokenizer};
use crate::{Error, Result};
use barelm_kernels::bpe::table::{NONE, UNREACHABLE};
use serde::Serialize;
use std::collections::BTreeMap;

/// Tokens that a list of examples has.
const EXAMPLES: usize = 10;
/// Longest text whose merges are told, in bytes: the time grows with the square.
const LONGEST_PATH: usize = 1 << 14;

/// A token as a person reads it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TokenText {
    /// Its id.
    pub id: u32,
    /// Its text; bytes that are no text as `\xff`.
    pub text: String,
}

/// A summary of a tokenizer.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// One more than the largest id.
    pub vocab_size: usize,
    /// Tokens that exist, special ones included.
    pub tokens: usize,
    /// Pairs that merge.
    pub merges: usize,
    /// Special tokens by id.
    pub specials: Vec<TokenText>,
    /// Expression that cuts text into pieces.
    pub pattern: String,
    /// Which pair merges first.
    pub merge_rule: String,
    /// Mean length of an ordinary token in bytes.
    pub mean_token_bytes: f64,
    /// Length of the longest token in bytes.
    pub longest_token_bytes: usize,
    /// How many ordinary tokens have each length in bytes.
    pub tokens_by_bytes: BTreeMap<usize, usize>,
    /// The longest ordinary tokens, longest first.
    pub longest_tokens: Vec<TokenText>,
    /// How many ordinary tokens merging never leads to.
    pub unreachable: usize,
    /// The first of them.
    pub unreachable_tokens: Vec<TokenText>,
    /// The same for tokenizers of equal tables.
    pub hash: String,
}

impl Inspection {
    /// Looks through a tokenizer.
    pub fn new(tokenizer: &Tokenizer) -> Self {
        let ordinary: Vec<(u32, &[u8])> = ordinary(tokenizer).collect();
        let mut by_bytes = BTreeMap::new();
        for (_, token) in &ordinary {
            *by_bytes.entry(token.len()).or_default() += 1;
        }
        let bytes: usize = ordinary.iter().map(|(_, token)| token.len()).sum();
        let mut longest = ordinary.clone();
        longest.sort_by_key(|(id, token)| (usize::MAX - token.len(), *id));
        let unreachable = unreachable(tokenizer);
        let text = |id: u32| tokenizer.token_text(id);
        let specials = tokenizer.as_ref().tables().specials;
        Self {
            vocab_size: tokenizer.vocab_size(),
            tokens: ordinary.len() + specials.len(),
            merges: tokenizer.vocabulary().merges.len(),
            specials: specials.iter().map(|id| text(*id)).collect(),
            pattern: tokenizer.pattern().regex().to_string(),
            merge_rule: format!("{:?}", tokenizer.as_ref().rule()),
            mean_token_bytes: bytes as f64 / ordinary.len().max(1) as f64,
            longest_token_bytes: tokenizer.longest_token(),
            tokens_by_bytes: by_bytes,
            longest_tokens: longest
                .iter()
                .take(EXAMPLES)
                .map(|(id, _)| text(*id))
                .collect(),
            unreachable: unreachable.len(),
            unreachable_tokens: unreachable.into_iter().take(EXAMPLES).map(text).collect(),
            hash: format!("{:016x}", tokenizer.hash()),
        }
    }
}

/// Ids and bytes of the tokens that text is encoded to.
fn ordinary(tokenizer: &Tokenizer) -> impl Iterator<Item = (u32, &[u8])> {
    let ids = 0..tokenizer.vocab_size() as u32;
    let tokenizer = tokenizer.as_ref();
    let ordinary = ids.filter(move |id| !tokenizer.is_special(*id));
    ordinary.filter_map(move |id| Some((id, tokenizer.token_bytes(id)?)))
}

/// Ordinary tokens that merging their own bytes does not lead to. By the rank of pairs no text
/// ever gets them; by the rank of bytes those pieces do that are such a token as a whole.
pub fn unreachable(tokenizer: &Tokenizer) -> Vec<u32> {
    let tables = tokenizer.as_ref();
    let tables = tables.tables();
    let mut reached = vec![false; tokenizer.vocab_size()];
    let mut reach = |id: u32| {
        if let Some(reached) = reached.get_mut(id as usize) {
            *reached = true;
        }
    };
    match tables.rule() {
        Some(MergeRule::BytesRank) => tables.pairs.iter().for_each(|slot| reach(slot[3])),
        _ => {
            let plain = tables
                .hashes
                .iter()
                .filter(|entry| *entry & UNREACHABLE == 0);
            plain.for_each(|id| reach(*id));
        }
    }
    tables
        .bytes
        .iter()
        .filter(|id| **id != NONE)
        .for_each(|id| reach(*id));
    let ids = ordinary(tokenizer).map(|(id, _)| id);
    ids.filter(|id| !reached[*id as usize]).collect()
}

/// A merge on the way to a token.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MergeStep {
    /// Rank of the pair.
    pub rank: u32,
    /// The token on its left.
    pub left: TokenText,
    /// The token on its right.
    pub right: TokenText,
    /// What they merge to.
    pub merged: TokenText,
}

/// How a piece is encoded: from its bytes, merge by merge.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MergePath {
    /// Whether the piece is a token that is taken as a whole, wherever its merges end.
    pub whole: Option<TokenText>,
    /// The merges in their order.
    pub steps: Vec<MergeStep>,
    /// The tokens at the end of merging.
    pub tokens: Vec<TokenText>,
}

impl Tokenizer {
    /// A token as a person reads it.
    pub fn token_text(&self, id: u32) -> TokenText {
        let bytes = self.token_bytes(id).unwrap_or(&[]);
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text.to_string(),
            Err(_) => bytes.escape_ascii().to_string(),
        };
        TokenText { id, text }
    }

    /// The merges of one piece of text; that of a token's bytes tells where the token comes from.
    ///
    /// # Errors
    /// [`Error::Usage`] for a piece of more than 16 KiB.
    pub fn merge_path(&self, piece: &[u8]) -> Result<MergePath> {
        if piece.len() > LONGEST_PATH {
            let message = format!("merges are told of up to {LONGEST_PATH} bytes; give less");
            return Err(Error::Usage(message));
        }
        let tokenizer = self.as_ref();
        let byte = |byte: &u8| tokenizer.tables().bytes[usize::from(*byte)];
        let mut ids: Vec<u32> = piece.iter().map(byte).filter(|id| *id != NONE).collect();
        let mut steps = Vec::new();
        loop {
            let rank = |(at, pair): (usize, &[u32])| {
                let (rank, id) = tokenizer.merge_of(pair[0], pair[1])?;
                Some((rank, at, id))
            };
            let Some((rank, at, id)) = ids.windows(2).enumerate().filter_map(rank).min() else {
                break;
            };
            let [left, right, merged] = [ids[at], ids[at + 1], id].map(|id| self.token_text(id));
            steps.push(MergeStep {
                rank,
                left,
                right,
                merged,
            });
            ids.splice(at..at + 2, [id]);
        }
        let whole = tokenizer.token_id(piece).filter(|id| ids != [*id]);
        let whole = whole.filter(|_| tokenizer.rule() == MergeRule::BytesRank);
        Ok(MergePath {
            whole: whole.map(|id| self.token_text(id)),
            steps,
            tokens: ids.into_iter().map(|id| self.token_text(id)).collect(),
        })
    }
}

/// A token and how often a text has it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TokenCount {
    /// The token.
    #[serde(flatten)]
    pub token: TokenText,
    /// How often it occurs.
    pub count: u64,
}

/// What a text makes of a vocabulary.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VocabularyUse {
    /// Bytes of the text.
    pub text_bytes: u64,
    /// Tokens of the text.
    pub text_tokens: u64,
    /// Bytes a token.
    pub bytes_per_token: f64,
    /// Different tokens that occur.
    pub used: usize,
    /// Ordinary tokens that do not.
    pub unused: usize,
    /// The first of those.
    pub unused_tokens: Vec<TokenText>,
    /// The most frequent ones.
    pub most_frequent: Vec<TokenCount>,
}

impl VocabularyUse {
    /// From how often each id occurs in a text of `text_bytes`; ids beyond `counts` do not.
    pub fn new(tokenizer: &Tokenizer, counts: &[u64], text_bytes: u64) -> Self {
        let count = |id: u32| counts.get(id as usize).copied().unwrap_or(0);
        let ids = ordinary(tokenizer).map(|(id, _)| id);
        let unused: Vec<u32> = ids.filter(|id| count(*id) == 0).collect();
        let mut used: Vec<u32> = (0..counts.len() as u32)
            .filter(|id| count(*id) > 0)
            .collect();
        used.sort_by_key(|id| (u64::MAX - count(*id), *id));
        let text_tokens: u64 = counts.iter().sum();
        let frequent = used.iter().take(EXAMPLES).map(|id| TokenCount {
            token: tokenizer.token_text(*id),
            count: count(*id),
        });
        let examples = unused.iter().take(EXAMPLES);
        Self {
            text_bytes,
            text_tokens,
            bytes_per_token: text_bytes as f64 / text_tokens.max(1) as f64,
            used: used.len(),
            unused: unused.len(),
            unused_tokens: examples.map(|id| tokenizer.token_text(*id)).collect(),
            most_frequent: frequent.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokenizer::{HarnessPattern, Vocabulary};

    fn tokenizer(rule: MergeRule) -> Tokenizer {
        let mut tokens: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
        tokens.extend([b"ab".to_vec(), b"abc".to_vec(), b"xyz".to_vec()]);
        let vocabulary = Vocabulary {
            tokens,
            merges: vec![(97, 98), (256, 99)],
            specials: vec![("<s>".into(), 259)],
            pattern: HarnessPattern::parse("gpt2").unwrap(),
            rule,
        };
        Tokenizer::from_vocabulary(&vocabulary).unwrap()
    }

    fn ids(tokens: &[TokenText]) -> Vec<u32> {
        tokens.iter().map(|token| token.id).collect()
    }

    #[test]
    fn a_summary_counts_tokens_by_length_and_names_the_unreachable() {
        for rule in [MergeRule::PairRank, MergeRule::BytesRank] {
            let summary = Inspection::new(&tokenizer(rule));
            assert_eq!(
                (summary.vocab_size, summary.tokens, summary.merges),
                (260, 260, 2)
            );
            let lengths: Vec<_> = summary.tokens_by_bytes.into_iter().collect();
            assert_eq!(lengths, [(1, 256), (2, 1), (3, 2)]);
            assert_eq!(ids(&summary.longest_tokens)[..3], [257, 258, 256]);
            assert_eq!(ids(&summary.specials), [259]);
            assert_eq!(
                (summary.unreachable, ids(&summary.unreachable_tokens)),
                (1, vec![258])
            );
            assert!((summary.mean_token_bytes - 264.0 / 259.0).abs() < 1e-12);
        }
    }

    #[test]
    fn the_way_to_a_token_is_its_merges_in_order() {
        let path = tokenizer(MergeRule::PairRank).merge_path(b"abc").unwrap();
        let steps: Vec<_> = path.steps.iter().map(|s| (s.rank, s.merged.id)).collect();
        assert_eq!(
            (steps, ids(&path.tokens)),
            (vec![(0, 256), (1, 257)], vec![257])
        );
        assert_eq!(path.whole, None);
        // By the rank of bytes a piece that is a token is one, whatever merging gives.
        let path = tokenizer(MergeRule::BytesRank).merge_path(b"xyz").unwrap();
        assert_eq!((path.steps.len(), path.tokens.len()), (0, 3));
        assert_eq!(path.whole.map(|token| token.id), Some(258));
        let long = tokenizer(MergeRule::PairRank).merge_path(&[b'a'; 20_000]);
        assert_eq!(long.unwrap_err().exit_code(), 2);
    }

    #[test]
    fn the_use_of_a_text_counts_what_occurs() {
        let tokenizer = tokenizer(MergeRule::PairRank);
        let mut counts = vec![0; 257];
        (counts[256], counts[99]) = (5, 7);
        let usage = VocabularyUse::new(&tokenizer, &counts, 24);
        assert_eq!((usage.text_tokens, usage.used, usage.unused), (12, 2, 257));
        assert_eq!(usage.bytes_per_token, 2.0);
        let frequent: Vec<_> = usage
            .most_frequent
            .iter()
            .map(|t| (t.token.id, t.count))
            .collect();
        assert_eq!(frequent, [(99, 7), (256, 5)]);
    }
}
