//! What a window learns to predict its target by: rows of an output table, and what each is to say.
//!
//! | | rows of the table | rows of a target | answer |
//! |---|---|---|---|
//! | hierarchical softmax | inner nodes of the Huffman tree | its path | a bit of its code |
//! | negative sampling | tokens | itself and some drawn ones | yes, and no |
//! | softmax | tokens | all | the likeliest is the target |

use super::{HuffmanTree, Loss};
use crate::kernels::rng::Rng;
use crate::kernels::simd::prefetch;
use crate::{Error, Result};
use std::f64::consts::LN_2;

/// Largest vocabulary for the full softmax, which computes a score a token for every window.
pub const MAX_SOFTMAX_VOCAB: usize = 1 << 15;

/// A way to learn, made for a vocabulary.
pub(super) enum Objective {
    Tree(HuffmanTree),
    Negatives { sampler: Sampler, count: usize },
    Softmax { all: Vec<u32> },
}

impl Objective {
    /// # Errors
    /// [`Error::Failed`] when the tree is too deep, [`Error::Usage`] for a softmax over too many.
    pub(super) fn new(counts: &[u64], loss: Loss) -> Result<Self> {
        match loss {
            Loss::HierarchicalSoftmax => Ok(Self::Tree(HuffmanTree::from_counts(counts)?)),
            Loss::NegativeSampling { negatives } => Ok(Self::Negatives {
                sampler: Sampler::new(counts),
                count: negatives,
            }),
            Loss::Softmax if counts.len() > MAX_SOFTMAX_VOCAB => Err(Error::Usage(format!(
                "the full softmax is for up to {MAX_SOFTMAX_VOCAB} tokens, not {}; use --loss hs or --max-vocab",
                counts.len()
            ))),
            Loss::Softmax => Ok(Self::Softmax {
                all: (0..counts.len() as u32).collect(),
            }),
        }
    }

    /// The tree of a hierarchical softmax.
    pub(super) fn tree(&self) -> Option<&HuffmanTree> {
        match self {
            Self::Tree(tree) => Some(tree),
            _ => None,
        }
    }

    /// Rows of the output table.
    pub(super) fn rows(&self, vocab_size: usize) -> usize {
        match self {
            Self::Tree(tree) => tree.view().inner_nodes(),
            _ => vocab_size,
        }
    }

    /// Mean loss of a window before anything is learned, in nats.
    pub(super) fn untrained_loss(&self, counts: &[u64]) -> f64 {
        match self {
            Self::Tree(tree) => tree.view().expected_code_len(counts).unwrap_or(0.0) * LN_2,
            Self::Negatives { count, .. } => (1 + count) as f64 * LN_2,
            Self::Softmax { all } => (all.len() as f64).ln(),
        }
    }

    /// Asks the memory for what [`Objective::decide`] will read: for the path of a target that comes
    /// soon, and for its place of one that comes later.
    #[inline]
    pub(super) fn prefetch(&self, soon: Option<u32>, later: Option<u32>) {
        let Self::Tree(tree) = self else { return };
        if let Some(token) = later {
            tree.offsets
                .get(token as usize)
                .into_iter()
                .for_each(prefetch);
            tree.codes
                .get(token as usize)
                .into_iter()
                .for_each(prefetch);
        }
        if let Some(token) = soon {
            let (path, _) = tree.view().path(token);
            path.first().into_iter().for_each(prefetch);
            path.last().into_iter().for_each(prefetch);
        }
    }

    /// The rows of a target and its code; `drawn` is scratch.
    #[inline]
    pub(super) fn decide<'a>(
        &'a self,
        target: u32,
        rng: &mut Rng,
        drawn: &'a mut Vec<u32>,
    ) -> (&'a [u32], Option<u64>) {
        match self {
            Self::Tree(tree) => {
                let (path, code) = tree.view().path(target);
                (path, Some(code))
            }
            Self::Negatives { sampler, count } => {
                drawn.clear();
                drawn.push(target);
                for _ in 0..*count {
                    // As in word2vec.c, the target itself is no negative, and none replaces it.
                    drawn.extend(Some(sampler.draw(rng)).filter(|row| *row != target));
                }
                (drawn, Some(1))
            }
            Self::Softmax { all } => (all, None),
        }
    }
}

/// Draws tokens with chances in proportion to `count^0.75`, in constant time.
///
/// Each token is a box of equal width that it fills in part; the rest of the box is another's. So
/// a draw is a box and a height (A. J. Walker, 1977; M. D. Vose, 1991).
pub(super) struct Sampler {
    /// The height up to which a box is its own token's, in units of 2^-32, and the other token.
    boxes: Vec<(u32, u32)>,
}

impl Sampler {
    fn new(counts: &[u64]) -> Self {
        let weights: Vec<f64> = counts.iter().map(|c| (*c as f64).powf(0.75)).collect();
        let mean = weights.iter().sum::<f64>() / counts.len().max(1) as f64;
        let mut heights: Vec<f64> = weights.iter().map(|weight| weight / mean).collect();
        let mut boxes: Vec<(u32, u32)> = (0..counts.len() as u32).map(|i| (u32::MAX, i)).collect();
        let (mut low, mut high): (Vec<_>, Vec<_>) =
            (0..counts.len()).partition(|i| heights[*i] < 1.0);
        while let (Some(small), Some(large)) = (low.pop(), high.last().copied()) {
            boxes[small] = ((heights[small] * 2f64.powi(32)) as u32, large as u32);
            heights[large] -= 1.0 - heights[small];
            if heights[large] < 1.0 {
                high.pop();
                low.push(large);
            }
        }
        Self { boxes }
    }

    #[inline]
    fn draw(&self, rng: &mut Rng) -> u32 {
        let i = rng.below(self.boxes.len() as u64) as u32;
        let (height, other) = self.boxes[i as usize];
        if rng.next_u32() < height { i } else { other }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_as_frequent_as_the_counts_say() {
        let counts = [1000, 0, 10, 300, 1, 77];
        let sampler = Sampler::new(&counts);
        let mut rng = Rng::new(3);
        let mut drawn = [0.0; 6];
        (0..1_000_000).for_each(|_| drawn[sampler.draw(&mut rng) as usize] += 1e-6);
        let weights = counts.map(|count| (count as f64).powf(0.75));
        let total: f64 = weights.iter().sum();
        for (share, weight) in drawn.iter().zip(weights) {
            assert!((share - weight / total).abs() < 2e-3, "{drawn:?}");
        }
        assert_eq!(drawn[1], 0.0, "what never appears is never drawn");
    }

    #[test]
    fn the_target_is_no_negative() {
        let loss = Loss::NegativeSampling { negatives: 5 };
        let objective = Objective::new(&[5, 3, 2], loss).unwrap();
        let (mut rng, mut drawn) = (Rng::new(1), Vec::new());
        let mut sizes = [0; 7];
        for _ in 0..1000 {
            let (rows, code) = objective.decide(1, &mut rng, &mut drawn);
            assert_eq!((rows[0], code), (1, Some(1)));
            assert!(rows[1..].iter().all(|row| *row != 1 && *row < 3));
            sizes[rows.len()] += 1;
        }
        assert!(sizes[6] > 50 && sizes[3] > 50, "{sizes:?}");
    }

    #[test]
    fn a_softmax_over_a_large_vocabulary_is_refused() {
        let counts = vec![1; MAX_SOFTMAX_VOCAB + 1];
        let refused = Objective::new(&counts, Loss::Softmax).err().unwrap();
        assert!(refused.to_string().contains("--loss hs"));
    }
}
