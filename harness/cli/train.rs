//! `barelm train`: the main job.

use super::architecture::{ConfigArg, OutputArg};
use super::print::Stdout;
use super::{Global, open_corpus};
use crate::pipeline::{self, PipelineOptions};
use crate::tokenizer::HarnessPattern;
use crate::{Result, progress};
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Args)]
pub(super) struct TrainArgs {
    /// Text files or folders (.gz, .zst and .jsonl too, `-` is standard input) [default: a built-in corpus]
    #[arg(value_name = "CORPUS")]
    files: Vec<PathBuf>,
    /// The field of each JSON record that holds its text (for .jsonl files)
    #[arg(long, value_name = "FIELD")]
    jsonl: Option<String>,
    /// The model directory
    #[arg(long, value_name = "DIR", default_value = "barelm-model")]
    out: PathBuf,
    /// Equal seeds give equal files
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// gpt2, cl100k, o200k, or a regular expression
    #[arg(long, default_value = "gpt2")]
    pattern: String,
    /// Tokens in the vocabulary [default: near the root of the bytes, 512 to 8192]
    #[arg(long, value_name = "N")]
    vocab_size: Option<usize>,
    /// The architecture of the language model
    #[arg(long, value_enum, default_value_t = ConfigArg::Llama)]
    config: ConfigArg,
    /// Width of vectors and tables, or of the residual stream
    #[arg(long, value_name = "N", default_value_t = 128)]
    dim: usize,
    /// Layers (llama)
    #[arg(long, value_name = "N", default_value_t = 2)]
    layers: usize,
    /// Attention heads
    #[arg(long, value_name = "N", default_value_t = 4)]
    heads: usize,
    /// Tokens that a prediction looks at
    #[arg(long, value_name = "N")]
    context: Option<usize>,
    /// The literal model: one head, no positions, output compared with the value table (seed)
    #[arg(long)]
    literal: bool,
    /// The output layer [default: tied; seed: softmax, or huffman from a vocabulary of 4096 on]
    #[arg(long, value_enum)]
    output: Option<OutputArg>,
    /// Passes over the text for the word vectors
    #[arg(long, value_name = "N")]
    vector_epochs: Option<usize>,
    /// Training steps of the attention model
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// Minutes for the attention model instead; the steps reached are recorded
    #[arg(long, value_name = "X", conflicts_with = "steps")]
    minutes: Option<f64>,
}

impl TrainArgs {
    fn options(&self, global: &Global) -> Result<PipelineOptions> {
        Ok(PipelineOptions {
            out: self.out.clone(),
            seed: self.seed,
            threads: global.threads(),
            pattern: HarnessPattern::parse(&self.pattern)?,
            vocab_size: self.vocab_size,
            config: self.config.into(),
            dim: self.dim,
            layers: self.layers,
            heads: self.heads,
            context: self.context,
            literal: self.literal,
            output: self.output.map(Into::into),
            vector_epochs: self.vector_epochs,
            steps: self.steps,
            minutes: self.minutes,
        })
    }
}

pub(super) fn run(global: &Global, args: &TrainArgs) -> Result<()> {
    let options = args.options(global)?;
    options.validate()?;
    let built_in = args.files.is_empty();
    let corpus = match built_in {
        true => pipeline::built_in_corpus(args.seed)?,
        false => open_corpus(&args.files, args.jsonl.as_ref())?,
    };
    let summary = pipeline::run(&corpus, built_in, &options)?;
    let mut stdout = Stdout::new();
    if global.json {
        stdout.json(&summary)?;
    } else {
        stdout.line(format!("\n{summary}"))?;
        stdout.bytes(next_steps(&args.out).as_bytes())?;
    }
    stdout.flush()
}

/// What to try next, unless progress is off.
fn next_steps(out: &Path) -> String {
    if progress::is_quiet() {
        return String::new();
    }
    let out = out.display();
    format!(
        "written to {out}; try next:\n  barelm lm predict -m {out} -p \"Once upon a\"\n  \
         barelm lm generate -m {out} -p \"One day\" --max-tokens 60 --temperature 0.8\n  \
         barelm vectors neighbors -m {out}/vectors.bin WORD\n  \
         barelm train YOUR-TEXT.txt --out my-model\n"
    )
}
