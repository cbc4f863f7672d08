//! `barelm vectors evaluate`.

use super::super::Global;
use super::super::print::Stdout;
use super::Model;
use crate::Result;
use crate::embeddings::{self, Evaluation, PairReport, Section};
use clap::Args;
use std::path::PathBuf;

#[derive(Args)]
pub(in crate::cli) struct EvaluateArgs {
    #[command(flatten)]
    model: Model,
    /// Only the N most frequent words take part; 0 for all
    #[arg(long, value_name = "N", default_value_t = 30_000)]
    restrict: usize,
    /// Analogies (questions-words, CA8) or word pairs with scores (tsv)
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

pub(super) fn evaluate(global: &Global, args: &EvaluateArgs) -> Result<()> {
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
            let groups = [
                ("semantic", &report.semantic),
                ("syntactic", &report.syntactic),
            ];
            let groups = groups
                .into_iter()
                .filter(|(_, group)| group.asked + group.out_of_vocabulary > 0);
            let totals = groups.chain([("total", &report.total)]);
            let sections = report
                .sections
                .iter()
                .map(|section| (&section.name[..], section));
            for (name, section) in sections.chain(totals) {
                let Section {
                    asked,
                    correct,
                    out_of_vocabulary,
                    accuracy,
                    ..
                } = section;
                let percent =
                    accuracy.map_or("-".into(), |accuracy| format!("{:.2}", 100.0 * accuracy));
                stdout.line(format!(
                    "  {name:<30} {percent:>6} %  {correct} of {asked}, {out_of_vocabulary} with unknown words"
                ))?;
            }
            Ok(())
        }
        Evaluation::Pairs(PairReport {
            pairs,
            out_of_vocabulary,
            pearson,
            spearman,
        }) => {
            let [spearman, pearson] =
                [spearman, pearson].map(|r| r.map_or("not defined".into(), |r| format!("{r:.4}")));
            stdout.line(format!(
                "  Spearman {spearman}, Pearson {pearson}, {pairs} pairs, {out_of_vocabulary} with unknown words"
            ))
        }
    }
}
