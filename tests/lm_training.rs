//! `barelm lm train` over several lives of its process, and what it says on the way.

use crate::support::{Workplace, barelm, refuse, run, succeed};
use serde_json::Value;
use std::process::Command;
use std::time::Duration;

/// Arguments of a training that takes some seconds, with checkpoints in the folder `at`.
fn long_training<'a>(text: &'a str, out: &'a str, at: &'a str, config: &'a str) -> Vec<&'a str> {
    let shape = [
        "--vocab-size",
        "500",
        "--dim",
        "32",
        "--context",
        "32",
        "--layers",
        "2",
    ];
    let job = [
        "lm",
        "train",
        "--json",
        "--steps",
        "150",
        "--eval-every",
        "20",
    ];
    let checkpoints = [
        "--checkpoint-minutes",
        "0.001",
        "--resume",
        "--checkpoint",
        at,
    ];
    let place = ["--config", config, "-o", out, text];
    [&job[..], &shape, &checkpoints, &place].concat()
}

fn model(folder: &str) -> Vec<u8> {
    std::fs::read(format!("{folder}/model.barelm")).expect("a model was written")
}

#[test]
fn a_training_killed_again_and_again_ends_with_the_model_of_an_undisturbed_one() {
    for config in ["seed", "llama"] {
        let place = Workplace::new();
        let text = place.stories("200K");
        let [want, got, at, undisturbed] =
            ["want", "got", "at", "undisturbed"].map(|n| place.arg(n));
        succeed(&long_training(&text, &want, &undisturbed, config));
        let checkpoint = place.path("at").join("lm.checkpoint");
        let (mut kills, mut written) = (0, 0);
        for i in 0..8u64 {
            let threads = (1 + i % 3).to_string();
            let mut arguments = long_training(&text, &got, &at, config);
            arguments.extend(["--threads", &threads]);
            let mut training = barelm(&arguments).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(300 + 137 * i % 400));
            kills += u32::from(training.try_wait().unwrap().is_none());
            training.kill().unwrap();
            training.wait().unwrap();
            written += u32::from(checkpoint.exists());
        }
        assert!(
            kills > 0 && written > 0,
            "{kills} kills, {written} checkpoints"
        );
        succeed(&long_training(&text, &got, &at, config));
        assert!(model(&want) == model(&got), "{config}");
        let left = std::fs::read_dir(at).unwrap().count();
        assert_eq!(left, 1, "the checkpoint, and nothing that a kill left");
    }
}

/// A signal that can be caught loses nothing, even if no checkpoint was due.
#[cfg(unix)]
#[test]
fn an_interrupted_training_leaves_a_checkpoint() {
    let place = Workplace::new();
    let text = place.stories("200K");
    let [out, at] = ["out", "at"].map(|name| place.arg(name));
    let job = [
        "lm",
        "train",
        "--steps",
        "1000000",
        "--eval-every",
        "1000000",
        "--context",
        "16",
    ];
    let job = [&job[..], &["--checkpoint", &at, "-o", &out, &text]].concat();
    let mut training = barelm(&job).spawn().unwrap();
    // The folder of the result appears when the work begins.
    let tokenizer = place.path("out").join("tokenizer.json");
    while !tokenizer.exists() {
        std::thread::sleep(Duration::from_millis(20));
        assert!(training.try_wait().unwrap().is_none());
    }
    std::thread::sleep(Duration::from_millis(1500));
    let id = training.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &id])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(training.wait().unwrap().code(), Some(130));
    assert!(place.path("at").join("lm.checkpoint").exists());
    assert!(!place.path("out").join("model.barelm").exists());
    let other = [&job[..], &["--resume", "--dim", "64"]].concat();
    refuse(&other, 3, "another job");
}

#[test]
fn a_log_a_sample_and_progress_say_how_training_goes() {
    let place = Workplace::new();
    let text = place.stories("200K");
    let [out, log] = ["out", "log.jsonl"].map(|name| place.arg(name));
    let job = [
        "lm",
        "train",
        "--vocab-size",
        "400",
        "--dim",
        "16",
        "--steps",
        "20",
    ];
    let job = [
        &job[..],
        &["--eval-every", "5", "--log", &log, "-o", &out, &text],
    ]
    .concat();
    let loud = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_barelm"));
        let output = command.args([&job[..], more].concat()).output().unwrap();
        assert!(output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let samples = |stderr: &str| stderr.lines().filter(|line| line.contains(" | ")).count();
    let stderr = loud(&[]);
    assert!(stderr.contains("% of peak"), "{stderr}");
    assert_eq!(
        (samples(&stderr), samples(&loud(&["--no-samples"]))),
        (4, 0),
        "{stderr}"
    );
    let lines = std::fs::read_to_string(&log).unwrap();
    let lines: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let steps: Vec<_> = lines
        .iter()
        .map(|line| line["step"].as_u64().unwrap())
        .collect();
    assert_eq!(steps, [5, 10, 15, 20, 20]);
    assert!(lines[4]["kept_step"].is_u64() && lines[0]["kept_step"].is_null());
    assert!(run(&job).stderr.is_empty(), "quiet");
}

#[test]
fn a_tenth_is_held_out_unless_another_text_is() {
    let place = Workplace::new();
    let out = place.arg("out");
    let train = |text: &str, more: &[&str]| -> Value {
        let job = [
            "lm",
            "train",
            "--json",
            "--steps",
            "3",
            "--context",
            "8",
            "--dim",
            "16",
            "-o",
            &out,
        ];
        serde_json::from_slice(&succeed(&[&job[..], more, &[text]].concat())).unwrap()
    };
    let text = place.stories("100K");
    let half = std::fs::read(&text).unwrap();
    let (head, tail) = half.split_at(half.len() - half.len() / 10);
    let [head, tail] = [("head.txt", head), ("tail.txt", tail)].map(|(n, t)| place.write(n, t));
    let by_default = train(&text, &[])["bits_per_byte"].as_f64().unwrap();
    let by_hand = train(&head, &["--valid", &tail])["bits_per_byte"]
        .as_f64()
        .unwrap();
    // The default cuts at the end of a line.
    assert!(
        (by_default / by_hand - 1.0).abs() < 0.05,
        "{by_default} {by_hand}"
    );
    for short in [&b"x"[..], b"one two three"] {
        let short = place.write("short.txt", short);
        refuse(&["lm", "train", "-o", &out, &short], 2, "give more text");
    }
    refuse(
        &["lm", "train", "--resume", "-o", &out, &text],
        2,
        "--checkpoint",
    );
}
