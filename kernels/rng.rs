//! A small reproducible random number generator: PCG-XSH-RR 64/32.
//!
//! Source: M. O'Neill, "PCG: a family of simple fast space-efficient statistically good
//! algorithms for random number generation", 2014. The same seed gives the same numbers on every
//! target.

/// State of the generator: 16 bytes, no heap.
///
/// ```
/// use barelm_kernels::rng::Rng;
/// let (mut a, mut b) = (Rng::new(42), Rng::new(42));
/// assert_eq!(a.next_u32(), b.next_u32());
/// assert!((0.0..1.0).contains(&a.uniform()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rng {
    state: u64,
    stream: u64,
}

impl Rng {
    /// The generator of a seed.
    pub const fn new(seed: u64) -> Self {
        Self::with_stream(seed, 0)
    }

    /// One of 2^63 independent generators of a seed.
    pub const fn with_stream(seed: u64, stream: u64) -> Self {
        let stream = stream.wrapping_mul(2) | 1;
        let state = stream
            .wrapping_add(seed)
            .wrapping_mul(MULTIPLIER)
            .wrapping_add(stream);
        Self { state, stream }
    }

    /// What the numbers to come depend on, for [`Rng::from_state`].
    pub const fn state(&self) -> [u64; 2] {
        [self.state, self.stream]
    }

    /// A generator that goes on where another one was.
    ///
    /// ```
    /// use barelm_kernels::rng::Rng;
    /// let mut a = Rng::new(42);
    /// a.next_u32();
    /// assert_eq!(Rng::from_state(a.state()).next_u32(), a.next_u32());
    /// ```
    pub const fn from_state([state, stream]: [u64; 2]) -> Self {
        Self { state, stream }
    }

    /// 32 uniform bits.
    #[inline]
    pub const fn next_u32(&mut self) -> u32 {
        let old = self.state;
        self.state = old.wrapping_mul(MULTIPLIER).wrapping_add(self.stream);
        let mixed = (((old >> 18) ^ old) >> 27) as u32;
        mixed.rotate_right((old >> 59) as u32)
    }

    /// 64 uniform bits.
    #[inline]
    pub const fn next_u64(&mut self) -> u64 {
        let high = self.next_u32() as u64;
        high << 32 | self.next_u32() as u64
    }

    /// A multiple of 2^-24 in `0 .. 1`.
    #[inline]
    pub const fn uniform(&mut self) -> f32 {
        (self.next_u32() >> 8) as f32 / (1 << 24) as f32
    }

    /// An integer in `0 .. n` (0 when `n` is 0), by Lemire's multiplication; bias below `n / 2^64`.
    #[inline]
    pub const fn below(&mut self, n: u64) -> u64 {
        ((self.next_u64() as u128 * n as u128) >> 64) as u64
    }
}

const MULTIPLIER: u64 = 6364136223846793005;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_the_published_sequence() {
        // `pcg32_srandom(42, 54)` of the reference implementation's demo.
        let mut rng = Rng::with_stream(42, 54);
        let got: [u32; 4] = core::array::from_fn(|_| rng.next_u32());
        assert_eq!(got, [0xa15c02b7, 0x7b47f409, 0xba1d3330, 0x83d2f293]);
    }

    #[test]
    fn below_covers_its_range() {
        let mut rng = Rng::new(1);
        let mut seen = [0; 5];
        (0..1000).for_each(|_| seen[rng.below(5) as usize] += 1);
        assert!(seen.iter().all(|n| *n > 120), "{seen:?}");
        assert_eq!(rng.below(0), 0);
    }
}
