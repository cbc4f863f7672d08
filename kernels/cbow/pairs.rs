//! Skip-gram: every word of a context by itself against the nodes of its window.
//!
//! The words of a window visit the same nodes, so a window is a product of two small matrices: the
//! scores are its words' vectors times its thetas. Two words meet two nodes at a time; then each
//! theta gets its steps of all words while it is in registers, and each word those of all nodes. All
//! of a window see the thetas as they were before it.

use super::rows::{
    AHEAD, BatchLoop, Row, dot, loaded, narrow_dot, narrow_scores, prefetch, rows, rows_mut, store,
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
            let own_gradients = gradients.get_mut(..context.len()).unwrap_or_default();
            gradients_of_words(simd, thetas, nodes, own, own_gradients);
            steps_of_nodes(simd, vectors, context, own, thetas, nodes);
            for (word, e) in context.iter().zip(&*own_gradients) {
                if let Some(row) = vectors.get_mut(*word as usize) {
                    for (row, e) in row.iter_mut().zip(e) {
                        simd.store(simd.add(simd.load(row), simd.load(e)), row);
                    }
                }
            }
        }
    }
}

/// How many rows of `G` groups are summed up at once: their sums wait for each other less.
const fn rows_at_once<S: Simd, const G: usize>() -> usize {
    match S::REGISTERS.saturating_sub(2) / G {
        0 | 1 => 1,
        2 | 3 => 2,
        _ => 4,
    }
}

/// `e` of every word: the steps of all nodes for it.
#[inline(always)]
fn gradients_of_words<S: Simd, const G: usize>(
    simd: S,
    thetas: &[Row<G>],
    nodes: &[u32],
    mut steps: &[f32],
    mut out: &mut [Row<G>],
) {
    let mut cut = |words: usize| steps.split_off(..words * nodes.len()).unwrap_or_default();
    if const { rows_at_once::<S, G>() >= 4 } {
        let (fours, rest) = core::mem::take(&mut out).as_chunks_mut::<4>();
        for four in fours {
            gradients::<S, G, 4>(simd, thetas, nodes, cut(4), four);
        }
        out = rest;
    }
    if const { rows_at_once::<S, G>() >= 2 } {
        let (twos, rest) = core::mem::take(&mut out).as_chunks_mut::<2>();
        for two in twos {
            gradients::<S, G, 2>(simd, thetas, nodes, cut(2), two);
        }
        out = rest;
    }
    for one in out.as_chunks_mut::<1>().0 {
        gradients::<S, G, 1>(simd, thetas, nodes, cut(1), one);
    }
}

/// `e` of some words.
#[cfg_attr(target_pointer_width = "32", inline(never))]
#[cfg_attr(not(target_pointer_width = "32"), inline(always))]
fn gradients<S: Simd, const G: usize, const W: usize>(
    simd: S,
    thetas: &[Row<G>],
    nodes: &[u32],
    steps: &[f32],
    out: &mut [Row<G>; W],
) {
    let mut of_words = [&[][..]; W];
    for (own, steps) in of_words.iter_mut().zip(steps.chunks(nodes.len().max(1))) {
        *own = steps;
    }
    let mut sums = [[simd.splat(0.0); G]; W];
    for (n, node) in nodes.iter().enumerate() {
        if let Some(theta) = thetas.get(*node as usize) {
            for (e, steps) in sums.iter_mut().zip(&of_words) {
                let step = simd.splat(steps.get(n).copied().unwrap_or(0.0));
                for (e, theta) in e.iter_mut().zip(theta) {
                    *e = simd.mul_add(step, simd.load(theta), *e);
                }
            }
        }
    }
    for (sums, row) in sums.iter().zip(out) {
        store(simd, sums, row);
    }
}

/// Steps of every theta for all words.
#[inline(always)]
fn steps_of_nodes<S: Simd, const G: usize>(
    simd: S,
    vectors: &[Row<G>],
    context: &[u32],
    steps: &[f32],
    thetas: &mut [Row<G>],
    nodes: &[u32],
) {
    let mut n = 0;
    while let Some(node) = nodes.get(n) {
        let own = (steps.get(n..).unwrap_or_default(), nodes.len());
        match nodes.get(n + 1) {
            // A node that is drawn twice takes its steps one after the other.
            Some(next) if const { rows_at_once::<S, G>() >= 2 } && node != next => {
                step_nodes(simd, vectors, context, own, thetas, [*node, *next]);
                n += 2;
            }
            _ => {
                step_nodes(simd, vectors, context, own, thetas, [*node]);
                n += 1;
            }
        }
    }
}

/// Steps of some thetas for all words: those of a word start so far behind the one before.
#[cfg_attr(target_pointer_width = "32", inline(never))]
#[cfg_attr(not(target_pointer_width = "32"), inline(always))]
fn step_nodes<S: Simd, const G: usize, const N: usize>(
    simd: S,
    vectors: &[Row<G>],
    context: &[u32],
    (mut steps, stride): (&[f32], usize),
    thetas: &mut [Row<G>],
    nodes: [u32; N],
) {
    let mut sums = [[simd.splat(0.0); G]; N];
    for (sums, node) in sums.iter_mut().zip(nodes) {
        if let Some(theta) = thetas.get(node as usize) {
            // Not as a whole: on a small machine's stack that would be another row.
            for (sum, theta) in sums.iter_mut().zip(theta) {
                *sum = simd.load(theta);
            }
        }
    }
    for word in context {
        let own = steps.first_chunk::<N>();
        steps = steps.get(stride..).unwrap_or_default();
        if let (Some(x), Some(own)) = (vectors.get(*word as usize), own) {
            for (theta, step) in sums.iter_mut().zip(own) {
                let step = simd.splat(*step);
                for (theta, x) in theta.iter_mut().zip(x) {
                    *theta = simd.mul_add(step, simd.load(x), *theta);
                }
            }
        }
    }
    for (sums, node) in sums.iter().zip(nodes) {
        if let Some(theta) = thetas.get_mut(node as usize) {
            store(simd, sums, theta);
        }
    }
}
