//! The tables of configuration seed in one flat vector, and their initial values.

use crate::attention_trainer::parameters::{bell, copy_scaled};
use crate::attention_trainer::{LmOptions, Output};
use crate::cbow_trainer::HuffmanTree;
use crate::kernels::mat::MatRef;
use crate::kernels::model::{OutputRef, SeedRef};
use crate::kernels::rng::Rng;
use std::ops::Range;

/// The tables, in the order in which they lie in the vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::attention_trainer) enum Table {
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
pub(in crate::attention_trainer) struct Layout {
    pub(in crate::attention_trainer) vocab_size: usize,
    pub(in crate::attention_trainer) dim: usize,
    pub(in crate::attention_trainer) heads: usize,
    pub(in crate::attention_trainer) context: usize,
    pub(in crate::attention_trainer) output: Output,
    bias: bool,
}

impl Layout {
    /// The layout that effective options ask for.
    pub(in crate::attention_trainer) fn new(vocab_size: usize, options: &LmOptions) -> Self {
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
    pub(in crate::attention_trainer) fn tables(
        &self,
    ) -> impl Iterator<Item = (Table, usize)> + use<> {
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
    pub(in crate::attention_trainer) fn range(&self, wanted: Table) -> Range<usize> {
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
    pub(in crate::attention_trainer) fn len(&self) -> usize {
        self.tables().map(|(_, len)| len).sum()
    }
}

impl Layout {
    /// Random tables of the deviation `scale`; with word vectors, the value table and the output's
    /// own start from those, brought to the same deviation.
    pub(in crate::attention_trainer) fn initial(
        &self,
        rng: &mut Rng,
        vectors: Option<&[f32]>,
        scale: f32,
    ) -> Vec<f32> {
        let mut values: Vec<f32> = (0..self.len()).map(|_| scale * bell(rng)).collect();
        if let Some(vectors) = vectors {
            for table in [Table::Value, Table::Output] {
                copy_scaled(vectors, scale, &mut values[self.range(table)]);
            }
        }
        init_bias(&mut values[self.range(Table::Bias)], self.context);
        values
    }

    /// The model that the tables in `values` make.
    pub(in crate::attention_trainer) fn view<'a>(
        &self,
        values: &'a [f32],
        tree: Option<&'a HuffmanTree>,
    ) -> SeedRef<'a> {
        let Self {
            vocab_size,
            dim,
            heads,
            context,
            ..
        } = *self;
        let matrix = |table, rows, cols| {
            MatRef::new(&values[self.range(table)], rows, cols)
                .expect("the layout gives each table its length")
        };
        let tables = [Table::Query, Table::Key, Table::Value].map(|t| matrix(t, vocab_size, dim));
        let output = match self.output {
            Output::Softmax => OutputRef::Table(matrix(Table::Output, vocab_size, dim)),
            Output::Tied => OutputRef::Table(tables[2]),
            Output::Huffman => OutputRef::Tree {
                thetas: matrix(Table::Tree, vocab_size - 1, dim),
                tree: tree.expect("made with the layout").view(),
            },
        };
        let bias = self.bias.then(|| matrix(Table::Bias, heads, context));
        SeedRef::new(tables, bias, output, heads, context).expect("the layout's shapes fit")
    }
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
    use crate::attention_trainer::parameters::root_mean_square;

    fn initial(layout: &Layout, vectors: Option<&[f32]>, scale: f32) -> Vec<f32> {
        layout.initial(&mut Rng::new(1), vectors, scale)
    }

    #[test]
    fn random_tables_have_the_deviation_asked_for() {
        let layout = Layout::new(300, &LmOptions::default());
        let values = initial(&layout, None, 0.5);
        let keys = &values[layout.range(Table::Key)];
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
        let values = initial(&layout, Some(&vectors), 0.1);
        let value = &values[layout.range(Table::Value)];
        assert_eq!((value[0] / value[5], value[1]), (1.0, 0.0));
        assert!((root_mean_square(value) - 0.1).abs() < 1e-6);
        assert_eq!(value, &values[layout.range(Table::Output)]);
        assert_ne!(value, &values[layout.range(Table::Key)]);
    }
}
