//! AdamW: gradient steps scaled by running averages of the gradient and of its square.
//!
//! ```text
//! m = b1 m + (1 - b1) g        v = b2 v + (1 - b2) g^2
//! p = p - rate (m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps) + decay p)
//! ```
//! Source: I. Loshchilov and F. Hutter, Decoupled Weight Decay Regularization, 2019.

use super::parameters::Parameters;
use crate::parallel;

const BETA_1: f32 = 0.9;
const BETA_2: f32 = 0.99;
const EPSILON: f32 = 1e-8;
/// Parameters that one task updates.
const BLOCK: usize = 1 << 16;

/// The running averages of every parameter.
#[derive(Debug)]
pub(super) struct AdamW {
    mean: Vec<f32>,
    square: Vec<f32>,
    /// `BETA_1^t` and `BETA_2^t`.
    powers: [f32; 2],
}

/// How far to go in one step.
#[derive(Clone, Copy)]
pub(super) struct Pace {
    /// Learning rate.
    pub(super) rate: f32,
    /// Weight decay.
    pub(super) decay: f32,
    /// Factor of the gradient, for clipping.
    pub(super) gradient_scale: f32,
}

/// The factors of one step, the same for every parameter of a part.
#[derive(Clone, Copy)]
struct Step {
    rate: f32,
    shrink: f32,
    gradient_scale: f32,
    square_correction: f32,
}

impl AdamW {
    pub(super) fn new(parameters: usize) -> Self {
        Self {
            mean: vec![0.0; parameters],
            square: vec![0.0; parameters],
            powers: [1.0; 2],
        }
    }

    /// Updates all parameters.
    pub(super) fn update(
        &mut self,
        parameters: &mut Parameters,
        gradients: &[f32],
        pace: Pace,
        threads: usize,
    ) {
        self.powers[0] *= BETA_1;
        self.powers[1] *= BETA_2;
        let [mean_weight, square_weight] = self.powers.map(|power| 1.0 - power);
        let step = |decays| Step {
            rate: pace.rate / mean_weight,
            shrink: if decays {
                1.0 - pace.rate * pace.decay
            } else {
                1.0
            },
            gradient_scale: pace.gradient_scale,
            square_correction: 1.0 / square_weight,
        };
        let mut tasks = Vec::new();
        let parts = parameters.parts();
        let mut rest = (
            parameters.values.as_mut_slice(),
            gradients,
            &mut *self.mean,
            &mut *self.square,
        );
        for (len, decays) in parts {
            let (p, p_rest) = rest.0.split_at_mut(len);
            let (g, g_rest) = rest.1.split_at(len);
            let (m, m_rest) = rest.2.split_at_mut(len);
            let (v, v_rest) = rest.3.split_at_mut(len);
            rest = (p_rest, g_rest, m_rest, v_rest);
            let blocks = p.chunks_mut(BLOCK).zip(g.chunks(BLOCK));
            let averages = m.chunks_mut(BLOCK).zip(v.chunks_mut(BLOCK));
            tasks.extend(blocks.zip(averages).map(|task| (step(decays), task)));
        }
        parallel::map(threads, tasks, |(step, ((p, g), (m, v)))| {
            step.apply(p, g, m, v);
        });
    }
}

impl Step {
    fn apply(self, p: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32]) {
        for (((p, g), m), v) in p.iter_mut().zip(g).zip(m).zip(v) {
            let g = g * self.gradient_scale;
            *m = BETA_1 * *m + (1.0 - BETA_1) * g;
            *v = BETA_2 * *v + (1.0 - BETA_2) * g * g;
            let deviation = (*v * self.square_correction).sqrt() + EPSILON;
            *p = *p * self.shrink - self.rate * *m / deviation;
        }
    }
}
