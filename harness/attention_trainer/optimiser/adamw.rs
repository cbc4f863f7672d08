//! AdamW: gradient steps scaled by running averages of the gradient and of its square.
//!
//! ```text
//! m = b1 m + (1 - b1) g        v = b2 v + (1 - b2) g^2
//! p = p - rate (m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps) + decay p)
//! ```
//! Source: I. Loshchilov and F. Hutter, Decoupled Weight Decay Regularization, 2019.

use super::Pace;

const BETA_1: f32 = 0.9;
const BETA_2: f32 = 0.99;
const EPSILON: f32 = 1e-8;

/// The factors of one step, the same for every parameter of a part.
#[derive(Clone, Copy)]
pub(super) struct Step {
    rate: f32,
    shrink: f32,
    gradient_scale: f32,
    square_correction: f32,
}

/// From `b1^t` and `b2^t` to those of the next step.
pub(super) fn advance(powers: &mut [f32; 2]) {
    powers[0] *= BETA_1;
    powers[1] *= BETA_2;
}

impl Step {
    /// The step after which the powers are these.
    pub(super) fn new(pace: Pace, powers: [f32; 2], decays: bool) -> Self {
        let [mean_weight, square_weight] = powers.map(|power| 1.0 - power);
        let decay = if decays { pace.decay } else { 0.0 };
        Self {
            rate: pace.rate / mean_weight,
            shrink: 1.0 - pace.rate * decay,
            gradient_scale: pace.gradient_scale,
            square_correction: 1.0 / square_weight,
        }
    }

    pub(super) fn apply(self, p: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32]) {
        for (((p, g), m), v) in p.iter_mut().zip(g).zip(m).zip(v) {
            let g = g * self.gradient_scale;
            *m = BETA_1 * *m + (1.0 - BETA_1) * g;
            *v = BETA_2 * *v + (1.0 - BETA_2) * g * g;
            let deviation = (*v * self.square_correction).sqrt() + EPSILON;
            *p = *p * self.shrink - self.rate * *m / deviation;
        }
    }
}
