//! `x` of each window, and its scores: a batch on one slice, or on two side by side.

use super::rows::{
    AHEAD, BatchLoop, Row, dot, narrow_dot, narrow_scores, prefetch, reduce_sums, rows, slice_of,
};
use super::{BatchRef, Projection, Slice};
use crate::simd::{LANES, Simd};

/// A batch on `P` slices side by side.
pub(super) struct Forward<'a, const P: usize> {
    pub(super) slice: Slice<'a>,
    pub(super) batch: BatchRef<'a>,
    pub(super) projection: Projection,
    pub(super) x: &'a mut [f32],
    pub(super) partials: &'a mut [f32],
}

impl<const P: usize> BatchLoop for Forward<'_, P> {
    const SLICES: usize = P;

    #[inline(always)]
    fn width(&self) -> usize {
        self.slice.vectors.cols()
    }

    #[inline(always)]
    fn groups<S: Simd, const G: usize>(self, simd: S) {
        let (vectors, thetas) = (rows(self.slice.vectors), rows(self.slice.thetas));
        let scores_len = self.batch.scores_len().min(self.partials.len());
        let (mut scores, squares) = self.partials.split_at_mut(scores_len);
        let (x_rows, _) = self.x.as_chunks_mut::<LANES>().0.as_chunks_mut::<G>();
        let outputs = x_rows.iter_mut().zip(squares);
        let mut later = self.batch.windows();
        for window in later.by_ref().take(AHEAD / P) {
            prefetch::<S, G>(simd, (vectors, thetas), window);
        }
        for ((context, nodes), (x_row, square)) in self.batch.windows().zip(outputs) {
            let next = later.next().unwrap_or_default();
            prefetch::<S, G>(simd, (vectors, thetas), next);
            let (own, rest) = scores.split_at_mut_checked(nodes.len()).unwrap_or_default();
            scores = rest;
            let (of_sum, _) = self.projection.factors(context.len());
            if const { S::REGISTERS < 4 } {
                narrow_mean(vectors, context, of_sum, x_row);
                *square = narrow_dot::<S, G, P>(simd, x_row, x_row);
                narrow_scores::<S, G, P>(simd, x_row, thetas, nodes, own);
                continue;
            }
            let mut x = [simd.splat(0.0); G];
            for token in context {
                if let Some(row) = vectors.get(*token as usize) {
                    for (x, row) in x.iter_mut().zip(row) {
                        *x = simd.add(*x, simd.load(row));
                    }
                }
            }
            for (x, out) in x.iter_mut().zip(&mut *x_row) {
                *x = simd.mul(*x, simd.splat(of_sum));
                simd.store(*x, out);
            }
            *square = dot::<S, G, P>(simd, x_row, &x);
            scores_of::<S, G, P>(simd, &x, thetas, nodes, own);
        }
    }
}

/// The sum of the rows of a context, times a factor, where registers do not hold one.
#[inline(always)]
fn narrow_mean<const G: usize>(vectors: &[Row<G>], context: &[u32], factor: f32, out: &mut Row<G>) {
    let out = out.as_flattened_mut();
    out.fill(0.0);
    for row in context
        .iter()
        .filter_map(|token| vectors.get(*token as usize))
    {
        for (x, row) in out.iter_mut().zip(row.as_flattened()) {
            *x += row;
        }
    }
    out.iter_mut().for_each(|x| *x *= factor);
}

/// Scores of the nodes of a window, four at a time, which share the sums over lanes; the last four
/// may be partly those before, so that no score is left over.
#[inline(always)]
fn scores_of<S: Simd, const G: usize, const P: usize>(
    simd: S,
    x: &[S::V; G],
    thetas: &[Row<G>],
    nodes: &[u32],
    scores: &mut [f32],
) {
    let Some(last) = nodes.len().checked_sub(4) else {
        for (node, score) in nodes.iter().zip(scores) {
            if let Some(theta) = thetas.get(*node as usize) {
                *score = dot::<S, G, P>(simd, theta, x);
            }
        }
        return;
    };
    let mut at = 0;
    loop {
        let four = nodes.get(at..).and_then(|nodes| nodes.first_chunk::<4>());
        let out = scores
            .get_mut(at..)
            .and_then(|scores| scores.first_chunk_mut::<4>());
        if let (Some([a, b, c, d]), Some(out)) = (four, out)
            && let (Some(a), Some(b)) = (thetas.get(*a as usize), thetas.get(*b as usize))
            && let (Some(c), Some(d)) = (thetas.get(*c as usize), thetas.get(*d as usize))
        {
            let mut sums = [[simd.splat(0.0); 4]; P];
            for (g, ((((a, b), c), d), x)) in a.iter().zip(b).zip(c).zip(d).zip(x).enumerate() {
                if let Some(sums) = sums.get_mut(slice_of::<G, P>(g)) {
                    sums[0] = simd.mul_add(simd.load(a), *x, sums[0]);
                    sums[1] = simd.mul_add(simd.load(b), *x, sums[1]);
                    sums[2] = simd.mul_add(simd.load(c), *x, sums[2]);
                    sums[3] = simd.mul_add(simd.load(d), *x, sums[3]);
                }
            }
            *out = reduce_sums(simd, &sums);
        }
        if at >= last {
            break;
        }
        at = (at + 4).min(last);
    }
}
