//! From a stream of ids to batches of windows: sentences, subsampling, window sizes.
//!
//! All random numbers come from one generator in the order of the text, so that every thread can
//! run through the same windows by itself.

use super::CbowOptions;
use crate::kernels::cbow::BatchRef;
use crate::kernels::huffman::HuffmanRef;
use crate::kernels::rng::Rng;
use crate::token_stream::Ids;

/// Windows whose scores are computed together. Threads meet once a batch, so short batches cost
/// time; from 128 on the vectors of the context are so stale that quality falls.
pub(super) const BATCH: usize = 64;

/// A line longer than this is cut; word2vec.c's `MAX_SENTENCE_LENGTH`.
const MAX_SENTENCE: usize = 1000;

/// Windows of a batch, as flat tables.
#[derive(Default)]
pub(super) struct Batch {
    context_offsets: Vec<u32>,
    contexts: Vec<u32>,
    node_offsets: Vec<u32>,
    nodes: Vec<u32>,
    signs: Vec<f32>,
}

impl Batch {
    fn clear(&mut self) {
        for offsets in [&mut self.context_offsets, &mut self.node_offsets] {
            offsets.clear();
            offsets.push(0);
        }
        self.contexts.clear();
        self.nodes.clear();
        self.signs.clear();
    }

    fn push(&mut self, before: &[u32], after: &[u32], (path, code): (&[u32], u64)) {
        self.contexts.extend_from_slice(before);
        self.contexts.extend_from_slice(after);
        self.context_offsets.push(self.contexts.len() as u32);
        self.nodes.extend_from_slice(path);
        self.node_offsets.push(self.nodes.len() as u32);
        let sign = |i| if code >> i & 1 == 1 { 1.0 } else { -1.0 };
        self.signs.extend((0..path.len()).map(sign));
    }

    pub(super) fn len(&self) -> usize {
        self.context_offsets.len().saturating_sub(1)
    }

    /// 1 where a path's bit is 1, else -1.
    pub(super) fn signs(&self) -> &[f32] {
        &self.signs
    }

    pub(super) fn view(&self) -> BatchRef<'_> {
        let (contexts, nodes) = (&self.contexts, &self.nodes);
        BatchRef::new(&self.context_offsets, contexts, &self.node_offsets, nodes)
            .expect("`push` keeps offsets and tables together")
    }
}

/// For each token, the chance of staying in the text, in units of 2^-32.
///
/// `(sqrt(f / sample) + 1) * sample / f` for a token that is the share `f` of the text, as
/// word2vec.c computes it.
pub(super) fn keep_chances(counts: &[u64], sample: f64) -> Vec<u64> {
    let total: f64 = counts.iter().map(|count| *count as f64).sum();
    let chance = |count: &u64| {
        let relative = *count as f64 / total / sample;
        let keep = (relative.sqrt() + 1.0) / relative;
        // NaN (no count, no threshold) and everything above 1 keep the token.
        if keep < 1.0 {
            (keep * 2f64.powi(32)) as u64
        } else {
            1 << 32
        }
    };
    counts.iter().map(chance).collect()
}

/// The windows of one pass over the text.
#[derive(Clone)]
pub(super) struct Windows<'a> {
    ids: Ids<'a>,
    position: usize,
    tree: HuffmanRef<'a>,
    keep: &'a [u64],
    window: usize,
    random_window: bool,
    rng: Rng,
    sentence: Vec<u32>,
    target: usize,
    read: u64,
}

impl<'a> Windows<'a> {
    /// `epoch` chooses the random numbers.
    pub(super) fn new(
        ids: Ids<'a>,
        tree: HuffmanRef<'a>,
        keep: &'a [u64],
        options: &CbowOptions,
        epoch: usize,
    ) -> Self {
        Self {
            ids,
            position: 0,
            tree,
            keep,
            window: options.window,
            random_window: options.random_window,
            rng: Rng::with_stream(options.seed, 1 + epoch as u64),
            sentence: Vec::with_capacity(MAX_SENTENCE),
            target: 0,
            read: 0,
        }
    }

    /// Tokens read so far, those that subsampling left out included.
    pub(super) fn tokens_read(&self) -> u64 {
        self.read
    }

    /// Replaces the batch by the next [`BATCH`] windows; the last has fewer, then there are none.
    pub(super) fn next_batch(&mut self, batch: &mut Batch) {
        batch.clear();
        while batch.len() < BATCH {
            if self.target == self.sentence.len() && !self.next_sentence() {
                break;
            }
            let size = match self.random_window {
                true => 1 + self.rng.below(self.window as u64) as usize,
                false => self.window,
            };
            let (before, from_target) = self.sentence.split_at(self.target);
            let [target, after @ ..] = from_target else {
                break;
            };
            let before = &before[before.len().saturating_sub(size)..];
            let after = &after[..after.len().min(size)];
            if !(before.is_empty() && after.is_empty()) {
                batch.push(before, after, self.tree.path(*target));
            }
            self.target += 1;
        }
    }

    /// Reads on to the end of the line, or until the sentence is full; false at the end.
    fn next_sentence(&mut self) -> bool {
        self.target = 0;
        self.sentence.clear();
        loop {
            let Some(id) = self.ids.get(self.position) else {
                return !self.sentence.is_empty();
            };
            self.position += 1;
            match self.keep.get(id as usize) {
                Some(keep) => {
                    self.read += 1;
                    if u64::from(self.rng.next_u32()) < *keep {
                        self.sentence.push(id);
                    }
                }
                None if self.sentence.is_empty() => continue,
                None => return true,
            }
            if self.sentence.len() == MAX_SENTENCE {
                return true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::HuffmanTree;
    use super::*;

    fn windows(ids: &[u32], options: &CbowOptions, keep: &[u64]) -> Vec<(Vec<u32>, usize)> {
        let tree = HuffmanTree::from_counts(&vec![1; keep.len()]).unwrap();
        let mut windows = Windows::new(Ids::U32(ids), tree.view(), keep, options, 0);
        let (mut batch, mut all) = (Batch::default(), Vec::new());
        loop {
            windows.next_batch(&mut batch);
            for b in 0..batch.len() {
                let (context, nodes) = batch.view().window(b);
                all.push((context.to_vec(), nodes.len()));
            }
            if batch.len() == 0 {
                break all;
            }
        }
    }

    #[test]
    fn windows_hold_the_words_around_and_stop_at_line_ends() {
        let options = CbowOptions {
            window: 2,
            random_window: false,
            ..Default::default()
        };
        let got = windows(&[0, 1, 2, 3, 9, 9, 1, 9, 2, 0], &options, &[1 << 32; 4]);
        let contexts: Vec<_> = got.into_iter().map(|(context, _)| context).collect();
        let want: [&[u32]; 6] = [&[1, 2], &[0, 2, 3], &[0, 1, 3], &[1, 2], &[0], &[2]];
        assert_eq!(contexts, want, "a word alone in its line has no context");
    }

    #[test]
    fn random_windows_have_every_size() {
        let ids = vec![0; 5000];
        let mut sizes = [0; 11];
        for (context, _) in windows(&ids, &CbowOptions::default(), &[1 << 32; 2]) {
            sizes[context.len()] += 1;
        }
        for size in [2, 4, 6, 8, 10] {
            assert!((900..1100).contains(&sizes[size]), "{sizes:?}");
        }
    }

    #[test]
    fn subsampling_keeps_as_many_as_it_promises() {
        let counts = [900_000, 1000, 10];
        let keep = keep_chances(&counts, 1e-3);
        assert_eq!(keep[2], 1 << 32, "rare words stay");
        let f: f64 = 900_000.0 / 901_010.0 / 1e-3;
        let want = (f.sqrt() + 1.0) / f;
        assert!((keep[0] as f64 / 2f64.powi(32) - want).abs() < 1e-6);
        let got = windows(&vec![0; 100_000], &CbowOptions::default(), &keep).len() as f64;
        assert!((got / 100_000.0 - want).abs() < 0.002, "{got}");
        assert_eq!(keep_chances(&[5, 0], 0.0), [1 << 32; 2]);
    }
}
