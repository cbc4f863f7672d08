//! `barelm vectors`: train, neighbors, analogy, evaluate, convert.

mod evaluate;
mod questions;
mod train;

use super::Global;
use crate::Result;
use crate::embeddings::Embeddings;
use clap::{Args, Subcommand};
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
    /// From one file format to another
    Convert(ConvertArgs),
}

/// Vectors on disk.
#[derive(Args)]
struct Model {
    /// word2vec binary or text
    #[arg(long = "model", short = 'm', value_name = "FILE")]
    path: PathBuf,
}

#[derive(Args)]
pub(super) struct ConvertArgs {
    #[command(flatten)]
    model: Model,
    /// word2vec binary, or text if the name ends in .txt
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

pub(super) fn run(global: &Global, command: VectorsCommand) -> Result<()> {
    match command {
        VectorsCommand::Train(args) => train::train(global, &args),
        VectorsCommand::Neighbors(args) => questions::neighbors(global, &args),
        VectorsCommand::Analogy(args) => questions::analogy(global, &args),
        VectorsCommand::Evaluate(args) => evaluate::evaluate(global, &args),
        VectorsCommand::Convert(args) => save(&args.model.load()?, &args.output),
    }
}

fn save(embeddings: &Embeddings, path: &Path) -> Result<()> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("txt" | "vec") => embeddings.save_text(path),
        _ => embeddings.save_binary(path),
    }
}

impl Model {
    fn load(&self) -> Result<Embeddings> {
        Embeddings::load(&self.path)
    }
}
