//! `barelm vectors`: train, neighbors, analogy, evaluate, convert.

mod convert;
mod evaluate;
mod questions;
mod train;

use super::Global;
use crate::Result;
use crate::embeddings::{Embeddings, FileFormat};
use clap::{Args, Subcommand};
use convert::ConvertArgs;
use evaluate::EvaluateArgs;
use questions::{AnalogyArgs, NeighborsArgs};
use std::path::{Path, PathBuf};
use train::TrainArgs;

#[derive(Subcommand)]
pub(super) enum VectorsCommand {
    /// Train word vectors: CBOW or skip-gram
    Train(Box<TrainArgs>),
    /// The words nearest to a word, or to a sum of words
    Neighbors(NeighborsArgs),
    /// A is to B as C is to what?
    Analogy(AnalogyArgs),
    /// Accuracy on analogies, correlation on word pairs
    Evaluate(EvaluateArgs),
    /// From one file format to another, or to elements of another type
    Convert(ConvertArgs),
}

/// Vectors on disk.
#[derive(Args)]
struct Model {
    /// word2vec binary or text, .npy (the words in X.words.txt), or .safetensors
    #[arg(long = "model", short = 'm', value_name = "FILE")]
    path: PathBuf,
}

pub(super) fn run(global: &Global, command: VectorsCommand) -> Result<()> {
    match command {
        VectorsCommand::Train(args) => train::train(global, &args),
        VectorsCommand::Neighbors(args) => questions::neighbors(global, &args),
        VectorsCommand::Analogy(args) => questions::analogy(global, &args),
        VectorsCommand::Evaluate(args) => evaluate::evaluate(global, &args),
        VectorsCommand::Convert(args) => convert::convert(&args),
    }
}

/// Writes vectors in the format of the name's ending.
fn save(embeddings: &Embeddings, path: &Path) -> Result<()> {
    embeddings.save(path, FileFormat::of_path(path))
}

impl Model {
    fn load(&self) -> Result<Embeddings> {
        Embeddings::load(&self.path)
    }
}
