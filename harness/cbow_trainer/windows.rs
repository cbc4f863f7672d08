//! From a stream of ids to batches of windows: sentences, subsampling, window sizes.
//!
//! All random numbers come from one generator in the order of the text.

use super::batch::{Batch, Window};
use super::objective::Objective;
use super::{Architecture, CbowOptions};
use crate::kernels::rng::Rng;
use crate::token_stream::Ids;
use serde::{Deserialize, Serialize};

/// Windows, or pairs of skip-gram, whose scores are computed together. Threads meet once a batch, so short
/// batches cost time; from 128 on vectors are so stale that the loss rises.
pub(super) const BATCH: usize = 64;

/// How many targets ahead their paths are asked for.
const AHEAD: usize = 8;

/// A line longer than this is cut; word2vec.c's `MAX_SENTENCE_LENGTH`.
const MAX_SENTENCE: usize = 1000;

/// For each token, the chance of staying in the text, as the highest of 2^32 numbers that keeps it.
///
/// `(sqrt(f / sample) + 1) * sample / f` for a token that is the share `f` of the text, as
/// word2vec.c computes it.
pub(super) fn keep_chances(counts: &[u64], sample: f64) -> Vec<u32> {
    let total: f64 = counts.iter().map(|count| *count as f64).sum();
    let chance = |count: &u64| {
        let relative = *count as f64 / total / sample;
        let keep = (relative.sqrt() + 1.0) / relative;
        // NaN (no count, no threshold) and everything above 1 keep the token.
        if keep < 1.0 {
            (keep * 2f64.powi(32) - 1.0) as u32
        } else {
            u32::MAX
        }
    };
    counts.iter().map(chance).collect()
}

/// The windows of one pass over the text.
#[derive(Clone)]
pub(super) struct Windows<'a> {
    ids: Ids<'a>,
    objective: &'a Objective,
    keep: &'a [u32],
    architecture: Architecture,
    window: usize,
    random_window: bool,
    place: Place,
    drawn: Vec<u32>,
    kept: [u32; MAX_SENTENCE],
}

/// How far a pass is: all that the windows to come depend on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Place {
    position: usize,
    rng: [u64; 2],
    sentence: Vec<u32>,
    target: usize,
    read: u64,
}

impl Place {
    /// The start of a pass; `stream` chooses its random numbers.
    pub(super) fn start(seed: u64, stream: u64) -> Self {
        Self {
            position: 0,
            rng: Rng::with_stream(seed, stream).state(),
            sentence: Vec::with_capacity(MAX_SENTENCE),
            target: 0,
            read: 0,
        }
    }
}

impl<'a> Windows<'a> {
    /// The windows from a place on.
    pub(super) fn new(
        ids: Ids<'a>,
        objective: &'a Objective,
        keep: &'a [u32],
        options: &CbowOptions,
        place: Place,
    ) -> Self {
        Self {
            ids,
            objective,
            keep,
            architecture: options.architecture,
            window: options.window,
            random_window: options.random_window,
            place,
            drawn: Vec::new(),
            kept: [0; MAX_SENTENCE],
        }
    }

    /// Where the next window comes from.
    pub(super) fn into_place(self) -> Place {
        self.place
    }

    /// Replaces the batch by the next [`BATCH`] windows or pairs, or a few more; the last has fewer, then
    /// there are none.
    pub(super) fn next_batch(&mut self, batch: &mut Batch) {
        batch.clear();
        let mut rng = Rng::from_state(self.place.rng);
        while batch.len() < BATCH {
            if self.place.target == self.place.sentence.len() && !self.next_sentence(&mut rng) {
                break;
            }
            let size = match self.random_window {
                true => 1 + rng.below(self.window as u64) as usize,
                false => self.window,
            };
            let ahead = |by| self.place.sentence.get(self.place.target + by);
            let (soon, later) = (ahead(AHEAD), ahead(2 * AHEAD));
            self.objective.prefetch(soon.copied(), later.copied());
            self.push_window(size, &mut rng, batch);
            self.place.target += 1;
        }
        self.place.rng = rng.state();
        batch.set_tokens_read(self.place.read);
    }

    /// Appends the window around the target.
    #[inline]
    fn push_window(&mut self, size: usize, rng: &mut Rng, batch: &mut Batch) {
        let (text, at) = (&self.place.sentence[..], self.place.target);
        if text.len() > 1 {
            let decide = self.objective.decide(text[at], rng, &mut self.drawn);
            let window = Window { text, at, size };
            match self.architecture {
                Architecture::Cbow => batch.push(window, decide),
                Architecture::SkipGram => batch.push_pairs(window, decide),
            }
        }
    }

    /// Reads on to the end of the line, or until the sentence is full; false at the end.
    fn next_sentence(&mut self, rng: &mut Rng) -> bool {
        let place = &mut self.place;
        let mut len = 0;
        while let Some(id) = self.ids.get(place.position) {
            place.position += 1;
            match self.keep.get(id as usize) {
                Some(keep) => {
                    place.read += 1;
                    // Not by a branch, for none is harder to foresee.
                    self.kept[len] = id;
                    len += usize::from(rng.next_u32() <= *keep);
                }
                None if len == 0 => continue,
                None => break,
            }
            if len == MAX_SENTENCE {
                break;
            }
        }
        place.target = 0;
        place.sentence.clear();
        place.sentence.extend_from_slice(&self.kept[..len]);
        len > 0
    }
}

#[cfg(test)]
mod tests {
    use super::super::Loss;
    use super::*;

    /// Context and target of every window.
    fn windows(ids: &[u32], options: &CbowOptions, keep: &[u32]) -> Vec<(Vec<u32>, u32)> {
        let objective = Objective::new(&vec![1; keep.len()], Loss::default()).unwrap();
        let ids = Ids::U32(ids);
        let mut windows = Windows::new(ids, &objective, keep, options, Place::start(1, 1));
        let (mut batch, mut all) = (Batch::default(), Vec::new());
        loop {
            windows.next_batch(&mut batch);
            let mut targets = batch.targets().iter();
            for b in 0..batch.view().len() {
                let (context, _) = batch.view().window(b);
                match options.architecture {
                    Architecture::Cbow => all.push((context.to_vec(), *targets.next().unwrap())),
                    Architecture::SkipGram => {
                        let pairs = context.iter().zip(&mut targets);
                        all.extend(pairs.map(|(word, target)| (vec![*word], *target)));
                    }
                }
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
        let got = windows(&[0, 1, 2, 3, 9, 9, 1, 9, 2, 0], &options, &[u32::MAX; 4]);
        let contexts: Vec<_> = got.into_iter().map(|(context, _)| context).collect();
        let want: [&[u32]; 6] = [&[1, 2], &[0, 2, 3], &[0, 1, 3], &[1, 2], &[0], &[2]];
        assert_eq!(contexts, want, "a word alone in its line has no context");
    }

    #[test]
    fn skip_gram_pairs_every_word_of_the_context_with_the_target() {
        let options = CbowOptions {
            window: 1,
            random_window: false,
            architecture: Architecture::SkipGram,
            ..Default::default()
        };
        let got = windows(&[0, 1, 2, 9, 3], &options, &[u32::MAX; 4]);
        let pairs: Vec<_> = got.iter().map(|(c, target)| (&c[..], *target)).collect();
        assert_eq!(pairs, [(&[1][..], 0), (&[0], 1), (&[2], 1), (&[1], 2)]);
    }

    #[test]
    fn a_pass_goes_on_from_its_place() {
        let ids: Vec<u32> = (0..5000).map(|i| i * 7 % 13).collect();
        let options = CbowOptions::default();
        let objective = Objective::new(&[1; 12], Loss::NegativeSampling { negatives: 3 }).unwrap();
        let keep = [3 << 30; 12];
        let from = |place| Windows::new(Ids::U32(&ids), &objective, &keep, &options, place);
        let mut whole = from(Place::start(7, 1));
        let (mut want, mut got) = (Batch::default(), Batch::default());
        loop {
            let place = serde_json::to_string(&whole.clone().into_place()).unwrap();
            whole.next_batch(&mut want);
            from(serde_json::from_str(&place).unwrap()).next_batch(&mut got);
            assert_eq!(format!("{:?}", want.view()), format!("{:?}", got.view()));
            if want.len() == 0 {
                break;
            }
        }
    }

    #[test]
    fn random_windows_have_every_size() {
        let ids = vec![0; 5000];
        let mut sizes = [0; 11];
        for (context, _) in windows(&ids, &CbowOptions::default(), &[u32::MAX; 2]) {
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
        assert_eq!(keep[2], u32::MAX, "rare words stay");
        let f: f64 = 900_000.0 / 901_010.0 / 1e-3;
        let want = (f.sqrt() + 1.0) / f;
        assert!((keep[0] as f64 / 2f64.powi(32) - want).abs() < 1e-6);
        let got = windows(&vec![0; 100_000], &CbowOptions::default(), &keep).len() as f64;
        assert!((got / 100_000.0 - want).abs() < 0.002, "{got}");
        assert_eq!(keep_chances(&[5, 0], 0.0), [u32::MAX; 2]);
    }
}
