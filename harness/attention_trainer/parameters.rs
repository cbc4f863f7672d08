//! The tables of configuration seed in one flat vector, and their initial values.
//!
//! One vector, because the optimiser, the norm and a file treat all parameters alike.

use super::{LmOptions, Output};
use crate::cbow_trainer::HuffmanTree;
use crate::kernels::mat::MatRef;
use crate::kernels::model::{OutputRef, SeedRef};
use crate::kernels::rng::Rng;
use std::ops::Range;

/// The tables, in the order in which they lie in the vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    Query,
    Key,
    Value,
    /// The output's own table, `V x d`.
    Output,
    /// Parameters of the inner nodes, `V - 1 x d`.
    Tree,
    /// Position bias, `heads x context`.
    Bias,
}

/// Which tables there are, and their shapes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Layout {
    pub(super) vocab_size: usize,
    pub(super) dim: usize,
    pub(super) heads: usize,
    pub(super) context: usize,
    pub(super) output: Output,
    bias: bool,
}

impl Layout {
    /// The layout that effective options ask for.
    pub(super) fn new(vocab_size: usize, options: &LmOptions) -> Self {
        Self {
            vocab_size,
            dim: options.dim,
            heads: options.heads,
            context: options.context,
            output: options.output,
            bias: options.bias,
        }
    }

    /// Every table and its number of elements.
    pub(super) fn tables(&self) -> impl Iterator<Item = (Table, usize)> + use<> {
        let table = self.vocab_size * self.dim;
        let only = |condition: bool, len: usize| if condition { len } else { 0 };
        [
            (Table::Query, table),
            (Table::Key, table),
            (Table::Value, table),
            (Table::Output, only(self.output == Output::Softmax, table)),
            (
                Table::Tree,
                only(self.output == Output::Huffman, table - self.dim),
            ),
            (Table::Bias, only(self.bias, self.heads * self.context)),
        ]
        .into_iter()
    }

    /// Where a table lies; empty if there is none.
    pub(super) fn range(&self, wanted: Table) -> Range<usize> {
        let mut start = 0;
        for (table, len) in self.tables() {
            if table == wanted {
                return start..start + len;
            }
            start += len;
        }
        start..start
    }

    /// Number of parameters.
    pub(super) fn len(&self) -> usize {
        self.tables().map(|(_, len)| len).sum()
    }
}

/// All parameters of a model.
#[derive(Clone, Debug)]
pub(super) struct Parameters {
    pub(super) layout: Layout,
    pub(super) values: Vec<f32>,
    /// For the Huffman output.
    pub(super) tree: Option<HuffmanTree>,
}

impl Parameters {
    /// Random tables; with word vectors, the value table and the output's own start from those,
    /// brought to the same standard deviation.
    pub(super) fn new(
        layout: Layout,
        tree: Option<HuffmanTree>,
        vectors: Option<&[f32]>,
        options: &LmOptions,
    ) -> Self {
        let mut rng = Rng::new(options.seed);
        let mut values: Vec<f32> = (0..layout.len())
            .map(|_| options.init_scale * bell(&mut rng))
            .collect();
        if let Some(vectors) = vectors {
            let scale = options.init_scale / root_mean_square(vectors);
            for table in [Table::Value, Table::Output] {
                let table = &mut values[layout.range(table)];
                for (value, x) in table.iter_mut().zip(vectors) {
                    *value = scale * x;
                }
            }
        }
        init_bias(&mut values[layout.range(Table::Bias)], layout.context);
        Self {
            layout,
            values,
            tree,
        }
    }

    /// One table.
    pub(super) fn table(&self, table: Table) -> &[f32] {
        &self.values[self.layout.range(table)]
    }

    /// The model that the parameters make.
    pub(super) fn view(&self) -> SeedRef<'_> {
        let Layout {
            vocab_size,
            dim,
            heads,
            context,
            ..
        } = self.layout;
        let matrix = |table, rows, cols| {
            MatRef::new(self.table(table), rows, cols)
                .expect("the layout gives each table its length")
        };
        let tables = [Table::Query, Table::Key, Table::Value].map(|t| matrix(t, vocab_size, dim));
        let output = match self.layout.output {
            Output::Softmax => OutputRef::Table(matrix(Table::Output, vocab_size, dim)),
            Output::Tied => OutputRef::Table(tables[2]),
            Output::Huffman => OutputRef::Tree {
                thetas: matrix(Table::Tree, vocab_size - 1, dim),
                tree: self.tree.as_ref().expect("made with the layout").view(),
            },
        };
        let bias = self
            .layout
            .bias
            .then(|| matrix(Table::Bias, heads, context));
        SeedRef::new(tables, bias, output, heads, context).expect("the layout's shapes fit")
    }
}

/// A bell-shaped value of mean 0 and variance 1: four uniform ones added, exact on every machine.
fn bell(rng: &mut Rng) -> f32 {
    let bits = rng.next_u64();
    let sum: u64 = (0..4).map(|i| bits >> (16 * i) & 0xffff).sum();
    // Four values uniform on 0 .. 2^16 have a mean of 2^17 and a variance of 2^32 / 3.
    (sum as f32 - 131_070.0) * (3.0_f32.sqrt() / 65_536.0)
}

/// Square root of the mean square; 1 for vectors of nothing but zeros.
fn root_mean_square(x: &[f32]) -> f32 {
    let sum: f64 = x.iter().map(|x| f64::from(*x).powi(2)).sum();
    let rms = (sum / x.len().max(1) as f64).sqrt() as f32;
    if rms > 0.0 { rms } else { 1.0 }
}

/// Head `h` starts with a bias of `-distance / 4^h`: the first head looks at the last token, the
/// others ever farther back (as in Press et al., Train Short, Test Long, 2022).
fn init_bias(bias: &mut [f32], context: usize) {
    let mut slope = 1.0;
    for head in bias.chunks_mut(context) {
        for (distance, bias) in head.iter_mut().enumerate() {
            *bias = -slope * distance as f32;
        }
        slope /= 4.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_tables_have_the_deviation_asked_for() {
        let options = LmOptions {
            init_scale: 0.5,
            ..LmOptions::default()
        };
        let layout = Layout::new(300, &options);
        let parameters = Parameters::new(layout, None, None, &options);
        let keys = parameters.table(Table::Key);
        let mean: f64 = keys.iter().map(|x| f64::from(*x)).sum::<f64>() / keys.len() as f64;
        assert!(mean.abs() < 0.01, "{mean}");
        assert!((root_mean_square(keys) - 0.5).abs() < 0.01);
    }

    #[test]
    fn word_vectors_become_values_and_output_at_the_same_scale() {
        let options = LmOptions {
            dim: 4,
            ..LmOptions::default()
        };
        let layout = Layout::new(2, &options);
        let vectors = [8.0, 0.0, 0.0, 0.0, 0.0, 8.0, 0.0, 0.0];
        let parameters = Parameters::new(layout, None, Some(&vectors), &options);
        let value = parameters.table(Table::Value);
        assert_eq!((value[0] / value[5], value[1]), (1.0, 0.0));
        assert!((root_mean_square(value) - options.init_scale).abs() < 1e-6);
        assert_eq!(value, parameters.table(Table::Output));
        assert_ne!(value, parameters.table(Table::Key));
    }
}
