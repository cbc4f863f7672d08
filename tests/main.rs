//! Integration tests: one binary, a module per subject; `support` runs the command line.

mod bad_input;
mod data;
mod fuzz_regressions;
mod language_model;
mod lm_training;
mod ngram;
mod reproducible;
mod support;
mod synthetic;
mod tokenizer;
mod tokenizer_files;
mod vector_files;
mod vectors;
