//! A smoothed bigram model, the baseline that a language model must beat.
//!
//! Interpolated Kneser-Ney of order two with the three modified discounts: a count gives up a
//! little of itself, and what all successors of a token gave up is shared out by how many
//! *different* tokens each candidate has been seen after.
//!
//! ```text
//! p(w | c) = (n(c w) - D(n(c w))) / n(c) + left(c) / n(c) * p(w)
//! p(w)     = (b(w)   - D'(b(w)))  / B    + left'  / B    * 1 / V        b(w) = |{c : n(c w) > 0}|
//! ```
//! Source: S. F. Chen and J. Goodman, "An empirical study of smoothing techniques for language
//! modeling", 1998, section 3.

use crate::Result;
use crate::progress::Progress;
use crate::token_stream::TokenStream;

/// Tokens read between two looks at the progress.
const CHUNK: usize = 1 << 16;

/// Bigram counts, the successors of each token sorted, and the smoothed unigram model below them.
#[derive(Debug)]
pub struct BigramModel {
    /// Where the successors of each token start; one entry more than there are tokens.
    offsets: Vec<usize>,
    successors: Vec<u32>,
    counts: Vec<u32>,
    unigram: Vec<f64>,
    discounts: Discounts,
    /// Of each token, as a context: how often it was seen, and what its successors gave up.
    contexts: Vec<(f64, f64)>,
}

/// What a count of one, of two, and of three or more gives up.
#[derive(Clone, Copy, Debug)]
struct Discounts([f64; 3]);

impl Discounts {
    /// Chen and Goodman's estimate from how many counts are 1, 2, 3 and 4.
    fn estimate(counts: impl Iterator<Item = u32>) -> Self {
        let mut n = [0.0_f64; 4];
        for count in counts {
            if let Some(slot) = (count as usize).checked_sub(1).and_then(|i| n.get_mut(i)) {
                *slot += 1.0;
            }
        }
        let y = n[0] / (n[0] + 2.0 * n[1]).max(1.0);
        let discount = |i: usize| {
            let count = i as f64 + 1.0;
            if n[i] == 0.0 {
                return 0.5 * count; // too small a text to estimate from
            }
            (count - (count + 1.0) * y * n[i + 1] / n[i]).clamp(0.0, count)
        };
        Self([discount(0), discount(1), discount(2)])
    }

    fn of(self, count: u32) -> f64 {
        match count {
            0 => 0.0,
            1..3 => self.0[count as usize - 1],
            _ => self.0[2],
        }
    }

    /// What a list of counts gives up altogether.
    fn left(self, counts: &[u32]) -> f64 {
        counts.iter().map(|count| self.of(*count)).sum()
    }
}

impl BigramModel {
    /// Counts a stream. Needs about four bytes a token while it counts.
    ///
    /// # Errors
    /// [`crate::Error::Interrupted`] and its like.
    pub fn train(stream: &TokenStream) -> Result<Self> {
        let (offsets, mut grouped) = group_successors(stream)?;
        let mut counted = Vec::with_capacity(offsets.len());
        let (mut successors, mut counts) = (Vec::new(), Vec::new());
        counted.push(0);
        for range in offsets.windows(2) {
            let group = &mut grouped[range[0]..range[1]];
            group.sort_unstable();
            for run in group.chunk_by(|a, b| a == b) {
                successors.push(run[0]);
                counts.push(run.len() as u32);
            }
            counted.push(successors.len());
        }
        Ok(Self::from_counts(counted, successors, counts))
    }

    fn from_counts(offsets: Vec<usize>, successors: Vec<u32>, counts: Vec<u32>) -> Self {
        let discounts = Discounts::estimate(counts.iter().copied());
        let contexts = offsets
            .windows(2)
            .map(|range| {
                let counts = &counts[range[0]..range[1]];
                let seen: f64 = counts.iter().map(|n| f64::from(*n)).sum();
                (seen, discounts.left(counts))
            })
            .collect();
        let unigram = continuation_probabilities(&successors, offsets.len() - 1);
        Self {
            offsets,
            successors,
            counts,
            unigram,
            discounts,
            contexts,
        }
    }

    /// `p(next | context)`; ids outside the vocabulary have probability zero.
    pub fn probability(&self, context: u32, next: u32) -> f64 {
        let Some(lower) = self.unigram.get(next as usize) else {
            return 0.0;
        };
        let context = context as usize;
        let Some((seen, left)) = self.contexts.get(context).filter(|(seen, _)| *seen > 0.0) else {
            return *lower;
        };
        let range = self.offsets[context]..self.offsets[context + 1];
        let count = self.successors[range.clone()]
            .binary_search(&next)
            .map_or(0, |i| self.counts[range.start + i]);
        (f64::from(count) - self.discounts.of(count) + left * lower) / seen
    }

    /// Bits that the model needs for a stream, divided by the bytes of its text.
    ///
    /// Scored as the attention model is: every token once; the first, which nothing precedes,
    /// costs `log2 V`.
    ///
    /// # Errors
    /// [`crate::Error::Interrupted`] and its like.
    pub fn bits_per_byte(&self, stream: &TokenStream, bytes: u64) -> Result<f64> {
        let progress = Progress::new("bigram evaluation", stream.len() as u64, "tokens");
        let mut bits = (self.unigram.len() as f64).log2();
        for_each_pair(stream, &progress, |context, next| {
            bits -= self.probability(context, next).log2();
        })?;
        Ok(bits / bytes as f64)
    }
}

/// Calls `f` with each token and its successor.
fn for_each_pair(
    stream: &TokenStream,
    progress: &Progress,
    mut f: impl FnMut(u32, u32),
) -> Result<()> {
    let mut ids = vec![0; CHUNK + 1];
    for start in (0..stream.len().saturating_sub(1)).step_by(CHUNK) {
        let len = (stream.len() - start).min(CHUNK + 1);
        stream.read(start, &mut ids[..len]);
        for pair in ids[..len].windows(2) {
            f(pair[0], pair[1]);
        }
        progress.advance(len as u64 - 1)?;
    }
    Ok(())
}

/// The successors of every token, in groups by token, and where each group starts.
fn group_successors(stream: &TokenStream) -> Result<(Vec<usize>, Vec<u32>)> {
    let vocab_size = stream.vocab_size();
    let progress = Progress::new("bigram counts", 2 * stream.len() as u64, "tokens");
    let mut offsets = vec![0; vocab_size + 1];
    for_each_pair(stream, &progress, |context, _| {
        offsets[context as usize + 1] += 1
    })?;
    for i in 0..vocab_size {
        offsets[i + 1] += offsets[i];
    }
    let mut ends = offsets.clone();
    let mut grouped = vec![0; offsets[vocab_size]];
    for_each_pair(stream, &progress, |context, next| {
        let end = &mut ends[context as usize];
        grouped[*end] = next;
        *end += 1;
    })?;
    Ok((offsets, grouped))
}

/// The lower order: in how many contexts each token was seen, discounted, mixed with `1 / V`.
fn continuation_probabilities(successors: &[u32], vocab_size: usize) -> Vec<f64> {
    let mut contexts = vec![0_u32; vocab_size];
    for next in successors {
        contexts[*next as usize] += 1;
    }
    let discounts = Discounts::estimate(contexts.iter().copied());
    let total = successors.len() as f64;
    let uniform = 1.0 / vocab_size as f64;
    if successors.is_empty() {
        return vec![uniform; vocab_size];
    }
    let left = discounts.left(&contexts);
    let smoothed = |n: &u32| (f64::from(*n) - discounts.of(*n) + left * uniform) / total;
    contexts.iter().map(smoothed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> BigramModel {
        let mut rng = crate::kernels::rng::Rng::new(1);
        let ids: Vec<u32> = (0..2000)
            .map(|_| (rng.below(20) * rng.below(20) / 20) as u32)
            .collect();
        BigramModel::train(&TokenStream::from_ids(ids, 24)).unwrap()
    }

    #[test]
    fn probabilities_after_every_token_sum_to_one() {
        let model = model();
        for context in 0..24 {
            let sum: f64 = (0..24).map(|next| model.probability(context, next)).sum();
            assert!((sum - 1.0).abs() < 1e-9, "context {context}: {sum}");
        }
        assert_eq!(model.probability(0, 24), 0.0);
    }

    #[test]
    fn unseen_pairs_get_a_little_and_frequent_pairs_much() {
        let ids: Vec<u32> = (0..4000).map(|i| [0, 1, 0, 2][i % 4]).collect();
        let model = BigramModel::train(&TokenStream::from_ids(ids, 4)).unwrap();
        assert!(model.probability(1, 0) > 0.99);
        assert!((model.probability(0, 1) - 0.5).abs() < 0.01);
        let unseen = model.probability(1, 3);
        assert!(unseen > 0.0 && unseen < 0.01, "{unseen}");
    }

    #[test]
    fn a_predictable_text_costs_little_more_than_its_first_token() {
        let ids: Vec<u32> = (0..4096).map(|i| i % 16).collect();
        let stream = TokenStream::from_ids(ids, 16);
        let model = BigramModel::train(&stream).unwrap();
        let bits = model.bits_per_byte(&stream, 1).unwrap();
        assert!(bits > 4.0 && bits < 128.0, "{bits}");
    }

    #[test]
    fn streams_too_short_to_count_are_uniform() {
        for ids in [vec![], vec![1]] {
            let model = BigramModel::train(&TokenStream::from_ids(ids, 4)).unwrap();
            assert_eq!(model.probability(1, 2), 0.25);
        }
    }
}
