//! The steps of all pairs.

use super::super::batch::in_blocks;
use super::super::rows::{BatchLoop, Row, loaded, part_of, part_of_mut, rows_mut};
use super::super::{BatchRef, SliceMut};
use crate::simd::{LANES, Simd};

/// The steps of all pairs on one slice, block after block.
pub(in crate::cbow) struct PairsUpdate<'a> {
    pub(in crate::cbow) slice: SliceMut<'a>,
    pub(in crate::cbow) batch: BatchRef<'a>,
    pub(in crate::cbow) steps: &'a [f32],
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
        let vectors = rows_mut::<G>(vectors.data_mut());
        let thetas = rows_mut::<G>(thetas.data_mut());
        let mut steps = self.steps;
        for (context, nodes) in self.batch.windows() {
            let (fours, twos, ones) = in_blocks(context);
            for words in fours {
                block::<S, G, 4>(simd, vectors, words, (thetas, nodes), &mut steps);
            }
            for words in twos {
                block::<S, G, 2>(simd, vectors, words, (thetas, nodes), &mut steps);
            }
            for words in ones {
                block::<S, G, 1>(simd, vectors, words, (thetas, nodes), &mut steps);
            }
        }
    }
}

/// The steps of a block of `W` words, on as many groups at once as registers hold `x` and `e` of.
#[inline(always)]
fn block<S: Simd, const G: usize, const W: usize>(
    simd: S,
    vectors: &mut [Row<G>],
    words: &[u32; W],
    (thetas, nodes): (&mut [Row<G>], &[u32]),
    steps: &mut &[f32],
) {
    let Some(own) = steps.split_off(..W * nodes.len()) else {
        return;
    };
    let visits = (nodes, own.as_chunks::<W>().0);
    if const { S::REGISTERS < 4 } {
        for from in 0..G {
            narrow_part::<G, W>(from, vectors, words, thetas, visits);
        }
    } else if const { groups_that_fit::<S, W>() >= G } {
        part::<S, G, G, W>(simd, 0, vectors, words, thetas, visits);
    } else if const { groups_that_fit::<S, W>() >= 2 && G == 4 } {
        part::<S, G, 2, W>(simd, 0, vectors, words, thetas, visits);
        part::<S, G, 2, W>(simd, 2, vectors, words, thetas, visits);
    } else {
        for from in 0..G {
            part::<S, G, 1, W>(simd, from, vectors, words, thetas, visits);
        }
    }
}

/// Of how many groups registers hold `x` and `e` of a block, a theta before and after, and steps.
const fn groups_that_fit<S: Simd, const W: usize>() -> usize {
    S::REGISTERS.saturating_sub(2 + W) / (2 * W)
}

/// `T` groups of all rows, from one on. A theta gives `e` what it was, and takes its steps, while it is
/// in registers.
#[inline(always)]
fn part<S: Simd, const G: usize, const T: usize, const W: usize>(
    simd: S,
    from: usize,
    vectors: &mut [Row<G>],
    words: &[u32; W],
    thetas: &mut [Row<G>],
    (nodes, steps): (&[u32], &[[f32; W]]),
) {
    let (mut xs, mut es) = ([[simd.splat(0.0); T]; W], [[simd.splat(0.0); T]; W]);
    for (x, word) in xs.iter_mut().zip(words) {
        if let Some(row) = part_of::<G, T>(vectors, *word, from) {
            *x = loaded(simd, row);
        }
    }
    for (node, steps) in nodes.iter().zip(steps) {
        if let Some(theta) = part_of_mut::<G, T>(thetas, *node, from) {
            for (t, theta) in theta.iter_mut().enumerate() {
                let old = simd.load(theta);
                let mut new = old;
                for ((x, e), step) in xs.iter().zip(&mut es).zip(steps) {
                    let step = simd.splat(*step);
                    e[t] = simd.mul_add(step, old, e[t]);
                    new = simd.mul_add(step, x[t], new);
                }
                simd.store(new, theta);
            }
        }
    }
    // A word may stand twice in a block: its row is read again.
    for (e, word) in es.iter().zip(words) {
        if let Some(row) = part_of_mut::<G, T>(vectors, *word, from) {
            for (row, e) in row.iter_mut().zip(e) {
                simd.store(simd.add(simd.load(row), *e), row);
            }
        }
    }
}

/// [`part`] for machines whose registers do not hold a group, with little on the stack.
#[inline(never)]
fn narrow_part<const G: usize, const W: usize>(
    from: usize,
    vectors: &mut [Row<G>],
    words: &[u32; W],
    thetas: &mut [Row<G>],
    (nodes, steps): (&[u32], &[[f32; W]]),
) {
    let mut es = [[0.0; LANES]; W];
    for (node, steps) in nodes.iter().zip(steps) {
        let Some([theta]) = part_of_mut::<G, 1>(thetas, *node, from) else {
            continue;
        };
        let old = *theta;
        for ((word, e), step) in words.iter().zip(&mut es).zip(steps) {
            if let Some([x]) = part_of::<G, 1>(vectors, *word, from) {
                for (((theta, old), x), e) in theta.iter_mut().zip(&old).zip(x).zip(e) {
                    *e += step * old;
                    *theta += step * x;
                }
            }
        }
    }
    for (e, word) in es.iter().zip(words) {
        if let Some([row]) = part_of_mut::<G, 1>(vectors, *word, from) {
            row.iter_mut().zip(e).for_each(|(row, e)| *row += e);
        }
    }
}
