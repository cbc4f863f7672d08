//! Configuration seed: one layer of attention over per-token tables.
//!
//! Its tables are as wide as the vocabulary is long, and a batch touches few rows of them: shards
//! keep gradients of rows, which [`gradient`] collects by token.

mod forward;
mod gradient;
mod layout;
mod shard;
#[cfg(test)]
mod tests;

pub(super) use layout::{Layout, Table};

use super::parameters::{self, Parameters};
use super::{Batch, Figures, LmOptions};
use crate::kernels::model::{Network, SeedRef};
use crate::parallel;
use forward::Activations;
use gradient::Gradient;
use shard::{Shard, windows_of_a_shard};

/// The shards of a batch, and the gradient that is collected from them.
#[derive(Debug)]
pub(super) struct SeedBatch {
    shards: Vec<Shard>,
    gradient: Gradient,
}

impl SeedBatch {
    pub(super) fn new(model: &SeedRef<'_>, layout: &Layout, options: &LmOptions) -> Self {
        let each = windows_of_a_shard(options.windows(), options.context);
        let shards = options.windows().div_ceil(each);
        Self {
            shards: (0..shards).map(|_| Shard::new(model, each)).collect(),
            gradient: Gradient::new(layout),
        }
    }
}

impl Batch for SeedBatch {
    fn tokens(&mut self) -> Vec<[&mut [u32]; 2]> {
        let shards = self.shards.iter_mut();
        shards
            .map(|shard| [&mut shard.inputs[..], &mut shard.targets[..]])
            .collect()
    }

    fn compute_gradient(&mut self, parameters: &Parameters, _step: u64, threads: usize) -> Figures {
        let (Network::Seed(model), parameters::Layout::Seed(layout)) =
            (parameters.network(), &parameters.layout)
        else {
            unreachable!("made for parameters of this configuration");
        };
        let tokens: usize = self.shards.iter().map(|shard| shard.inputs.len()).sum();
        let scale = 1.0 / tokens as f32;
        let shards: Vec<&mut Shard> = self.shards.iter_mut().collect();
        parallel::map(threads, shards, |shard| shard.run(&model, scale));
        let losses = self.shards.iter().flat_map(|shard| &shard.losses);
        let loss = losses.map(|loss| f64::from(*loss)).sum::<f64>() / tokens as f64;
        let tree = parameters.tree.as_ref();
        let norm = self.gradient.collect(layout, tree, &self.shards, threads);
        Figures { loss, norm }
    }

    fn gradient(&self) -> &[f32] {
        &self.gradient.values
    }
}

/// The hidden vectors after each of `inputs`, one window.
pub(super) fn hidden(model: &SeedRef<'_>, inputs: &[u32]) -> Vec<f32> {
    let mut activations = Activations::new(model, inputs.len());
    activations.forward(model, inputs);
    activations.h
}
