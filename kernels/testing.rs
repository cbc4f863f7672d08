//! What every kernel's tests share: shapes, values, tolerances, and the loop over backends.

use crate::simd::Backend;
use std::vec::Vec;

/// Lengths around every boundary of the vector loops: none, one, lanes and blocks minus, plus one.
pub(crate) const LENGTHS: [usize; 14] = [0, 1, 2, 7, 15, 16, 17, 31, 33, 63, 64, 65, 100, 300];

/// Largest allowed error of each kernel against its naive reference, relative to the sum of
/// magnitudes that the result adds up (absolute where the result is a probability).
pub(crate) mod tolerance {
    /// Dot products and everything linear: a few roundings of a balanced tree.
    pub(crate) const LINEAR: f32 = 1e-6;
    /// The sigmoid's polynomial: an exponential, a division, an exact mirror.
    pub(crate) const SIGMOID: f32 = 2e-7;
    /// Softplus, relative to the result.
    pub(crate) const SOFTPLUS: f32 = 5e-7;
    /// Vector exponentials, relative.
    pub(crate) const EXP: f32 = 2e-7;
    /// Softmax, log-sum-exp and cross-entropy: absolute, in probabilities or nats.
    pub(crate) const SOFTMAX: f32 = 1e-6;
    /// Attention outputs and log-sums of values and scores of size 1, absolute.
    pub(crate) const ATTENTION: f32 = 2e-6;
    /// Gradients of attention for operands of size 1, absolute.
    pub(crate) const ATTENTION_GRADIENT: f32 = 2e-5;
    /// Normalised, rotated and gated values of size 1, and their gradients: a few roundings.
    pub(crate) const ELEMENTWISE: f32 = 1e-6;
    /// Gradients against central differences in `f64`.
    pub(crate) const GRADIENT: f32 = 1e-5;
}

/// Runs `test` once on each backend of this machine.
pub(crate) fn on_every_backend(mut test: impl FnMut(Backend)) {
    for backend in Backend::available() {
        std::println!("backend {}", backend.name());
        test(backend);
    }
}

/// `len` reproducible values in -1 .. 1.
pub(crate) fn values(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

/// Fails unless `|got - want| <= tolerance * scale`; equal infinities and two NaN pass.
#[track_caller]
pub(crate) fn assert_close(got: f32, want: f32, tolerance: f32, scale: f32) {
    let same = got == want || (got.is_nan() && want.is_nan());
    assert!(
        same || (got - want).abs() <= tolerance * scale,
        "got {got}, want {want}, allowed {tolerance} x {scale}"
    );
}
