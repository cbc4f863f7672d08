//! What training starts from: bytes, or the tokens of a vocabulary that is to grow.

use super::alphabet::Alphabet;
use super::neighbours::Neighbours;
use super::pairs::{Pair, Pairs};
use super::words::Words;
use super::{BpeTrainerOptions, Compat};
use crate::Result;
use crate::fold_hash;
use crate::pretoken_counts::PretokenCounts;
use crate::tokenizer::{Tokenizer, Vocabulary, byte_chars};
use std::collections::HashMap;

/// Tokens, words and pairs before the first merge.
pub(super) struct Start {
    pub(super) tokens: Vec<Vec<u8>>,
    /// Length of each token in bytes.
    pub(super) len: Vec<u32>,
    pub(super) words: Words,
    pub(super) pairs: Pairs,
    /// Bytes that are a token already: its id, or `None` if no pair may merge to it.
    pub(super) taken: HashMap<Vec<u8>, Option<u32>>,
}

impl Start {
    /// From single bytes.
    pub(super) fn from_bytes(
        counts: &PretokenCounts,
        alphabet: &Alphabet,
        options: &BpeTrainerOptions,
    ) -> Result<Self> {
        let tokens = alphabet.tokens.clone();
        let len = lengths(&tokens);
        let words = Words::of_bytes(counts, alphabet)?;
        let numbers = Numbers::Bytes {
            first: options.specials.len() as u32,
        };
        let specials = options.specials.iter().map(String::as_str).zip(0..);
        Ok(Self {
            pairs: count_pairs(&words, &len, &numbers, counts, options)?,
            taken: spellings(specials, options.compat),
            tokens,
            len,
            words,
        })
    }

    /// From the tokens that a tokenizer makes of the words.
    pub(super) fn from_tokens(
        counts: &PretokenCounts,
        tokenizer: &Tokenizer,
        base: &Vocabulary,
        options: &BpeTrainerOptions,
    ) -> Result<Self> {
        let mut tokens = base.tokens.clone();
        tokens.resize(tokenizer.vocab_size(), Vec::new());
        let len = lengths(&tokens);
        let words = Words::of_tokens(counts, tokenizer.as_ref(), &len)?;
        let numbers = Numbers::listed(&words, &len);
        // A token that its own merges do not reach stays unreached: two ways to one token would
        // make a pair come up twice.
        let mut taken: HashMap<_, _> = tokens.iter().map(|token| (token.clone(), None)).collect();
        let specials = base.specials.iter().map(|(name, id)| (name.as_str(), *id));
        taken.extend(spellings(specials, options.compat));
        Ok(Self {
            pairs: count_pairs(&words, &len, &numbers, counts, options)?,
            taken,
            tokens,
            len,
            words,
        })
    }
}

fn lengths(tokens: &[Vec<u8>]) -> Vec<u32> {
    tokens.iter().map(|token| token.len() as u32).collect()
}

/// Special tokens by the bytes that GPT-2's characters write like their names: the names' own
/// bytes, where those are printable ASCII.
fn spellings<'a>(
    specials: impl Iterator<Item = (&'a str, u32)>,
    compat: Compat,
) -> HashMap<Vec<u8>, Option<u32>> {
    let id = |id| (compat == Compat::Hf).then_some(id);
    let bytes = |(name, special)| Some((byte_chars::to_bytes(name)?, id(special)));
    specials.filter_map(bytes).collect()
}

/// Small numbers for pairs, to count them in an array.
enum Numbers {
    /// All pairs of bytes, whose ids are `first` and those behind it.
    Bytes { first: u32 },
    /// The pairs that occur.
    Listed {
        numbers: fold_hash::HashMap<u64, u32>,
        pairs: Vec<Pair>,
    },
}

impl Numbers {
    fn listed(words: &Words, len: &[u32]) -> Self {
        let (mut numbers, mut pairs) = (fold_hash::HashMap::default(), Vec::new());
        words.for_each_pair(len, |_, left, right, _| {
            let key = u64::from(left) << 32 | u64::from(right);
            numbers.entry(key).or_insert_with(|| {
                pairs.push((left, right));
                pairs.len() as u32 - 1
            });
        });
        Self::Listed { numbers, pairs }
    }

    fn len(&self) -> usize {
        match self {
            Self::Bytes { .. } => 1 << 16,
            Self::Listed { pairs, .. } => pairs.len(),
        }
    }

    #[inline]
    fn of(&self, left: u32, right: u32) -> u32 {
        match self {
            Self::Bytes { first } => (left - first) << 8 | (right - first),
            Self::Listed { numbers, .. } => numbers[&(u64::from(left) << 32 | u64::from(right))],
        }
    }

    fn pair(&self, number: u32) -> Pair {
        match self {
            Self::Bytes { first } => (first + (number >> 8), first + (number & 0xFF)),
            Self::Listed { pairs, .. } => pairs[number as usize],
        }
    }
}

/// Counts and positions of all pairs that may merge.
fn count_pairs(
    words: &Words,
    len: &[u32],
    numbers: &Numbers,
    counts: &PretokenCounts,
    options: &BpeTrainerOptions,
) -> Result<Pairs> {
    let mut pairs = Pairs::new(options.min_frequency, counts.scratch())?;
    let mut found = Neighbours::default();
    found.begin(numbers.len());
    let mut places = 0;
    words.for_each_pair(len, |_, left, right, count| {
        found.announce(numbers.of(left, right), count);
        places += 1;
    });
    found.lay_out();
    let positions = pairs.reserve(places)?;
    words.for_each_pair(len, |position, left, right, _| {
        positions[found.place(numbers.of(left, right))] = position;
    });
    // Pairs of bytes are exempt from the limit.
    let max_len = options.max_token_length.unwrap_or(usize::MAX).max(3);
    let allowed = |(l, r): Pair| ((len[l as usize] + len[r as usize]) as usize) < max_len;
    pairs.push_dealt(&found, 0, |number| {
        Some(numbers.pair(number)).filter(|pair| allowed(*pair))
    });
    Ok(pairs)
}
