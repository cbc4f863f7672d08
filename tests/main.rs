//! Integration tests: one binary, a module per subject; `support` runs the command line.

mod support;
mod synthetic;
mod tokenizer;
