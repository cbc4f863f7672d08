//! A Huffman tree: built, walked, and all its leaves.

use crate::{Arena, Checksum, sum_of};
use barelm_kernels::huffman::{self, HuffmanRef, build_workspace_len, probabilities_workspace_len};
use barelm_kernels::mat::MatRef;

/// Tokens.
pub const V: usize = 50;

/// A tree over counts that fall like those of words.
pub fn tree<'a>(arena: &mut Arena<'a>) -> Option<HuffmanRef<'a>> {
    let (counts, workspace) = (arena.longs(V)?, arena.longs(build_workspace_len(V))?);
    for (i, count) in (1..).zip(counts.iter_mut()) {
        *count = 10_000 / i;
    }
    let len = huffman::nodes_len(counts, workspace).ok()?;
    let (offsets, nodes, codes) = (arena.words(V + 1)?, arena.words(len)?, arena.longs(V)?);
    huffman::build(counts, workspace, offsets, nodes, codes).ok()
}

pub fn build(arena: &mut Arena<'_>) -> Option<u64> {
    let tree = tree(arena)?;
    let mut sum = Checksum::new().words(tree.offsets()).words(tree.nodes());
    for code in tree.codes() {
        sum = sum.word(*code as u32).word((code >> 32) as u32);
    }
    sum.finish()
}

pub fn log_probability(arena: &mut Arena<'_>) -> Option<u64> {
    let (tree, x, thetas) = (tree(arena)?, arena.values(33)?, arena.values((V - 1) * 33)?);
    let thetas = MatRef::new(thetas, V - 1, 33).ok()?;
    let mut sum = Checksum::new();
    for token in 0..V as u32 {
        sum = sum.float(tree.log_probability(token, x, thetas).ok()?);
    }
    sum.finish()
}

pub fn probabilities(arena: &mut Arena<'_>) -> Option<u64> {
    let (tree, x, thetas) = (tree(arena)?, arena.values(33)?, arena.values((V - 1) * 33)?);
    let (workspace, out) = (
        arena.zeros(probabilities_workspace_len(V))?,
        arena.zeros(V)?,
    );
    let thetas = MatRef::new(thetas, V - 1, 33).ok()?;
    tree.probabilities_into(x, thetas, workspace, out).ok()?;
    sum_of(out)
}
