//! One seed gives the same files, byte for byte, at any thread count.

use crate::support::{Workplace, succeed};

const SMALL: [&str; 10] = [
    "--vocab-size",
    "400",
    "--dim",
    "32",
    "--context",
    "16",
    "--steps",
    "12",
    "--vector-epochs",
    "1",
];

fn train(place: &Workplace, corpus: &str, name: &str, seed: &str, threads: &str) {
    let out = place.arg(name);
    let mut args = vec![
        "train",
        corpus,
        "--out",
        &out,
        "--seed",
        seed,
        "--threads",
        threads,
    ];
    args.extend(SMALL);
    succeed(&args);
}

#[test]
fn one_two_and_three_threads_write_the_same_files() {
    let place = Workplace::new();
    let corpus = place.stories("150K");
    for (name, threads) in [("one", "1"), ("two", "2"), ("three", "3")] {
        train(&place, &corpus, name, "7", threads);
    }
    let folder = |name| {
        let mut names: Vec<_> = std::fs::read_dir(place.path(name))
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        names.sort();
        names
    };
    assert!(folder("one").len() >= 4, "{:?}", folder("one"));
    for other in ["two", "three"] {
        assert_eq!(folder("one"), folder(other));
        for name in folder("one") {
            let bytes = |dir| std::fs::read(place.path(dir).join(&name)).unwrap();
            assert!(
                bytes("one") == bytes(other),
                "{name:?} differs between one thread and {other}"
            );
        }
    }
}

#[test]
fn another_seed_writes_another_model() {
    let place = Workplace::new();
    let corpus = place.stories("150K");
    train(&place, &corpus, "a", "1", "2");
    train(&place, &corpus, "b", "2", "2");
    let model = |dir: &str| std::fs::read(place.path(dir).join("model.barelm")).unwrap();
    assert!(model("a") != model("b"));
}
