//! Replays what fuzzers found, and hand-made hostile inputs, through the fuzz targets' bodies.

#[path = "../fuzz/bodies/mod.rs"]
#[allow(
    unreachable_pub,
    reason = "public in the fuzz crate, which includes the same file"
)]
mod bodies;

use barelm::model_file::ModelFile;
use std::path::Path;

#[test]
fn every_regression_input_passes_its_target() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/regressions");
    for (name, _) in bodies::BODIES {
        let inputs: Vec<_> = std::fs::read_dir(folder.join(name)).unwrap().collect();
        assert!(!inputs.is_empty(), "{name} has no regression input");
        for input in inputs {
            bodies::run(name, &std::fs::read(input.unwrap().path()).unwrap());
        }
    }
}

#[test]
fn bodies_survive_random_and_half_valid_bytes() {
    let mut rng = barelm::kernels::rng::Rng::new(7);
    for length in [0, 1, 7, 64, 300, 5000] {
        let mut bytes: Vec<u8> = (0..length).map(|_| rng.next_u32() as u8).collect();
        for prefix in [
            &b""[..],
            b"barelm\0\x1a\x01\0\0\0\x02\0\0\0",
            b"{\"model\":{\"type\":\"BPE\"",
            b"3 2\n",
        ] {
            let end = prefix.len().min(length);
            bytes[..end].copy_from_slice(&prefix[..end]);
            bodies::BODIES.iter().for_each(|(_, body)| body(&bytes));
        }
    }
}

/// What a fuzzer starts from must be right, or it never gets behind the first check.
#[test]
fn images_that_a_fuzzer_starts_from_are_models() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/regressions/mapped_files");
    for name in ["seed", "llama", "llama_int8"] {
        let image = folder.join(name);
        assert!(
            ModelFile::open(&image).is_ok(),
            "{name}: train a small one again"
        );
    }
}
