//! `barelm lm convert`.

use crate::Result;
use crate::model_file::gguf::TensorType;
use crate::model_file::{self, ConvertOptions, WeightType};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum WeightArg {
    /// As they were trained
    F32,
    /// Signed bytes with a scale a row: a quarter of the size
    Int8,
}

impl From<WeightArg> for WeightType {
    fn from(weights: WeightArg) -> Self {
        match weights {
            WeightArg::F32 => Self::F32,
            WeightArg::Int8 => Self::Int8,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TensorArg {
    F32,
    F16,
    #[value(name = "q8_0")]
    Q8_0,
}

impl From<TensorArg> for TensorType {
    fn from(tensors: TensorArg) -> Self {
        match tensors {
            TensorArg::F32 => Self::F32,
            TensorArg::F16 => Self::F16,
            TensorArg::Q8_0 => Self::Q8_0,
        }
    }
}

#[derive(Args)]
pub(in crate::cli) struct ConvertArgs {
    /// A model directory: one of ours, or one with config.json, model.safetensors and tokenizer.json
    #[arg(long = "model", short = 'm', value_name = "DIR")]
    model: PathBuf,
    /// The directory to write, of the other kind, or a file whose name ends in .gguf; word vectors that
    /// the model's file holds are left out
    #[arg(long, short = 'o', value_name = "PATH")]
    out: PathBuf,
    /// Write a directory of ours, with such weights
    #[arg(long, value_enum)]
    weights: Option<WeightArg>,
    /// The tensors of a .gguf file [default: f32]
    #[arg(long = "type", value_enum, value_name = "TYPE")]
    tensors: Option<TensorArg>,
    /// Most tokens that a prediction of the model that is read will look at [default: as it says]
    #[arg(long, value_name = "N")]
    context: Option<usize>,
}

pub(super) fn convert(args: &ConvertArgs) -> Result<()> {
    model_file::convert(&args.model, &args.out, &args.options())
}

impl ConvertArgs {
    fn options(&self) -> ConvertOptions {
        ConvertOptions {
            weights: self.weights.map(WeightType::from),
            tensors: self.tensors.map(TensorType::from),
            context: self.context,
        }
    }
}
