//! What a trainer produces and a tokenizer's file holds, in plain form.

use super::{HarnessPattern, json};
use crate::Result;
use barelm_kernels::bpe::MergeRule;
use std::path::Path;

/// Tokens and merges.
///
/// # Example
/// ```
/// use barelm::tokenizer::{HarnessPattern, MergeRule, Tokenizer, Vocabulary};
/// let mut tokens: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
/// tokens.push(b"ab".to_vec());
/// let vocabulary = Vocabulary {
///     tokens,
///     merges: vec![(b'a' as u32, b'b' as u32)],
///     specials: vec![("<|end|>".into(), 257)],
///     pattern: HarnessPattern::parse("gpt2")?,
///     rule: MergeRule::PairRank,
/// };
/// let tokenizer = Tokenizer::from_vocabulary(&vocabulary)?;
/// assert_eq!(tokenizer.encode(b"cab"), [99, 256]);
/// # Ok::<(), barelm::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Vocabulary {
    /// Bytes of each token, by id; empty where there is no token of that id. Special tokens may
    /// stand here with their names, or be named in `specials` only.
    pub tokens: Vec<Vec<u8>>,
    /// Pairs that merge, in the order of their rank; the new token is the one whose bytes are
    /// theirs together. Under [`MergeRule::BytesRank`] the ids alone decide, and this is ignored.
    pub merges: Vec<(u32, u32)>,
    /// Names and ids of special tokens, which no text is encoded to.
    pub specials: Vec<(String, u32)>,
    /// How text is cut into pieces.
    pub pattern: HarnessPattern,
    /// Which pair merges first.
    pub rule: MergeRule,
}

impl Vocabulary {
    /// Saves a `tokenizer.json`, as [`Tokenizer::save_json`](super::Tokenizer::save_json) does of
    /// the tokenizer of this vocabulary, whose tables are not needed for it.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io).
    pub fn save_json(&self, path: impl AsRef<Path>) -> Result<()> {
        crate::output::write_file(path, json::to_json(self).as_bytes())
    }
}
