//! The scores of all pairs.

use super::super::batch::in_blocks;
use super::super::rows::{AHEAD, BatchLoop, Row, loaded, narrow_dot, prefetch, rows};
use super::super::{BatchRef, Slice};
use crate::simd::{LANES, Simd};

/// A slice of the scores of all pairs, and of each `|x|^2`.
pub(in crate::cbow) struct PairsForward<'a> {
    pub(in crate::cbow) slice: Slice<'a>,
    pub(in crate::cbow) batch: BatchRef<'a>,
    pub(in crate::cbow) partials: &'a mut [f32],
}

impl BatchLoop for PairsForward<'_> {
    #[inline(always)]
    fn width(&self) -> usize {
        self.slice.vectors.cols()
    }

    #[inline(always)]
    fn groups<S: Simd, const G: usize>(self, simd: S) {
        let (vectors, thetas) = (rows::<G>(self.slice.vectors), rows::<G>(self.slice.thetas));
        let scores_len = self.batch.scores_len().min(self.partials.len());
        let (scores, squares) = self.partials.split_at_mut(scores_len);
        let mut out = Out { scores, squares };
        let mut later = self.batch.windows();
        for window in later.by_ref().take(AHEAD) {
            prefetch(simd, (vectors, thetas), window);
        }
        for (context, nodes) in self.batch.windows() {
            let next = later.next().unwrap_or_default();
            prefetch(simd, (vectors, thetas), next);
            let (fours, twos, ones) = in_blocks(context);
            for words in fours {
                block::<S, G, 4, 1>(simd, vectors, words, (thetas, nodes), &mut out);
            }
            for words in twos {
                block::<S, G, 2, 2>(simd, vectors, words, (thetas, nodes), &mut out);
            }
            for words in ones {
                block::<S, G, 1, 4>(simd, vectors, words, (thetas, nodes), &mut out);
            }
        }
    }
}

/// What is still to be written.
struct Out<'a> {
    scores: &'a mut [f32],
    squares: &'a mut [f32],
}

/// A block of `W` words. `K = 4 / W` nodes at a time: four scores share their sums over the lanes.
#[inline(always)]
fn block<S: Simd, const G: usize, const W: usize, const K: usize>(
    simd: S,
    vectors: &[Row<G>],
    words: &[u32; W],
    (thetas, nodes): (&[Row<G>], &[u32]),
    out: &mut Out<'_>,
) {
    let scores = out.scores.split_off_mut(..W * nodes.len());
    let squares = out.squares.split_off_mut(..W);
    let (Some(scores), Some(squares)) = (scores, squares) else {
        return;
    };
    let mut rows = [&[[0.0; LANES]; G]; W];
    for (row, word) in rows.iter_mut().zip(words) {
        if let Some(x) = vectors.get(*word as usize) {
            *row = x;
        }
    }
    if const { S::REGISTERS < 4 } {
        return narrow_block(simd, rows, (thetas, nodes), scores, squares);
    }
    let (mut xs, mut sums) = ([[simd.splat(0.0); G]; W], [simd.splat(0.0); 4]);
    for ((x, row), sum) in xs.iter_mut().zip(rows).zip(&mut sums) {
        *x = loaded(simd, row);
        for x in x {
            *sum = simd.mul_add(*x, *x, *sum);
        }
    }
    write_first::<W>(simd.reduce_sum_of_four(sums), squares);
    let (tiles, last) = nodes.as_chunks::<K>();
    let (scores, last_scores) = scores.as_chunks_mut::<4>();
    for (nodes, out) in tiles.iter().zip(scores) {
        *out = tile(simd, &xs, thetas, nodes);
    }
    let last = last.as_chunks::<1>().0.iter();
    for (node, out) in last.zip(last_scores.chunks_mut(W)) {
        write_first::<W>(tile(simd, &xs, thetas, node), out);
    }
}

#[inline(always)]
fn write_first<const W: usize>(four: [f32; 4], out: &mut [f32]) {
    if let (Some(first), Some(out)) = (four.first_chunk::<W>(), out.first_chunk_mut()) {
        *out = *first;
    }
}

/// Up to four scores: those of some nodes, for all words of a block.
#[inline(always)]
fn tile<S: Simd, const G: usize, const W: usize, const K: usize>(
    simd: S,
    xs: &[[S::V; G]; W],
    thetas: &[Row<G>],
    nodes: &[u32; K],
) -> [f32; 4] {
    let mut sums = [simd.splat(0.0); 4];
    for (sums, node) in sums.as_chunks_mut::<W>().0.iter_mut().zip(nodes) {
        if let Some(theta) = thetas.get(*node as usize) {
            for (g, theta) in theta.iter().enumerate() {
                let theta = simd.load(theta);
                for (sum, x) in sums.iter_mut().zip(xs) {
                    *sum = simd.mul_add(theta, x[g], *sum);
                }
            }
        }
    }
    simd.reduce_sum_of_four(sums)
}

/// [`block`] where registers do not hold the sums.
#[inline(always)]
fn narrow_block<S: Simd, const G: usize, const W: usize>(
    simd: S,
    xs: [&Row<G>; W],
    (thetas, nodes): (&[Row<G>], &[u32]),
    scores: &mut [f32],
    squares: &mut [f32],
) {
    for (x, square) in xs.iter().zip(squares) {
        *square = narrow_dot::<S, G, 1>(simd, x, x);
    }
    for (node, scores) in nodes.iter().zip(scores.as_chunks_mut::<W>().0) {
        if let Some(theta) = thetas.get(*node as usize) {
            for (x, score) in xs.iter().zip(scores) {
                *score = narrow_dot::<S, G, 1>(simd, theta, x);
            }
        }
    }
}
