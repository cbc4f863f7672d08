//! The scores of all pairs.

use super::super::rows::{
    AHEAD, BatchLoop, Row, dot, loaded, narrow_dot, narrow_scores, prefetch, rows,
};
use super::super::{BatchRef, Slice};
use crate::simd::Simd;

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
        let (mut scores, squares) = self.partials.split_at_mut(scores_len);
        let mut squares = squares.iter_mut();
        let mut later = self.batch.windows().skip(AHEAD);
        for (context, nodes) in self.batch.windows() {
            let (next_context, next_nodes) = later.next().unwrap_or_default();
            prefetch(
                simd,
                vectors,
                next_context.last_chunk::<1>().map_or(&[], |last| last),
            );
            prefetch(simd, thetas, next_nodes);
            for words in context.chunks(2) {
                let (own, rest) = scores
                    .split_at_mut_checked(words.len() * nodes.len())
                    .unwrap_or_default();
                scores = rest;
                match words {
                    [first, second] => {
                        let xs = [*first, *second].map(|word| vectors.get(word as usize));
                        if let [Some(first), Some(second)] = xs {
                            two_words(simd, [first, second], thetas, nodes, own);
                        }
                    }
                    _ => {
                        let x = words.first().and_then(|word| vectors.get(*word as usize));
                        if let Some(x) = x {
                            one_word(simd, x, thetas, nodes, own);
                        }
                    }
                }
            }
            for (word, square) in context.iter().zip(&mut squares) {
                if let Some(x) = vectors.get(*word as usize) {
                    *square = if const { S::REGISTERS < 4 } {
                        narrow_dot(simd, x, x)
                    } else {
                        dot(simd, x, &loaded(simd, x))
                    };
                }
            }
        }
    }
}

/// Scores of two words, one behind the other; four nodes at a time where registers hold eight sums,
/// the last four maybe partly those before, else two.
#[inline(always)]
fn two_words<S: Simd, const G: usize>(
    simd: S,
    words: [&Row<G>; 2],
    thetas: &[Row<G>],
    nodes: &[u32],
    scores: &mut [f32],
) {
    let (of_first, of_second) = scores.split_at_mut_checked(nodes.len()).unwrap_or_default();
    let [first, second] = words;
    if const { S::REGISTERS < 4 } {
        one_word(simd, first, thetas, nodes, of_first);
        return one_word(simd, second, thetas, nodes, of_second);
    }
    if const { S::REGISTERS >= 16 }
        && let Some(last) = nodes.len().checked_sub(4)
    {
        for at in (0..nodes.len()).step_by(4) {
            let at = at.min(last);
            if let (Some(four), Some(of_first), Some(of_second)) = (
                chunk(nodes, at),
                chunk_mut(of_first, at),
                chunk_mut(of_second, at),
            ) && let Some([first, second]) = products::<S, G, 4>(simd, words, thetas, four)
            {
                *of_first = simd.reduce_sum_of_four(first);
                *of_second = simd.reduce_sum_of_four(second);
            }
        }
        return;
    }
    let (two_nodes, last) = nodes.as_chunks::<2>();
    let (first_scores, first_last) = of_first.as_chunks_mut::<2>();
    let (second_scores, second_last) = of_second.as_chunks_mut::<2>();
    for ((nodes, of_first), of_second) in two_nodes.iter().zip(first_scores).zip(second_scores) {
        if let Some([[a, b], [c, d]]) = products::<S, G, 2>(simd, words, thetas, nodes) {
            let [a, b, c, d] = simd.reduce_sum_of_four([a, b, c, d]);
            (*of_first, *of_second) = ([a, b], [c, d]);
        }
    }
    one_word(simd, first, thetas, last, first_last);
    one_word(simd, second, thetas, last, second_last);
}

/// The lanes of the products of two words with some nodes, for each word.
#[inline(always)]
fn products<S: Simd, const G: usize, const N: usize>(
    simd: S,
    [first, second]: [&Row<G>; 2],
    thetas: &[Row<G>],
    nodes: &[u32; N],
) -> Option<[[S::V; N]; 2]> {
    let mut rows = [first; N];
    for (row, node) in rows.iter_mut().zip(nodes) {
        *row = thetas.get(*node as usize)?;
    }
    let mut sums = [[simd.splat(0.0); N]; 2];
    for (g, (first, second)) in first.iter().zip(second).enumerate() {
        let (first, second) = (simd.load(first), simd.load(second));
        let [of_first, of_second] = &mut sums;
        for ((row, a), b) in rows.iter().zip(of_first).zip(of_second) {
            if let Some(theta) = row.get(g) {
                let theta = simd.load(theta);
                *a = simd.mul_add(theta, first, *a);
                *b = simd.mul_add(theta, second, *b);
            }
        }
    }
    Some(sums)
}

#[inline(always)]
fn chunk<const N: usize>(list: &[u32], at: usize) -> Option<&[u32; N]> {
    list.get(at..)?.first_chunk()
}

#[inline(always)]
fn chunk_mut<const N: usize>(list: &mut [f32], at: usize) -> Option<&mut [f32; N]> {
    list.get_mut(at..)?.first_chunk_mut()
}

/// Scores of a word.
#[inline(always)]
fn one_word<S: Simd, const G: usize>(
    simd: S,
    x: &Row<G>,
    thetas: &[Row<G>],
    nodes: &[u32],
    scores: &mut [f32],
) {
    if const { S::REGISTERS < 4 } {
        return narrow_scores(simd, x, thetas, nodes, scores);
    }
    let x = loaded(simd, x);
    for (node, score) in nodes.iter().zip(scores) {
        if let Some(theta) = thetas.get(*node as usize) {
            *score = dot(simd, theta, &x);
        }
    }
}
