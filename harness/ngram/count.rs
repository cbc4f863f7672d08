//! Counts every n-gram of a stream.
//!
//! An n-gram is one number: its context backwards, the most recent token in the highest digit, and
//! then the token that follows. Sorted, equal n-grams stand together, and so do the n-grams of one
//! context of any length, whose successors ascend: the longest level of the trie can be read off.
//! A shorter context's count of a token is the number of its children that have the token as a
//! successor, so each level is made from the next longer one by merging the lists of siblings.
//!
//! Contexts that end in different tokens have nothing to do with each other (but for the empty
//! context). So the vocabulary is cut into ranges, and the n-grams of each are counted alone: by
//! several threads, and in memory for one range a thread. The arrays that result move to temporary
//! files when they become large.

use super::trie::Level;
use crate::parallel;
use crate::progress::Progress;
use crate::scratch::{Scratch, ScratchVec};
use crate::token_stream::{Ids, TokenStream};
use crate::{Error, Result};
use std::ops::Range;

/// Most ranges of the vocabulary, each of which takes a pass over the stream.
const PARTS: usize = 32;
/// A range that has fewer n-grams is not worth a pass.
const SMALL_PART: usize = 1 << 16;
/// Bytes up to which an array of the model stays in memory.
const IN_MEMORY: usize = 64 << 20;
/// Digits of all tokens of an n-gram together.
const KEY_BITS: usize = u128::BITS as usize;

/// A level of the whole model.
pub(super) type CountedLevel = Level<ScratchVec<u32>>;
/// A level of one part.
type PartLevel = Level<Vec<u32>>;

/// Counts the n-grams of up to `order` tokens on up to `threads` threads.
///
/// Every order counts at the same places: those with `order - 1` tokens before them.
pub(super) fn count(
    stream: &TokenStream,
    order: usize,
    threads: usize,
) -> Result<Vec<CountedLevel>> {
    let bits = digit_bits(stream.vocab_size());
    check(stream, order, bits)?;
    let scratch = Scratch {
        in_memory: IN_MEMORY,
        ..Scratch::default()
    };
    let mut whole = Whole::new(order, stream.vocab_size(), &scratch)?;
    if order == 1 {
        whole.after_nothing = stream.counts();
    } else {
        let progress = Progress::new("n-grams", stream.len() as u64, "tokens");
        let part = |_: &mut (), (tokens, size): (Range<u32>, usize)| {
            let keys = keys_of(stream.ids(), order, bits, &tokens, size);
            progress.advance(size as u64)?;
            Ok(count_keys(keys, order, bits))
        };
        let parts = cut(&stream.counts()).into_iter();
        let sink = |levels| whole.append(levels);
        parallel::for_each_in_order(threads, parts, || Ok(()), part, sink)?;
        progress.finish();
    }
    whole.finish()
}

/// Bits of a token in a key.
fn digit_bits(vocab_size: usize) -> usize {
    (usize::BITS - vocab_size.saturating_sub(1).leading_zeros()).max(1) as usize
}

fn check(stream: &TokenStream, order: usize, bits: usize) -> Result<()> {
    let longest = super::MAX_ORDER.min(KEY_BITS / bits);
    if !(1..=longest).contains(&order) {
        let message = format!(
            "an order of {order} is outside 1 to {longest}, the orders possible with {} tokens",
            stream.vocab_size()
        );
        return Err(Error::Usage(message));
    }
    if u32::try_from(stream.len()).is_err() {
        let message = "the text has more than 4,294,967,295 tokens; count a part of it";
        return Err(Error::Usage(message.into()));
    }
    Ok(())
}

/// Ranges of the vocabulary, and how often the tokens of each appear.
fn cut(counts: &[u64]) -> Vec<(Range<u32>, usize)> {
    let tokens: u64 = counts.iter().sum();
    let limit = (tokens as usize / PARTS).max(SMALL_PART);
    let mut parts: Vec<(Range<u32>, usize)> = Vec::new();
    for (token, count) in (0..).zip(counts) {
        match parts.last_mut() {
            Some((range, size)) if *size + *count as usize <= limit => {
                range.end = token + 1;
                *size += *count as usize;
            }
            _ => parts.push((token..token + 1, *count as usize)),
        }
    }
    parts
}

/// The n-grams whose last token but one is in a range, at most `size`, as numbers.
fn keys_of(ids: Ids<'_>, order: usize, bits: usize, range: &Range<u32>, size: usize) -> Vec<u128> {
    match ids {
        Ids::U16(ids) => gather(ids, order, bits, range, size),
        Ids::U32(ids) => gather(ids, order, bits, range, size),
    }
}

fn gather<T: Copy + Into<u32>>(
    ids: &[T],
    order: usize,
    bits: usize,
    range: &Range<u32>,
    size: usize,
) -> Vec<u128> {
    let mut keys = Vec::with_capacity(size);
    for ngram in ids.windows(order) {
        if !range.contains(&ngram[order - 2].into()) {
            continue;
        }
        let digit = |key: u128, token: &T| key << bits | u128::from((*token).into());
        let context = ngram[..order - 1].iter().rev().fold(0, digit);
        keys.push(digit(context, &ngram[order - 1]));
    }
    keys
}

/// The levels of some n-grams, from contexts of one token to the longest.
fn count_keys(mut keys: Vec<u128>, order: usize, bits: usize) -> Vec<PartLevel> {
    keys.sort_unstable();
    let (mut contexts, longest) = longest_level(&keys, bits);
    drop(keys);
    let mut levels = vec![longest];
    for _ in 2..order {
        let longer = &levels[levels.len() - 1];
        let (shorter_contexts, level) = shorter_level(&contexts, longer, bits);
        contexts = shorter_contexts;
        levels.push(level);
    }
    levels.reverse();
    levels
}

/// The last token of a number.
fn last_digit(key: u128, bits: usize) -> u32 {
    (key & ((1 << bits) - 1)) as u32
}

/// The contexts of sorted n-grams, and their successors.
fn longest_level(keys: &[u128], bits: usize) -> (Vec<u128>, PartLevel) {
    let mut contexts = Vec::new();
    let mut level = PartLevel::default();
    for equal in keys.chunk_by(|a, b| a == b) {
        let context = equal[0] >> bits;
        if contexts.last() != Some(&context) {
            contexts.push(context);
            level.tokens.push(last_digit(context, bits));
            level.starts.push(level.successors.len() as u32);
        }
        level.successors.push(last_digit(equal[0], bits));
        level.counts.push(equal.len() as u32);
    }
    (contexts, level)
}

/// The contexts that are one token shorter, and their successors.
fn shorter_level(contexts: &[u128], longer: &PartLevel, bits: usize) -> (Vec<u128>, PartLevel) {
    let mut shorter = Vec::new();
    let mut level = PartLevel::default();
    let mut merged = Vec::new();
    let mut end = 0;
    for siblings in contexts.chunk_by(|a, b| a >> bits == b >> bits) {
        let context = siblings[0] >> bits;
        let start = end;
        end += siblings.len();
        shorter.push(context);
        level.tokens.push(last_digit(context, bits));
        level.children.push(start as u32);
        level.starts.push(level.successors.len() as u32);
        let lists_end = longer
            .starts
            .get(end)
            .map_or(longer.successors.len(), |end| *end as usize);
        merged.clear();
        merged.extend(&longer.successors[longer.starts[start] as usize..lists_end]);
        merged.sort_unstable();
        for equal in merged.chunk_by(|a, b| a == b) {
            level.successors.push(equal[0]);
            level.counts.push(equal.len() as u32);
        }
    }
    (shorter, level)
}

/// The levels of all parts so far.
struct Whole {
    levels: Vec<CountedLevel>,
    /// How often each token follows the empty context.
    after_nothing: Vec<u64>,
}

impl Whole {
    fn new(order: usize, vocab_size: usize, scratch: &Scratch) -> Result<Self> {
        let empty = |_| {
            Ok(Level {
                tokens: scratch.zeros(0)?,
                starts: scratch.zeros(0)?,
                children: scratch.zeros(0)?,
                successors: scratch.zeros(0)?,
                counts: scratch.zeros(0)?,
            })
        };
        Ok(Self {
            levels: (0..order).map(empty).collect::<Result<_>>()?,
            after_nothing: vec![0; vocab_size],
        })
    }

    /// Appends the levels of the next part.
    fn append(&mut self, part: Vec<PartLevel>) -> Result<()> {
        for token in &part[0].successors {
            self.after_nothing[*token as usize] += 1;
        }
        for (depth, level) in part.into_iter().enumerate() {
            let children = self
                .levels
                .get(depth + 2)
                .map_or(0, |next| next.tokens.len());
            let whole = &mut self.levels[depth + 1];
            push_all(&mut whole.starts, &level.starts, whole.successors.len())?;
            push_all(&mut whole.children, &level.children, children)?;
            push_all(&mut whole.tokens, &level.tokens, 0)?;
            push_all(&mut whole.successors, &level.successors, 0)?;
            push_all(&mut whole.counts, &level.counts, 0)?;
        }
        Ok(())
    }

    /// Puts in the empty context, and the end of each level.
    fn finish(mut self) -> Result<Vec<CountedLevel>> {
        let root = &mut self.levels[0];
        let seen = (0..).zip(&self.after_nothing).filter(|(_, n)| **n > 0);
        let (successors, counts): (Vec<u32>, Vec<u32>) = seen.map(|(w, n)| (w, *n as u32)).unzip();
        push_all(&mut root.successors, &successors, 0)?;
        push_all(&mut root.counts, &counts, 0)?;
        push_all(&mut root.tokens, &[0], 0)?;
        push_all(&mut root.starts, &[0], 0)?;
        push_all(&mut root.children, &[0], 0)?;
        for depth in 0..self.levels.len() {
            let children = self.levels.get(depth + 1).map(|next| next.tokens.len());
            let level = &mut self.levels[depth];
            push_all(&mut level.starts, &[0], level.successors.len())?;
            match children {
                Some(children) => push_all(&mut level.children, &[0], children)?,
                None => level.children.resize(0)?,
            }
        }
        Ok(self.levels)
    }
}

/// Appends values, each raised by `offset`.
fn push_all(array: &mut ScratchVec<u32>, values: &[u32], offset: usize) -> Result<()> {
    let len = array.len();
    array.resize(len + values.len())?;
    let slots = array[len..].iter_mut().zip(values);
    slots.for_each(|(slot, value)| *slot = value + offset as u32);
    Ok(())
}
