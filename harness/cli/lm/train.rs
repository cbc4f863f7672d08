//! `barelm lm train`.

use crate::Result;
use crate::attention_trainer::{LmOptions, Optimizer, Output};
use crate::cli::architecture::{ConfigArg, OptimizerArg, OutputArg};
use crate::cli::checkpoints::CheckpointArgs;
use crate::cli::print::Stdout;
use crate::cli::{Global, Input, open_corpus, refuse_to_overwrite};
use crate::embeddings::Embeddings;
use crate::pipeline::{LmJob, LmReport};
use crate::tokenizer::Tokenizer;
use clap::Args;
use std::path::PathBuf;
use std::slice;

#[derive(Args)]
pub(in crate::cli) struct TrainArgs {
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
    /// What updates the matrices of the blocks [default: muon for llama]
    #[arg(long, value_enum)]
    optimizer: Option<OptimizerArg>,
    /// Peak learning rate of Muon
    #[arg(long, value_name = "X", default_value_t = LmOptions::default().muon_rate)]
    muon_rate: f32,
    /// Weight decay
    #[arg(long, value_name = "X", default_value_t = LmOptions::default().weight_decay)]
    weight_decay: f32,
    /// Tokens a step, of which llama holds some 512 at a time on each core
    #[arg(long, value_name = "N", default_value_t = LmOptions::default().batch_tokens)]
    batch_tokens: usize,
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
            batch_tokens: self.batch_tokens,
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

pub(super) fn train(global: &Global, args: &TrainArgs) -> Result<()> {
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
    if let Some(log) = &args.log {
        refuse_to_overwrite(&args.input.files, log)?;
    }
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
