//! From the shards' gradients to those of the tables, each element by one task in a fixed order.
//!
//! The flat gradient is cut into blocks of whole rows. A block adds up what all shards have for its
//! rows, in the order of the tokens, so nothing is reduced across threads, and nothing depends on
//! how many there are.

use super::layout::{Layout, Table};
use super::shard::Shard;
use crate::attention_trainer::Output;
use crate::cbow_trainer::HuffmanTree;
use crate::kernels::blas1::{axpy, dot};
use crate::kernels::mat::{MatMut, MatRef};
use crate::kernels::matmul::{Accum, matmul_tn, matmul_workspace_len};
use crate::parallel;

/// Rows of one block.
const BLOCK_ROWS: usize = 256;

/// Values grouped by a key, in their order within each group: `items[starts[k] .. starts[k + 1]]`.
#[derive(Debug, Default)]
struct Groups<T> {
    starts: Vec<u32>,
    items: Vec<T>,
}

impl<T: Copy + Default> Groups<T> {
    /// Groups the items of a list that can be gone through twice (a counting sort).
    fn fill(&mut self, keys: usize, list: impl Iterator<Item = (u32, T)> + Clone) {
        self.starts.clear();
        self.starts.resize(keys + 2, 0);
        for (key, _) in list.clone() {
            self.starts[key as usize + 2] += 1;
        }
        for key in 2..keys + 2 {
            self.starts[key] += self.starts[key - 1];
        }
        let len = self.starts[keys + 1] as usize;
        self.items.resize(len, T::default());
        for (key, item) in list {
            let place = &mut self.starts[key as usize + 1];
            self.items[*place as usize] = item;
            *place += 1;
        }
    }

    fn of(&self, key: usize) -> &[T] {
        &self.items[self.starts[key] as usize..self.starts[key + 1] as usize]
    }
}

/// The gradient of every parameter.
#[derive(Debug)]
pub(super) struct Gradient {
    /// In the order of the parameters.
    pub(super) values: Vec<f32>,
    /// Where each token stands in the batch.
    places: Groups<u32>,
    /// On which rows' paths each node of the tree lies, with the gradient of its score.
    visits: Groups<(u32, f32)>,
}

/// What a block needs to know.
struct Sources<'a> {
    layout: &'a Layout,
    shards: &'a [Shard],
    places: &'a Groups<u32>,
    visits: &'a Groups<(u32, f32)>,
}

impl Gradient {
    pub(super) fn new(layout: &Layout) -> Self {
        Self {
            values: vec![0.0; layout.len()],
            places: Groups::default(),
            visits: Groups::default(),
        }
    }

    /// Collects the gradients of all shards; returns the norm.
    pub(super) fn collect(
        &mut self,
        layout: &Layout,
        tree: Option<&HuffmanTree>,
        shards: &[Shard],
        threads: usize,
    ) -> f64 {
        let tokens = shards.iter().flat_map(|shard| &shard.inputs).copied();
        self.places.fill(layout.vocab_size, tokens.zip(0..));
        if let Some(tree) = tree {
            self.visits
                .fill(layout.vocab_size - 1, visits(tree, shards));
        }
        let sources = Sources {
            layout,
            shards,
            places: &self.places,
            visits: &self.visits,
        };
        let mut blocks = Vec::new();
        let mut rest = &mut *self.values;
        for (table, len) in layout.tables() {
            let (values, after) = rest.split_at_mut(len);
            rest = after;
            let rows = values.chunks_mut(BLOCK_ROWS * layout.dim).enumerate();
            blocks.extend(rows.map(|(i, block)| (table, i * BLOCK_ROWS, block)));
        }
        let squares = parallel::map(threads, blocks, |(table, first, block)| {
            sources.fill(table, first, block);
            f64::from(dot(block, block).expect("equal lengths"))
        });
        squares.iter().sum::<f64>().sqrt()
    }
}

/// Every node on every row's path, with the row and the gradient of the node's score.
fn visits<'a>(
    tree: &'a HuffmanTree,
    shards: &'a [Shard],
) -> impl Iterator<Item = (u32, (u32, f32))> + Clone + 'a {
    let tree = tree.view();
    let targets = shards.iter().flat_map(|shard| &shard.targets);
    let nodes = targets
        .zip(0..)
        .flat_map(move |(target, row)| tree.path(*target).0.iter().map(move |node| (*node, row)));
    let scores = shards.iter().flat_map(|shard| &shard.output.scores);
    nodes
        .zip(scores)
        .map(|((node, row), score)| (node, (row, *score)))
}

impl Sources<'_> {
    /// Gradient of the rows of `table` from `first` on.
    fn fill(&self, table: Table, first: usize, block: &mut [f32]) {
        match table {
            Table::Query => self.add_rows(first, block, |shard| &shard.dq),
            Table::Key => self.add_rows(first, block, |shard| &shard.dk),
            Table::Value => {
                self.add_rows(first, block, |shard| &shard.dv);
                if self.layout.output == Output::Tied {
                    self.add_products(first, block);
                }
            }
            Table::Output => {
                block.fill(0.0);
                self.add_products(first, block);
            }
            Table::Tree => self.add_visits(first, block),
            Table::Bias => self.add_bias(first * self.layout.dim, block),
        }
    }

    /// Row `row` of the batch, in the shards' tensors.
    fn row<'s>(&'s self, row: u32, tensor: impl Fn(&'s Shard) -> &'s [f32]) -> &'s [f32] {
        let (rows, d) = (self.shards[0].inputs.len(), self.layout.dim);
        let (shard, row) = (row as usize / rows, row as usize % rows);
        &tensor(&self.shards[shard])[row * d..][..d]
    }

    /// Each token's row is the sum over its places.
    fn add_rows<'s>(
        &'s self,
        first: usize,
        block: &mut [f32],
        tensor: impl Fn(&'s Shard) -> &'s Vec<f32>,
    ) {
        block.fill(0.0);
        for (i, sum) in block.chunks_exact_mut(self.layout.dim).enumerate() {
            for place in self.places.of(first + i) {
                let row = self.row(*place, |shard| tensor(shard));
                for (sum, x) in sum.iter_mut().zip(row) {
                    *sum += x;
                }
            }
        }
    }

    /// `U += logits^T h`, shard by shard.
    fn add_products(&self, first: usize, block: &mut [f32]) {
        let (vocab_size, d) = (self.layout.vocab_size, self.layout.dim);
        let rows = block.len() / d;
        let tokens = self.shards[0].inputs.len();
        let mut block = MatMut::new(block, rows, d).expect("whole rows");
        let mut scratch = vec![0.0; matmul_workspace_len(rows, d, tokens)];
        for shard in self.shards {
            let logits = (shard.output).logits(tokens, vocab_size, first..first + rows);
            let h = MatRef::new(&shard.activations.h, tokens, d).expect("made for it");
            matmul_tn(block.reborrow(), logits, h, Accum::Add, &mut scratch).expect("shapes fit");
        }
    }

    /// Each node's row is the sum of the hidden vectors that passed it, times their gradients.
    fn add_visits(&self, first: usize, block: &mut [f32]) {
        block.fill(0.0);
        for (i, sum) in block.chunks_exact_mut(self.layout.dim).enumerate() {
            for (row, score) in self.visits.of(first + i) {
                let h = self.row(*row, |shard| &shard.activations.h);
                axpy(*score, h, sum).expect("equal widths");
            }
        }
    }

    fn add_bias(&self, first: usize, block: &mut [f32]) {
        block.fill(0.0);
        for shard in self.shards {
            for (sum, x) in block.iter_mut().zip(&shard.dbias[first..]) {
                *sum += x;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_keep_the_order_of_their_items() {
        let mut groups = Groups::default();
        let list = [(2, 'a'), (0, 'b'), (2, 'c'), (3, 'd')];
        groups.fill(4, list.into_iter());
        assert_eq!([0, 1, 2, 3].map(|key| groups.of(key).len()), [1, 0, 2, 1]);
        assert_eq!(groups.of(2), ['a', 'c']);
        groups.fill(1, [(0, 'z')].into_iter());
        assert_eq!(groups.of(0), ['z']);
    }
}
