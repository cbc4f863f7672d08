//! `x` of each window, and its scores: one slice of a batch.

use super::rows::{AHEAD, BatchLoop, dot, prefetch, rows};
use super::{BatchRef, Projection, Slice};
use crate::simd::{LANES, Simd};

pub(super) struct Forward<'a> {
    pub(super) slice: Slice<'a>,
    pub(super) batch: BatchRef<'a>,
    pub(super) projection: Projection,
    pub(super) x: &'a mut [f32],
    pub(super) partials: &'a mut [f32],
}

impl BatchLoop for Forward<'_> {
    #[inline(always)]
    fn width(&self) -> usize {
        self.slice.vectors.cols()
    }

    #[inline(always)]
    fn groups<S: Simd, const G: usize>(self, simd: S) {
        let (vectors, thetas) = (rows(self.slice.vectors), rows(self.slice.thetas));
        let scores_len = self.batch.scores_len().min(self.partials.len());
        let (scores, squares) = self.partials.split_at_mut(scores_len);
        let mut scores = scores.iter_mut();
        let (x_rows, _) = self.x.as_chunks_mut::<LANES>().0.as_chunks_mut::<G>();
        let outputs = x_rows.iter_mut().zip(squares);
        for (b, ((context, nodes), (x_row, square))) in
            self.batch.windows().zip(outputs).enumerate()
        {
            let (next_context, next_nodes) = self.batch.window(b + AHEAD);
            // The other words of a window are in those before it, as a rule.
            prefetch::<S, G>(
                simd,
                vectors,
                next_context.last_chunk::<1>().map_or(&[], |last| last),
            );
            prefetch::<S, G>(simd, thetas, next_nodes);
            let mut x = [simd.splat(0.0); G];
            for token in context {
                if let Some(row) = vectors.get(*token as usize) {
                    for (x, row) in x.iter_mut().zip(row) {
                        *x = simd.add(*x, simd.load(row));
                    }
                }
            }
            let (of_sum, _) = self.projection.factors(context.len());
            for (x, out) in x.iter_mut().zip(&mut *x_row) {
                *x = simd.mul(*x, simd.splat(of_sum));
                simd.store(*x, out);
            }
            *square = dot(simd, x_row, &x);
            for (node, score) in nodes.iter().zip(&mut scores) {
                if let Some(theta) = thetas.get(*node as usize) {
                    *score = dot(simd, theta, &x);
                }
            }
        }
    }
}
