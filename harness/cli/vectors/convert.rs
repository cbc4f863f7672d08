//! `barelm vectors convert`.

use super::Model;
use crate::Result;
use crate::cli::usage;
use crate::embeddings::{Dtype, FileFormat};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Args)]
pub(in crate::cli) struct ConvertArgs {
    #[command(flatten)]
    model: Model,
    /// Where to write; the name's ending says the format unless --format does
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// How the vectors are written
    #[arg(long, value_enum)]
    format: Option<FormatArg>,
    /// Type of a vector's elements, in safetensors
    #[arg(long, value_enum, default_value_t = DtypeArg::F32)]
    dtype: DtypeArg,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FormatArg {
    /// word2vec's binary format (any name that none of the others claims)
    Binary,
    /// word2vec's text format (.txt, .vec)
    Text,
    /// NumPy's array, with the words in X.words.txt beside X.npy (.npy)
    Npy,
    /// Tensors: vectors and words (.safetensors)
    Safetensors,
    /// For the Embedding Projector, with metadata.tsv beside vectors.tsv (.tsv)
    Projector,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DtypeArg {
    /// Four bytes, as in memory
    F32,
    /// Half precision, two bytes
    F16,
    /// One byte, and a scale a row
    Int8,
}

impl ConvertArgs {
    fn format(&self) -> Result<FileFormat> {
        let format = match self.format {
            None => FileFormat::of_path(&self.output),
            Some(FormatArg::Binary) => FileFormat::Word2vecBinary,
            Some(FormatArg::Text) => FileFormat::Word2vecText,
            Some(FormatArg::Npy) => FileFormat::Npy,
            Some(FormatArg::Safetensors) => FileFormat::Safetensors(Dtype::F32),
            Some(FormatArg::Projector) => FileFormat::Projector,
        };
        match (format, self.dtype) {
            (format, DtypeArg::F32) => Ok(format),
            (FileFormat::Safetensors(_), DtypeArg::F16) => Ok(FileFormat::Safetensors(Dtype::F16)),
            (FileFormat::Safetensors(_), DtypeArg::Int8) => {
                Ok(FileFormat::Safetensors(Dtype::Int8))
            }
            _ => Err(usage(
                "--dtype f16 and int8 need safetensors: name the output X.safetensors",
            )),
        }
    }
}

pub(super) fn convert(args: &ConvertArgs) -> Result<()> {
    let format = args.format()?;
    args.model.load()?.save(&args.output, format)
}
