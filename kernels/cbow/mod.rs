//! CBOW and skip-gram: predict a token from the vectors of its context.
//!
//! ```text
//! x      = mean (or sum) of v_c over the C context tokens c          word2vec.c's neu1 from syn0
//! z_n    = theta_n . x         for each inner node n of the path     syn1
//! loss   = -log p = sum over the path of softplus(u_n),   u_n = -z_n where the bit is 1, else z_n
//! g_n    = learning_rate * (d_n - s(z_n)) = +-learning_rate * s(u_n)
//! e      = sum over the path of g_n * theta_n                        neu1e, with the old theta
//! theta_n += g_n * x
//! v_c    += e * share(C)
//! ```
//! `d_n` is the bit. (word2vec.c's `1 - code - s` is the same step with the opposite label.)
//!
//! [`step`] is that, one window at a time, for vectors of any length. [`forward_slice`],
//! [`activate`], [`damp`] and [`update_slice`] are the same for a batch of windows, cut into slices
//! of the dimensions so that several threads can share the work; see [`slices`]. Nodes may be any rows
//! of `thetas`: for negative sampling they are those of the target and of drawn tokens. For skip-gram
//! every word of a context is an `x` by itself: [`BatchRef::of_pairs`].

mod activation;
mod batch;
mod damping;
mod forward;
mod pairs;
mod rows;
mod slice;
mod step;
mod update;

pub use activation::activate;
pub use batch::{BatchRef, blocks};
pub use damping::{damp, damp_workspace_len};
pub use slice::{
    Slice, SliceMut, are_neighbours, forward_slice, forward_two_slices, slices, two_are_faster,
    update_slice, update_two_slices,
};
pub use step::{CbowMut, StepOptions, step, step_workspace_len};

/// How the vectors of a context become one, and what each of them gets of the gradient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Projection {
    /// `x` is the mean; each context vector gets `e / C`, the exact gradient.
    Mean,
    /// `x` is the mean; each context vector gets the whole `e`: `C` times the gradient. It is what
    /// word2vec.c and fastText do, and it learns good vectors in fewer epochs.
    #[default]
    MeanFullShare,
    /// `x` is the sum; each context vector gets `e`, the exact gradient.
    Sum,
}

impl Projection {
    /// Factors of `x` over the sum of vectors, and of each vector's step over `e`.
    #[inline(always)]
    pub(crate) fn factors(self, context_len: usize) -> (f32, f32) {
        let one_of = 1.0 / context_len.max(1) as f32;
        match self {
            Self::Mean => (one_of, one_of),
            Self::MeanFullShare => (one_of, 1.0),
            Self::Sum => (1.0, 1.0),
        }
    }
}

#[cfg(test)]
mod tests;
