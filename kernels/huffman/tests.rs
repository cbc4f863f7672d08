//! Trees against the definition of Huffman codes, hostile tables, and walks against products.

use super::*;
use crate::mat::MatRef;
use crate::testing::{assert_close, values};
use std::{vec, vec::Vec};

/// A tree that owns its tables.
struct Tree {
    offsets: Vec<u32>,
    nodes: Vec<u32>,
    codes: Vec<u64>,
}

impl Tree {
    fn of(counts: &[u64]) -> Result<Self, HuffmanError> {
        let mut workspace = vec![0; build_workspace_len(counts.len())];
        let len = nodes_len(counts, &mut workspace)?;
        let mut tree = Self {
            offsets: vec![7; counts.len() + 1],
            nodes: vec![7; len],
            codes: vec![7; counts.len()],
        };
        build(
            counts,
            &mut workspace,
            &mut tree.offsets,
            &mut tree.nodes,
            &mut tree.codes,
        )?;
        Ok(tree)
    }

    fn check(&self) -> Result<HuffmanRef<'_>, HuffmanError> {
        let mut workspace = vec![0; check_workspace_len(self.codes.len())];
        HuffmanRef::new_checked(&self.offsets, &self.nodes, &self.codes, &mut workspace)
    }
}

fn zipf(vocab_size: usize) -> Vec<u64> {
    (0..vocab_size as u64)
        .map(|rank| 1_000_000 / (rank + 1))
        .collect()
}

/// Cost of an optimal code: repeatedly join the two lightest of a plain list.
fn optimal_bits(counts: &[u64]) -> u64 {
    let mut weights: Vec<u64> = counts.iter().map(|c| (*c).max(1)).collect();
    let mut bits = 0;
    while weights.len() > 1 {
        weights.sort_unstable_by(|a, b| b.cmp(a));
        let joined = weights.pop().unwrap() + weights.pop().unwrap();
        bits += joined;
        weights.push(joined);
    }
    bits
}

fn samples() -> Vec<Vec<u64>> {
    let mut shuffled = zipf(333);
    shuffled.reverse();
    shuffled.swap(3, 300);
    vec![
        vec![5],
        vec![0, 0],
        vec![1; 100],
        zipf(1000),
        shuffled,
        vec![0, 9, 0, 9, 0],
        vec![u64::MAX; 9],
    ]
}

#[test]
fn every_tree_passes_the_check_of_a_stranger() {
    for counts in samples() {
        let tree = Tree::of(&counts).unwrap();
        let checked = tree.check().unwrap();
        assert_eq!(checked.vocab_size(), counts.len());
        assert_eq!(checked.inner_nodes(), counts.len() - 1);
    }
}

#[test]
fn codes_are_optimal_and_within_a_bit_of_the_entropy() {
    for counts in samples().into_iter().filter(|c| !c.contains(&u64::MAX)) {
        let tree = Tree::of(&counts).unwrap();
        let lengths = tree.offsets.windows(2).map(|o| u64::from(o[1] - o[0]));
        let bits: u64 = lengths.zip(&counts).map(|(len, c)| len * (*c).max(1)).sum();
        assert_eq!(bits, optimal_bits(&counts));
    }
    let counts = zipf(1000);
    let total: u64 = counts.iter().sum();
    let p = counts.iter().map(|c| *c as f64 / total as f64);
    let entropy: f64 = p.map(|p| -p * libm::log2(p)).sum();
    let tree = Tree::of(&counts).unwrap();
    let mean = tree.check().unwrap().expected_code_len(&counts).unwrap();
    assert!(entropy <= mean && mean < entropy + 1.0, "{entropy} {mean}");
}

#[test]
fn inner_nodes_are_numbered_from_the_root_by_falling_count() {
    let counts = zipf(500);
    let tree = Tree::of(&counts).unwrap();
    let mut mass = vec![0; 499];
    for token in 0..500 {
        let (path, _) = tree.check().unwrap().path(token);
        assert_eq!(path[0], 0);
        assert!(
            path.windows(2).all(|pair| pair[0] < pair[1]),
            "parents come first"
        );
        path.iter()
            .for_each(|n| mass[*n as usize] += counts[token as usize]);
    }
    assert!(mass.windows(2).all(|pair| pair[0] >= pair[1]));
}

#[test]
fn no_token_and_one_token_are_trees() {
    let none = Tree::of(&[]).unwrap();
    assert_eq!(none.check().unwrap().vocab_size(), 0);
    let one = Tree::of(&[3]).unwrap();
    let one = one.check().unwrap();
    assert_eq!(one.path(0), (&[][..], 0));
    assert_eq!(
        one.log_probability(0, &[1.0], MatRef::new(&[], 0, 1).unwrap()),
        Ok(0.0)
    );
    let mut p = [0.0];
    one.probabilities_into(&[1.0], MatRef::new(&[], 0, 1).unwrap(), &mut [], &mut p)
        .unwrap();
    assert_eq!(p, [1.0]);
}

#[test]
fn codes_beyond_64_bits_are_an_error_value() {
    let mut fibonacci = vec![1u64, 1];
    while fibonacci.len() < 66 {
        fibonacci.push(fibonacci[fibonacci.len() - 1] + fibonacci[fibonacci.len() - 2]);
    }
    assert!(matches!(
        Tree::of(&fibonacci),
        Err(HuffmanError::CodeTooLong { .. })
    ));
    fibonacci.truncate(65);
    let tree = Tree::of(&fibonacci).unwrap();
    assert_eq!(tree.check().unwrap().path(0).0.len(), 64);
}

#[test]
fn buffers_that_are_too_small_say_what_they_need() {
    let counts = [4, 3, 2, 1];
    let mut workspace = [0; build_workspace_len(4)];
    let (mut offsets, mut nodes, mut codes) = ([0; 5], [0; 8], [0; 4]);
    let error = build(
        &counts,
        &mut workspace,
        &mut offsets,
        &mut nodes,
        &mut codes,
    )
    .err();
    assert_eq!(
        error,
        Some(HuffmanError::Buffer(BufferTooSmall { needed: 9 }))
    );
    let error = nodes_len(&counts, &mut workspace[1..]).err();
    assert_eq!(
        error,
        Some(HuffmanError::Buffer(BufferTooSmall { needed: 10 }))
    );
}

#[test]
fn every_changed_number_of_a_tree_is_refused() {
    let good = Tree::of(&[9, 7, 5, 3, 1]).unwrap();
    let copy = || Tree {
        offsets: good.offsets.clone(),
        nodes: good.nodes.clone(),
        codes: good.codes.clone(),
    };
    for value in [0, 1, 2, 3, 4, 5, 1 << 31, u32::MAX] {
        for i in 0..good.offsets.len() {
            let mut bad = copy();
            bad.offsets[i] = value;
            assert!(value == good.offsets[i] || bad.check().is_err());
        }
        for i in 0..good.nodes.len() {
            let mut bad = copy();
            bad.nodes[i] = value;
            assert!(value == good.nodes[i] || bad.check().is_err());
        }
    }
    for i in 0..good.codes.len() {
        for bit in 0..64 {
            let mut bad = copy();
            bad.codes[i] ^= 1 << bit;
            assert!(bad.check().is_err(), "token {i}, bit {bit}");
        }
    }
}

#[test]
fn a_cycle_through_the_root_is_refused() {
    // Three tokens, two inner nodes: node 1 leads back to the root.
    let (offsets, nodes, codes) = ([0, 3, 4, 6], [0, 1, 0, 0, 0, 1], [0b010, 0b1, 0b10]);
    assert!(HuffmanRef::new_checked(&offsets, &nodes, &codes, &mut [0; 4]).is_err());
}

#[test]
fn probabilities_sum_to_one_and_agree_with_the_paths() {
    for scale in [1.0, 30.0] {
        let (counts, dim) = (zipf(301), 33);
        let tree = Tree::of(&counts).unwrap();
        let tree = tree.check().unwrap();
        let thetas: Vec<f32> = values(300 * dim, 1).iter().map(|x| x * scale).collect();
        let thetas = MatRef::new(&thetas, 300, dim).unwrap();
        let x = values(dim, 2);
        let (mut p, mut workspace) = (vec![0.0; 301], vec![0.0; probabilities_workspace_len(301)]);
        tree.probabilities_into(&x, thetas, &mut workspace, &mut p)
            .unwrap();
        let sum: f64 = p.iter().map(|p| f64::from(*p)).sum();
        assert!((sum - 1.0).abs() < 1e-6, "{sum}");
        for (token, p) in p.iter().enumerate() {
            let log = tree.log_probability(token as u32, &x, thetas).unwrap();
            assert_close(*p, libm::expf(log), crate::testing::tolerance::LINEAR, 1.0);
            let exact = naive_log_probability(tree, token as u32, &x, thetas);
            assert!(
                (f64::from(log) - exact).abs() <= 1e-5 * exact.abs().max(1.0),
                "{log} {exact}"
            );
        }
    }
}

fn naive_log_probability(tree: HuffmanRef<'_>, token: u32, x: &[f32], thetas: MatRef<'_>) -> f64 {
    let (path, code) = tree.path(token);
    let mut log = 0.0;
    for (i, node) in path.iter().enumerate() {
        let products = thetas.row(*node as usize).iter().zip(x);
        let score: f64 = products.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
        let sign = if code >> i & 1 == 1 { -1.0 } else { 1.0 };
        log -= libm::log1p(libm::exp(sign * score));
    }
    log
}

#[test]
fn shapes_that_differ_are_errors_and_nan_passes_through() {
    let tree = Tree::of(&[1, 2, 3]).unwrap();
    let tree = tree.check().unwrap();
    let data = [f32::NAN; 4];
    let thetas = MatRef::new(&data, 2, 2).unwrap();
    assert_eq!(tree.log_probability(3, &[0.0; 2], thetas), Err(ShapeError));
    assert_eq!(tree.log_probability(0, &[0.0; 3], thetas), Err(ShapeError));
    assert!(tree.log_probability(0, &[0.0; 2], thetas).unwrap().is_nan());
    let mut p = [0.0; 3];
    tree.probabilities_into(&[0.0; 2], thetas, &mut [0.0; 4], &mut p)
        .unwrap();
    assert!(p.iter().all(|p| p.is_nan()));
    assert!(
        tree.probabilities_into(&[0.0; 2], thetas, &mut [0.0; 3], &mut p)
            .is_err()
    );
}

#[test]
fn tables_that_are_no_tree_give_no_panic() {
    let nodes = [0; 65];
    for offsets in [[0, 65, 65], [65, 0, 65], [0, 64, 70]] {
        let tree = HuffmanRef::new_unchecked(&offsets, &nodes, &[u64::MAX; 2]);
        assert!(tree.path(0).0.len() <= MAX_CODE_LEN);
        let (mut out, mut workspace) = ([f32::NAN; 2], [0.0; probabilities_workspace_len(2)]);
        let thetas = MatRef::new(&[0.0; 16], 1, 16).unwrap();
        let x = [1.0; 16];
        tree.probabilities_into(&x, thetas, &mut workspace, &mut out)
            .unwrap();
        assert!(out.iter().all(|p| (0.0..=1.0).contains(p)), "{offsets:?}");
        assert!(tree.expected_code_len(&[1, 1]).is_ok());
    }
}
