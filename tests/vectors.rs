//! `barelm vectors` as a user runs it.

use crate::support::{Workplace, succeed};

fn trained(place: &Workplace, name: &str, threads: &str) -> String {
    let out = place.arg(name);
    let text = place.path("stories.txt");
    let text = if text.exists() {
        place.arg("stories.txt")
    } else {
        place.stories("1M")
    };
    succeed(&[
        "vectors",
        "train",
        "--dim",
        "100",
        "--epochs",
        "2",
        "--sample",
        "0.01",
        "--threads",
        threads,
        "-o",
        &out,
        &text,
    ]);
    out
}

#[test]
fn one_two_and_three_threads_write_the_same_vectors() {
    let place = Workplace::new();
    let files: Vec<Vec<u8>> = [("a", "1"), ("b", "2"), ("c", "3")]
        .map(|(name, threads)| std::fs::read(trained(&place, name, threads)).unwrap())
        .into();
    assert!(files[0] == files[1] && files[1] == files[2]);
}

#[test]
fn text_and_binary_hold_the_same_vectors() {
    let place = Workplace::new();
    let binary = trained(&place, "vectors.bin", "2");
    let (text, again) = (place.arg("vectors.txt"), place.arg("again.bin"));
    succeed(&["vectors", "convert", "-m", &binary, "-o", &text]);
    succeed(&["vectors", "convert", "-m", &text, "-o", &again]);
    assert!(std::fs::read(binary).unwrap() == std::fs::read(again).unwrap());
}

#[test]
fn neighbours_analogies_and_evaluation_read_what_training_wrote() {
    let place = Workplace::new();
    let vectors = trained(&place, "vectors.bin", "2");
    let near = String::from_utf8(succeed(&[
        "vectors",
        "neighbors",
        "-m",
        &vectors,
        "-k",
        "3",
        "dog",
    ]))
    .unwrap();
    assert_eq!(near.lines().count(), 3);
    assert!(
        near.lines()
            .all(|line| line.split_whitespace().nth(1) != Some("dog"))
    );
    let sum = succeed(&[
        "vectors",
        "neighbors",
        "--json",
        "-m",
        &vectors,
        "dogs",
        "-",
        "dog",
        "cat",
    ]);
    let analogy = succeed(&[
        "vectors", "analogy", "--json", "-k", "10", "-m", &vectors, "dog", "dogs", "cat",
    ]);
    assert_eq!(sum, analogy);
    let questions = place.write(
        "questions.txt",
        b": plural\ndog dogs cat cats\ncat cats dog dogs\nxyzzy a b c\n",
    );
    let report = succeed(&["vectors", "evaluate", "--json", "-m", &vectors, &questions]);
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    assert_eq!(report["result"]["total"]["asked"], 2);
    assert_eq!(report["result"]["total"]["out_of_vocabulary"], 1);
}
