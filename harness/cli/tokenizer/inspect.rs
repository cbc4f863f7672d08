//! `barelm tokenizer inspect`: what a tokenizer holds.

use super::Model;
use super::chunks::{Job, Source};
use crate::Result;
use crate::cli::print::Stdout;
use crate::cli::{Global, Input, usage};
use crate::tokenizer::inspect::{
    Inspection, MergePath, TokenCount, TokenText, VocabularyUse, unreachable,
};
use crate::tokenizer::{EncodeOptions, SpecialSet, Tokenizer};
use clap::Args;
use std::path::PathBuf;

#[derive(Args)]
pub(in crate::cli) struct InspectArgs {
    #[command(flatten)]
    model: Model,
    /// Read a mapped file to its end: checksums, and every slot of its tables
    #[arg(long)]
    verify: bool,
    /// The merges that lead to a token, given by its id or its text
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    /// List all tokens that merging never leads to
    #[arg(long, conflicts_with = "token")]
    unreachable: bool,
    /// How much of the vocabulary these texts use
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["token", "unreachable"])]
    text: Vec<PathBuf>,
}

pub(super) fn run(global: &Global, args: &InspectArgs) -> Result<()> {
    let tokenizer = args.model.load()?;
    if args.verify {
        tokenizer.verify()?;
    }
    let mut stdout = Stdout::new();
    if let Some(token) = &args.token {
        print_path(global, &mut stdout, &path_to(&tokenizer, token)?)?;
    } else if args.unreachable {
        for id in unreachable(&tokenizer) {
            print_token(global, &mut stdout, &tokenizer.token_text(id))?;
        }
    } else if args.text.is_empty() {
        print_summary(global, &mut stdout, &Inspection::new(&tokenizer))?;
    } else {
        print_use(global, &mut stdout, &count(global, &tokenizer, &args.text)?)?;
    }
    stdout.flush()
}

/// A number is an id; anything else, or quotes around it, is text.
fn path_to(tokenizer: &Tokenizer, token: &str) -> Result<MergePath> {
    match token.parse() {
        Ok(id) => match tokenizer.token_bytes(id) {
            Some(bytes) => tokenizer.merge_path(bytes),
            None => Err(usage(format!("no token has the id {id}"))),
        },
        Err(_) => tokenizer.merge_path(token.as_bytes()),
    }
}

fn count(global: &Global, tokenizer: &Tokenizer, files: &[PathBuf]) -> Result<VocabularyUse> {
    let (files, jsonl) = (files.to_vec(), None);
    let source = Source::open(&Input { files, jsonl })?;
    let options = EncodeOptions {
        disallowed: SpecialSet::None,
        ..EncodeOptions::default()
    };
    let job = Job {
        tokenizer,
        options: &options,
        lines: false,
    };
    let (mut counts, mut bytes) = (vec![0; tokenizer.vocab_size()], 0);
    job.run(
        (global, "inspect"),
        &source,
        || (Vec::new(), 0),
        |encoder, record, (ids, bytes)| {
            *bytes += record.text.len() as u64;
            record.encode(encoder, ids)
        },
        |(ids, len)| {
            bytes += len;
            ids.into_iter().for_each(|id: u32| counts[id as usize] += 1);
            Ok(())
        },
    )?;
    Ok(VocabularyUse::new(tokenizer, &counts, bytes))
}

fn print_summary(global: &Global, stdout: &mut Stdout, summary: &Inspection) -> Result<()> {
    if global.json {
        return stdout.json(summary);
    }
    let mut line = |name: &str, value: String| stdout.line(format!("{name:<24} {value}"));
    line("vocabulary size", summary.vocab_size.to_string())?;
    line("tokens", summary.tokens.to_string())?;
    line("merges", summary.merges.to_string())?;
    line("specials", list(&summary.specials))?;
    line("pattern", summary.pattern.clone())?;
    line("merge rule", summary.merge_rule.clone())?;
    line(
        "mean bytes of a token",
        format!("{:.3}", summary.mean_token_bytes),
    )?;
    line("longest tokens", list(&summary.longest_tokens))?;
    line(
        "unreachable tokens",
        format!(
            "{} {}",
            summary.unreachable,
            list(&summary.unreachable_tokens)
        ),
    )?;
    line("hash", summary.hash.clone())?;
    line("bytes", "tokens of that length".into())?;
    let most = summary.tokens_by_bytes.values().max().copied().unwrap_or(1);
    for (bytes, tokens) in &summary.tokens_by_bytes {
        let bar = "#".repeat((tokens * 40).div_ceil(most));
        stdout.line(format!("{bytes:>24} {tokens:>7} {bar}"))?;
    }
    Ok(())
}

fn list(tokens: &[TokenText]) -> String {
    let named = tokens
        .iter()
        .map(|token| format!("{:?} {}", token.text, token.id));
    named.collect::<Vec<_>>().join(", ")
}

fn print_token(global: &Global, stdout: &mut Stdout, token: &TokenText) -> Result<()> {
    match global.json {
        true => stdout.json(token),
        false => stdout.line(format!("{:>8} {:?}", token.id, token.text)),
    }
}

fn print_path(global: &Global, stdout: &mut Stdout, path: &MergePath) -> Result<()> {
    if global.json {
        return stdout.json(path);
    }
    for step in &path.steps {
        let [left, right, merged] = [&step.left, &step.right, &step.merged].map(|t| &t.text);
        stdout.line(format!(
            "rank {:>7}: {left:?} + {right:?} -> {merged:?} {}",
            step.rank, step.merged.id
        ))?;
    }
    stdout.line(format!("tokens: {}", list(&path.tokens)))?;
    match &path.whole {
        Some(token) => stdout.line(format!("taken as a whole: {:?} {}", token.text, token.id)),
        None => Ok(()),
    }
}

fn print_use(global: &Global, stdout: &mut Stdout, usage: &VocabularyUse) -> Result<()> {
    if global.json {
        return stdout.json(usage);
    }
    let mut line = |name: &str, value: String| stdout.line(format!("{name:<24} {value}"));
    line("bytes", usage.text_bytes.to_string())?;
    line("tokens", usage.text_tokens.to_string())?;
    line("bytes per token", format!("{:.4}", usage.bytes_per_token))?;
    line("used tokens", usage.used.to_string())?;
    line(
        "unused tokens",
        format!("{} {}", usage.unused, list(&usage.unused_tokens)),
    )?;
    for TokenCount { token, count } in &usage.most_frequent {
        stdout.line(format!("{count:>24} {:?} {}", token.text, token.id))?;
    }
    Ok(())
}
