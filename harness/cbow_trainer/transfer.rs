//! What one Huffman tree has learned, for another one over the same words and more.
//!
//! An inner node's parameters have learned one question: this side or that? In a tree over other
//! counts nearly all questions are others, for words of equal rarity change their places (DESIGN.md
//! has figures). What stays is what is known of a word: at `x = 0` its log-probability grows along
//!
//! ```text
//! u_w = sum over its path of  +theta_i / 2 where its bit is 1,  -theta_i / 2 where it is 0
//! ```
//! In the new tree a node tells its sides apart by `theta = m_1 - m_0`, where `m` of a side is the
//! mean of the two sides below it, and at a leaf `u_w`. This is the inverse: the same tree gets the
//! same parameters back. A side whose words are all new has nothing to tell; its node starts at zero.

use super::HuffmanTree;
use crate::kernels::blas1::axpy;

/// From the parameters of `old` to those of `new`.
pub(super) struct Transfer<'a> {
    old: &'a HuffmanTree,
    new: &'a HuffmanTree,
    /// For each word of the new tree, its number in the old one.
    old_ids: &'a [Option<u32>],
    /// For each new inner node, whether both of its sides have old words.
    tells: Vec<bool>,
}

impl<'a> Transfer<'a> {
    pub(super) fn new(
        old: &'a HuffmanTree,
        new: &'a HuffmanTree,
        old_ids: &'a [Option<u32>],
    ) -> Self {
        let mut sides = vec![[false; 2]; new.view().inner_nodes()];
        for (token, _) in (0..).zip(old_ids).filter(|(_, old)| old.is_some()) {
            for (node, bit) in path(new, token) {
                sides[node][usize::from(bit)] = true;
            }
        }
        Self {
            old,
            new,
            old_ids,
            tells: sides.iter().map(|sides| sides[0] && sides[1]).collect(),
        }
    }

    /// Adds to the rows of the new tree, which are zeros, what those of the old one know.
    pub(super) fn add_rows(&self, width: usize, from: &[f32], to: &mut [f32]) {
        let mut known = vec![0.0; width];
        for (token, old_id) in (0..).zip(self.old_ids) {
            let Some(old_id) = old_id else { continue };
            known.fill(0.0);
            for (node, bit) in path(self.old, *old_id) {
                let half = if bit { 0.5 } else { -0.5 };
                add(half, &from[node * width..][..width], &mut known);
            }
            let mut share = 1.0;
            for (node, bit) in path(self.new, token).rev() {
                if self.tells[node] {
                    let signed = if bit { share } else { -share };
                    add(signed, &known, &mut to[node * width..][..width]);
                    share *= 0.5;
                }
            }
        }
    }
}

/// Inner nodes from the root down, and the side that the token is on.
fn path(
    tree: &HuffmanTree,
    token: u32,
) -> impl DoubleEndedIterator<Item = (usize, bool)> + ExactSizeIterator + '_ {
    let (nodes, code) = tree.view().path(token);
    let side = move |(depth, node): (usize, &u32)| (*node as usize, code >> depth & 1 == 1);
    nodes.iter().enumerate().map(side)
}

fn add(factor: f32, x: &[f32], y: &mut [f32]) {
    axpy(factor, x, y).expect("rows are of one width");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::rng::Rng;

    const WIDTH: usize = 3;

    fn random_rows(rows: usize) -> Vec<f32> {
        let mut rng = Rng::new(3);
        (0..rows * WIDTH).map(|_| rng.uniform() - 0.5).collect()
    }

    fn transferred(old: &HuffmanTree, new: &HuffmanTree, ids: &[Option<u32>]) -> Vec<f32> {
        let from = random_rows(old.view().inner_nodes());
        let mut to = vec![0.0; new.view().inner_nodes() * WIDTH];
        Transfer::new(old, new, ids).add_rows(WIDTH, &from, &mut to);
        to
    }

    fn close(a: &[f32], b: &[f32]) -> bool {
        a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5)
    }

    #[test]
    fn the_same_tree_gets_the_same_parameters_back() {
        let counts: Vec<u64> = (1..=60).map(|i| 3000 / i).collect();
        let tree = HuffmanTree::from_counts(&counts).unwrap();
        let ids: Vec<Option<u32>> = (0..60).map(Some).collect();
        assert!(close(&transferred(&tree, &tree, &ids), &random_rows(59)));
    }

    #[test]
    fn new_words_stand_between_old_ones_and_change_nothing_that_those_ask() {
        // Two old words, told apart at the root.
        let old = HuffmanTree::from_counts(&[3, 2]).unwrap();
        let theta = random_rows(1);
        let new = HuffmanTree::from_counts(&[5, 9, 1]).unwrap();
        // The word in the middle is new and stands alone on a side of the root.
        let rows = transferred(&old, &new, &[Some(0), None, Some(1)]);
        assert!(close(&rows[..WIDTH], &[0.0; WIDTH]), "{rows:?}");
        let [was, is] = [(&old, 1), (&new, 2)].map(|(tree, token)| path(tree, token).last());
        let turned = was.unwrap().1 != is.unwrap().1;
        let want: Vec<f32> = theta.iter().map(|x| if turned { -x } else { *x }).collect();
        assert!(close(&rows[WIDTH..], &want), "{rows:?} {theta:?}");
    }
}
