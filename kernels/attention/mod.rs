//! Scaled dot-product attention: `softmax(scale Q K^T + bias, masked) V`, forward, backward, and
//! for one query against a key-value cache.
//!
//! | function | computes |
//! |---|---|
//! | [`attention_forward`] | outputs and the log-sum-exp of each row of scores |
//! | [`attention_backward`] | gradients of queries, keys, values and bias, from those |
//! | [`attend_one`] | the newest position against everything before it: a step of generation |
//!
//! With `n` queries, `m` keys, and rows of `d` (queries, keys) and `dv` (values), the score of
//! query `i` and key `j` is `scale q_i . k_j + bias[|p_i - j|]`, where `p_i` is the query's
//! position among the keys. `scale` is usually `1 / sqrt(d)`. No `n x m` matrix is ever stored.
//!
//! Source: Vaswani et al., Attention Is All You Need; Dao et al., FlashAttention.

mod backward;
mod block;
mod cached;
mod decode;
mod forward;
mod pack;
mod row;
#[cfg(test)]
mod tests;
mod tile;

pub use backward::{AttentionGradients, attention_backward, attention_backward_workspace_len};
pub use cached::{Cached, CachedMut, Element, attend_cached, cached_capacity};
pub use decode::{attend_one, attend_one_workspace_len};
pub use forward::{attention_forward, attention_forward_workspace_len};

use crate::error::ShapeError;
use crate::mat::MatRef;

/// Which keys a query sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mask {
    /// Every key; query `i` sits at position `i`.
    Full,
    /// Query `i` sits at position `offset + i` and sees the keys `0 ..= offset + i`.
    Causal {
        /// Number of keys before the first query: 0 in training, the cached ones in generation.
        offset: usize,
    },
}

impl Mask {
    /// Position of query 0 among the keys.
    pub(crate) const fn offset(self) -> usize {
        match self {
            Self::Full => 0,
            Self::Causal { offset } => offset,
        }
    }

    /// How many of `m` keys query `i` sees: always the first ones.
    pub(crate) fn visible(self, i: usize, m: usize) -> usize {
        match self {
            Self::Full => m,
            Self::Causal { offset } => m.min(offset.saturating_add(i).saturating_add(1)),
        }
    }
}

/// Queries, keys and values whose shapes fit each other, and how their scores are formed.
///
/// ```
/// use barelm_kernels::attention::{AttentionInputs, Mask};
/// use barelm_kernels::mat::MatRef;
/// let (q, k, v) = ([1.0; 4], [1.0; 4], [1.0; 6]);
/// let q = MatRef::new(&q, 2, 2)?;
/// let k = MatRef::new(&k, 2, 2)?;
/// let v = MatRef::new(&v, 2, 3)?;
/// assert!(AttentionInputs::new(q, k, v, Mask::Full, 0.7, None).is_ok());
/// let bias = [0.0]; // a distance of 1 occurs
/// assert!(AttentionInputs::new(q, k, v, Mask::Full, 0.7, Some(&bias)).is_err());
/// # Ok::<(), barelm_kernels::error::ShapeError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct AttentionInputs<'a> {
    pub(crate) q: MatRef<'a>,
    pub(crate) k: MatRef<'a>,
    pub(crate) v: MatRef<'a>,
    pub(crate) mask: Mask,
    pub(crate) scale: f32,
    pub(crate) bias: Option<&'a [f32]>,
}

impl<'a> AttentionInputs<'a> {
    /// `q` is `n x d`, `k` is `m x d`, `v` is `m x dv`. `bias`, where given, is added to the scores
    /// by distance `|position of the query - position of the key|`, and must hold a value for
    /// every distance that occurs: `max(n, m)` of them with [`Mask::Full`], `offset + n` with
    /// [`Mask::Causal`].
    ///
    /// # Errors
    /// [`ShapeError`] when the shapes differ or `bias` is too short.
    pub fn new(
        q: MatRef<'a>,
        k: MatRef<'a>,
        v: MatRef<'a>,
        mask: Mask,
        scale: f32,
        bias: Option<&'a [f32]>,
    ) -> Result<Self, ShapeError> {
        let inputs = Self {
            q,
            k,
            v,
            mask,
            scale,
            bias,
        };
        let enough = match (bias, inputs.distances()) {
            (None, _) => true,
            (Some(bias), Some(distances)) => bias.len() >= distances,
            (Some(_), None) => false,
        };
        let fits = q.cols() == k.cols() && k.rows() == v.rows() && enough;
        fits.then_some(inputs).ok_or(ShapeError)
    }

    /// Number of distances that occur, or `None` if it overflows.
    fn distances(&self) -> Option<usize> {
        let (n, m) = (self.q.rows(), self.k.rows());
        match self.mask {
            _ if n == 0 || m == 0 => Some(0),
            Mask::Full => Some(n.max(m)),
            Mask::Causal { offset } => offset.checked_add(n),
        }
    }
}
