//! `barelm vectors`: train, neighbors, analogy, evaluate, convert.

use super::print::Stdout;
use super::{Global, Input};
use crate::cbow_trainer::{self, CbowOptions, EpochReport};
use crate::embeddings::{self, Embeddings, Evaluation, Neighbor, PairReport, Section, Space};
use crate::output::OutputFile;
use crate::progress::human;
use crate::tokenizer::Tokenizer;
use crate::{Result, pipeline};
use barelm_kernels::cbow::Projection;
use barelm_kernels::sigmoid::SigmoidMethod;
use clap::{Args, Subcommand, ValueEnum};
use std::path::{Path, PathBuf};

#[derive(Subcommand)]
pub(super) enum VectorsCommand {
    /// Train word vectors: CBOW with hierarchical softmax
    Train(TrainArgs),
    /// The words nearest to a word, or to a sum of words
    Neighbors(NeighborsArgs),
    /// A is to B as C is to what?
    Analogy(AnalogyArgs),
    /// Accuracy on analogies, correlation on word pairs
    Evaluate(EvaluateArgs),
    /// From one file format to another
    Convert(ConvertArgs),
}

#[derive(Args)]
pub(super) struct TrainArgs {
    #[command(flatten)]
    input: Input,
    /// Pieces of this tokenizer instead of words between white space
    #[arg(long, value_name = "FILE")]
    tokenizer: Option<PathBuf>,
    /// Length of a vector
    #[arg(long, value_name = "N", default_value_t = 100)]
    dim: usize,
    /// Words of context on each side
    #[arg(long, value_name = "N", default_value_t = 5)]
    window: usize,
    /// Rarer words are left out
    #[arg(long, value_name = "N", default_value_t = 5)]
    min_count: u64,
    /// Keep the N most frequent words only
    #[arg(long, value_name = "N", default_value_t = usize::MAX, hide_default_value = true)]
    max_vocab: usize,
    /// Words more frequent than this share are thinned out; 0 for none
    #[arg(long, value_name = "X", default_value_t = 1e-3)]
    sample: f64,
    /// Learning rate at the start; it falls to nearly 0
    #[arg(long, value_name = "X", default_value_t = 0.05)]
    alpha: f32,
    /// Passes over the text
    #[arg(long, value_name = "N", default_value_t = 5)]
    epochs: usize,
    /// How the context's vectors become one
    #[arg(long, value_enum, default_value_t = ProjectionArg::MeanFullShare)]
    projection: ProjectionArg,
    /// Sigmoid by table or by polynomial
    #[arg(long, value_enum, default_value_t = SigmoidArg::Polynomial)]
    sigmoid: SigmoidArg,
    /// Equal seeds give equal vectors
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// word2vec binary, or text if the name ends in .txt
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
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

/// Vectors on disk.
#[derive(Args)]
struct Model {
    /// word2vec binary or text
    #[arg(long = "model", short = 'm', value_name = "FILE")]
    path: PathBuf,
}

#[derive(Args)]
pub(super) struct NeighborsArgs {
    #[command(flatten)]
    model: Model,
    /// How many to show
    #[arg(long, short = 'k', value_name = "N", default_value_t = 10)]
    top: usize,
    /// The words; one after `-` counts against (`king - man woman`)
    #[arg(value_name = "WORD", required = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

#[derive(Args)]
pub(super) struct AnalogyArgs {
    #[command(flatten)]
    model: Model,
    /// How many to show
    #[arg(long, short = 'k', value_name = "N", default_value_t = 5)]
    top: usize,
    /// A is to B as C is to what?
    #[arg(value_names = ["A", "B", "C"], num_args = 3, required = true)]
    words: Vec<String>,
}

#[derive(Args)]
pub(super) struct EvaluateArgs {
    #[command(flatten)]
    model: Model,
    /// Only the N most frequent words take part; 0 for all
    #[arg(long, value_name = "N", default_value_t = 30_000)]
    restrict: usize,
    /// Analogies (questions-words) or word pairs with scores (tsv)
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
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
        VectorsCommand::Train(args) => train(global, &args),
        VectorsCommand::Neighbors(args) => neighbors(global, &args),
        VectorsCommand::Analogy(args) => analogy(global, &args),
        VectorsCommand::Evaluate(args) => evaluate(global, &args),
        VectorsCommand::Convert(args) => save(&args.model.load()?, &args.output),
    }
}

impl TrainArgs {
    fn options(&self, global: &Global) -> CbowOptions {
        CbowOptions {
            dim: self.dim,
            window: self.window,
            min_count: self.min_count,
            max_vocab: self.max_vocab,
            sample: self.sample,
            alpha: self.alpha,
            epochs: self.epochs,
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
            ..CbowOptions::default()
        }
    }
}

fn train(global: &Global, args: &TrainArgs) -> Result<()> {
    let options = args.options(global);
    options.validate()?;
    // A place that cannot be written should be known now, not after the work.
    drop(OutputFile::create(&args.output)?);
    let corpus = args.input.open()?;
    let trained = match &args.tokenizer {
        Some(path) => pipeline::train_piece_vectors(&corpus, &Tokenizer::load(path)?, &options)?,
        None => cbow_trainer::train_words(&corpus, &options)?,
    };
    save(&trained.embeddings, &args.output)?;
    let mut stdout = Stdout::new();
    if global.json {
        stdout.json(&trained.epochs)?;
    } else {
        for (epoch, report) in (1..).zip(&trained.epochs) {
            let EpochReport {
                loss_nats,
                loss_bits,
                tokens_per_second,
                ..
            } = report;
            let speed = human(*tokens_per_second);
            stdout.line(format!(
                "epoch {epoch}: loss {loss_nats:.4} nats ({loss_bits:.4} bits) a token, {speed} words/s"
            ))?;
        }
    }
    stdout.flush()
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

/// A word as the vectors spell it: in those of a tokenizer's pieces, words carry their space.
fn spelled(space: &Space<'_>, word: &str) -> Vec<u8> {
    let with_space = format!(" {word}").into_bytes();
    match space.id(&with_space) {
        Some(_) => with_space,
        None => word.as_bytes().to_vec(),
    }
}

fn neighbors(global: &Global, args: &NeighborsArgs) -> Result<()> {
    let embeddings = args.model.load()?;
    let space = Space::new(&embeddings, usize::MAX);
    let mut terms = Vec::new();
    let mut weight = 1.0;
    for word in &args.words {
        match word.as_str() {
            "-" => weight = -1.0,
            "+" => weight = 1.0,
            word => {
                terms.push((spelled(&space, word), weight));
                weight = 1.0;
            }
        }
    }
    let terms: Vec<(&[u8], f32)> = terms
        .iter()
        .map(|(word, weight)| (&word[..], *weight))
        .collect();
    print_neighbors(global, &space.combine(&terms, args.top)?)
}

fn analogy(global: &Global, args: &AnalogyArgs) -> Result<()> {
    let embeddings = args.model.load()?;
    let space = Space::new(&embeddings, usize::MAX);
    let [a, b, c] = [0, 1, 2].map(|i| spelled(&space, args.words.get(i).map_or("", |word| word)));
    print_neighbors(global, &space.analogy(&a, &b, &c, args.top)?)
}

fn print_neighbors(global: &Global, neighbors: &[Neighbor]) -> Result<()> {
    let mut stdout = Stdout::new();
    if global.json {
        stdout.json(&neighbors)?;
    } else {
        for Neighbor { word, cosine } in neighbors {
            stdout.line(format!(
                "{cosine:.4}  {}",
                String::from_utf8_lossy(word).trim()
            ))?;
        }
    }
    stdout.flush()
}

fn evaluate(global: &Global, args: &EvaluateArgs) -> Result<()> {
    let embeddings = args.model.load()?;
    let restrict = if args.restrict == 0 {
        usize::MAX
    } else {
        args.restrict
    };
    let mut stdout = Stdout::new();
    for path in &args.files {
        let evaluation = embeddings::evaluate(&embeddings, path, restrict, global.threads())?;
        if global.json {
            let file = path.display().to_string();
            stdout.json(&serde_json::json!({ "file": file, "result": evaluation }))?;
        } else {
            stdout.line(format!("{}", path.display()))?;
            print_evaluation(&mut stdout, &evaluation)?;
        }
    }
    stdout.flush()
}

fn print_evaluation(stdout: &mut Stdout, evaluation: &Evaluation) -> Result<()> {
    match evaluation {
        Evaluation::Analogies(report) => {
            let totals = [("semantic", &report.semantic), ("syntactic", &report.syntactic), ("total", &report.total)];
            let sections = report.sections.iter().map(|section| (&section.name[..], section));
            for (name, section) in sections.chain(totals) {
                let Section { asked, correct, out_of_vocabulary, accuracy, .. } = section;
                let percent = 100.0 * accuracy;
                stdout.line(format!(
                    "  {name:<30} {percent:6.2} %  {correct} of {asked}, {out_of_vocabulary} with unknown words"
                ))?;
            }
            Ok(())
        }
        Evaluation::Pairs(PairReport { pairs, out_of_vocabulary, pearson, spearman }) => stdout.line(format!(
            "  Spearman {spearman:.4}, Pearson {pearson:.4}, {pairs} pairs, {out_of_vocabulary} with unknown words"
        )),
    }
}
