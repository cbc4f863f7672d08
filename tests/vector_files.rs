//! `barelm vectors convert` as a user runs it, and files that gensim opens.
//!
//! The tests with gensim need `BARELM_PYTHON`, which names a Python that has it:
//! `BARELM_PYTHON=venv/bin/python cargo test gensim -- --ignored`.

use crate::support::{Workplace, refuse, succeed};
use barelm::embeddings::{Embeddings, FileFormat};
use serde_json::Value;
use std::process::Command;

/// Fifty words with pieces of a byte-level tokenizer among them, in two groups of near vectors.
fn sample() -> Embeddings {
    let word = |i: usize| match i {
        0 => b" the".to_vec(),
        1 => b"\n".to_vec(),
        2 => b"\xE4\xB8".to_vec(),
        3 => b"\x00\x7F".to_vec(),
        4 => "山".as_bytes().to_vec(),
        i => format!("word{i}").into_bytes(),
    };
    let number = |i: usize, j: usize| {
        if (i + j).is_multiple_of(2) {
            1.0
        } else {
            0.01 * (i * j % 7) as f32
        }
    };
    let data = (0..50)
        .flat_map(|i| (0..16).map(move |j| number(i, j)))
        .collect();
    Embeddings::new((0..50).map(word).collect(), 16, data).unwrap()
}

/// The sample's vectors in word2vec's binary format.
fn binary(place: &Workplace) -> String {
    sample().save_binary(place.path("vectors.bin")).unwrap();
    place.arg("vectors.bin")
}

fn convert(from: &str, to: &str, more: &[&str]) {
    succeed(&[&["vectors", "convert", "-m", from, "-o", to], more].concat());
}

#[test]
fn vectors_come_back_through_all_formats() {
    let place = Workplace::new();
    let first = binary(&place);
    let mut from = first.clone();
    for name in ["a.txt", "a.npy", "a.safetensors", "a.vec", "again.bin"] {
        let to = place.arg(name);
        convert(&from, &to, &[]);
        from = to;
    }
    assert!(std::fs::read(first).unwrap() == std::fs::read(from).unwrap());
    assert!(place.path("a.words.txt").exists());
    // A format by its name, in a file that is called otherwise.
    let odd = place.arg("odd.bin");
    convert(&place.arg("a.npy"), &odd, &["--format", "safetensors"]);
    assert!(std::fs::read(place.path("a.safetensors")).unwrap() == std::fs::read(odd).unwrap());
}

#[test]
fn the_projector_gets_two_tables() {
    let place = Workplace::new();
    convert(&binary(&place), &place.arg("vectors.tsv"), &[]);
    for name in ["vectors.tsv", "metadata.tsv"] {
        let table = std::fs::read_to_string(place.path(name)).expect("UTF-8");
        assert_eq!(table.lines().count(), 50, "{name}");
    }
    refuse(
        &["vectors", "neighbors", "-m", &place.arg("vectors.tsv"), "a"],
        3,
        "not read back",
    );
}

#[test]
fn smaller_elements_answer_as_the_others_do() {
    let place = Workplace::new();
    let whole = binary(&place);
    let pairs = place.write(
        "pairs.tsv",
        b"word5\tword7\t9\nword5\tword8\t1\nword6\tword8\t8\n",
    );
    let spearman = |file: &str| {
        let report = succeed(&["vectors", "evaluate", "--json", "-m", file, &pairs]);
        let report: Value = serde_json::from_slice(&report).unwrap();
        assert_eq!(report["result"]["pairs"], 3);
        report["result"]["spearman"].as_f64().unwrap()
    };
    for dtype in ["f16", "int8"] {
        let small = place.arg(&format!("{dtype}.safetensors"));
        convert(&whole, &small, &["--dtype", dtype]);
        assert_eq!(spearman(&small), spearman(&whole), "{dtype}");
        refuse(
            &[
                "vectors",
                "convert",
                "-m",
                &whole,
                "-o",
                &place.arg("x.npy"),
                "--dtype",
                dtype,
            ],
            2,
            "safetensors",
        );
    }
}

#[test]
fn a_damaged_file_is_refused_by_name_and_byte() {
    let place = Workplace::new();
    let whole = binary(&place);
    for name in ["v.npy", "v.safetensors", "v.bin"] {
        let path = place.arg(name);
        convert(&whole, &path, &[]);
        let bytes = std::fs::read(&path).unwrap();
        place.write(name, &bytes[..bytes.len() / 2]);
        refuse(
            &["vectors", "neighbors", "-m", &path, "word5"],
            3,
            &format!("{name}: byte "),
        );
    }
    convert(&whole, &place.arg("v.npy"), &[]);
    std::fs::remove_file(place.path("v.words.txt")).unwrap();
    refuse(
        &["vectors", "neighbors", "-m", &place.arg("v.npy"), "a"],
        3,
        "v.words.txt: is missing",
    );
}

/// What gensim says.
fn gensim(args: &[&str]) -> Value {
    let python = std::env::var_os("BARELM_PYTHON");
    let python = python.expect("BARELM_PYTHON names a Python with gensim");
    let output = Command::new(python)
        .args(["-c", include_str!("gensim.py")])
        .args(args)
        .output();
    let output = output.expect("BARELM_PYTHON names a program");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
#[ignore = "needs BARELM_PYTHON"]
fn gensim_opens_words_of_any_bytes() {
    let place = Workplace::new();
    let mut latin = sample();
    latin
        .words
        .iter_mut()
        .enumerate()
        .for_each(|(i, word)| *word = vec![b'x', 0xA0 + i as u8]);
    for (embeddings, first) in [(sample(), "Ġthe"), (latin, "Ġxł")] {
        for (kind, format) in [
            ("binary", FileFormat::Word2vecBinary),
            ("text", FileFormat::Word2vecText),
        ] {
            embeddings.save(place.path("vectors"), format).unwrap();
            let report = gensim(&[&place.arg("vectors"), kind]);
            assert_eq!(report["words"][0], first);
            assert_eq!(report["words"].as_array().unwrap().len(), 50);
            let rows: Vec<Vec<f32>> = serde_json::from_value(report["vectors"].clone()).unwrap();
            assert_eq!(rows.concat(), embeddings.data, "{kind}");
        }
    }
}

#[test]
#[ignore = "needs BARELM_PYTHON and BARELM_DATA"]
fn figures_equal_those_of_gensim() {
    let folder =
        std::env::var_os("BARELM_DATA").expect("BARELM_DATA names the folder of test data");
    let data = |name: &str| {
        std::path::Path::new(&folder)
            .join(name)
            .display()
            .to_string()
    };
    let (analogies, pairs) = (data("questions-words.txt"), data("wordsim353.tsv"));
    let place = Workplace::new();
    let text = std::fs::read(data("wiki-100m.txt")).unwrap();
    let text = place.write("text", &text[..10_000_000]);
    let vectors = place.arg("vectors.bin");
    succeed(&[
        "vectors", "train", "--dim", "50", "--epochs", "1", "-o", &vectors, &text,
    ]);
    let theirs = gensim(&[&vectors, "binary", &analogies, &pairs]);
    let ours = succeed(&[
        "vectors", "evaluate", "--json", "-m", &vectors, &analogies, &pairs,
    ]);
    let ours: Vec<Value> = ours
        .split(|b| *b == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect();
    let counts = |section: &Value| [section["correct"].clone(), section["asked"].clone()];
    let sections = ours[0]["result"]["sections"].as_array().unwrap().iter();
    let sections: Vec<_> = sections
        .chain([&ours[0]["result"]["total"]])
        .map(counts)
        .collect();
    assert_eq!(serde_json::json!(sections), theirs["sections"]);
    for name in ["pearson", "spearman"] {
        let [ours, theirs] = [&ours[1]["result"][name], &theirs[name]].map(|x| x.as_f64().unwrap());
        assert!(
            (ours - theirs).abs() < 1e-5,
            "{name}: {ours}, gensim {theirs}"
        );
    }
}
