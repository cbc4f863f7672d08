//! `barelm lm` and `barelm train` as a user runs them.

use crate::support::{Workplace, refuse, run, succeed};
use serde_json::Value;

const SMALL: [&str; 8] = [
    "--vocab-size",
    "600",
    "--dim",
    "32",
    "--context",
    "16",
    "--steps",
    "150",
];

fn trained(place: &Workplace, extra: &[&str]) -> (String, Value) {
    let (text, out) = (place.stories("600K"), place.arg("model"));
    let mut args = vec!["lm", "train", "--json", "-o", &out, &text];
    args.extend(SMALL);
    args.extend(extra);
    let report = serde_json::from_slice(&succeed(&args)).unwrap();
    (out, report)
}

#[test]
fn every_output_layer_learns() {
    for extra in [
        &["--output", "softmax"][..],
        &["--output", "tied"],
        &["--output", "huffman"],
        &["--literal"],
    ] {
        let (_, report) = trained(&Workplace::new(), extra);
        let bits: Vec<f64> = report["history"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| e["bits_per_byte"].as_f64().unwrap())
            .collect();
        assert!(
            bits.len() >= 3 && bits[bits.len() - 1] < 0.9 * bits[0],
            "{extra:?}: {bits:?}"
        );
    }
}

#[test]
fn a_llama_learns_and_survives_the_way_to_hugging_face_and_back() {
    let place = Workplace::new();
    let extra = [
        "--config",
        "llama",
        "--layers",
        "2",
        "--kv-heads",
        "2",
        "--batch-tokens",
        "2048",
        "--learning-rate",
        "0.02",
    ];
    let (model, report) = trained(&place, &extra);
    let [trained, bigram] = ["bits_per_byte", "bigram_bits_per_byte"].map(|field| &report[field]);
    assert!(trained.as_f64() < bigram.as_f64(), "{report}");
    let (theirs, back) = (place.arg("theirs"), place.arg("back"));
    succeed(&["lm", "convert", "-m", &model, "-o", &theirs]);
    let asked = ["lm", "generate", "-p", "The", "-m"];
    refuse(&[&asked[..], &[&theirs]].concat(), 3, "lm convert");
    refuse(&["lm", "convert", "-m", &model, "-o", &model], 2, "replace");
    succeed(&["lm", "convert", "-m", &theirs, "-o", &back]);
    let says = |model: &str, command: &str| {
        let args = ["lm", command, "--json", "-m", model, "-p", "The capital of"];
        succeed(&args)
    };
    for command in ["predict", "generate"] {
        assert_eq!(says(&model, command), says(&back, command));
    }
    let refuse = |args: &[&str]| assert_eq!(run(args).status.code(), Some(2), "{args:?}");
    let (text, out) = (place.arg("stories.txt"), place.arg("out"));
    let train = ["lm", "train", "--config", "llama", "-o", &out, &text];
    refuse(&[&train[..], &["--kv-heads", "3"]].concat());
    refuse(&[&train[..], &["--layers", "0"]].concat());
    refuse(&[&train[..], &["--literal"]].concat());
}

#[test]
fn probabilities_sum_to_one_and_evaluation_agrees_with_training() {
    let place = Workplace::new();
    let (model, report) = trained(&place, &[]);
    let out = succeed(&[
        "lm",
        "predict",
        "--json",
        "-m",
        &model,
        "-p",
        "The capital of",
        "-k",
        "600",
    ]);
    let sum: f64 = String::from_utf8(out)
        .unwrap()
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["probability"]
                .as_f64()
                .unwrap()
        })
        .sum();
    assert!((sum - 1.0).abs() < 1e-3, "{sum}");
    let text = std::fs::read(place.path("stories.txt")).unwrap();
    let tail = place.write("tail", &text[text.len() - text.len() / 10..]);
    let out = succeed(&["lm", "evaluate", "--json", "-m", &model, &tail]);
    let evaluated = serde_json::from_slice::<Value>(&out).unwrap()["bits_per_byte"]
        .as_f64()
        .unwrap();
    let trained = report["bits_per_byte"].as_f64().unwrap();
    // The held-out text was cut at a safe place near the last tenth, not exactly there.
    assert!(
        (evaluated / trained - 1.0).abs() < 0.02,
        "{evaluated} against {trained}"
    );
}

#[test]
fn generation_repeats_with_its_seed_and_is_greedy_at_temperature_zero() {
    let place = Workplace::new();
    let (model, _) = trained(&place, &[]);
    let generate = |extra: &[&str]| {
        let mut args = vec![
            "lm",
            "generate",
            "-m",
            &model,
            "-p",
            "One day",
            "--max-tokens",
            "30",
        ];
        args.extend(extra);
        succeed(&args)
    };
    assert_eq!(generate(&["--seed", "5"]), generate(&["--seed", "5"]));
    assert!(generate(&["--seed", "5"]) != generate(&["--seed", "6"]));
    assert_eq!(
        generate(&["--temperature", "0", "--seed", "1"]),
        generate(&["--top-k", "1", "--seed", "2"])
    );
    assert_eq!(
        run(&["lm", "generate", "-m", &model, "--top-p", "nan"])
            .status
            .code(),
        Some(2)
    );
}

#[test]
fn a_llama_in_eight_bits_evaluates_generates_and_shows_its_attention() {
    let place = Workplace::new();
    let extra = [
        "--config",
        "llama",
        "--layers",
        "1",
        "--batch-tokens",
        "2048",
        "--learning-rate",
        "0.02",
    ];
    let (model, report) = trained(&place, &extra);
    let [int8, gguf] = ["int8", "model.gguf"].map(|name| place.arg(name));
    let convert = ["lm", "convert", "-m", &model, "-o"];
    succeed(&[&convert[..], &[&int8, "--weights", "int8"]].concat());
    succeed(&[&convert[..], &[&gguf, "--type", "q8_0"]].concat());
    let size = |path: &str| std::fs::metadata(place.path("").join(path)).unwrap().len();
    let [small, large] = [&int8, &model].map(|dir| size(&format!("{dir}/model.barelm")));
    assert!(small < large && size(&gguf) > 10_000, "{small} {large}");
    let text = std::fs::read(place.path("stories.txt")).unwrap();
    let tail = place.write("tail", &text[text.len() - text.len() / 10..]);
    let out = succeed(&["lm", "evaluate", "--json", "-m", &int8, &tail]);
    let evaluated: Value = serde_json::from_slice(&out).unwrap();
    let [int8_bits, bits] = [&evaluated, &report].map(|v| v["bits_per_byte"].as_f64().unwrap());
    assert!((int8_bits / bits - 1.0).abs() < 0.03, "{int8_bits} {bits}");
    let generate = ["lm", "generate", "--json", "-m", &int8, "-p", "One day"];
    let more = [
        "--cache",
        "f16",
        "--repetition-penalty",
        "1.3",
        "--stop",
        ".",
    ];
    let out = succeed(&[&generate[..], &more].concat());
    let generated: Value = serde_json::from_slice(&out).unwrap();
    assert!(
        !generated["text"].as_str().unwrap().contains('.'),
        "{generated}"
    );
    for absurd in [["--repetition-penalty", "0"], ["--stop", ""]] {
        let code = run(&[&generate[..], &absurd].concat()).status.code();
        assert_eq!(code, Some(2), "{absurd:?}");
    }
    let predict = [
        "lm", "predict", "--json", "-m", &int8, "-p", "One day", "-k", "1",
    ];
    let out = succeed(&[&predict[..], &["--attention"]].concat());
    let lines: Vec<Value> = String::from_utf8(out)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 1 + 4);
    for (i, line) in lines[1..].iter().enumerate() {
        assert_eq!(
            (&line["layer"], &line["head"]),
            (&Value::from(1), &Value::from(i + 1))
        );
        let weights = line["attention"].as_array().unwrap().iter();
        let sum: f64 = weights.map(|token| token["weight"].as_f64().unwrap()).sum();
        assert!((sum - 1.0).abs() < 1e-4, "{sum}");
    }
    // Nothing is written for a type that does not belong to the output, or from a damaged file.
    for (name, option) in [("x", ["--type", "f16"]), ("x.gguf", ["--weights", "int8"])] {
        let out = place.arg(name);
        let code = run(&[&convert[..], &[&out], &option].concat())
            .status
            .code();
        assert_eq!((code, place.path(name).exists()), (Some(2), false));
    }
    let path = place.path("int8/model.barelm");
    let whole = std::fs::read(&path).unwrap();
    for len in [whole.len() / 2, whole.len() - 1, 70] {
        std::fs::write(&path, &whole[..len]).unwrap();
        assert_eq!(run(&generate).status.code(), Some(3));
        let back = place.arg("y.gguf");
        let args = ["lm", "convert", "-m", &int8, "-o", &back];
        assert_eq!(run(&args).status.code(), Some(3));
        assert!(!place.path("y.gguf").exists());
    }
}

#[test]
fn steps_repeat_what_a_time_limit_reached() {
    let place = Workplace::new();
    let text = place.stories("200K");
    let train = |out: &str, limit: [&str; 2]| {
        let out = place.arg(out);
        let args = [
            "lm",
            "train",
            "--json",
            "-o",
            &out,
            "--vocab-size",
            "400",
            "--dim",
            "32",
            "--context",
            "16",
        ];
        let json = succeed(&[&args[..], &limit, &[&text]].concat());
        let report: Value = serde_json::from_slice(&json).unwrap();
        let steps = report["history"].as_array().unwrap().last().unwrap()["step"]
            .as_u64()
            .unwrap();
        (
            steps,
            std::fs::read(place.path("").join(&out).join("model.barelm")).unwrap(),
        )
    };
    let (steps, by_time) = train("by-time", ["--minutes", "0.02"]);
    let (_, by_steps) = train("by-steps", ["--steps", &steps.to_string()]);
    assert!(steps > 0 && by_time == by_steps);
}

#[test]
fn the_main_job_leaves_every_stage_behind() {
    let place = Workplace::new();
    let (text, out) = (place.stories("300K"), place.arg("out"));
    let mut args = vec![
        "train",
        "--json",
        "--vector-epochs",
        "1",
        "--out",
        &out,
        &text,
    ];
    args.extend(SMALL);
    let summary: Value = serde_json::from_slice(&succeed(&args)).unwrap();
    assert_eq!(
        summary["samples"]["predictions"].as_array().unwrap().len(),
        3
    );
    assert_eq!(summary["samples"]["neighbors"].as_array().unwrap().len(), 3);
    assert!(summary["model"]["bits_per_byte"].as_f64().unwrap() > 0.0);
    let mut names: Vec<_> = std::fs::read_dir(&out)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let expected = [
        "model.barelm",
        "summary.json",
        "tokenizer.json",
        "train.tokens",
        "valid.tokens",
        "vectors.bin",
    ];
    assert_eq!(names, expected);
    let near = succeed(&[
        "vectors",
        "neighbors",
        "-m",
        &format!("{out}/vectors.bin"),
        "the",
    ]);
    assert_eq!(String::from_utf8(near).unwrap().lines().count(), 10);
}
