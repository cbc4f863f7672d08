//! A trie of reversed contexts, and the probabilities that it gives.
//!
//! Level `k` holds the contexts of `k` tokens, level 0 the empty one. A context's children add one
//! token *before* it, so a walk from the root reads a text backwards, and every context on the way
//! is the next longer one of the interpolation. Each has a list of the tokens seen after it, with
//! counts.

use super::discounts::{Discounts, Sums};
use crate::token_stream::Ids;
use std::ops::Range;
use std::sync::OnceLock;

/// The arrays of one level, in memory, in a file, or as places in a file.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Level<T, N = T> {
    /// Each context's oldest token; ascending among the children of one parent.
    pub(super) tokens: T,
    /// Where each context's successors start, and where the last one's end.
    pub(super) starts: N,
    /// Where each context's children start on the next level; none on the last level.
    pub(super) children: N,
    /// The tokens seen after each context, ascending.
    pub(super) successors: T,
    /// Of each of them: how often (longest contexts), or after how many different longer contexts.
    pub(super) counts: N,
}

/// A level to look things up in. Nothing of what it holds is trusted.
pub(super) type LevelRef<'a> = Level<Ids<'a>, &'a [u32]>;

/// A model's levels and their discounts.
#[derive(Clone, Debug)]
pub struct NgramRef<'a> {
    vocab_size: usize,
    levels: Vec<(LevelRef<'a>, Discounts)>,
    /// Sums of the longest list, which every probability needs.
    root: Sums,
    /// Sums of the lists after one token, the next longest, each made when it is first needed.
    after_one: Vec<OnceLock<Sums>>,
}

/// The successors of one context.
struct List<'a> {
    level: LevelRef<'a>,
    range: Range<usize>,
    counts: &'a [u32],
    discounts: Discounts,
    sums: Sums,
}

impl<'a> LevelRef<'a> {
    /// The child of a context of this level that adds `token`.
    fn child(&self, context: usize, token: u32, next: &LevelRef<'_>) -> Option<usize> {
        find(next.tokens, range_at(self.children, context)?, token)
    }

    /// Where a context's successors are.
    fn successors_of(&self, context: usize) -> Option<(Range<usize>, &'a [u32])> {
        let range = range_at(self.starts, context)?;
        let counts = self.counts.get(range.clone())?;
        (range.end <= self.successors.len()).then_some((range, counts))
    }
}

/// The range that starts at `starts[i]` and ends where the next one starts.
fn range_at(starts: &[u32], i: usize) -> Option<Range<usize>> {
    let (start, end) = (*starts.get(i)?, *starts.get(i + 1)?);
    (start <= end).then_some(start as usize..end as usize)
}

/// Binary search for a token in a range of ascending ids.
fn find(ids: Ids<'_>, range: Range<usize>, token: u32) -> Option<usize> {
    let (mut low, mut high) = (range.start, range.end);
    while low < high {
        let middle = low + (high - low) / 2;
        match ids.get(middle)?.cmp(&token) {
            std::cmp::Ordering::Less => low = middle + 1,
            std::cmp::Ordering::Equal => return Some(middle),
            std::cmp::Ordering::Greater => high = middle,
        }
    }
    None
}

impl<'a> NgramRef<'a> {
    pub(super) fn new(vocab_size: usize, levels: Vec<(LevelRef<'a>, Discounts)>) -> Self {
        let root = levels
            .first()
            .and_then(|(level, _)| level.successors_of(0))
            .map_or(Sums::default(), |(_, counts)| Sums::of(counts));
        let after_one = levels.get(1).map_or(0, |(level, _)| level.tokens.len());
        Self {
            vocab_size,
            levels,
            root,
            after_one: vec![OnceLock::new(); after_one],
        }
    }

    /// Tokens of the longest n-gram: one more than a prediction looks at.
    pub fn order(&self) -> usize {
        self.levels.len()
    }

    /// Number of tokens of the vocabulary.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// `p(next | history)`; the last `order - 1` tokens of the history count. Ids outside the
    /// vocabulary have probability zero.
    pub fn probability(&self, history: &[u32], next: u32) -> f64 {
        if next as usize >= self.vocab_size {
            return 0.0;
        }
        let mut p = 1.0 / self.vocab_size as f64;
        self.for_each_list(history, |list| {
            let place = find(list.level.successors, list.range.clone(), next);
            let count = place.map_or(0, |i| list.counts[i - list.range.start]);
            let kept = f64::from(count) - list.discounts.of(count);
            p = (kept + list.discounts.left(list.sums) * p) / list.sums.total();
        });
        p
    }

    /// `p(. | history)` of the whole vocabulary, at the cost of some passes over `row` and of the
    /// successors seen after the history's ends.
    ///
    /// # Panics
    /// If `row` is not of the vocabulary's size.
    pub fn probabilities_into(&self, history: &[u32], row: &mut [f64]) {
        assert_eq!(row.len(), self.vocab_size, "one probability a token");
        row.fill(1.0 / self.vocab_size as f64);
        self.for_each_list(history, |list| {
            let total = list.sums.total();
            let left = list.discounts.left(list.sums) / total;
            row.iter_mut().for_each(|p| *p *= left);
            for (place, count) in list.range.clone().zip(list.counts) {
                let token = list.level.successors.get(place);
                if let Some(p) = token.and_then(|token| row.get_mut(token as usize)) {
                    *p += (f64::from(*count) - list.discounts.of(*count)) / total;
                }
            }
        });
    }

    /// The successors of each context that the history ends in, from the empty one to the longest
    /// that was seen.
    fn for_each_list(&self, history: &[u32], mut f: impl FnMut(&List<'a>)) {
        let mut before = history.iter().rev();
        let mut context = 0;
        for (depth, (level, discounts)) in self.levels.iter().enumerate() {
            if let Some((range, counts)) = level.successors_of(context) {
                let sums = match (depth, self.after_one.get(context)) {
                    (0, _) => self.root,
                    (1, Some(known)) => *known.get_or_init(|| Sums::of(counts)),
                    _ => Sums::of(counts),
                };
                let (level, discounts) = (*level, *discounts);
                #[rustfmt::skip]
                let list = List { level, range, counts, discounts, sums };
                if sums.total() > 0.0 {
                    f(&list);
                }
            }
            let (Some(token), Some((next, _))) = (before.next(), self.levels.get(depth + 1)) else {
                return;
            };
            match level.child(context, *token, next) {
                Some(child) => context = child,
                None => return,
            }
        }
    }
}
