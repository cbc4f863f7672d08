//! `barelm lm`: train, ngram, evaluate, predict, generate, convert.

mod ngram;

use super::print::Stdout;
use super::{Global, Input, open_corpus};
use crate::Result;
use crate::attention_trainer::{Config, LmOptions, Optimizer, Output};
use crate::embeddings::Embeddings;
use crate::kernels::sample::Sampling;
use crate::model_file::{generate_text, hugging_face, predict_text};
use crate::pipeline::{LmJob, LmReport};
use crate::tokenizer::Tokenizer;
use clap::{Args, Subcommand, ValueEnum};
use ngram::MixtureArgs;
use std::path::PathBuf;
use std::slice;

#[derive(Subcommand)]
pub(super) enum LmCommand {
    /// Train an attention language model
    Train(TrainArgs),
    /// Count an n-gram model: a baseline, and a partner for an attention model
    Ngram(ngram::NgramArgs),
    /// Bits per byte of a text
    Evaluate(EvaluateArgs),
    /// The likeliest next tokens after a prompt
    Predict(PredictArgs),
    /// Continue a prompt
    Generate(GenerateArgs),
    /// To a directory that transformers opens as LlamaForCausalLM, or from one
    Convert(ConvertArgs),
}

/// The output layer, as an argument.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum OutputArg {
    /// A table of its own
    Softmax,
    /// The value table, or the embedding
    Tied,
    /// A Huffman tree over the token counts
    Huffman,
}

impl From<OutputArg> for Output {
    fn from(output: OutputArg) -> Self {
        match output {
            OutputArg::Softmax => Self::Softmax,
            OutputArg::Tied => Self::Tied,
            OutputArg::Huffman => Self::Huffman,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ConfigArg {
    /// One attention layer over per-token tables
    Seed,
    /// A transformer that opens as LlamaForCausalLM
    Llama,
}

impl From<ConfigArg> for Config {
    fn from(config: ConfigArg) -> Self {
        match config {
            ConfigArg::Seed => Self::Seed,
            ConfigArg::Llama => Self::Llama,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OptimizerArg {
    /// Running averages of the gradient and its square
    Adamw,
    /// Steps in which all directions of a matrix count alike
    Muon,
}

impl From<OptimizerArg> for Optimizer {
    fn from(optimizer: OptimizerArg) -> Self {
        match optimizer {
            OptimizerArg::Adamw => Self::AdamW,
            OptimizerArg::Muon => Self::Muon,
        }
    }
}

#[derive(Args)]
pub(super) struct TrainArgs {
    #[command(flatten)]
    input: Input,
    /// The architecture
    #[arg(long, value_enum, default_value_t = ConfigArg::Seed)]
    config: ConfigArg,
    /// A trained tokenizer; without it one is trained on the text
    #[arg(long, value_name = "FILE")]
    tokenizer: Option<PathBuf>,
    /// Tokens of the tokenizer that is trained
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1024,
        conflicts_with = "tokenizer"
    )]
    vocab_size: usize,
    /// Word vectors of the same tokenizer to start from
    #[arg(long, value_name = "FILE")]
    vectors: Option<PathBuf>,
    /// Width of the tables, or of the residual stream
    #[arg(long, value_name = "N", default_value_t = 128)]
    dim: usize,
    /// Layers (llama)
    #[arg(long, value_name = "N", default_value_t = LmOptions::default().layers)]
    layers: usize,
    /// Attention heads
    #[arg(long, value_name = "N", default_value_t = 4)]
    heads: usize,
    /// Heads of keys and values (llama) [default: as many as heads]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    kv_heads: usize,
    /// Width of the feed-forward layer (llama) [default: 8/3 of --dim]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    hidden: usize,
    /// Tokens that a prediction looks at
    #[arg(long, value_name = "N", default_value_t = 128)]
    context: usize,
    /// One head, no positions, output compared with the value table
    #[arg(long)]
    literal: bool,
    /// The output layer [default: softmax; llama: tied]
    #[arg(long, value_enum)]
    output: Option<OutputArg>,
    /// Training steps
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// Minutes instead of steps; the steps reached are recorded
    #[arg(long, value_name = "X", conflicts_with = "steps")]
    minutes: Option<f64>,
    /// Peak learning rate [default: 0.03; llama: 0.003]
    #[arg(long, value_name = "X")]
    learning_rate: Option<f32>,
    /// What updates the matrices of the blocks (llama)
    #[arg(long, value_enum)]
    optimizer: Option<OptimizerArg>,
    /// Peak learning rate of Muon
    #[arg(long, value_name = "X", default_value_t = LmOptions::default().muon_rate)]
    muon_rate: f32,
    /// Weight decay
    #[arg(long, value_name = "X", default_value_t = LmOptions::default().weight_decay)]
    weight_decay: f32,
    /// Tokens a step [default: 2048; llama: 4096]
    #[arg(long, value_name = "N")]
    batch_tokens: Option<usize>,
    /// Held-out text [default: the last tenth of the corpus]
    #[arg(long, value_name = "FILE")]
    valid: Option<PathBuf>,
    /// Equal seeds give equal files
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The model directory
    #[arg(long, short = 'o', value_name = "DIR")]
    out: PathBuf,
}

/// A model on disk.
#[derive(Args)]
struct Model {
    /// The model directory, or its model.barelm; to evaluate, an ngram.barelm, too
    #[arg(long = "model", short = 'm', value_name = "DIR")]
    path: PathBuf,
}

#[derive(Args)]
pub(super) struct EvaluateArgs {
    #[command(flatten)]
    model: Model,
    #[command(flatten)]
    mixture: MixtureArgs,
    #[command(flatten)]
    input: Input,
}

#[derive(Args)]
pub(super) struct PredictArgs {
    #[command(flatten)]
    model: Model,
    #[command(flatten)]
    mixture: MixtureArgs,
    /// The text before
    #[arg(long, short)]
    prompt: String,
    /// How many tokens to show
    #[arg(long, short = 'k', value_name = "N", default_value_t = 10)]
    top: usize,
}

#[derive(Args)]
pub(super) struct GenerateArgs {
    #[command(flatten)]
    model: Model,
    #[command(flatten)]
    mixture: MixtureArgs,
    /// The text before
    #[arg(long, short, default_value = "")]
    prompt: String,
    /// Tokens to add
    #[arg(long, value_name = "N", default_value_t = 100)]
    max_tokens: usize,
    /// 0 takes the likeliest token, higher is wilder
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    temperature: f32,
    /// Draw among the N likeliest tokens; 0 for all
    #[arg(long, value_name = "N", default_value_t = 0)]
    top_k: usize,
    /// Draw among the likeliest tokens that hold this share of the probability
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    top_p: f32,
    /// Equal seeds give equal text
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Args)]
pub(super) struct ConvertArgs {
    /// A model directory: one of ours, or one with config.json, model.safetensors and tokenizer.json
    #[arg(long = "model", short = 'm', value_name = "DIR")]
    model: PathBuf,
    /// The directory to write: of the other kind
    #[arg(long, short = 'o', value_name = "DIR")]
    out: PathBuf,
    /// Most tokens that a prediction of the model that is read will look at [default: as it says]
    #[arg(long, value_name = "N")]
    context: Option<usize>,
}

pub(super) fn run(global: &Global, command: LmCommand) -> Result<()> {
    match command {
        LmCommand::Train(args) => train(global, &args),
        LmCommand::Ngram(args) => ngram::train(global, &args),
        LmCommand::Evaluate(args) => evaluate(global, &args),
        LmCommand::Predict(args) => predict(global, &args),
        LmCommand::Generate(args) => generate(global, &args),
        LmCommand::Convert(args) => hugging_face::convert(&args.model, &args.out, args.context),
    }
}

impl TrainArgs {
    fn options(&self, global: &Global) -> LmOptions {
        let defaults = LmOptions::of(self.config.into());
        LmOptions {
            dim: self.dim,
            layers: self.layers,
            heads: self.heads,
            kv_heads: self.kv_heads,
            hidden: self.hidden,
            context: self.context,
            literal: self.literal,
            output: self.output.map_or(defaults.output, Output::from),
            steps: self.steps,
            minutes: self.minutes,
            batch_tokens: self.batch_tokens.unwrap_or(defaults.batch_tokens),
            learning_rate: self.learning_rate.unwrap_or(defaults.learning_rate),
            optimizer: self.optimizer.map_or(defaults.optimizer, Optimizer::from),
            muon_rate: self.muon_rate,
            weight_decay: self.weight_decay,
            seed: self.seed,
            threads: global.threads(),
            ..defaults
        }
    }
}

fn train(global: &Global, args: &TrainArgs) -> Result<()> {
    let options = args.options(global);
    let job = LmJob {
        tokenizer: args.tokenizer.as_ref().map(Tokenizer::load).transpose()?,
        vocab_size: args.vocab_size,
        vectors: args.vectors.as_ref().map(Embeddings::load).transpose()?,
        options,
        out: args.out.clone(),
    };
    job.validate()?;
    let valid = args
        .valid
        .as_ref()
        .map(|path| open_corpus(slice::from_ref(path), None))
        .transpose()?;
    let report = job.run(&args.input.open()?, valid.as_ref())?;
    let mut stdout = Stdout::new();
    if global.json {
        stdout.json(&report)?;
    } else {
        print_report(&mut stdout, &report)?;
    }
    stdout.flush()
}

fn print_report(stdout: &mut Stdout, report: &LmReport) -> Result<()> {
    for line in &report.history {
        let bits = line
            .bits_per_byte
            .map_or("-".into(), |bits| format!("{bits:.4}"));
        stdout.line(format!(
            "step {}: loss {:.4} nats, {bits} bits per byte",
            line.step, line.train_loss
        ))?;
    }
    stdout.line(format!(
        "{} parameters, {:.4} bits per byte of held-out text; a smoothed bigram has {:.4}; {:.0} tokens/s",
        report.parameters, report.bits_per_byte, report.bigram_bits_per_byte, report.tokens_per_second
    ))
}

fn evaluate(global: &Global, args: &EvaluateArgs) -> Result<()> {
    ngram::evaluate(global, &args.model.path, &args.mixture, &args.input.open()?)
}

fn predict(global: &Global, args: &PredictArgs) -> Result<()> {
    let model = args.mixture.open_mixed(global, &args.model.path)?;
    let mut stdout = Stdout::new();
    for guess in predict_text(&model, args.prompt.as_bytes(), args.top)? {
        let token = String::from_utf8_lossy(&guess.token);
        let probability = guess.probability;
        if global.json {
            stdout.json(
                &serde_json::json!({ "id": guess.id, "token": token, "probability": probability }),
            )?;
        } else {
            stdout.line(format!("{probability:.4}  {token:?}"))?;
        }
    }
    stdout.flush()
}

fn generate(global: &Global, args: &GenerateArgs) -> Result<()> {
    let model = args.mixture.open_mixed(global, &args.model.path)?;
    let sampling = Sampling {
        temperature: args.temperature,
        top_k: args.top_k,
        top_p: args.top_p,
    };
    let mut stdout = Stdout::new();
    let (prompt, count) = (args.prompt.as_bytes(), args.max_tokens);
    if global.json {
        let text = generate_text(&model, prompt, count, &sampling, args.seed, |_| Ok(()))?;
        let text = String::from_utf8_lossy(&text);
        stdout.json(&serde_json::json!({ "prompt": args.prompt, "text": text }))?;
    } else {
        stdout.bytes(prompt)?;
        generate_text(&model, prompt, count, &sampling, args.seed, |token| {
            stdout.bytes(token)?;
            stdout.flush()
        })?;
        stdout.line("")?;
    }
    stdout.flush()
}
