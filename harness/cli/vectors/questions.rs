//! `barelm vectors neighbors` and `analogy`.

use super::super::Global;
use super::super::print::Stdout;
use super::Model;
use crate::Result;
use crate::embeddings::{Neighbor, Space};
use clap::Args;

#[derive(Args)]
pub(in crate::cli) struct NeighborsArgs {
    #[command(flatten)]
    model: Model,
    /// How many to show
    #[arg(long, short = 'k', value_name = "N", default_value_t = 10)]
    top: usize,
    /// The words; one after `-` counts against (`king - man woman`)
    #[arg(value_name = "WORD", required = true)]
    words: Vec<String>,
}

#[derive(Args)]
pub(in crate::cli) struct AnalogyArgs {
    #[command(flatten)]
    model: Model,
    /// How many to show
    #[arg(long, short = 'k', value_name = "N", default_value_t = 5)]
    top: usize,
    /// A is to B as C is to what?
    #[arg(value_names = ["A", "B", "C"], num_args = 3, required = true)]
    words: Vec<String>,
}

/// A word as the vectors spell it: in those of a tokenizer's pieces, words carry their space.
fn spelled(space: &Space<'_>, word: &str) -> Vec<u8> {
    let with_space = format!(" {word}").into_bytes();
    match space.id(&with_space) {
        Some(_) => with_space,
        None => word.as_bytes().to_vec(),
    }
}

pub(super) fn neighbors(global: &Global, args: &NeighborsArgs) -> Result<()> {
    let embeddings = args.model.load()?;
    let space = Space::new(&embeddings, usize::MAX);
    let mut terms = Vec::new();
    let mut weight = 1.0;
    for word in &args.words {
        match word.as_str() {
            "-" => weight = -1.0,
            "+" => weight = 1.0,
            word => {
                terms.push((spelled(&space, word), weight));
                weight = 1.0;
            }
        }
    }
    let terms: Vec<(&[u8], f32)> = terms
        .iter()
        .map(|(word, weight)| (&word[..], *weight))
        .collect();
    print_neighbors(global, &space.combine(&terms, args.top)?)
}

pub(super) fn analogy(global: &Global, args: &AnalogyArgs) -> Result<()> {
    let embeddings = args.model.load()?;
    let space = Space::new(&embeddings, usize::MAX);
    let [a, b, c] = [0, 1, 2].map(|i| spelled(&space, args.words.get(i).map_or("", |word| word)));
    print_neighbors(global, &space.analogy(&a, &b, &c, args.top)?)
}

fn print_neighbors(global: &Global, neighbors: &[Neighbor]) -> Result<()> {
    let mut stdout = Stdout::new();
    if global.json {
        stdout.json(&neighbors)?;
    } else {
        for Neighbor { word, cosine } in neighbors {
            stdout.line(format!(
                "{cosine:.4}  {}",
                String::from_utf8_lossy(word).trim()
            ))?;
        }
    }
    stdout.flush()
}
