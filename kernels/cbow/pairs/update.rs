//! The steps of all pairs.

use super::super::rows::{BatchLoop, Row, rows_mut, store};
use super::super::{BatchRef, SliceMut};
use crate::simd::Simd;

/// The steps of all pairs on one slice, window after window.
pub(in crate::cbow) struct PairsUpdate<'a> {
    pub(in crate::cbow) slice: SliceMut<'a>,
    pub(in crate::cbow) batch: BatchRef<'a>,
    pub(in crate::cbow) steps: &'a [f32],
    /// Room for the gradients of the words of a window.
    pub(in crate::cbow) gradients: &'a mut [f32],
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
