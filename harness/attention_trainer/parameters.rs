//! All parameters of a model in one flat vector, whatever its configuration.
//!
//! One vector, because the optimiser, the norm and a file treat all parameters alike.

use super::optimiser::{Part, Rule};
use super::{Config, LmOptions, Optimizer, Output, llama, seed};
use crate::cbow_trainer::HuffmanTree;
use crate::kernels::model::{LlamaConfig, LlamaRef, Network};
use crate::kernels::rng::Rng;

/// What the elements of the vector are.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Layout {
    Seed(seed::Layout),
    Llama(LlamaConfig),
}

/// The parameters of a model.
#[derive(Clone, Debug)]
pub(super) struct Parameters {
    pub(super) layout: Layout,
    pub(super) values: Vec<f32>,
    /// For the Huffman output.
    pub(super) tree: Option<HuffmanTree>,
}

impl Parameters {
    /// The initial parameters that effective options ask for, of `vectors` if they are given.
    pub(super) fn new(
        vocab_size: usize,
        tree: Option<HuffmanTree>,
        vectors: Option<&[f32]>,
        options: &LmOptions,
    ) -> Self {
        let mut rng = Rng::new(options.seed);
        let (layout, values) = match options.config {
            Config::Seed => {
                let layout = seed::Layout::new(vocab_size, options);
                let values = layout.initial(&mut rng, vectors, options.init_scale);
                (Layout::Seed(layout), values)
            }
            Config::Llama => {
                let config = llama::config(vocab_size, options);
                let values = llama::initial(&config, &mut rng, vectors, options.init_scale);
                (Layout::Llama(config), values)
            }
        };
        debug_assert_eq!(tree.is_some(), options.output == Output::Huffman);
        Self {
            layout,
            values,
            tree,
        }
    }

    /// The model that the parameters make.
    pub(super) fn network(&self) -> Network<'_> {
        match &self.layout {
            Layout::Seed(layout) => layout.view(&self.values, self.tree.as_ref()).into(),
            Layout::Llama(config) => {
                let tree = self.tree.as_ref().map(HuffmanTree::view);
                let model = LlamaRef::new(*config, &self.values, tree);
                model.expect("the vector was made for it").into()
            }
        }
    }

    /// The parts of the vector, and how the optimiser updates each.
    pub(super) fn parts(&self, optimizer: Optimizer) -> Vec<Part> {
        match &self.layout {
            Layout::Seed(layout) => layout
                .tables()
                .map(|(table, len)| {
                    let decays = table != seed::Table::Bias;
                    let rule = Rule::AdamW { decays };
                    Part { len, rule }
                })
                .collect(),
            Layout::Llama(config) => llama::parts(config, optimizer),
        }
    }
}

/// A bell-shaped value of mean 0 and variance 1: four uniform ones added, exact on every machine.
pub(super) fn bell(rng: &mut Rng) -> f32 {
    let bits = rng.next_u64();
    let sum: u64 = (0..4).map(|i| bits >> (16 * i) & 0xffff).sum();
    // Four values uniform on 0 .. 2^16 have a mean of 2^17 and a variance of 2^32 / 3.
    (sum as f32 - 131_070.0) * (3.0_f32.sqrt() / 65_536.0)
}

/// Copies word vectors into a table, brought to a standard deviation of `scale`.
pub(super) fn copy_scaled(vectors: &[f32], scale: f32, table: &mut [f32]) {
    let scale = scale / root_mean_square(vectors);
    for (value, x) in table.iter_mut().zip(vectors) {
        *value = scale * x;
    }
}

/// Square root of the mean square; 1 for vectors of nothing but zeros.
pub(super) fn root_mean_square(x: &[f32]) -> f32 {
    let sum: f64 = x.iter().map(|x| f64::from(*x).powi(2)).sum();
    let rms = (sum / x.len().max(1) as f64).sqrt() as f32;
    if rms > 0.0 { rms } else { 1.0 }
}
