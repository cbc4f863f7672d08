//! The definition, by hash maps over whole n-grams.

use std::collections::{HashMap, HashSet};

/// Counts of every order: of `h w`, by `h` and then by `w`.
pub(super) struct Naive {
    vocab_size: usize,
    orders: Vec<HashMap<Vec<u32>, HashMap<u32, u32>>>,
    discounts: Vec<[f64; 3]>,
}

impl Naive {
    pub(super) fn train(ids: &[u32], vocab_size: usize, order: usize) -> Self {
        let mut orders = vec![HashMap::<Vec<u32>, HashMap<u32, u32>>::new(); order];
        let mut seen = HashSet::new();
        for ngram in ids.windows(order) {
            add(&mut orders[order - 1], ngram);
            // An n-gram counts for the next shorter one when it is seen for the first time.
            for start in 1..order {
                if seen.insert(&ngram[start - 1..]) {
                    add(&mut orders[order - 1 - start], &ngram[start..]);
                }
            }
        }
        let discounts = orders.iter().map(estimate).collect();
        Self {
            vocab_size,
            orders,
            discounts,
        }
    }

    pub(super) fn probability(&self, history: &[u32], next: u32) -> f64 {
        let mut p = 1.0 / self.vocab_size as f64;
        for (length, contexts) in self.orders.iter().enumerate().take(history.len() + 1) {
            let Some(after) = contexts.get(&history[history.len() - length..]) else {
                break;
            };
            let discount = |n: u32| self.discounts[length][n.clamp(1, 3) as usize - 1];
            let total: f64 = after.values().map(|n| f64::from(*n)).sum();
            let left: f64 = after.values().map(|n| discount(*n)).sum();
            let kept = after
                .get(&next)
                .map_or(0.0, |n| f64::from(*n) - discount(*n));
            p = (kept + left * p) / total;
        }
        p
    }
}

fn add(contexts: &mut HashMap<Vec<u32>, HashMap<u32, u32>>, ngram: &[u32]) {
    let (next, context) = ngram.split_last().unwrap();
    let after = contexts.entry(context.to_vec()).or_default();
    *after.entry(*next).or_default() += 1;
}

fn estimate(contexts: &HashMap<Vec<u32>, HashMap<u32, u32>>) -> [f64; 3] {
    let counts: Vec<u32> = contexts
        .values()
        .flat_map(|after| after.values().copied())
        .collect();
    let n = [1, 2, 3, 4].map(|i| counts.iter().filter(|n| **n == i).count() as f64);
    let y = n[0] / (n[0] + 2.0 * n[1]);
    let estimates = [
        1.0 - 2.0 * y * n[1] / n[0],
        2.0 - 3.0 * y * n[2] / n[1],
        3.0 - 4.0 * y * n[3] / n[2],
    ];
    let halves = [0.5, 1.0, 1.5];
    let usable = |i: usize| estimates[i] > 0.0 && estimates[i] < 2.0 * halves[i];
    [0, 1, 2].map(|i| if usable(i) { estimates[i] } else { halves[i] })
}
