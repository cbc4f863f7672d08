//! What this core can do at best: multiply-adds without memory, and reads without arithmetic.
//!
//! `barelm profile` sets every other kernel in relation to these two.

use crate::simd::{Kernel, LANES, Simd, dispatch};

/// Chains of multiply-adds that never leave the registers: `steps` times `x = a x + b` in each.
///
/// Returns how many floating-point operations that was, and a sum of the chains. Divided by the
/// time it took, the first is the core's peak; the second only makes sure that it was done.
///
/// # Precision
/// The value is of no interest, and differs between backends.
///
/// # Example
/// ```
/// let (flops, _) = barelm_kernels::peak::fma_chains(10);
/// assert!(flops >= 10 * 2 * 16);
/// ```
pub fn fma_chains(steps: usize) -> (u64, f32) {
    dispatch(FmaChains { steps })
}

/// The sum of `x`, in eight running vectors: as fast as `x` can be read.
///
/// # Precision
/// Within `1e-6 * sum |x_i|` for lengths up to 4096; equal bits on every backend.
///
/// # Example
/// ```
/// assert_eq!(barelm_kernels::peak::sum(&[1.0; 300]), 300.0);
/// ```
pub fn sum(x: &[f32]) -> f32 {
    dispatch(Sum { x })
}

struct FmaChains {
    steps: usize,
}

impl Kernel for FmaChains {
    type Output = (u64, f32);
    /// Enough chains to hide a multiply-add's latency, few enough to stay in the registers.
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> (u64, f32) {
        if S::REGISTERS >= 32 {
            chains::<S, 12>(simd, self.steps)
        } else if S::REGISTERS >= 8 {
            chains::<S, 5>(simd, self.steps)
        } else {
            chains::<S, 3>(simd, self.steps)
        }
    }
}

#[inline(always)]
fn chains<S: Simd, const N: usize>(simd: S, steps: usize) -> (u64, f32) {
    let (a, b) = (simd.splat(0.5), simd.splat(1.0));
    let mut chains = [b; N];
    for _ in 0..steps {
        for x in &mut chains {
            *x = simd.mul_add(a, *x, b);
        }
    }
    let total = chains.iter().fold(b, |sum, x| simd.add(sum, *x));
    ((steps * N * LANES * 2) as u64, simd.reduce_sum(total))
}

struct Sum<'a> {
    x: &'a [f32],
}

impl Kernel for Sum<'_> {
    type Output = f32;
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> f32 {
        if const { S::REGISTERS < 4 } {
            return self.narrow(simd);
        }
        let mut sums = [simd.splat(0.0); 8];
        let (vectors, rest) = self.x.as_chunks::<LANES>();
        let (blocks, vectors) = vectors.as_chunks::<8>();
        for block in blocks {
            for (sum, x) in sums.iter_mut().zip(block) {
                *sum = simd.add(*sum, simd.load(x));
            }
        }
        for (sum, x) in sums.iter_mut().zip(vectors) {
            *sum = simd.add(*sum, simd.load(x));
        }
        let total = sums
            .iter()
            .fold(simd.load_partial(rest), |a, b| simd.add(a, *b));
        simd.reduce_sum(total)
    }
}

impl Sum<'_> {
    /// Lane after lane, where eight vectors would lie on the stack: the same sums.
    #[inline(always)]
    fn narrow<S: Simd>(self, simd: S) -> f32 {
        let (vectors, rest) = self.x.as_chunks::<LANES>();
        let mut total = [0.0; LANES];
        for (lane, total) in total.iter_mut().enumerate() {
            *total = rest.get(lane).copied().unwrap_or(0.0);
            for first in 0..8 {
                let own = vectors.iter().skip(first).step_by(8);
                *total += own.fold(0.0, |sum, x| sum + x[lane]);
            }
        }
        simd.reduce_sum(simd.load(&total))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{LENGTHS, assert_close, on_every_backend, tolerance, values};

    #[test]
    fn sum_agrees_with_the_naive_sum() {
        for len in LENGTHS {
            let x = values(len, 1);
            let want = x.iter().map(|x| f64::from(*x)).sum::<f64>() as f32;
            let mut bits = None;
            on_every_backend(|backend| {
                let got = backend.run(Sum { x: &x });
                assert_close(got, want, tolerance::LINEAR, len as f32);
                assert_eq!(*bits.get_or_insert(got.to_bits()), got.to_bits());
            });
        }
    }

    #[test]
    fn chains_report_their_operations_and_converge() {
        on_every_backend(|backend| {
            let (flops, value) = backend.run(FmaChains { steps: 100 });
            let chains = flops / (100 * 2 * LANES as u64);
            assert!((3..=12).contains(&chains), "{chains}");
            // Each of the lanes ends at 2, the fixed point of x / 2 + 1, and one more vector is 1.
            assert_eq!(value, (LANES as u64 * (2 * chains + 1)) as f32);
        });
    }
}
