//! Integration tests: one binary, a module per subject; `support` runs the command line.

mod bad_input;
mod fuzz_regressions;
mod reproducible;
mod support;
mod synthetic;
mod tokenizer;
