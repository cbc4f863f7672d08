//! `barelm lm ngram` as a user runs it, alone and beside a neural model.

use crate::support::{Workplace, refuse, run, succeed};
use serde_json::Value;

/// Stories, a small attention model trained on them, and an n-gram model of the same tokenizer.
struct Models {
    place: Workplace,
    text: String,
    held_out: String,
    model: String,
    ngram: String,
}

fn models() -> Models {
    let place = Workplace::new();
    let stories = std::fs::read(place.stories("400K")).unwrap();
    let (train, held_out) = stories.split_at(stories.len() * 9 / 10);
    let (text, held_out) = (
        place.write("train", train),
        place.write("held-out", held_out),
    );
    let (model, ngram) = (place.arg("model"), place.arg("ngram.barelm"));
    let sizes = [
        "--vocab-size",
        "500",
        "--dim",
        "32",
        "--context",
        "16",
        "--steps",
        "100",
    ];
    succeed(&[&["lm", "train", "-o", &model, &text][..], &sizes].concat());
    count(&place, &ngram, &["--order", "3", &text]);
    Models {
        place,
        text,
        held_out,
        model,
        ngram,
    }
}

fn count(place: &Workplace, ngram: &str, args: &[&str]) -> Value {
    let tokenizer = place.arg("model/tokenizer.json");
    let ours = [
        "lm",
        "ngram",
        "--json",
        "--tokenizer",
        &tokenizer,
        "-o",
        ngram,
    ];
    json(&[&ours[..], args].concat())
}

fn json(args: &[&str]) -> Value {
    serde_json::from_slice(&succeed(args)).unwrap()
}

fn number(value: &Value, field: &str) -> f64 {
    value[field].as_f64().unwrap()
}

#[test]
fn a_mixture_holds_both_parts_and_its_best_share_is_found() {
    let models = models();
    let Models {
        held_out,
        model,
        ngram,
        ..
    } = &models;
    let evaluate = |extra: &[&str]| {
        json(
            &[
                &["lm", "evaluate", "--json", "-m", model, held_out][..],
                extra,
            ]
            .concat(),
        )
    };
    let neural = number(&evaluate(&[]), "bits_per_byte");
    let alone = json(&["lm", "evaluate", "--json", "-m", ngram, held_out]);
    let alone = number(&alone, "bits_per_byte");
    let mixed = |weight: &str| evaluate(&["--ngram", ngram, "--weight", weight]);
    assert!((number(&mixed("0"), "bits_per_byte") - neural).abs() < 1e-6);
    assert!((number(&mixed("1"), "bits_per_byte") - alone).abs() < 1e-9);
    let mixture = evaluate(&["--ngram", ngram]);
    assert!((number(&mixture, "model_bits_per_byte") - neural).abs() < 1e-6);
    assert!((number(&mixture, "ngram_bits_per_byte") - alone).abs() < 1e-9);
    assert_eq!(number(&mixture, "weight"), 0.375);
    // Fitted to the very text that is evaluated: the best of all shares, no worse than either part.
    let fitted = evaluate(&["--ngram", ngram, "--fit-weight", held_out]);
    let best = number(&fitted, "bits_per_byte");
    assert!(best <= neural.min(alone) + 1e-4, "{fitted}");
    for weight in ["0.1", "0.375", "0.6", "0.9"] {
        let other = number(&mixed(weight), "bits_per_byte");
        assert!(best <= other + 1e-4, "{fitted}, {weight}: {other}");
    }
}

#[test]
fn the_baseline_of_training_is_an_ngram_model_of_order_two() {
    let Models {
        place, held_out, ..
    } = models();
    let (text, out) = (place.arg("train"), place.arg("other"));
    let tokenizer = place.arg("model/tokenizer.json");
    let report = json(&[
        "lm",
        "train",
        "--json",
        "--tokenizer",
        &tokenizer,
        "--valid",
        &held_out,
        "--dim",
        "16",
        "--context",
        "8",
        "--steps",
        "2",
        "-o",
        &out,
        &text,
    ]);
    let bigram = place.arg("bigram.barelm");
    let counted = count(&place, &bigram, &["--order", "2", &text]);
    assert_eq!(counted["ngrams"].as_array().unwrap().len(), 2);
    let evaluated = json(&["lm", "evaluate", "--json", "-m", &bigram, &held_out]);
    let [baseline, alone] = [
        number(&report, "bigram_bits_per_byte"),
        number(&evaluated, "bits_per_byte"),
    ];
    assert!((baseline - alone).abs() < 1e-9, "{baseline} and {alone}");
}

#[test]
fn predictions_and_continuations_are_mixed_too() {
    let models = models();
    let Models { model, ngram, .. } = &models;
    let predict = |extra: &[&str]| -> Vec<(String, f64)> {
        let args = [
            "lm",
            "predict",
            "--json",
            "-m",
            model,
            "-p",
            "The capital of",
            "-k",
            "500",
        ];
        let out = String::from_utf8(succeed(&[&args[..], extra].concat())).unwrap();
        let lines = out
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines
            .map(|line| (line["id"].to_string(), number(&line, "probability")))
            .collect()
    };
    let mix = ["--ngram", ngram, "--weight"];
    let [neural, half, all] = [
        vec![],
        [&mix[..], &["0.5"]].concat(),
        [&mix[..], &["1"]].concat(),
    ]
    .map(|extra| predict(&extra));
    let sum: f64 = half.iter().map(|(_, p)| p).sum();
    assert!((sum - 1.0).abs() < 1e-4, "{sum}");
    let of = |guesses: &[(String, f64)], id: &str| {
        guesses.iter().find(|(other, _)| other == id).unwrap().1
    };
    for (id, p) in &half {
        let mean = (of(&neural, id) + of(&all, id)) / 2.0;
        assert!((p - mean).abs() < 1e-4, "{id}: {p} and {mean}");
    }
    let generate = |seed: &str| {
        let args = [
            "lm",
            "generate",
            "-m",
            model,
            "--max-tokens",
            "20",
            "--seed",
            seed,
        ];
        succeed(&[&args[..], &mix, &["0.9"]].concat())
    };
    assert_eq!(generate("1"), generate("1"));
    assert!(generate("1") != generate("2"));
}

#[test]
fn what_cannot_be_is_refused_and_leaves_nothing() {
    let Models {
        place,
        text,
        held_out,
        model,
        ngram,
    } = models();
    let (tokenizer, out) = (place.arg("model/tokenizer.json"), place.arg("out.barelm"));
    let before = place.files();
    let count = ["lm", "ngram", "--tokenizer", &tokenizer, "-o", &out, &text];
    refuse(&[&count[..], &["--order", "0"]].concat(), 2, "order");
    refuse(&[&count[..], &["--order", "9"]].concat(), 2, "order");
    refuse(
        &["lm", "ngram", "--tokenizer", &text, "-o", &out, &text],
        3,
        "train",
    );
    let evaluate = ["lm", "evaluate", "-m", &model, &held_out];
    refuse(
        &[&evaluate[..], &["--ngram", &ngram, "--weight", "1.5"]].concat(),
        2,
        "weight",
    );
    refuse(&[&evaluate[..], &["--ngram", &model]].concat(), 4, "model");
    refuse(
        &[&evaluate[..], &["--ngram", &tokenizer]].concat(),
        3,
        "tokenizer.json",
    );
    refuse(
        &["lm", "evaluate", "-m", &ngram, "--ngram", &ngram, &held_out],
        2,
        "--ngram",
    );
    assert_eq!(
        run(&[&evaluate[..], &["--weight", "0.5"]].concat())
            .status
            .code(),
        Some(2)
    );
    assert_eq!(place.files(), before);
    let other = place.arg("other.json");
    succeed(&[
        "tokenizer",
        "train",
        "--vocab-size",
        "400",
        "-o",
        &other,
        &text,
    ]);
    succeed(&[
        "lm",
        "ngram",
        "--tokenizer",
        &other,
        "--order",
        "2",
        "-o",
        &out,
        &text,
    ]);
    refuse(
        &[&evaluate[..], &["--ngram", &out]].concat(),
        2,
        "another tokenizer",
    );
    let bytes = std::fs::read(place.path("ngram.barelm")).unwrap();
    let cut = place.write("cut.barelm", &bytes[..bytes.len() / 2]);
    refuse(
        &[&evaluate[..], &["--ngram", &cut]].concat(),
        3,
        "cut.barelm",
    );
    refuse(&["lm", "evaluate", "-m", &cut, &held_out], 3, "cut.barelm");
}
