//! Which token runs a kernel.

#[cfg(target_arch = "x86_64")]
use super::{Avx2, Avx512};
use super::{Kernel, Portable, Simd};

/// A token chosen at run time; a value proves that its instructions are available.
#[derive(Clone, Copy, Debug)]
pub enum Backend {
    /// Instructions of the compile target alone.
    Portable(Portable),
    /// AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    /// AVX-512 F and BW.
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    /// What stands for [`Portable`] on 32-bit machines without vectors.
    #[cfg(all(test, not(target_pointer_width = "32")))]
    Scalar(super::scalar::Portable),
}

impl Backend {
    /// The fastest backend of this processor, or the one that `--cfg barelm_backend` forces.
    ///
    /// A forced backend that the processor lacks falls back to [`Portable`].
    #[inline(always)]
    pub fn best() -> Self {
        #[cfg(all(
            target_arch = "x86_64",
            not(any(barelm_backend = "portable", barelm_backend = "avx2"))
        ))]
        if let Some(token) = Avx512::detect() {
            return Self::Avx512(token);
        }
        #[cfg(all(
            target_arch = "x86_64",
            not(any(barelm_backend = "portable", barelm_backend = "avx512"))
        ))]
        if let Some(token) = Avx2::detect() {
            return Self::Avx2(token);
        }
        Self::Portable(Portable)
    }

    /// Every backend of this processor, slowest first.
    pub fn available() -> impl Iterator<Item = Self> {
        let portable = [Some(Self::Portable(Portable))];
        #[cfg(target_arch = "x86_64")]
        let others = [
            Avx2::detect().map(Self::Avx2),
            Avx512::detect().map(Self::Avx512),
        ];
        #[cfg(not(target_arch = "x86_64"))]
        let others = [];
        #[cfg(all(test, not(target_pointer_width = "32")))]
        let portable = [Some(Self::Scalar(super::scalar::Portable)), portable[0]];
        portable.into_iter().chain(others).flatten()
    }

    /// Name of the instruction set.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable(_) => Portable::NAME,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => Avx2::NAME,
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => Avx512::NAME,
            #[cfg(all(test, not(target_pointer_width = "32")))]
            Self::Scalar(_) => "scalar",
        }
    }

    /// Whether multiply-adds round once.
    pub fn is_fused(self) -> bool {
        match self {
            Self::Portable(_) => Portable::FUSED,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) | Self::Avx512(_) => true,
            #[cfg(all(test, not(target_pointer_width = "32")))]
            Self::Scalar(_) => false,
        }
    }

    /// Runs a kernel with this backend's instructions.
    #[inline(always)]
    pub fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self {
            Self::Portable(token) => kernel.run(token),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(token) => token.run(kernel),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(token) => token.run(kernel),
            #[cfg(all(test, not(target_pointer_width = "32")))]
            Self::Scalar(token) => kernel.run(token),
        }
    }
}

/// Runs a kernel with the best instructions of this processor.
#[inline(always)]
pub fn dispatch<K: Kernel>(kernel: K) -> K::Output {
    Backend::best().run(kernel)
}
