//! What the fuzz targets assert, as ordinary functions: the test suite replays them over
//! `fuzz/regressions/`, so that what a fuzzer found once is checked on every run.

mod encoding;
mod files;
mod models;
mod naive;
mod pretokens;
mod streams;
mod training;

/// What a target does to its input.
pub type Body = fn(&[u8]);

/// A body by the name of its target.
pub const BODIES: [(&str, Body); 12] = [
    ("tokenizer_round_trip", encoding::round_trip),
    ("encoder_against_naive", encoding::against_naive),
    ("kernel_against_harness", encoding::kernel_against_harness),
    ("pretokens_against_regex", pretokens::against_regex),
    ("encoder_stream", streams::encoder_stream),
    ("decoder_stream", streams::decoder_stream),
    ("trainer_against_naive", training::against_naive),
    ("tokenizer_files", files::tokenizer_files),
    ("flat_tables", files::flat_tables),
    ("mapped_files", files::mapped_files),
    ("vector_files", files::vector_files),
    ("sessions", models::sessions),
];

/// Runs the body of a target.
pub fn run(target: &str, bytes: &[u8]) {
    let found = BODIES.iter().find(|(name, _)| *name == target);
    let (_, body) = found.expect("every target has a body");
    body(bytes);
}
