//! What a token costs in arithmetic, and how much of it this machine could do.
//!
//! ```text
//! FLOPs a token = 6 (parameters of matrices) + 6 L T d
//! ```
//! A multiply-add is two operations; a matrix is used once on the way forward and twice on the way
//! back. A token looks at T/2 others on average, so a layer of width d takes 2 (T/2) d operations for
//! the scores and as many for the values, and twice as much on the way back. Tables that are looked
//! up cost nothing; a tree counts as the mean length of a path, by the counts of the tokens.
//!
//! Source: J. Kaplan et al., Scaling Laws for Neural Language Models, 2020, section 2.1.

use crate::attention_trainer::Optimizer;
use crate::attention_trainer::optimiser::Rule;
use crate::attention_trainer::parameters::Parameters;
use crate::cbow_trainer::HuffmanTree;
use crate::kernels::model::{Network, OutputRef};
use crate::kernels::peak::fma_chains;
use crate::parallel;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// How long the peak is measured.
const MEASURED: Duration = Duration::from_millis(20);
/// Steps of one repetition, some tens of microseconds.
const CHAIN_STEPS: usize = 10_000;

/// The cost of a token, and the limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Speed {
    /// Floating-point operations of training a token.
    pub(super) flops_per_token: f64,
    /// Floating-point operations a second of all cores that train, at best.
    peak: f64,
}

impl Speed {
    /// Measures for some 20 ms.
    pub(super) fn measure(parameters: &Parameters, counts: &[u64], threads: usize) -> Self {
        Self {
            flops_per_token: flops_per_token(parameters, counts),
            peak: peak(threads),
        }
    }

    /// The share of the peak that a rate of training comes to.
    pub(super) fn share_of_peak(&self, tokens_per_second: f64) -> f64 {
        self.flops_per_token * tokens_per_second / self.peak
    }
}

fn flops_per_token(parameters: &Parameters, counts: &[u64]) -> f64 {
    let network = parameters.network();
    let (layers, width) = match network {
        Network::Seed(model) => (1, model.dim()),
        Network::Llama(model) => (model.config().layers, model.config().query_width()),
    };
    // Those that Muon would update are the matrices of the blocks.
    let parts = parameters.parts(Optimizer::Muon).into_iter();
    let of_blocks = parts.filter(|part| matches!(part.rule, Rule::Muon(..)));
    let matrices: usize = of_blocks.map(|part| part.len).sum();
    let rows = match network.output() {
        OutputRef::Table(u) => u.rows() as f64,
        OutputRef::Tree { .. } => mean_path(parameters.tree.as_ref(), counts),
    };
    let output = rows * network.dim() as f64;
    let attention = (layers * network.context() * width) as f64;
    6.0 * (matrices as f64 + output + attention)
}

/// Decisions a token along the tree.
fn mean_path(tree: Option<&HuffmanTree>, counts: &[u64]) -> f64 {
    let Some(tree) = tree else { return 0.0 };
    let paths = (0..).zip(counts).map(|(token, count)| {
        let (path, _) = tree.view().path(token);
        path.len() as f64 * *count as f64
    });
    let tokens: u64 = counts.iter().sum();
    paths.sum::<f64>() / tokens.max(1) as f64
}

/// Operations a second of that many threads, at most one a core: the best repetition of each.
fn peak(threads: usize) -> f64 {
    let threads = threads.min(parallel::default_threads());
    let best = parallel::map(threads, vec![(); threads], |()| {
        let start = Instant::now();
        let mut best: f64 = 0.0;
        while start.elapsed() < MEASURED {
            let start = Instant::now();
            let (flops, _) = black_box(fma_chains(black_box(CHAIN_STEPS)));
            // A clock may stand still for a call; a rate must stay finite.
            best = best.max(flops as f64 / start.elapsed().as_secs_f64().max(1e-9));
        }
        best
    });
    best.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attention_trainer::tests::{VOCAB, llamas, parameters, seeds};

    #[test]
    fn operations_are_those_of_the_products_and_of_attention() {
        let llama = &llamas()[0];
        // Two layers of width 16: queries 16, keys and values 8 each, output 16, hidden 10.
        let layer = 16 * (16 + 8 + 8) + 16 * 16 + 3 * 16 * 10;
        let attention = 2 * llama.context * 16;
        let want = 6 * (2 * layer + VOCAB * 16 + attention);
        assert_eq!(flops_per_token(&parameters(llama), &[]), want as f64);
        let seed = &seeds()[0];
        let want = 6 * (VOCAB * seed.dim + seed.context * seed.dim);
        assert_eq!(flops_per_token(&parameters(seed), &[]), want as f64);
    }

    #[test]
    fn a_path_is_as_long_as_the_tokens_make_it() {
        let counts = [8, 4, 2, 2];
        let tree = HuffmanTree::from_counts(&counts).unwrap();
        let want = f64::from(8 + 4 * 2 + 2 * 3 + 2 * 3) / 16.0;
        assert_eq!(mean_path(Some(&tree), &counts), want);
    }

    #[test]
    fn the_peak_is_that_of_a_processor() {
        let peak = peak(1);
        assert!(peak > 1e8 && peak < 1e13, "{peak}");
    }
}
