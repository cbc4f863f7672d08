//! The output layer: from a hidden vector to the vocabulary.

use crate::error::KernelError;
use crate::huffman::{HuffmanRef, probabilities_workspace_len};
use crate::mat::MatRef;
use crate::matmul::matvec;

/// How a hidden vector becomes a distribution over the vocabulary.
#[derive(Clone, Copy, Debug)]
pub enum OutputRef<'a> {
    /// `softmax(U h)`, `U` one row of `d` a token.
    Table(MatRef<'a>),
    /// Hierarchical softmax.
    Tree {
        /// One row of `d` an inner node.
        thetas: MatRef<'a>,
        /// The paths.
        tree: HuffmanRef<'a>,
    },
}

impl OutputRef<'_> {
    /// Elements of workspace for [`OutputRef::logits`].
    pub(super) fn workspace_len(&self) -> usize {
        match self {
            Self::Table(_) => 0,
            Self::Tree { tree, .. } => probabilities_workspace_len(tree.vocab_size()),
        }
    }

    /// Logits of every token; for a tree the logarithms of their probabilities.
    pub(super) fn logits(
        &self,
        hidden: &[f32],
        logits: &mut [f32],
        workspace: &mut [f32],
    ) -> Result<(), KernelError> {
        match self {
            Self::Table(u) => matvec(logits, *u, hidden)?,
            Self::Tree { thetas, tree } => {
                tree.probabilities_into(hidden, *thetas, workspace, logits)?;
                for x in logits {
                    *x = libm::logf(*x);
                }
            }
        }
        Ok(())
    }
}
