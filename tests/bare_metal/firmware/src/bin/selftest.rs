//! Runs every kernel and two models from flash, and prints a checksum of each result.
#![no_std]
#![no_main]

use checks::{CHECKS, Memory, model};
use firmware::{Once, print_checksum, print_text};

firmware::flash!(SEED, "seed.barelm");
firmware::flash!(LLAMA, "llama.barelm");
firmware::flash!(INT8, "llama_int8.barelm");

static MEMORY: Once<Memory> = Once::new(Memory::new());

firmware::entry!(main);

fn main() -> bool {
    let Some(memory) = MEMORY.take() else {
        return false;
    };
    let mut ok = true;
    for (name, check) in CHECKS {
        ok &= print_checksum(name, checks::run(check, memory));
    }
    let files = [SEED.bytes(), LLAMA.bytes(), INT8.bytes()];
    for ((name, cache), file) in model::MODELS.into_iter().zip(files) {
        ok &= report(name, model::run(file, cache, memory));
    }
    ok
}

fn report(name: &str, results: Option<model::Results>) -> bool {
    let lines = results.map(|r| {
        [
            ("encode", r.encode),
            ("decode", r.decode),
            ("logits", r.logits),
            ("tokens", r.tokens),
        ]
    });
    for (what, checksum) in lines.iter().flatten() {
        print_text(name);
        print_text("_");
        print_checksum(what, Some(*checksum));
    }
    if lines.is_none() {
        print_checksum(name, None);
    }
    lines.is_some()
}
