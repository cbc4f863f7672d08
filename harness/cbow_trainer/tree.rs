//! The Huffman tree as an owner of its tables.

use crate::kernels::huffman::{HuffmanRef, build, build_workspace_len, nodes_len};
use crate::{Error, Result};

/// A Huffman tree over token counts.
///
/// # Example
/// ```
/// use barelm::cbow_trainer::HuffmanTree;
/// let tree = HuffmanTree::from_counts(&[5, 1, 2])?;
/// assert_eq!(tree.view().path(0).0.len(), 1);
/// # Ok::<(), barelm::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HuffmanTree {
    /// Where each token's path starts, and where the last one ends.
    pub offsets: Vec<u32>,
    /// All paths, from the root down.
    pub nodes: Vec<u32>,
    /// The code of each token.
    pub codes: Vec<u64>,
}

impl HuffmanTree {
    /// The tree over the counts of the tokens `0 .. counts.len()`.
    ///
    /// # Errors
    /// [`Error::Failed`] when the tree is too large or too deep.
    pub fn from_counts(counts: &[u64]) -> Result<Self> {
        let failed = |e| Error::Failed(format!("no Huffman tree: {e}"));
        let mut workspace = vec![0; build_workspace_len(counts.len())];
        let mut tree = Self {
            offsets: vec![0; counts.len() + 1],
            nodes: vec![0; nodes_len(counts, &mut workspace).map_err(failed)?],
            codes: vec![0; counts.len()],
        };
        build(
            counts,
            &mut workspace,
            &mut tree.offsets,
            &mut tree.nodes,
            &mut tree.codes,
        )
        .map_err(failed)?;
        Ok(tree)
    }

    /// The tree as the kernels see it. The tables are taken as they are.
    pub fn view(&self) -> HuffmanRef<'_> {
        HuffmanRef::new_unchecked(&self.offsets, &self.nodes, &self.codes)
    }
}
