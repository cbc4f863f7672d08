//! Dot product, sigmoid table and Huffman walk: the probability of one token, and nothing else.
#![no_std]
#![no_main]

use barelm_kernels::blas1::dot;
use barelm_kernels::huffman::HuffmanRef;
use barelm_kernels::sigmoid::{SigmoidMethod, sigmoid};
use firmware::print_checksum;

/// A tree of four tokens and its parameters, in flash.
static OFFSETS: [u32; 5] = [0, 1, 3, 6, 9];
static NODES: [u32; 9] = [0, 0, 1, 0, 1, 2, 0, 1, 2];
static CODES: [u64; 4] = [1, 0b10, 0b000, 0b100];
static THETAS: [[f32; 20]; 3] = [[0.25; 20], [-0.125; 20], [0.5; 20]];
static HIDDEN: [f32; 20] = [0.1; 20];

firmware::entry!(main);

/// `p(token | x)`: the product of the decisions on its path.
fn probability(tree: &HuffmanRef<'_>, token: u32, x: &[f32]) -> Option<f32> {
    let (path, code) = tree.path(token);
    let mut product = 1.0;
    for (i, node) in path.iter().enumerate() {
        let score = dot(THETAS.get(*node as usize)?, x).ok()?;
        let one = sigmoid(SigmoidMethod::Table, score);
        product *= if code >> i & 1 == 1 { one } else { 1.0 - one };
    }
    Some(product)
}

fn main() -> bool {
    let tree = HuffmanRef::new_unchecked(&OFFSETS, &NODES, &CODES);
    (0..4).all(|token| {
        let p = probability(&tree, token, &HIDDEN);
        print_checksum("probability", p.map(|p| u64::from(p.to_bits())))
    })
}
