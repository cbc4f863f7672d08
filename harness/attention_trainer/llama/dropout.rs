//! Dropout: while training, elements of what is added to the residual stream are left out.
//!
//! ```text
//! y_i = m_i x_i / (1 - p)        m_i = 0 with probability p, else 1
//! ```
//! so that the mean stays, and nothing is to be done when the model predicts. The gradient passes
//! through the same factors, which are drawn again on the way back instead of being kept. A row's
//! factors follow from the seed, the step, the row's place in the batch and the place in the model,
//! so that no thread changes a bit.
//!
//! Source: N. Srivastava et al., Dropout, 2014; the places are those of GPT-2 (Radford et al.,
//! 2019): the embedding, and what attention and feed-forward layers add.

use crate::kernels::rng::Rng;
use xxhash_rust::xxh64::xxh64;

/// Equally likely values of what is drawn for an element.
const DRAWS: f32 = 65_536.0;

/// Factors for the rows of a step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dropout {
    /// Draws below it leave an element out.
    left_out: u16,
    /// Factor of the others.
    scale: f32,
    seed: u64,
    step: u64,
    /// The first row's place in the batch.
    row: u64,
}

impl Dropout {
    /// Dropout with probability `p`, in steps of 1/65536; `None` for 0.
    pub(super) fn new(p: f32, seed: u64, step: u64) -> Option<Self> {
        let left_out = (p * DRAWS).round() as u16;
        (left_out > 0).then_some(Self {
            left_out,
            scale: DRAWS / (DRAWS - f32::from(left_out)),
            seed,
            step,
            row: 0,
        })
    }

    /// For rows that begin so many further on.
    pub(super) fn further(self, rows: usize) -> Self {
        let row = self.row + rows as u64;
        Self { row, ..self }
    }

    /// Multiplies rows of `width` by their factors. What is added to stream `stream` of the model
    /// has factors of its own.
    pub(super) fn apply(&self, stream: usize, x: &mut [f32], width: usize) {
        for (row, x) in (self.row..).zip(x.chunks_exact_mut(width)) {
            let place = [self.seed, self.step, stream as u64, row];
            let mut rng = Rng::new(xxh64(bytemuck::cast_slice(&place), 0));
            let (pairs, rest) = x.as_chunks_mut::<2>();
            for pair in pairs {
                let draw = rng.next_u32();
                pair[0] *= self.factor(draw as u16);
                pair[1] *= self.factor((draw >> 16) as u16);
            }
            for x in rest {
                *x *= self.factor(rng.next_u32() as u16);
            }
        }
    }

    fn factor(&self, draw: u16) -> f32 {
        if draw < self.left_out {
            0.0
        } else {
            self.scale
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn factors(dropout: &Dropout, stream: usize) -> Vec<f32> {
        let mut x = vec![1.0; 100 * 31];
        dropout.apply(stream, &mut x, 31);
        x
    }

    #[test]
    fn a_share_is_left_out_and_the_mean_stays() {
        let dropout = Dropout::new(0.25, 1, 0).unwrap();
        let x = factors(&dropout, 0);
        let left_out = x.iter().filter(|x| **x == 0.0).count() as f64 / x.len() as f64;
        assert!((left_out - 0.25).abs() < 0.03, "{left_out}");
        assert!(x.iter().all(|x| *x == 0.0 || *x == 4.0 / 3.0));
    }

    #[test]
    fn rows_have_the_same_factors_wherever_their_part_of_the_batch_begins() {
        let dropout = Dropout::new(0.5, 1, 7).unwrap();
        let all = factors(&dropout, 3);
        let later = factors(&dropout.further(40), 3);
        assert_eq!(all[40 * 31..], later[..60 * 31]);
        let others = [
            factors(&dropout, 2),
            factors(&Dropout::new(0.5, 1, 8).unwrap(), 3),
            factors(&Dropout::new(0.5, 2, 7).unwrap(), 3),
        ];
        assert!(others.iter().all(|other| *other != all));
        assert!(Dropout::new(0.0, 1, 0).is_none());
    }
}
