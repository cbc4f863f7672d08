//! `barelm profile`: how fast this machine is, and how near the hot loops come.

use super::Global;
use super::print::Stdout;
use crate::Result;
use crate::profile::{self, ProfileOptions};
use clap::Args;
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct ProfileArgs {
    /// Text for the stages, of which the first 16 MiB are read [default: a built-in corpus]
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The field of each JSON record that holds its text (for .jsonl files)
    #[arg(long, value_name = "FIELD")]
    jsonl: Option<String>,
    /// Seconds to spend on each row
    #[arg(long, value_name = "X", default_value_t = 0.25)]
    seconds_per_row: f64,
}

pub(super) fn run(global: &Global, args: &ProfileArgs) -> Result<()> {
    let report = profile::run(&ProfileOptions {
        files: args.files.clone(),
        jsonl_field: args.jsonl.clone(),
        seconds_per_row: args.seconds_per_row,
        threads: global.threads(),
        ..Default::default()
    })?;
    let mut stdout = Stdout::new();
    match global.json {
        true => stdout.json(&report)?,
        false => stdout.bytes(report.to_string().as_bytes())?,
    }
    stdout.flush()
}
