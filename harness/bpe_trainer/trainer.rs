//! The loop: take the most frequent pair, merge it wherever it stands, queue the pairs that come.
//!
//! Merging (a, b) to n between x and y brings the pairs (x, n) and (n, y). For one merge, all of
//! these are known by x, or by y, alone; so their counts are summed up by neighbour in a plain
//! array. The pairs (x, a) and (b, y) that go need no work: `pairs` says why.

use super::BpeTrainerOptions;
use super::neighbours::Neighbours;
use super::pairs::{Pair, Pairs};
use super::start::Start;
use super::words::{Merge, Words};
use crate::{Error, Result};
use std::collections::HashMap;
use std::ops::Range;

/// Training between two merges.
pub(super) struct Trainer {
    words: Words,
    pairs: Pairs,
    tokens: Vec<Vec<u8>>,
    /// Length of each token in bytes.
    len: Vec<u32>,
    /// Bytes that are a token already: its id, or `None` if no pair may merge to it.
    taken: HashMap<Vec<u8>, Option<u32>>,
    merges: Vec<Pair>,
    before: Neighbours,
    after: Neighbours,
    vocab_size: usize,
    max_len: usize,
}

impl Trainer {
    pub(super) fn new(start: Start, options: &BpeTrainerOptions) -> Self {
        Self {
            words: start.words,
            pairs: start.pairs,
            tokens: start.tokens,
            len: start.len,
            taken: start.taken,
            merges: Vec::new(),
            before: Neighbours::default(),
            after: Neighbours::default(),
            vocab_size: options.vocab_size,
            max_len: options.max_token_length.unwrap_or(usize::MAX),
        }
    }

    /// Tokens by id, and merges in the order in which they were made.
    pub(super) fn finish(self) -> (Vec<Vec<u8>>, Vec<Pair>) {
        (self.tokens, self.merges)
    }

    /// Makes one merge; `false` when the vocabulary is full or no pair is left.
    pub(super) fn step(&mut self) -> Result<bool> {
        if self.tokens.len() >= self.vocab_size {
            return Ok(false);
        }
        let Some((pair, list)) = self.pairs.pop(&self.words, &self.len) else {
            return Ok(false);
        };
        let Some(merge) = self.token_of(pair)? else {
            return Ok(true);
        };
        self.merges.push(pair);
        self.pairs.begin_merge(pair, self.tokens.len());
        self.merge_at(list, &merge);
        self.queue_new_pairs(&merge)?;
        Ok(true)
    }

    /// What a pair becomes; nothing, if it must not merge.
    fn token_of(&mut self, (left, right): Pair) -> Result<Option<Merge>> {
        let part = |id: u32| self.tokens[id as usize].as_slice();
        let bytes = [part(left), part(right)].concat();
        let (left_len, right_len) = (self.len[left as usize], self.len[right as usize]);
        let new = match self.taken.get(&bytes) {
            Some(None) => return Ok(None),
            Some(Some(special)) if self.tokens[*special as usize] == bytes => *special,
            Some(Some(special)) => return Err(written_alike(&self.tokens[*special as usize])),
            None => {
                self.len.push(left_len + right_len);
                self.tokens.push(bytes);
                self.tokens.len() as u32 - 1
            }
        };
        Ok(Some(Merge {
            left,
            right,
            new,
            left_len,
            right_len,
        }))
    }

    /// Merges a pair at the positions of a list.
    fn merge_at(&mut self, list: Range<usize>, merge: &Merge) {
        self.before.begin(self.tokens.len());
        self.after.begin(self.tokens.len());
        let positions = &self.pairs.positions()[list];
        self.words
            .merge(positions, merge, &self.len, |position, site| {
                if let Some((token, start)) = site.before {
                    self.before.add(token, start, site.count);
                }
                if let Some(token) = site.after {
                    self.after.add(token, position, site.count);
                }
            });
    }

    fn queue_new_pairs(&mut self, merge: &Merge) -> Result<()> {
        let allowed = |x: u32| may_grow(&self.len, self.max_len, merge, x);
        let (pairs, new) = (&mut self.pairs, merge.new);
        pairs.push_lists(&mut self.before, |x| allowed(x).then_some((x, new)))?;
        pairs.push_lists(&mut self.after, |y| allowed(y).then_some((new, y)))
    }
}

/// Whether the new token and a neighbour may merge later on.
fn may_grow(len: &[u32], max_len: usize, merge: &Merge, neighbour: u32) -> bool {
    let len = len[neighbour as usize] + merge.left_len + merge.right_len;
    (len as usize) < max_len
}

fn written_alike(special: &[u8]) -> Error {
    let name = String::from_utf8_lossy(special);
    Error::Usage(format!(
        "the text has bytes that tokenizer.json writes like the special token {name:?}; \
         give it another name"
    ))
}
