//! Proof that tables from a file are a tree.
//!
//! Walk every path and note, for each side of each inner node, what it leads to: the next node of
//! the path, or the token at its end. Two paths that disagree about a side are refused, and so are
//! two tokens at one side. Every path starts at the same root, which nothing leads to. At the end
//! all `2 (V - 1)` sides must lead somewhere. Then `V` sides hold tokens, which leaves `V - 2` for
//! the other inner nodes; all of those were reached, so each was reached from exactly one side: it
//! is a tree, it is full, and each token is one leaf. Time grows with the tables, not with depth.

use super::{HuffmanError, HuffmanRef, MAX_CODE_LEN};
use crate::error::take;

/// Elements of workspace that [`HuffmanRef::new_checked`] needs for a vocabulary.
pub const fn check_workspace_len(vocab_size: usize) -> usize {
    vocab_size.saturating_sub(1).saturating_mul(2)
}

const NOTHING: u32 = u32::MAX;
/// Set in what a side leads to when that is a token.
const TOKEN: u32 = 1 << 31;

impl<'a> HuffmanRef<'a> {
    /// Takes tables from anywhere, a stranger's file for instance, after checking all of them.
    ///
    /// # Shapes
    /// `offsets`: `V + 1`; `nodes`: the last offset; `codes`: `V`; `workspace`:
    /// [`check_workspace_len`].
    ///
    /// # Errors
    /// [`HuffmanError`], unless the tables are a full binary tree with each token at exactly one
    /// leaf, within bounds, and no bit set beyond a code's length.
    pub fn new_checked(
        offsets: &'a [u32],
        nodes: &'a [u32],
        codes: &'a [u64],
        workspace: &mut [u32],
    ) -> Result<Self, HuffmanError> {
        let tree = Self {
            offsets,
            nodes,
            codes,
        };
        tree.check_offsets()?;
        let sides = take(workspace, check_workspace_len(codes.len()))?;
        sides.fill(NOTHING);
        for token in 0..codes.len() as u32 {
            tree.note_path(token, sides)
                .ok_or(HuffmanError::Path { token })?;
        }
        if sides.contains(&NOTHING) {
            return Err(HuffmanError::Incomplete);
        }
        Ok(tree)
    }

    /// Offsets start at 0, do not fall, end with the nodes, and leave at most 64 nodes a path.
    fn check_offsets(&self) -> Result<(), HuffmanError> {
        let rising = self.offsets.windows(2).all(|pair| {
            let len = pair[1].checked_sub(pair[0]);
            len.is_some_and(|len| len as usize <= MAX_CODE_LEN)
        });
        let end = self.offsets.last().map(|end| *end as usize);
        let fit = self.offsets.len() == self.codes.len() + 1
            && self.codes.len() < TOKEN as usize
            && self.offsets.first() == Some(&0)
            && end == Some(self.nodes.len());
        if rising && fit {
            Ok(())
        } else {
            Err(HuffmanError::Offsets)
        }
    }

    /// Notes where each side on the path leads; `None` if that contradicts what was noted before.
    fn note_path(&self, token: u32, sides: &mut [u32]) -> Option<()> {
        let (path, code) = self.path(token);
        let unused = code.checked_shr(path.len() as u32).unwrap_or(0);
        let root = self.nodes.first().copied();
        if unused != 0 || path.first().copied() != root {
            return None;
        }
        let leads_to = path.iter().skip(1).copied().chain([token | TOKEN]);
        for (depth, (node, target)) in path.iter().zip(leads_to).enumerate() {
            let side = 2 * *node as usize + (code >> depth & 1) as usize;
            let noted = sides.get_mut(side)?;
            let first_visit = *noted == NOTHING && Some(target) != root;
            if !first_visit && *noted != target {
                return None;
            }
            *noted = target;
        }
        Some(())
    }
}
