//! Huffman trees over token counts, for hierarchical softmax.
//!
//! A vocabulary of `V` tokens is the leaves of a binary tree with `V - 1` inner nodes. Each inner
//! node `n` has a parameter vector `theta_n` and decides between its two sides with probability
//! `s(theta_n . x)`; the probability of a token is the product of the decisions along its path:
//!
//! ```text
//! log p(w | x) = sum over the path's nodes n of  log s(theta_n . x)        where the bit is 1
//!                                                log (1 - s(theta_n . x))  where the bit is 0
//! ```
//! Frequent tokens have short paths, so a prediction costs `O(log V)` instead of `O(V)`.
//!
//! The tree is three flat tables that mean the same in memory, on disk and in flash: the path of
//! token `w` is `nodes[offsets[w] .. offsets[w + 1]]`, from the root down, and bit `i` of
//! `codes[w]` is the side it takes at its `i`-th node. [`build`] numbers inner nodes by falling
//! count, the root 0, so that the parameters that every step touches lie together.
//!
//! Sources: D. Huffman, 1952; F. Morin and Y. Bengio, 2005; T. Mikolov et al., 2013.

mod build;
mod check;
mod walk;

use crate::error::{BufferTooSmall, ShapeError};
pub use build::{build, build_workspace_len, nodes_len};
pub use check::check_workspace_len;
use core::fmt;
pub use walk::probabilities_workspace_len;

/// Longest code, in bits.
pub const MAX_CODE_LEN: usize = 64;

/// Why there is no tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HuffmanError {
    /// A buffer of the caller is too small.
    Buffer(BufferTooSmall),
    /// Tokens or path nodes do not fit 32 bits.
    TooLarge,
    /// The counts give this token a code of more than [`MAX_CODE_LEN`] bits.
    CodeTooLong {
        /// The token.
        token: u32,
    },
    /// The tables' lengths, or the offsets, contradict each other.
    Offsets,
    /// The path or code of this token contradicts those of the tokens before it.
    Path {
        /// The token.
        token: u32,
    },
    /// Some inner node lacks a child.
    Incomplete,
}

impl fmt::Display for HuffmanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Buffer(e) => e.fmt(f),
            Self::TooLarge => f.write_str("the tree does not fit 32-bit indices"),
            Self::CodeTooLong { token } => write!(f, "the code of token {token} exceeds 64 bits"),
            Self::Offsets => f.write_str("the tree's tables do not fit each other"),
            Self::Path { token } => write!(f, "the path of token {token} contradicts the tree"),
            Self::Incomplete => f.write_str("an inner node of the tree lacks a child"),
        }
    }
}

impl core::error::Error for HuffmanError {}

impl From<BufferTooSmall> for HuffmanError {
    fn from(e: BufferTooSmall) -> Self {
        Self::Buffer(e)
    }
}

/// A full binary tree whose leaves are the tokens `0 .. V`, each exactly once.
///
/// # Example
/// ```
/// use barelm_kernels::huffman::{build, build_workspace_len};
/// let counts = [5, 1, 2];
/// let (mut offsets, mut nodes, mut codes) = ([0; 4], [0; 5], [0; 3]);
/// let mut workspace = [0; build_workspace_len(3)];
/// let tree = build(&counts, &mut workspace, &mut offsets, &mut nodes, &mut codes)?;
/// assert_eq!(tree.path(0), (&[0][..], 1)); // the most frequent token: one decision, at the root
/// assert_eq!(tree.path(1), (&[0, 1][..], 0b00));
/// assert_eq!(tree.path(2), (&[0, 1][..], 0b10));
/// # Ok::<(), barelm_kernels::huffman::HuffmanError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct HuffmanRef<'a> {
    offsets: &'a [u32],
    nodes: &'a [u32],
    codes: &'a [u64],
}

impl<'a> HuffmanRef<'a> {
    /// Takes tables that [`build`] made or [`HuffmanRef::new_checked`] has seen before.
    ///
    /// Tables that are no tree give meaningless paths and probabilities, but never a panic.
    #[inline(always)]
    pub const fn new_unchecked(offsets: &'a [u32], nodes: &'a [u32], codes: &'a [u64]) -> Self {
        Self {
            offsets,
            nodes,
            codes,
        }
    }

    /// Number of tokens, the leaves.
    #[inline(always)]
    pub fn vocab_size(&self) -> usize {
        self.codes.len()
    }

    /// Number of inner nodes: one less than tokens, and none without tokens.
    #[inline(always)]
    pub fn inner_nodes(&self) -> usize {
        self.codes.len().saturating_sub(1)
    }

    /// Inner nodes from the root to the token's parent, and the code: bit `i` is the side taken
    /// at the `i`-th node. Empty for a single token, and for one that does not exist.
    #[inline(always)]
    pub fn path(&self, token: u32) -> (&'a [u32], u64) {
        let token = token as usize;
        let ends = self.offsets.get(token..).and_then(|o| o.first_chunk());
        let (Some([start, end]), Some(code)) = (ends, self.codes.get(token)) else {
            return (&[], 0);
        };
        let path = self.nodes.get(*start as usize..*end as usize);
        let path = path.filter(|path| path.len() <= MAX_CODE_LEN);
        (path.unwrap_or(&[]), *code)
    }

    /// Where each token's path starts in [`HuffmanRef::nodes`], and where the last one ends.
    pub fn offsets(&self) -> &'a [u32] {
        self.offsets
    }

    /// All paths, one after another.
    pub fn nodes(&self) -> &'a [u32] {
        self.nodes
    }

    /// The code of each token.
    pub fn codes(&self) -> &'a [u64] {
        self.codes
    }

    /// Mean length of a code, in bits, over a text in which the tokens have these counts.
    ///
    /// It lies within one bit of the entropy of the counts, if the tree was built from them.
    ///
    /// # Errors
    /// [`ShapeError`] unless there is one count a token.
    pub fn expected_code_len(&self, counts: &[u64]) -> Result<f64, ShapeError> {
        if counts.len() != self.vocab_size() {
            return Err(ShapeError);
        }
        let lengths = self
            .offsets
            .windows(2)
            .map(|o| f64::from(o[1].saturating_sub(o[0])));
        let (mut bits, mut total) = (0.0, 0.0);
        for (count, len) in counts.iter().zip(lengths) {
            bits += *count as f64 * len;
            total += *count as f64;
        }
        Ok(if total > 0.0 { bits / total } else { 0.0 })
    }
}

#[cfg(test)]
mod tests;
