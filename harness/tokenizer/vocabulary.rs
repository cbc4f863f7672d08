//! What a trainer produces and a tokenizer's file holds, in plain form.

use super::HarnessPattern;
use barelm_kernels::bpe::MergeRule;
use std::collections::HashMap;

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
    /// All tokens by id, the special ones at their ids too.
    pub(super) fn all_tokens(&self) -> Result<Vec<&[u8]>, String> {
        let mut tokens: Vec<&[u8]> = self.tokens.iter().map(Vec::as_slice).collect();
        for (name, id) in &self.specials {
            let at = *id as usize;
            // Far apart ids would make a table of nothing but holes.
            if at > 2 * (self.tokens.len() + self.specials.len()) + 1024 {
                return Err(format!("special token {name:?} has the far-off id {id}"));
            }
            if at >= tokens.len() {
                tokens.resize(at + 1, &[]);
            }
            if name.is_empty() || !(tokens[at].is_empty() || tokens[at] == name.as_bytes()) {
                return Err(format!(
                    "the id {id} of special token {name:?} is another token's"
                ));
            }
            tokens[at] = name.as_bytes();
        }
        Ok(tokens)
    }

    /// Ids of all tokens by their bytes; where a special and an ordinary token share theirs, that
    /// of the ordinary one.
    pub(super) fn ids<'t>(&self, tokens: &[&'t [u8]]) -> Result<HashMap<&'t [u8], u32>, String> {
        let special: std::collections::HashSet<u32> =
            self.specials.iter().map(|(_, id)| *id).collect();
        let mut ids = HashMap::with_capacity(tokens.len());
        let present = |id: &u32| !tokens[*id as usize].is_empty();
        for id in (0..tokens.len() as u32).filter(present) {
            let before = ids.insert(tokens[id as usize], id);
            match before {
                Some(before) if special.contains(&id) => {
                    ids.insert(tokens[id as usize], before);
                }
                Some(before) if !special.contains(&before) => {
                    let token = String::from_utf8_lossy(tokens[id as usize]);
                    return Err(format!("tokens {before} and {id} are both {token:?}"));
                }
                _ => {}
            }
        }
        Ok(ids)
    }
}
