//! The steps of a batch, on one slice, or on two side by side.

use super::rows::{BatchLoop, MAX_GROUPS, Row, part_of_mut, rows_mut};
use super::{BatchRef, Projection, SliceMut};
use crate::simd::{LANES, Simd};

/// A batch on `P` slices side by side.
pub(super) struct Update<'a, const P: usize> {
    pub(super) slice: SliceMut<'a>,
    pub(super) batch: BatchRef<'a>,
    pub(super) projection: Projection,
    pub(super) x: &'a [f32],
    pub(super) steps: &'a [f32],
}

impl<const P: usize> BatchLoop for Update<'_, P> {
    const SLICES: usize = P;

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
        let mut steps = self.steps;
        let (x_rows, _) = self.x.as_chunks::<LANES>().0.as_chunks::<G>();
        for ((context, nodes), x_row) in self.batch.windows().zip(x_rows) {
            let (own, rest) = steps.split_at_checked(nodes.len()).unwrap_or_default();
            steps = rest;
            let (_, share) = self.projection.factors(context.len());
            let window = Window {
                context,
                nodes,
                x: x_row,
                steps: own,
                share,
            };
            // Of whole rows, or of parts, registers hold `x` and `e`.
            if const { S::REGISTERS < 4 || G > MAX_GROUPS && S::REGISTERS < 2 * G + 2 } {
                for from in 0..G {
                    window.update::<S, 1>(simd, from, vectors, thetas);
                }
            } else if const { G == 4 && S::REGISTERS < 4 * G } {
                window.update::<S, 2>(simd, 0, vectors, thetas);
                window.update::<S, 2>(simd, 2, vectors, thetas);
            } else {
                window.update::<S, G>(simd, 0, vectors, thetas);
            }
        }
    }
}

/// A window, and what each of its nodes is to move by.
struct Window<'a, const G: usize> {
    context: &'a [u32],
    nodes: &'a [u32],
    x: &'a Row<G>,
    steps: &'a [f32],
    share: f32,
}

impl<const G: usize> Window<'_, G> {
    /// Updates `T` groups of its rows, from one on.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    #[cfg_attr(not(target_pointer_width = "32"), inline(always))]
    fn update<S: Simd, const T: usize>(
        &self,
        simd: S,
        from: usize,
        vectors: &mut [Row<G>],
        thetas: &mut [Row<G>],
    ) {
        let (mut x, mut e) = ([simd.splat(0.0); T], [simd.splat(0.0); T]);
        if let Some(row) = self.x.get(from..).and_then(|x| x.first_chunk::<T>()) {
            for (x, row) in x.iter_mut().zip(row) {
                *x = simd.load(row);
            }
        }
        for (node, step) in self.nodes.iter().zip(self.steps) {
            let step = simd.splat(*step);
            if let Some(theta) = part_of_mut::<G, T>(thetas, *node, from) {
                for ((theta, x), e) in theta.iter_mut().zip(&x).zip(&mut e) {
                    let old = simd.load(theta);
                    *e = simd.mul_add(step, old, *e);
                    simd.store(simd.mul_add(step, *x, old), theta);
                }
            }
        }
        for e in &mut e {
            *e = simd.mul(*e, simd.splat(self.share));
        }
        for token in self.context {
            if let Some(row) = part_of_mut::<G, T>(vectors, *token, from) {
                for (row, e) in row.iter_mut().zip(&e) {
                    simd.store(simd.add(simd.load(row), *e), row);
                }
            }
        }
    }
}
