//! Memory for the operands of one check, handed out front to back.

use barelm_kernels::rng::Rng;

/// What the largest check and a session of either model need.
pub struct Memory {
    floats: [f32; 96 * 1024],
    words: [u32; 16 * 1024],
    longs: [u64; 1024],
}

impl Memory {
    pub const fn new() -> Self {
        Self {
            floats: [0.0; 96 * 1024],
            words: [0; 16 * 1024],
            longs: [0; 1024],
        }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

/// The memory as one check sees it: numbers come from one seed.
pub struct Arena<'a> {
    floats: &'a mut [f32],
    words: &'a mut [u32],
    longs: &'a mut [u64],
    pub rng: Rng,
}

impl<'a> Arena<'a> {
    pub fn new(memory: &'a mut Memory) -> Self {
        Self {
            floats: &mut memory.floats,
            words: &mut memory.words,
            longs: &mut memory.longs,
            rng: Rng::new(20),
        }
    }

    /// `n` zeros.
    pub fn zeros(&mut self, n: usize) -> Option<&'a mut [f32]> {
        let taken = self.floats.split_off_mut(..n)?;
        taken.fill(0.0);
        Some(taken)
    }

    /// `n` values in -1 .. 1.
    pub fn values(&mut self, n: usize) -> Option<&'a mut [f32]> {
        self.values_within(n, 1.0)
    }

    /// `n` values in -limit .. limit.
    pub fn values_within(&mut self, n: usize, limit: f32) -> Option<&'a mut [f32]> {
        let taken = self.floats.split_off_mut(..n)?;
        for x in taken.iter_mut() {
            *x = limit * (2.0 * self.rng.uniform() - 1.0);
        }
        Some(taken)
    }

    /// `n` words of zero.
    pub fn words(&mut self, n: usize) -> Option<&'a mut [u32]> {
        let taken = self.words.split_off_mut(..n)?;
        taken.fill(0);
        Some(taken)
    }

    /// `n` long words of zero.
    pub fn longs(&mut self, n: usize) -> Option<&'a mut [u64]> {
        let taken = self.longs.split_off_mut(..n)?;
        taken.fill(0);
        Some(taken)
    }

    /// What is left of the floats and of the words.
    pub fn rest(self) -> (&'a mut [f32], &'a mut [u32]) {
        (self.floats, self.words)
    }
}
