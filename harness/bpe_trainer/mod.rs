//! Learns byte-pair merges from pretoken counts.
//!
//! Every distinct pretoken is a word of byte tokens with a count. The pair of neighbours with the
//! highest count becomes a token, everywhere, until the vocabulary is full; of equal counts, the
//! pair with the smaller ids wins. Sources: Gage, "A new algorithm for data compression", 1994;
//! Sennrich, Haddow, Birch, "Neural machine translation of rare words with subword units", 2016.
//!
//! The result is that of Hugging Face's `BpeTrainer`, token for token: counts of pairs start with
//! overlaps ("aaa" counts 2 for a pair of a), pairs merge from left to right, and a pair that
//! would make too long a token is not counted.
//!
//! # No pair is merged that does not occur
//!
//! That trainer keeps a queue with counts that may be out of date, forgets where a pair stands
//! when its count is 0, and looks tokens up by their text, as if a pair could come up again or
//! two pairs could give one token. It looks as if it could merge a pair that is not there any
//! more; it cannot, for two reasons:
//!
//! 1. *What goes on inside the bytes that become one token does not depend on what surrounds
//!    them.* Until they are one token, no merge crosses their ends. So a run of equal tokens that
//!    begins before them has an even number of tokens there, which pair up among themselves, and
//!    inside, every merge finds the same tokens and pairs them alike. Limits on length and count
//!    look at the pair alone. Hence a token comes from one pair, and every pair comes into being,
//!    wherever it stands, in one merge: the one that makes the younger of its tokens.
//! 2. *After each merge the count of every other pair is the number of places where it stands.*
//!    Where (a, b) becomes n between x and y, (x, a) and (b, y) go and (x, n) and (n, y) come;
//!    just that is counted. Only the count of the merged pair itself is left alone, and by (1)
//!    nobody asks for it again.
//!
//! A pair comes to the top of the queue with its present count, which must be at least 1: it
//! stands somewhere. (Pairs that make too long a token are counted down but never up, and never
//! queued. Counts beyond 2^31 overflow there; here they have 64 bits.) The tests recount the
//! words from scratch before every merge, in both modes of [`Compat`], and hold the result against
//! a trainer that allows for everything that the original allows for. What is left of its habits
//! is a special token whose name a merge spells out; [`Compat`] says what to do about it.
//!
//! `words` holds the words and merges in them, `pairs` where each pair stands, `queue` puts them in
//! order, and `trainer` has the loop.

mod alphabet;
mod neighbours;
mod pairs;
mod queue;
mod start;
mod trainer;
mod words;

#[cfg(test)]
mod tests;

use crate::pretoken_counts::PretokenCounts;
use crate::progress::Progress;
use crate::tokenizer::{HarnessPattern, MergeRule, Tokenizer, Vocabulary};
use crate::{Error, Result};
use alphabet::Alphabet;
pub use alphabet::InitialAlphabet;
use start::Start;
use trainer::Trainer;

/// Whose habits to follow where they differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compat {
    /// Those of Hugging Face's `BpeTrainer`: a merge that spells out the name of a special token
    /// gives that token, so that text can be encoded to it.
    #[default]
    Hf,
    /// No merge gives a special token: a pair that would spell one out is not merged.
    Clean,
}

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
    /// Bytes that are tokens whether the text has them or not.
    pub alphabet: InitialAlphabet,
    /// Whose habits to follow.
    pub compat: Compat,
}

impl Default for BpeTrainerOptions {
    fn default() -> Self {
        Self {
            vocab_size: 32_000,
            min_frequency: 0,
            max_token_length: None,
            specials: Vec::new(),
            alphabet: InitialAlphabet::Bytes,
            compat: Compat::Hf,
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
        self.check_room(self.alphabet.least())?;
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

    /// Refuses a vocabulary that cannot even hold so many bytes and the special tokens.
    fn check_room(&self, bytes: usize) -> Result<()> {
        let specials = self.specials.len();
        let smallest = bytes + specials;
        if self.vocab_size >= smallest {
            return Ok(());
        }
        Err(Error::Usage(format!(
            "vocabulary size {} is below {smallest}: {bytes} bytes and {specials} special tokens",
            self.vocab_size
        )))
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
    let alphabet = Alphabet::new(options, counts);
    options.check_room(alphabet.bytes())?;
    let start = Start::from_bytes(counts, &alphabet, options)?;
    let (tokens, merges) = run(start, options, progress)?;
    Ok(Vocabulary {
        tokens,
        merges,
        specials: options.specials.iter().cloned().zip(0..).collect(),
        pattern: counts.pattern().clone(),
        rule: MergeRule::PairRank,
    })
}

/// Goes on where a vocabulary ends: old ids stay, old merges come first, and new ones are learned
/// on what the old ones make of the pretokens. `progress` advances by tokens.
///
/// Alphabet and special tokens are those of the old vocabulary, and [`BpeTrainerOptions`] must not
/// name others. A pair that would give a token that the old vocabulary has, but its merges do not
/// reach, is left alone.
///
/// # Errors
/// [`Error::Usage`] when there is nothing to add, the options name special tokens, the pretokens
/// were cut otherwise or have bytes without a token, or the vocabulary ranks bytes
/// ([`MergeRule::BytesRank`]: the order of its merges follows from its ids, so that none could
/// be learned behind them); else those of [`train`].
pub fn extend(
    base: &Tokenizer,
    counts: &PretokenCounts,
    options: &BpeTrainerOptions,
    progress: &Progress,
) -> Result<Vocabulary> {
    check_extension(base, counts.pattern(), options)?;
    let mut vocabulary = base.vocabulary();
    let start = Start::from_tokens(counts, base, &vocabulary, options)?;
    let (tokens, merges) = run(start, options, progress)?;
    vocabulary.tokens = tokens;
    vocabulary.merges.extend(merges);
    Ok(vocabulary)
}

/// What [`extend`] refuses before it looks at any text.
///
/// # Errors
/// Those of [`extend`].
pub fn check_extension(
    base: &Tokenizer,
    pattern: &HarnessPattern,
    options: &BpeTrainerOptions,
) -> Result<()> {
    options.validate()?;
    let refuse = |message: String| Err(Error::Usage(message));
    if base.as_ref().rule() == MergeRule::BytesRank {
        return refuse("a vocabulary that ranks bytes (.tiktoken) cannot be extended".into());
    }
    if base.pattern() != pattern {
        let old = base.pattern();
        return refuse(format!(
            "the vocabulary to extend has the pattern {old}, not {pattern}"
        ));
    }
    if let Some(special) = options.specials.first() {
        return refuse(format!(
            "special token {special:?}: an extended vocabulary keeps those that it has"
        ));
    }
    let old = base.vocab_size();
    if options.vocab_size <= old {
        let size = options.vocab_size;
        return refuse(format!(
            "vocabulary size {size} leaves nothing to add: the old vocabulary has {old} tokens"
        ));
    }
    Ok(())
}

/// Tokens by id, and merges in their order.
type Learned = (Vec<Vec<u8>>, Vec<(u32, u32)>);

/// Merges until the vocabulary is full or no pair is left.
fn run(start: Start, options: &BpeTrainerOptions, progress: &Progress) -> Result<Learned> {
    let mut trainer = Trainer::new(start, options);
    while trainer.step()? {
        progress.advance(1)?;
    }
    Ok(trainer.finish())
}
