//! Skip-gram: every word of a context by itself against the nodes of its window.
//!
//! The words of a window visit the same nodes, so a window is a product of two small matrices: the
//! scores are its words' vectors times its thetas. Two words meet two nodes at a time; then each
//! theta gets its steps of all words while it is in registers, and each word those of all nodes. All
//! of a window see the thetas as they were before it.

use super::rows::{
    AHEAD, BatchLoop, Row, dot, loaded, narrow_dot, narrow_scores, prefetch, rows, rows_mut,
};
use super::{BatchRef, Slice, SliceMut};
use crate::simd::Simd;

/// A slice of the scores of all pairs, and of each `|x|^2`.
pub(super) struct PairsForward<'a> {
    pub(super) slice: Slice<'a>,
    pub(super) batch: BatchRef<'a>,
    pub(super) partials: &'a mut [f32],
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

/// Scores of two words, one behind the other, two nodes at a time.
#[inline(always)]
fn two_words<S: Simd, const G: usize>(
    simd: S,
    [first, second]: [&Row<G>; 2],
    thetas: &[Row<G>],
    nodes: &[u32],
    scores: &mut [f32],
) {
    let (of_first, of_second) = scores.split_at_mut_checked(nodes.len()).unwrap_or_default();
    if const { S::REGISTERS < 4 } {
        one_word(simd, first, thetas, nodes, of_first);
        return one_word(simd, second, thetas, nodes, of_second);
    }
    let (two_nodes, last) = nodes.as_chunks::<2>();
    let (first_scores, first_last) = of_first.as_chunks_mut::<2>();
    let (second_scores, second_last) = of_second.as_chunks_mut::<2>();
    for ((nodes, of_first), of_second) in two_nodes.iter().zip(first_scores).zip(second_scores) {
        let [one, other] = nodes;
        if let (Some(one), Some(other)) = (thetas.get(*one as usize), thetas.get(*other as usize)) {
            let mut sums = [simd.splat(0.0); 4];
            for (((one, other), first), second) in one.iter().zip(other).zip(first).zip(second) {
                let (one, other) = (simd.load(one), simd.load(other));
                let (first, second) = (simd.load(first), simd.load(second));
                let [a, b, c, d] = &mut sums;
                *a = simd.mul_add(one, first, *a);
                *b = simd.mul_add(other, first, *b);
                *c = simd.mul_add(one, second, *c);
                *d = simd.mul_add(other, second, *d);
            }
            let [a, b, c, d] = simd.reduce_sum_of_four(sums);
            (*of_first, *of_second) = ([a, b], [c, d]);
        }
    }
    one_word(simd, first, thetas, last, first_last);
    one_word(simd, second, thetas, last, second_last);
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

/// The steps of all pairs on one slice, window after window.
pub(super) struct PairsUpdate<'a> {
    pub(super) slice: SliceMut<'a>,
    pub(super) batch: BatchRef<'a>,
    pub(super) steps: &'a [f32],
    /// Room for the gradients of the words of a window.
    pub(super) gradients: &'a mut [f32],
}

impl BatchLoop for PairsUpdate<'_> {
    #[inline(always)]
    fn width(&self) -> usize {
        self.slice.vectors.cols()
    }

    #[inline(always)]
    fn groups<S: Simd, const G: usize>(self, simd: S) {
        let SliceMut {
            mut vectors,
            mut thetas,
        } = self.slice;
        let (vectors, thetas) = (rows_mut(vectors.data_mut()), rows_mut(thetas.data_mut()));
        let gradients = rows_mut::<G>(self.gradients);
        let mut steps = self.steps;
        for (context, nodes) in self.batch.windows() {
            let (own, rest) = steps
                .split_at_checked(context.len() * nodes.len())
                .unwrap_or_default();
            steps = rest;
            let of_words = own.chunks(nodes.len().max(1));
            for (e, steps) in gradients.iter_mut().zip(of_words) {
                gradient(simd, thetas, nodes, steps, e);
            }
            for (n, node) in nodes.iter().enumerate() {
                if let Some(theta) = thetas.get_mut(*node as usize) {
                    let of_node = own.get(n..).unwrap_or(&[]).iter().step_by(nodes.len());
                    step_of_node(simd, vectors, context, of_node, theta);
                }
            }
            for (word, e) in context.iter().zip(&*gradients) {
                if let Some(row) = vectors.get_mut(*word as usize) {
                    for (row, e) in row.iter_mut().zip(e) {
                        simd.store(simd.add(simd.load(row), simd.load(e)), row);
                    }
                }
            }
        }
    }
}

/// `e`: the steps of all nodes for a word.
#[cfg_attr(target_pointer_width = "32", inline(never))]
#[cfg_attr(not(target_pointer_width = "32"), inline(always))]
fn gradient<S: Simd, const G: usize>(
    simd: S,
    thetas: &[Row<G>],
    nodes: &[u32],
    steps: &[f32],
    out: &mut Row<G>,
) {
    let mut e = [simd.splat(0.0); G];
    for (node, step) in nodes.iter().zip(steps) {
        let step = simd.splat(*step);
        if let Some(theta) = thetas.get(*node as usize) {
            for (e, theta) in e.iter_mut().zip(theta) {
                *e = simd.mul_add(step, simd.load(theta), *e);
            }
        }
    }
    for (e, out) in e.iter().zip(out) {
        simd.store(*e, out);
    }
}

/// Steps of a theta for all words of a window.
#[cfg_attr(target_pointer_width = "32", inline(never))]
#[cfg_attr(not(target_pointer_width = "32"), inline(always))]
fn step_of_node<'s, S: Simd, const G: usize>(
    simd: S,
    vectors: &[Row<G>],
    context: &[u32],
    steps: impl Iterator<Item = &'s f32>,
    row: &mut Row<G>,
) {
    let mut theta = loaded(simd, row);
    for (word, step) in context.iter().zip(steps) {
        let step = simd.splat(*step);
        if let Some(x) = vectors.get(*word as usize) {
            for (theta, x) in theta.iter_mut().zip(x) {
                *theta = simd.mul_add(step, simd.load(x), *theta);
            }
        }
    }
    for (theta, row) in theta.iter().zip(row) {
        simd.store(*theta, row);
    }
}
