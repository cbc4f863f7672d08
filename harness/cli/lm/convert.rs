//! `barelm lm convert`.

use crate::Result;
use crate::cli::print::Stdout;
use crate::cli::{Global, parse_size, usage};
use crate::corpus::map::map_path;
use crate::model_file::gguf::TensorType;
use crate::model_file::{self, ConvertOptions, Device, WeightType};
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
    /// Bytes of memory of a device, such as 96K, its stack of 8K included: picks the longest cache that fits
    #[arg(long, value_name = "SIZE", value_parser = parse_size, requires_all = ["target_flash", "text"],
        conflicts_with_all = ["weights", "tensors", "context"])]
    target_ram: Option<u64>,
    /// Bytes of flash for the model, such as 512K: picks the type of the weights
    #[arg(long, value_name = "SIZE", value_parser = parse_size, requires = "target_ram")]
    target_flash: Option<u64>,
    /// A text to measure what the choice costs in bits per byte
    #[arg(long, value_name = "FILE", requires = "target_ram")]
    text: Option<PathBuf>,
}

pub(super) fn convert(global: &Global, args: &ConvertArgs) -> Result<()> {
    let [from, to] = [&args.model, &args.out].map(|path| path.canonicalize().ok());
    if from.is_some() && from == to {
        let message = "the converted model would replace the one that is read; name another -o";
        return Err(usage(message));
    }
    if let (Some(memory), Some(flash), Some(text)) =
        (args.target_ram, args.target_flash, &args.text)
    {
        let device = Device { flash, memory };
        let fitted = model_file::fit(
            &args.model,
            &args.out,
            device,
            &map_path(text)?,
            global.threads(),
        )?;
        let mut stdout = Stdout::new();
        stdout.report(global, &fitted)?;
        return stdout.flush();
    }
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
