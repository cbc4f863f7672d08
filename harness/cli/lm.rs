//! `barelm lm`: train, evaluate, predict, generate, convert.

use super::architecture::{ConfigArg, OptimizerArg, OutputArg};
use super::checkpoints::CheckpointArgs;
use super::print::Stdout;
use super::{Global, Input, open_corpus};
use crate::Result;
use crate::attention_trainer::{LmOptions, Optimizer, Output};
use crate::embeddings::Embeddings;
use crate::kernels::model::CacheType;
use crate::kernels::sample::Sampling;
use crate::model_file::gguf::TensorType;
use crate::model_file::{
    ConvertOptions, GenerateOptions, Generated, ModelFile, WeightType, attention_text, convert,
    evaluate_text, generate_text, predict_text,
};
use crate::pipeline::{LmJob, LmReport};
use crate::progress::is_quiet;
use crate::tokenizer::Tokenizer;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::slice;

#[derive(Subcommand)]
pub(super) enum LmCommand {
    /// Train an attention language model
    Train(TrainArgs),
    /// Bits per byte of a text
    Evaluate(EvaluateArgs),
    /// The likeliest next tokens after a prompt
    Predict(PredictArgs),
    /// Continue a prompt
    Generate(GenerateArgs),
    /// To a directory that transformers opens as LlamaForCausalLM or from one, to GGUF, to int8
    Convert(ConvertArgs),
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
    /// Tokens a step [default: 2048; llama: 4096, of which some 512 are held at a time on each core]
    #[arg(long, value_name = "N")]
    batch_tokens: Option<usize>,
    /// Held-out text, whose best evaluation says which model is kept [default: the last tenth of the
    /// corpus]
    #[arg(long, value_name = "FILE")]
    valid: Option<PathBuf>,
    /// Chance of leaving out an element of the embedding, or of what attention or feed-forward adds,
    /// in a training step (llama)
    #[arg(long, value_name = "P", default_value_t = 0.0)]
    dropout: f32,
    /// Steps between evaluations [default: about ten a run]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    eval_every: u64,
    #[command(flatten)]
    checkpoints: CheckpointArgs,
    /// Write a line of JSON an evaluation to this file; with --resume it goes on
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Do not print, on stderr, how the model goes on with the held-out text at each evaluation
    #[arg(long)]
    no_samples: bool,
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
    /// The model directory, or its model.barelm
    #[arg(long = "model", short = 'm', value_name = "DIR")]
    path: PathBuf,
}

#[derive(Args)]
pub(super) struct EvaluateArgs {
    #[command(flatten)]
    model: Model,
    #[command(flatten)]
    input: Input,
}

#[derive(Args)]
pub(super) struct PredictArgs {
    #[command(flatten)]
    model: Model,
    /// The text before
    #[arg(long, short)]
    prompt: String,
    /// How many tokens to show
    #[arg(long, short = 'k', value_name = "N", default_value_t = 10)]
    top: usize,
    /// Show how much each head of each layer looks at which token before
    #[arg(long)]
    attention: bool,
}

#[derive(Args)]
pub(super) struct GenerateArgs {
    #[command(flatten)]
    model: Model,
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
    /// Above 1: tokens of the prompt and of the text so far become less likely
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    repetition_penalty: f32,
    /// End before this text; may be given several times
    #[arg(long, value_name = "TEXT")]
    stop: Vec<String>,
    /// Keys and values in half precision take half the memory (llama)
    #[arg(long, value_enum, default_value_t = CacheArg::F32)]
    cache: CacheArg,
    /// Equal seeds give equal text
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CacheArg {
    F32,
    F16,
}

impl From<CacheArg> for CacheType {
    fn from(cache: CacheArg) -> Self {
        match cache {
            CacheArg::F32 => Self::F32,
            CacheArg::F16 => Self::F16,
        }
    }
}

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
pub(super) struct ConvertArgs {
    /// A model directory: one of ours, or one with config.json, model.safetensors and tokenizer.json
    #[arg(long = "model", short = 'm', value_name = "DIR")]
    model: PathBuf,
    /// The directory to write, of the other kind, or a file whose name ends in .gguf
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

pub(super) fn run(global: &Global, command: LmCommand) -> Result<()> {
    match command {
        LmCommand::Train(args) => train(global, &args),
        LmCommand::Evaluate(args) => evaluate(global, &args),
        LmCommand::Predict(args) => predict(global, &args),
        LmCommand::Generate(args) => generate(global, &args),
        LmCommand::Convert(args) => convert(&args.model, &args.out, &args.options()),
    }
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
            dropout: self.dropout,
            eval_every: self.eval_every,
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
        checkpoints: args.checkpoints.checkpoints()?,
        log: args.log.clone(),
        samples: !(args.no_samples || global.quiet || global.json),
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
        "{} parameters, kept as they were after step {}: {:.4} bits per byte of held-out text; a smoothed bigram \
         has {:.4}; {:.0} tokens/s, {:.0} % of the FMA peak",
        report.parameters,
        report.kept_step,
        report.bits_per_byte,
        report.bigram_bits_per_byte,
        report.tokens_per_second,
        100.0 * report.share_of_peak
    ))
}

fn evaluate(global: &Global, args: &EvaluateArgs) -> Result<()> {
    let model = ModelFile::open(&args.model.path)?;
    let corpus = args.input.open()?;
    let text: Vec<u8> = corpus
        .documents()
        .flat_map(|document| document.text)
        .copied()
        .collect();
    let mut stdout = Stdout::new();
    stdout.report(global, &evaluate_text(&model, &text, global.threads())?)?;
    stdout.flush()
}

fn predict(global: &Global, args: &PredictArgs) -> Result<()> {
    let model = ModelFile::open(&args.model.path)?;
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
    if args.attention {
        print_attention(global, &mut stdout, &model, &args.prompt)?;
    }
    stdout.flush()
}

/// Tokens of a head that are shown, those with the largest weights.
const LOOKED_AT: usize = 5;

/// Layers and heads are counted from 1, as people do.
fn print_attention(
    global: &Global,
    stdout: &mut Stdout,
    model: &ModelFile,
    prompt: &str,
) -> Result<()> {
    let (ids, heads) = attention_text(model, prompt.as_bytes())?;
    let text = |id: u32| String::from_utf8_lossy(&model.tokenizer().decode(&[id])).into_owned();
    for found in heads {
        let (layer, head) = (found.layer + 1, found.head + 1);
        let tokens = ids.iter().zip(&found.weights);
        if global.json {
            let token = |(id, weight): (&u32, &f32)| serde_json::json!({ "id": id, "token": text(*id), "weight": weight });
            let tokens: Vec<_> = tokens.map(token).collect();
            let line = serde_json::json!({ "layer": layer, "head": head, "attention": tokens });
            stdout.json(&line)?;
            continue;
        }
        let mut tokens: Vec<_> = tokens.collect();
        tokens.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        let shown = tokens.iter().take(LOOKED_AT);
        let shown: Vec<_> = shown
            .map(|(id, weight)| format!("{weight:.2} {:?}", text(**id)))
            .collect();
        stdout.line(format!("layer {layer}, head {head}:  {}", shown.join("  ")))?;
    }
    Ok(())
}

fn generate(global: &Global, args: &GenerateArgs) -> Result<()> {
    let model = ModelFile::open(&args.model.path)?;
    let options = args.options();
    let (mut stdout, prompt) = (Stdout::new(), args.prompt.as_bytes());
    if global.json {
        let generated = generate_text(&model, prompt, &options, |_| Ok(()))?;
        tell_speed(&generated);
        let Generated { text, ids, .. } = generated;
        let text = String::from_utf8_lossy(&text);
        let line = serde_json::json!({ "prompt": args.prompt, "text": text, "tokens": ids });
        stdout.json(&line)?;
    } else {
        stdout.bytes(prompt)?;
        let generated = generate_text(&model, prompt, &options, |text| {
            stdout.bytes(text)?;
            stdout.flush()
        })?;
        stdout.line("")?;
        tell_speed(&generated);
    }
    stdout.flush()
}

fn tell_speed(generated: &Generated) {
    if !is_quiet() {
        let (count, seconds) = (generated.ids.len(), generated.elapsed.as_secs_f64());
        eprintln!("{count} tokens, {:.1} tokens/s", count as f64 / seconds);
    }
}

impl GenerateArgs {
    fn options(&self) -> GenerateOptions {
        GenerateOptions {
            max_tokens: self.max_tokens,
            sampling: Sampling {
                temperature: self.temperature,
                top_k: self.top_k,
                top_p: self.top_p,
            },
            repetition_penalty: self.repetition_penalty,
            stops: self.stop.clone(),
            cache: self.cache.into(),
            seed: self.seed,
        }
    }
}
