//! `barelm vectors train`.

use super::super::checkpoints::CheckpointArgs;
use super::super::print::Stdout;
use super::super::{Global, Input, parse_size, refuse_to_overwrite, usage};
use super::save;
use crate::cbow_trainer::{
    Architecture, CbowOptions, Earlier, EpochReport, ExtendedStream, Loss, Start, TokenSource,
    Training, WordStream,
};
use crate::embeddings::Embeddings;
use crate::progress::human;
use crate::tokenizer::Tokenizer;
use crate::{Result, pipeline};
use barelm_kernels::cbow::Projection;
use barelm_kernels::sigmoid::SigmoidMethod;
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};

#[derive(Args)]
pub(in crate::cli) struct TrainArgs {
    #[command(flatten)]
    input: Input,
    /// Pieces of this tokenizer instead of words between white space
    #[arg(long, value_name = "FILE")]
    tokenizer: Option<PathBuf>,
    /// Predict a word from its context, or from each word of it alone
    #[arg(long, value_enum, default_value_t = ArchArg::Cbow)]
    arch: ArchArg,
    /// What is minimised
    #[arg(long, value_enum, default_value_t = LossArg::Hs)]
    loss: LossArg,
    /// Words drawn against each target, for `--loss ns`
    #[arg(long, value_name = "N", default_value_t = 5)]
    negatives: usize,
    /// Length of a vector
    #[arg(long, value_name = "N", default_value_t = 100)]
    dim: usize,
    /// Words of context on each side
    #[arg(long, value_name = "N", default_value_t = 5)]
    window: usize,
    /// Every window has its full size; by default each size up to it is as likely
    #[arg(long)]
    fixed_window: bool,
    /// Rarer words are left out
    #[arg(
        long,
        value_name = "N",
        default_value_t = 5,
        conflicts_with = "tokenizer"
    )]
    min_count: u64,
    /// Keep the N most frequent words only
    #[arg(long, value_name = "N", default_value_t = usize::MAX, hide_default_value = true, conflicts_with = "tokenizer")]
    max_vocab: usize,
    /// Words more frequent than this share are thinned out; 0 for none
    #[arg(long, value_name = "X", default_value_t = 1e-3)]
    sample: f64,
    /// Learning rate at the start, from which it falls evenly [default: 0.05, or 0.025 for skipgram]
    #[arg(long, value_name = "X")]
    alpha: Option<f32>,
    /// Where it stops falling, as a share of the start
    #[arg(long, value_name = "X", default_value_t = 1e-4)]
    alpha_floor: f32,
    /// Passes over the text
    #[arg(long, value_name = "N", default_value_t = 5)]
    epochs: usize,
    /// How the context's vectors become one
    #[arg(long, value_enum, default_value_t = ProjectionArg::MeanFullShare)]
    projection: ProjectionArg,
    /// Sigmoid by table or by polynomial
    #[arg(long, value_enum, default_value_t = SigmoidArg::Polynomial)]
    sigmoid: SigmoidArg,
    /// Leave this share of the text, its end, out of training, and measure the loss there
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    hold_out: f64,
    /// Start from the vectors of this file, for the words that it has
    #[arg(long, value_name = "FILE")]
    init: Option<PathBuf>,
    /// Go on from this checkpoint (or the one in this folder) of another text: with its vectors and
    /// its output table, all its words, and those of the new text
    #[arg(long = "continue", value_name = "CHECKPOINT", conflicts_with = "init")]
    earlier: Option<PathBuf>,
    #[command(flatten)]
    checkpoints: CheckpointArgs,
    /// Refuse to start when training needs more memory than this (512M, 4G)
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    memory: Option<u64>,
    /// Equal seeds give equal vectors
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// word2vec binary, or what the name's ending says (see `vectors convert`)
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ArchArg {
    Cbow,
    Skipgram,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LossArg {
    /// Hierarchical softmax: a likelihood, in time of the logarithm of the vocabulary
    Hs,
    /// Negative sampling: no likelihood, in constant time
    Ns,
    /// The exact softmax over all words, for small vocabularies
    Softmax,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ProjectionArg {
    /// The mean; each word gets its exact share of the gradient
    Mean,
    /// The mean; each word gets the whole gradient, as in word2vec.c
    MeanFullShare,
    /// The sum; each word gets the whole gradient, which is exact
    Sum,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SigmoidArg {
    Table,
    Polynomial,
}

impl TrainArgs {
    fn options(&self, global: &Global) -> CbowOptions {
        let (architecture, alpha) = match self.arch {
            ArchArg::Cbow => (Architecture::Cbow, 0.05),
            ArchArg::Skipgram => (Architecture::SkipGram, 0.025),
        };
        let negatives = self.negatives;
        CbowOptions {
            architecture,
            loss: match self.loss {
                LossArg::Hs => Loss::HierarchicalSoftmax,
                LossArg::Ns => Loss::NegativeSampling { negatives },
                LossArg::Softmax => Loss::Softmax,
            },
            dim: self.dim,
            window: self.window,
            random_window: !self.fixed_window,
            min_count: self.min_count,
            max_vocab: self.max_vocab,
            sample: self.sample,
            alpha: self.alpha.unwrap_or(alpha),
            alpha_floor: self.alpha_floor,
            epochs: self.epochs,
            hold_out: self.hold_out,
            projection: match self.projection {
                ProjectionArg::Mean => Projection::Mean,
                ProjectionArg::MeanFullShare => Projection::MeanFullShare,
                ProjectionArg::Sum => Projection::Sum,
            },
            sigmoid: match self.sigmoid {
                SigmoidArg::Table => SigmoidMethod::Table,
                SigmoidArg::Polynomial => SigmoidMethod::Polynomial,
            },
            seed: self.seed,
            threads: global.threads(),
        }
    }

    /// The training to go on with. Its checkpoint must outlive this training's, which a resumed run
    /// starts from as well.
    fn earlier(&self, options: &CbowOptions) -> Result<Option<Earlier>> {
        let Some(path) = &self.earlier else {
            return Ok(None);
        };
        let earlier = Earlier::open(path)?;
        earlier.check(options)?;
        let whole = |path: &Path| path.canonicalize().ok();
        let folder = self.checkpoints.checkpoint.as_deref().and_then(whole);
        if folder.is_some()
            && folder.as_deref() == whole(earlier.path()).as_deref().and_then(Path::parent)
        {
            let message = "--checkpoint names the folder that --continue reads; take another one";
            return Err(usage(message));
        }
        Ok(Some(earlier))
    }
}

pub(super) fn train(global: &Global, args: &TrainArgs) -> Result<()> {
    let options = args.options(global);
    options.validate()?;
    let checkpoints = args.checkpoints.checkpoints()?;
    let vectors = args.init.as_ref().map(Embeddings::load).transpose()?;
    let earlier = args.earlier(&options)?;
    if let Some(tokenizer) = &args.tokenizer {
        refuse_to_overwrite(std::slice::from_ref(tokenizer), &args.output)?;
    }
    let corpus = args.input.open_for(&args.output)?;
    let run = |source: TokenSource<'_>, words| {
        let training = Training {
            start: match &earlier {
                Some(earlier) => Some(Start::Earlier(earlier)),
                None => vectors.as_ref().map(Start::Vectors),
            },
            checkpoints,
            memory: args.memory,
            ..Training::new(source, words, &options)
        };
        training.run()
    };
    let (min_count, max_vocab) = (options.min_count, options.max_vocab);
    let trained = match (&args.tokenizer, &earlier) {
        (Some(path), _) => {
            let tokenizer = Tokenizer::load(path)?;
            let with_ids = |source: TokenSource<'_>| run(source, pipeline::spellings(&tokenizer));
            pipeline::with_ids_of(&corpus, &tokenizer, options.threads, with_ids)?
        }
        (None, Some(earlier)) => {
            let stream = ExtendedStream::new(&corpus, min_count, max_vocab, earlier)?;
            run(stream.source(), stream.words().to_vec())?
        }
        (None, None) => {
            let stream = WordStream::new(&corpus, min_count, max_vocab)?;
            run(stream.source(), stream.words().to_vec())?
        }
    };
    save(&trained.embeddings, &args.output)?;
    let mut stdout = Stdout::new();
    if global.json {
        stdout.json(&trained.epochs)?;
    } else {
        for (epoch, report) in (1..).zip(&trained.epochs) {
            stdout.line(format!("epoch {epoch}: {}", line(report)))?;
        }
    }
    stdout.flush()
}

/// What there is to say of an epoch.
fn line(report: &EpochReport) -> String {
    let EpochReport {
        loss_nats,
        loss_bits,
        held_out_nats,
        tokens_per_second,
        ..
    } = report;
    let held_out = held_out_nats.map(|nats| format!(", held out {nats:.4} nats"));
    let held_out = held_out.unwrap_or_default();
    let speed = human(*tokens_per_second);
    format!("loss {loss_nats:.4} nats ({loss_bits:.4} bits) a token{held_out}, {speed} words/s")
}
