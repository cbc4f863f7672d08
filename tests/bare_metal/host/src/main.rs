//! What a target's self-test must print: the same checks on this machine, with the same rounding.
//!
//! `host FOLDER [--in-another-order]`; the folder holds the files of [`model::MODELS`].

use barelm_kernels::simd::Backend;
use checks::{CHECKS, Check, Memory, dot_in_another_order, model};
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(folder) = arguments.first() else {
        eprintln!("usage: host FOLDER [--in-another-order]");
        return ExitCode::from(2);
    };
    if Backend::best().is_fused() {
        eprintln!(
            "host: build with RUSTFLAGS='--cfg barelm_backend=\"portable\"': targets do not fuse"
        );
        return ExitCode::from(2);
    }
    let is_perturbed = arguments
        .iter()
        .any(|argument| argument == "--in-another-order");
    match print(Path::new(folder), is_perturbed) {
        Some(()) => ExitCode::SUCCESS,
        None => ExitCode::FAILURE,
    }
}

/// One line a check, one for each result of a model.
fn print(folder: &Path, is_perturbed: bool) -> Option<()> {
    let mut memory = Box::new(Memory::new());
    for (name, check) in CHECKS {
        let check: Check = match name {
            "dot" if is_perturbed => dot_in_another_order,
            _ => check,
        };
        println!("{name} {:016x}", checks::run(check, &mut memory)?);
    }
    for (name, cache) in model::MODELS {
        let file = std::fs::read(folder.join(format!("{name}.barelm"))).ok()?;
        let mut aligned = vec![0; file.len() + 64];
        let start = aligned.as_ptr().align_offset(64);
        aligned[start..][..file.len()].copy_from_slice(&file);
        let results = model::run(&aligned[start..][..file.len()], cache, &mut memory)?;
        println!("{name}_encode {:016x}", results.encode);
        println!("{name}_decode {:016x}", results.decode);
        println!("{name}_logits {:016x}", results.logits);
        println!("{name}_tokens {:016x}", results.tokens);
    }
    Some(())
}
