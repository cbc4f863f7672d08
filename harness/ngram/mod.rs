//! N-gram models: the baseline that a language model must beat, and a partner for it.
//!
//! Interpolated Kneser-Ney of any order with the three modified discounts: a count gives up a
//! little of itself, and what all successors of a context gave up is shared out by the context
//! that is one token shorter. With `h` a context, `h'` the same without its oldest token, and `n`
//! the counts after it:
//!
//! ```text
//! p(w | h) = (n(h w) - D(n(h w))) / n(h) + left(h) / n(h) * p(w | h')      n(h) = sum_w n(h w)
//! left(h)  = sum_w D(n(h w))                   p(w | h) = p(w | h') if h was never seen
//! ```
//! The longest contexts count occurrences; a shorter one counts the different tokens before it,
//! `n(h w) = |{v : v h w was seen}|`; below the empty context every token has `1 / V`. Each order
//! has its own `D`, by how many of its counts are 1, 2, 3 and 4.
//!
//! Texts are one sequence: n-grams cross lines and documents, as the windows of a neural model do.
//!
//! Source: S. F. Chen and J. Goodman, "An empirical study of smoothing techniques for language
//! modeling", 1998, section 3; R. Kneser and H. Ney, "Improved backing-off for m-gram language
//! modeling", 1995.

mod count;
mod discounts;
mod evaluate;
mod file;
#[cfg(test)]
mod tests;
mod trie;

pub(crate) use evaluate::bits;
pub use file::NgramFile;
pub use trie::NgramRef;

use crate::corpus::map::Mapping;
use crate::token_stream::{Ids, TokenStream};
use crate::{Result, parallel};
use count::CountedLevel;
use discounts::Discounts;
use std::ops::Range;
use trie::{Level, LevelRef};

/// Largest order.
pub const MAX_ORDER: usize = 8;

/// A model in memory, or in a mapped file.
///
/// # Example
/// ```
/// use barelm::{ngram::NgramModel, token_stream::TokenStream};
/// let stream = TokenStream::from_ids([0, 1, 2].repeat(100), 4);
/// let model = NgramModel::train(&stream, 3, 1)?;
/// let model = model.as_ref();
/// assert!(model.probability(&[0, 1], 2) > 0.9);
/// let mut row = [0.0; 4];
/// model.probabilities_into(&[1, 3], &mut row); // never seen: as after [3], as after nothing
/// assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-12 && row[3] > 0.0);
/// # Ok::<(), barelm::Error>(())
/// ```
#[derive(Debug)]
pub struct NgramModel {
    vocab_size: usize,
    discounts: Vec<Discounts>,
    storage: Storage,
}

#[derive(Debug)]
enum Storage {
    Counted(Vec<CountedLevel>),
    Mapped(Mapping, Vec<Level<Range<usize>>>),
}

impl NgramModel {
    /// Counts the n-grams of a stream, up to `order` tokens long; 0 threads for one a core.
    ///
    /// Memory: 16 bytes an n-gram of a part of the text for each thread (a 32nd, or all that
    /// follows the most frequent token), and the model, whose larger arrays go to temporary files.
    /// In a text shorter than the order nothing is seen, and all tokens are equally likely.
    ///
    /// # Errors
    /// [`Error::Usage`](crate::Error::Usage) for an order outside 1 to [`MAX_ORDER`], for one
    /// whose n-grams do not fit 128 bits, and for more tokens than 32 bits count;
    /// [`Error::Io`](crate::Error::Io) when temporary files find no room;
    /// [`Error::Interrupted`](crate::Error::Interrupted).
    pub fn train(stream: &TokenStream, order: usize, threads: usize) -> Result<Self> {
        let levels = count::count(stream, order, parallel::threads_or_all(threads))?;
        let estimate = |level: &CountedLevel| Discounts::estimate(&level.counts);
        Ok(Self {
            vocab_size: stream.vocab_size(),
            discounts: levels.iter().map(estimate).collect(),
            storage: Storage::Counted(levels),
        })
    }

    /// The model to look probabilities up in; makes one pass over the vocabulary.
    pub fn as_ref(&self) -> NgramRef<'_> {
        let levels = (0..self.order()).map(|depth| (self.level(depth), self.discounts[depth]));
        NgramRef::new(self.vocab_size, levels.collect())
    }

    fn level(&self, depth: usize) -> LevelRef<'_> {
        match &self.storage {
            Storage::Counted(levels) => {
                let level = &levels[depth];
                Level {
                    tokens: Ids::U32(&level.tokens),
                    starts: &level.starts,
                    children: &level.children,
                    successors: Ids::U32(&level.successors),
                    counts: &level.counts,
                }
            }
            Storage::Mapped(file, levels) => file::level(file, &levels[depth], self.vocab_size),
        }
    }

    /// Tokens of the longest n-gram: one more than a prediction looks at.
    pub fn order(&self) -> usize {
        self.discounts.len()
    }

    /// Number of tokens of the vocabulary.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// How many different n-grams were seen, of one token, of two and so on.
    pub fn counts(&self) -> Vec<usize> {
        let seen = |depth| self.level(depth).counts.len();
        (0..self.order()).map(seen).collect()
    }

    /// What a count of one, of two, and of three or more gives up, for each order.
    pub fn discounts(&self) -> Vec<[f64; 3]> {
        self.discounts.iter().map(|discounts| discounts.0).collect()
    }
}
