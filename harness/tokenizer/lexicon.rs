//! A vocabulary in compact form: what readers of files make and tables are built from.
//!
//! A [`Vocabulary`] keeps each token in a vector of its own, which is plain to use and slow to
//! make for 200 000 tokens; here their bytes stand one after the other.

use super::{HarnessPattern, MergeRule, Vocabulary};
use std::collections::BTreeMap;
use std::ops::Range;

/// Tokens by id; an empty one does not exist.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TokenBytes {
    /// Where each token starts in `blob`, and where the last one ends.
    pub(super) offsets: Vec<u32>,
    /// The bytes of all tokens.
    pub(super) blob: Vec<u8>,
}

impl TokenBytes {
    /// No tokens, with room for `tokens` of `bytes` in all.
    pub(super) fn with_capacity(tokens: usize, bytes: usize) -> Self {
        let mut offsets = Vec::with_capacity(tokens + 1);
        offsets.push(0);
        let blob = Vec::with_capacity(bytes);
        Self { offsets, blob }
    }

    /// Appends a token.
    pub(super) fn push(&mut self, token: &[u8]) {
        self.blob.extend_from_slice(token);
        self.end_token();
    }

    /// Makes a token of what was appended to `blob` since the last one. More than 4 GB of bytes
    /// are noticed when tables are built: offsets go backwards then.
    pub(super) fn end_token(&mut self) {
        self.offsets.push(self.blob.len() as u32);
    }

    /// One more than the largest id.
    pub(super) fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// The bytes of a token; none if there is no such token.
    #[inline]
    pub(super) fn get(&self, id: u32) -> &[u8] {
        let at = id as usize;
        let range = self.offsets.get(at).zip(self.offsets.get(at + 1));
        range.map_or(&[], |(start, end)| {
            self.blob.get(*start as usize..*end as usize).unwrap_or(&[])
        })
    }

    /// Length of a token in bytes.
    #[inline]
    pub(super) fn len_of(&self, id: u32) -> usize {
        self.get(id).len()
    }

    /// All tokens with their ids, those that do not exist too.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &[u8])> {
        (0..self.len() as u32).map(|id| (id, self.get(id)))
    }

    /// Tokens by id from tokens in any order: `entries` are an id and where its bytes end in
    /// `blob`, each starting where the one before ends. No id occurs twice.
    pub(super) fn from_unsorted(blob: Vec<u8>, entries: &[(u32, u32)]) -> Self {
        if entries.is_sorted_by(|(a, _), (b, _)| a < b) {
            return Self::from_sorted(blob, entries);
        }
        let starts = std::iter::once(0).chain(entries.iter().map(|(_, end)| *end));
        let mut sorted: Vec<_> = entries.iter().zip(starts).collect();
        sorted.sort_unstable_by_key(|((id, _), _)| *id);
        let mut tokens = Self::with_capacity(entries.len(), blob.len());
        for ((id, end), start) in sorted {
            tokens.fill_up_to(*id);
            tokens.push(&blob[start as usize..*end as usize]);
        }
        tokens
    }

    /// [`Self::from_unsorted`] for ids that go up: their bytes stay where they are.
    fn from_sorted(blob: Vec<u8>, entries: &[(u32, u32)]) -> Self {
        let len = entries.last().map_or(0, |(id, _)| *id as usize + 1);
        let mut offsets = Vec::with_capacity(len + 1);
        let mut start = 0;
        for (id, end) in entries {
            offsets.resize(*id as usize + 1, start);
            start = *end;
        }
        offsets.push(start);
        Self { offsets, blob }
    }

    /// Appends tokens that do not exist until the next id is `id`.
    fn fill_up_to(&mut self, id: u32) {
        let end = self.blob.len() as u32;
        self.offsets
            .resize(self.offsets.len().max(id as usize + 1), end);
    }
}

/// The merges of a vocabulary in the order of their rank.
#[derive(Clone, Debug)]
pub(super) enum Merges {
    /// As pairs of ids; under [`MergeRule::BytesRank`] nobody reads them.
    Ids(Vec<(u32, u32)>),
    /// As pairs of tokens' bytes, not yet looked up; under [`MergeRule::BytesRank`] they must
    /// agree with the tokens' ids.
    Parts(PartList),
}

/// Pairs of byte strings, one after the other.
#[derive(Clone, Debug, Default)]
pub(super) struct PartList {
    /// The bytes of all pairs.
    pub(super) blob: Vec<u8>,
    /// Where the left part and the right part of each pair end.
    pub(super) ends: Vec<(u32, u32)>,
}

impl PartList {
    /// Number of pairs.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Left part, right part, and both together, of the pairs of a range.
    pub(super) fn iter(&self, pairs: Range<usize>) -> impl Iterator<Item = [&[u8]; 3]> {
        let before = pairs.start.checked_sub(1);
        let mut start = before.map_or(0, |before| self.ends[before].1 as usize);
        self.ends[pairs].iter().map(move |(middle, end)| {
            let (middle, end) = (*middle as usize, *end as usize);
            let (left, right) = (&self.blob[start..middle], &self.blob[middle..end]);
            let whole = &self.blob[start..end];
            start = end;
            [left, right, whole]
        })
    }
}

/// A [`Vocabulary`] with compact tokens.
#[derive(Clone, Debug)]
pub(super) struct Lexicon {
    pub(super) tokens: TokenBytes,
    pub(super) merges: Merges,
    pub(super) specials: Vec<(String, u32)>,
    pub(super) pattern: HarnessPattern,
    pub(super) rule: MergeRule,
}

impl From<&Vocabulary> for Lexicon {
    fn from(vocabulary: &Vocabulary) -> Self {
        let bytes = vocabulary.tokens.iter().map(Vec::len).sum();
        let mut tokens = TokenBytes::with_capacity(vocabulary.tokens.len(), bytes);
        vocabulary
            .tokens
            .iter()
            .for_each(|token| tokens.push(token));
        Self {
            tokens,
            merges: Merges::Ids(vocabulary.merges.clone()),
            specials: vocabulary.specials.clone(),
            pattern: vocabulary.pattern.clone(),
            rule: vocabulary.rule,
        }
    }
}

impl Lexicon {
    /// Puts the special tokens' names at their ids among the tokens.
    pub(super) fn place_specials(&mut self) -> Result<(), String> {
        let far = 2 * (self.tokens.len() + self.specials.len()) + 1024;
        let mut names = BTreeMap::new();
        for (name, id) in &self.specials {
            // Far apart ids would make a table of nothing but holes.
            if *id as usize > far {
                return Err(format!("special token {name:?} has the far-off id {id}"));
            }
            let taken = self.tokens.get(*id);
            let same = |other: &[u8]| other.is_empty() || other == name.as_bytes();
            let before = names.insert(*id, name.as_bytes()).unwrap_or(&[]);
            if name.is_empty() || !same(taken) || !same(before) {
                return Err(format!(
                    "the id {id} of special token {name:?} is another token's"
                ));
            }
        }
        let inside = names.range(..self.tokens.len() as u32);
        if inside.clone().any(|(id, _)| self.tokens.len_of(*id) == 0) {
            self.tokens = self.tokens.replaced(&names);
        }
        for (id, name) in names.range(self.tokens.len() as u32..) {
            self.tokens.fill_up_to(*id);
            self.tokens.push(name);
        }
        Ok(())
    }
}

impl TokenBytes {
    /// The same tokens but for those that `names` has.
    pub(super) fn replaced(&self, names: &BTreeMap<u32, &[u8]>) -> Self {
        let mut replaced = Self::with_capacity(self.len(), self.blob.len());
        for (id, token) in self.iter() {
            replaced.push(names.get(&id).copied().unwrap_or(token));
        }
        replaced
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(list: &[&[u8]]) -> TokenBytes {
        let mut tokens = TokenBytes::with_capacity(0, 0);
        list.iter().for_each(|token| tokens.push(token));
        tokens
    }

    #[test]
    fn tokens_in_any_order_come_out_by_id() {
        let blob = b"abbccc".to_vec();
        let sorted = TokenBytes::from_unsorted(blob.clone(), &[(0, 1), (1, 3), (2, 6)]);
        assert_eq!(sorted, tokens(&[b"a", b"bb", b"ccc"]));
        let mixed = TokenBytes::from_unsorted(blob, &[(4, 1), (0, 3), (1, 6)]);
        assert_eq!(mixed, tokens(&[b"bb", b"ccc", b"", b"", b"a"]));
        assert_eq!(TokenBytes::from_unsorted(Vec::new(), &[]), tokens(&[]));
        assert_eq!(mixed.get(99), b"");
    }

    #[test]
    fn special_tokens_take_holes_and_ids_behind_the_end() {
        let mut lexicon = Lexicon {
            tokens: tokens(&[b"a", b"", b"<s>"]),
            merges: Merges::Ids(Vec::new()),
            specials: vec![("<t>".into(), 5), ("<s>".into(), 2), ("<u>".into(), 1)],
            pattern: HarnessPattern::parse("gpt2").unwrap(),
            rule: MergeRule::PairRank,
        };
        lexicon.place_specials().unwrap();
        let want = tokens(&[b"a", b"<u>", b"<s>", b"", b"", b"<t>"]);
        assert_eq!(lexicon.tokens, want);
        lexicon.specials.push(("<v>".into(), 1));
        assert!(lexicon.place_specials().is_err());
    }
}
