//! Vectors: dot products, exponentials, sigmoids, softmax, random numbers.

use crate::{Arena, Checksum, sum_of};
use barelm_kernels::mat::{MatMut, MatRef};
use barelm_kernels::rng::Rng;
use barelm_kernels::sample::Sampling;
use barelm_kernels::sigmoid::{SigmoidMethod, sigmoid_in_place, softplus_in_place};
use barelm_kernels::{blas1, sample as sampling, softmax as losses};

/// Lengths around the boundaries of the vector loops.
const LENGTHS: [usize; 9] = [0, 1, 7, 16, 33, 64, 65, 100, 300];

pub fn dot(arena: &mut Arena<'_>) -> Option<u64> {
    let (a, b) = (arena.values(300)?, arena.values(300)?);
    let mut sum = Checksum::new();
    for len in LENGTHS {
        sum = sum.float(blas1::dot(a.get(..len)?, b.get(..len)?).ok()?);
    }
    sum.finish()
}

/// [`dot`] with the same products added up in another order: what a kernel with a wrong order of
/// accumulation would return. Its checksum must differ, or checksums see nothing.
pub fn dot_in_another_order(arena: &mut Arena<'_>) -> Option<u64> {
    let (a, b) = (arena.values(300)?, arena.values(300)?);
    let mut sum = Checksum::new();
    for len in LENGTHS {
        let (a, b) = (a.get_mut(..len)?, b.get_mut(..len)?);
        a.reverse();
        b.reverse();
        sum = sum.float(blas1::dot(a, b).ok()?);
        a.reverse();
        b.reverse();
    }
    sum.finish()
}

pub fn axpy(arena: &mut Arena<'_>) -> Option<u64> {
    let (x, y) = (arena.values(100)?, arena.values(100)?);
    blas1::axpy(0.7, x, y).ok()?;
    sum_of(y)
}

pub fn update(arena: &mut Arena<'_>) -> Option<u64> {
    let (x, theta, gradient) = (arena.values(100)?, arena.values(100)?, arena.values(100)?);
    blas1::update(-0.3, x, theta, gradient).ok()?;
    Checksum::new().floats(theta).floats(gradient).finish()
}

/// `n` values, and the ends of every function's range.
fn with_extremes<'a>(arena: &mut Arena<'a>, limit: f32) -> Option<&'a mut [f32]> {
    let x = arena.values_within(300, limit)?;
    let ends = [
        f32::INFINITY,
        f32::NEG_INFINITY,
        0.0,
        -0.0,
        1e30,
        -1e30,
        f32::NAN,
    ];
    for (x, end) in x.iter_mut().zip(ends) {
        *x = end;
    }
    Some(x)
}

pub fn exp(arena: &mut Arena<'_>) -> Option<u64> {
    let x = with_extremes(arena, 90.0)?;
    barelm_kernels::exp::exp_in_place(x);
    sum_of(x)
}

pub fn sigmoid_table(arena: &mut Arena<'_>) -> Option<u64> {
    let x = with_extremes(arena, 12.0)?;
    sigmoid_in_place(SigmoidMethod::Table, x);
    sum_of(x)
}

pub fn sigmoid_polynomial(arena: &mut Arena<'_>) -> Option<u64> {
    let x = with_extremes(arena, 20.0)?;
    sigmoid_in_place(SigmoidMethod::Polynomial, x);
    sum_of(x)
}

pub fn softplus(arena: &mut Arena<'_>) -> Option<u64> {
    let x = with_extremes(arena, 20.0)?;
    softplus_in_place(x);
    sum_of(x)
}

pub fn softmax(arena: &mut Arena<'_>) -> Option<u64> {
    let x = arena.values_within(300, 8.0)?;
    losses::softmax_in_place(x);
    sum_of(x)
}

pub fn log_sum_exp(arena: &mut Arena<'_>) -> Option<u64> {
    sum_of(&[losses::log_sum_exp(arena.values_within(300, 8.0)?)])
}

pub fn cross_entropy(arena: &mut Arena<'_>) -> Option<u64> {
    let (logits, losses) = (arena.values_within(3 * 70, 8.0)?, arena.zeros(3)?);
    let logits = MatRef::new(logits, 3, 70).ok()?;
    losses::cross_entropy(logits, &[5, 69, 0], losses).ok()?;
    sum_of(losses)
}

pub fn cross_entropy_gradient(arena: &mut Arena<'_>) -> Option<u64> {
    let (logits, losses) = (arena.values_within(3 * 70, 8.0)?, arena.zeros(3)?);
    let view = MatMut::new(logits, 3, 70).ok()?;
    losses::cross_entropy_in_place(view, &[5, 69, 0], 0.25, losses).ok()?;
    Checksum::new().floats(logits).floats(losses).finish()
}

pub fn sample(arena: &mut Arena<'_>) -> Option<u64> {
    let (logits, weights, order) = (
        arena.values_within(70, 4.0)?,
        arena.zeros(70)?,
        arena.words(70)?,
    );
    let mut sum = Checksum::new();
    for (temperature, top_k, top_p) in
        [(0.0, 0, 1.0), (1.0, 0, 1.0), (0.8, 40, 1.0), (1.5, 20, 0.7)]
    {
        let sampling = Sampling {
            temperature,
            top_k,
            top_p,
        };
        for _ in 0..20 {
            weights.copy_from_slice(logits);
            let drawn = sampling::sample(weights, order, &sampling, &mut arena.rng).ok()?;
            sum = sum.word(drawn).floats(weights);
        }
    }
    sum.finish()
}

pub fn penalize(arena: &mut Arena<'_>) -> Option<u64> {
    let logits = arena.values_within(70, 4.0)?;
    let seen: [bool; 70] = core::array::from_fn(|i| i % 3 == 0);
    sampling::penalize(logits, &seen, 1.3).ok()?;
    sum_of(logits)
}

pub fn rng(_: &mut Arena<'_>) -> Option<u64> {
    let mut rng = Rng::with_stream(1, 2);
    let mut sum = Checksum::new();
    for n in 0..100 {
        sum = sum
            .word(rng.next_u32())
            .float(rng.uniform())
            .word(rng.below(n) as u32);
    }
    sum.finish()
}
