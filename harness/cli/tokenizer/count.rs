//! `barelm tokenizer count`: how many tokens a text has, without keeping any.

use super::chunks::{Job, Source};
use super::{EncodeRules, Model};
use crate::Result;
use crate::cli::print::Stdout;
use crate::cli::{Global, Input};
use clap::Args;
use serde::Serialize;
use std::path::Path;

#[derive(Args)]
pub(in crate::cli) struct CountArgs {
    #[command(flatten)]
    model: Model,
    #[command(flatten)]
    rules: EncodeRules,
    #[command(flatten)]
    input: Input,
}

/// Tokens of a file, or of all of them.
#[derive(Serialize, Default)]
struct Count {
    name: String,
    tokens: u64,
    bytes: u64,
    documents: u64,
}

pub(super) fn run(global: &Global, args: &CountArgs) -> Result<()> {
    let tokenizer = args.model.load()?;
    let source = Source::open(&args.input)?;
    let options = args.rules.options();
    let job = Job {
        tokenizer: &tokenizer,
        options: &options,
        lines: false,
    };
    let mut counts: Vec<Count> = Vec::new();
    job.run(
        (global, "count"),
        &source,
        Vec::new,
        |encoder, record, parts: &mut Vec<Count>| {
            let tokens = record.count(encoder)?;
            add(
                parts,
                Count {
                    name: name(record.name),
                    tokens,
                    bytes: record.text.len() as u64,
                    documents: record.starts.into(),
                },
            );
            Ok(())
        },
        |parts| {
            parts.into_iter().for_each(|part| add(&mut counts, part));
            Ok(())
        },
    )?;
    print(global, counts)
}

fn name(path: &Path) -> String {
    path.display().to_string()
}

/// Adds to the count of the same file, which comes last, or appends.
fn add(counts: &mut Vec<Count>, part: Count) {
    match counts.last_mut().filter(|count| count.name == part.name) {
        Some(count) => count.add(&part),
        None => counts.push(part),
    }
}

impl Count {
    fn add(&mut self, other: &Self) {
        self.tokens += other.tokens;
        self.bytes += other.bytes;
        self.documents += other.documents;
    }
}

/// A line for each file, and one for all if there are several, as `wc` does.
fn print(global: &Global, mut counts: Vec<Count>) -> Result<()> {
    if counts.len() > 1 {
        let mut total = Count {
            name: "total".into(),
            ..Count::default()
        };
        counts.iter().for_each(|count| total.add(count));
        counts.push(total);
    }
    let mut stdout = Stdout::new();
    for count in &counts {
        match global.json {
            true => stdout.json(count)?,
            false => stdout.line(format!("{:>12} {}", count.tokens, count.name))?,
        }
    }
    stdout.flush()
}
