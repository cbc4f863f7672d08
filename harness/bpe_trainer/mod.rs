//! Learns byte-pair merges from pretoken counts.
//!
//! Every distinct pretoken is a word of byte tokens with a count. The pair of neighbours with the
//! highest count becomes a token, everywhere, until the vocabulary is full; of equal counts, the
//! pair with the smaller ids wins. Sources: Gage, "A new algorithm for data compression", 1994;
//! Sennrich, Haddow, Birch, "Neural machine translation of rare words with subword units", 2016.
//!
//! The result is that of Hugging Face's `BpeTrainer`, token for token: counts of pairs start with
//! overlaps ("aaa" counts 2 for a pair of a), pairs merge from left to right, and a pair that
//! would make too long a token is not counted. That trainer keeps its counts of merged pairs and
//! looks tokens up by their text, as if a pair could come up again or two pairs could give one
//! token. Neither happens: what goes on inside the bytes that become one token does not depend on
//! what surrounds them, so they come from the same last pair everywhere. The one exception is a
//! special token whose name is spelled out by a merge, which then gives that token. (The tests
//! hold this against a trainer that allows for all of it.)
//!
//! `words` holds the words and merges in them, `pairs` holds counts and the queue, and `trainer`
//! has the loop.

mod neighbours;
mod pairs;
mod trainer;
mod words;

#[cfg(test)]
mod tests;

use crate::pretoken_counts::PretokenCounts;
use crate::progress::Progress;
use crate::tokenizer::{HarnessPattern, MergeRule, Vocabulary};
use crate::{Error, Result};
use trainer::Trainer;

/// What to learn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BpeTrainerOptions {
    /// Number of tokens, special ones and the 256 bytes included.
    pub vocab_size: usize,
    /// Pairs that occur less often are not merged.
    pub min_frequency: u64,
    /// Tokens that merging creates have fewer bytes than this (pairs of bytes are exempt).
    pub max_token_length: Option<usize>,
    /// Names of special tokens; they get the first ids.
    pub specials: Vec<String>,
}

impl Default for BpeTrainerOptions {
    fn default() -> Self {
        Self {
            vocab_size: 32_000,
            min_frequency: 0,
            max_token_length: None,
            specials: Vec::new(),
        }
    }
}

impl BpeTrainerOptions {
    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// [`Error::Usage`].
    pub fn validate(&self) -> Result<()> {
        let refuse = |message: String| Err(Error::Usage(message));
        let smallest = 256 + self.specials.len();
        if self.vocab_size < smallest {
            return refuse(format!(
                "vocabulary size {} is below {smallest}: 256 bytes and {} special tokens",
                self.vocab_size,
                self.specials.len()
            ));
        }
        if self.vocab_size > 1 << 26 {
            return refuse(format!("vocabulary size {} is above 2^26", self.vocab_size));
        }
        for (i, special) in self.specials.iter().enumerate() {
            if special.chars().count() < 2 {
                return refuse(format!(
                    "special token {special:?} is too short; give it two characters or more"
                ));
            }
            if self.specials[..i].contains(special) {
                return refuse(format!("special token {special:?} is named twice"));
            }
        }
        Ok(())
    }
}

/// Learns a vocabulary; `progress` advances by tokens.
///
/// It can be smaller than was asked for, when no pair is left that is frequent enough.
///
/// # Errors
/// Those of [`BpeTrainerOptions::validate`] and `progress`; [`Error::Usage`] when the distinct
/// pretokens have more than 2^29 bytes.
///
/// # Example
/// ```
/// use barelm::tokenizer::HarnessPattern;
/// use barelm::{bpe_trainer::*, pretoken_counts::PretokenCounts, progress::Progress};
/// let words = [(&b"hug"[..], 10), (b"pug", 5), (b"hugs", 5)];
/// let counts = PretokenCounts::from_counts(HarnessPattern::parse("gpt2")?, words);
/// let options = BpeTrainerOptions { vocab_size: 258, ..Default::default() };
/// let vocabulary = train(&counts, &options, &Progress::new("merging", 2, "tokens"))?;
/// assert_eq!(&vocabulary.tokens[256..], [b"ug".to_vec(), b"hug".to_vec()]);
/// # Ok::<(), barelm::Error>(())
/// ```
pub fn train(
    counts: &PretokenCounts,
    options: &BpeTrainerOptions,
    progress: &Progress,
) -> Result<Vocabulary> {
    options.validate()?;
    let alphabet = Alphabet::new(options, counts.pattern());
    let mut trainer = Trainer::new(counts, &alphabet, options)?;
    while trainer.step() {
        progress.advance(1)?;
    }
    let (tokens, merges) = trainer.finish();
    Ok(Vocabulary {
        tokens,
        merges,
        specials: options.specials.iter().cloned().zip(0..).collect(),
        pattern: counts.pattern().clone(),
        rule: MergeRule::PairRank,
    })
}

/// The tokens that training starts from.
struct Alphabet {
    /// Bytes by id: the special tokens' names, then the 256 bytes in the order of the characters
    /// that GPT-2 writes them as.
    tokens: Vec<Vec<u8>>,
    /// Id of each byte.
    ids: [u32; 256],
    /// What is put behind every pretoken.
    end_of_word: Option<u8>,
}

impl Alphabet {
    fn new(options: &BpeTrainerOptions, pattern: &HarnessPattern) -> Self {
        let specials = options
            .specials
            .iter()
            .map(|name| name.clone().into_bytes());
        let mut tokens: Vec<Vec<u8>> = specials.collect();
        let mut ids = [0; 256];
        let (printable, others): (Vec<u8>, Vec<u8>) = (0..=255).partition(is_printable);
        for byte in printable.into_iter().chain(others) {
            ids[usize::from(byte)] = tokens.len() as u32;
            tokens.push(vec![byte]);
        }
        let end_of_word = pattern.end_of_word();
        Self {
            tokens,
            ids,
            end_of_word,
        }
    }
}

/// Whether GPT-2 writes a byte as the character of its own code; the rest have later codes.
fn is_printable(byte: &u8) -> bool {
    matches!(byte, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF)
}
