//! Training as a user sees it: the loss falls, bits repeat, trouble is said.

use super::*;
use crate::kernels::rng::Rng;

/// Sentences in which a word's neighbours tell its kind: `a?` goes with `x?`, `b?` with `y?`.
fn generated(lines: usize) -> Corpus {
    let mut rng = Rng::new(5);
    let mut text = String::new();
    for _ in 0..lines {
        let [left, right] = if rng.below(2) == 0 {
            ["a", "x"]
        } else {
            ["b", "y"]
        };
        for _ in 0..6 {
            text += &format!("{left}{} {right}{} ", rng.below(5), rng.below(5));
        }
        text.push('\n');
    }
    Corpus::from_bytes("generated", text.into())
}

fn options() -> CbowOptions {
    CbowOptions {
        dim: 40,
        sample: 0.0,
        epochs: 3,
        threads: 1,
        ..CbowOptions::default()
    }
}

#[test]
fn the_loss_falls_below_the_entropy_of_the_words() {
    let trained = train_words(&generated(2000), &options()).unwrap();
    let losses: Vec<f64> = trained.epochs.iter().map(|e| e.loss_bits).collect();
    assert!(
        losses.windows(2).all(|pair| pair[1] < pair[0]),
        "{losses:?}"
    );
    // Twenty words alone are 4.3 bits; the context tells the kind, which leaves five.
    let least = 5f64.log2();
    assert!(least < losses[2] && losses[2] < 3.2, "{losses:?}");
    assert!(
        trained
            .epochs
            .iter()
            .all(|e| e.tokens == 24_000 && e.windows == 24_000)
    );
}

#[test]
fn the_bits_do_not_depend_on_the_number_of_threads() {
    for dim in [8, 40, 100] {
        let corpus = generated(200);
        let train = |threads| {
            let options = CbowOptions {
                dim,
                threads,
                ..options()
            };
            let trained = train_words(&corpus, &options).unwrap();
            let losses: Vec<u64> = trained
                .epochs
                .iter()
                .map(|e| e.loss_nats.to_bits())
                .collect();
            (trained.embeddings.data, trained.thetas, losses)
        };
        let one = train(1);
        assert!(one.0.iter().chain(&one.1).all(|v| v.is_finite()));
        for threads in [2, 3, 8] {
            assert!(train(threads) == one, "dim {dim}, {threads} threads");
        }
    }
}

#[test]
fn another_seed_gives_other_vectors() {
    let of_seed = |seed| {
        let options = CbowOptions { seed, ..options() };
        train_words(&generated(50), &options)
            .unwrap()
            .embeddings
            .data
    };
    assert_eq!(of_seed(1), of_seed(1));
    assert_ne!(of_seed(1), of_seed(2));
}

#[test]
fn words_of_two_bytes_train_like_words_of_four() {
    let stream = WordStream::new(&generated(50), 1, 100).unwrap();
    let Ids::U32(wide) = stream.source().ids else {
        panic!("words are 32-bit ids");
    };
    let narrow: Vec<u16> = wide.iter().map(|id| *id as u16).collect();
    let source = TokenSource {
        ids: Ids::U16(&narrow),
        ..stream.source()
    };
    let train = |source| {
        train(source, stream.words().to_vec(), &options())
            .unwrap()
            .embeddings
    };
    assert_eq!(train(source), train(stream.source()));
}

#[test]
fn divergence_is_a_sentence_about_the_learning_rate() {
    let options = CbowOptions {
        alpha: 10.0,
        alpha_floor: 1.0,
        projection: crate::kernels::cbow::Projection::Sum,
        window: 50,
        epochs: 50,
        ..options()
    };
    let error = train_words(&generated(2000), &options).unwrap_err();
    assert!(error.to_string().contains("learning rate"), "{error}");
    assert_eq!(error.exit_code(), 1);
}

#[test]
fn a_vocabulary_of_one_word_is_refused() {
    let corpus = Corpus::from_bytes("one", b"word word word word word word".to_vec());
    let error = train_words(&corpus, &options()).unwrap_err();
    assert_eq!(error.exit_code(), 3);
}

fn data(name: &str) -> Corpus {
    let folder =
        std::env::var_os("BARELM_DATA").expect("BARELM_DATA names the folder of test data");
    let path = std::path::Path::new(&folder).join(name);
    Corpus::open(&[path], &crate::corpus::CorpusOptions::default()).unwrap()
}

#[test]
#[ignore = "needs BARELM_DATA"]
fn the_loss_falls_on_real_text() {
    let options = CbowOptions {
        threads: 2,
        ..options()
    };
    let trained = train_words(&data("tinyshakespeare.txt"), &options).unwrap();
    let losses: Vec<f64> = trained.epochs.iter().map(|e| e.loss_bits).collect();
    assert!(
        losses.windows(2).all(|pair| pair[1] < pair[0]),
        "{losses:?}"
    );
}

/// The figures that word2vec.c reaches under these settings are 15.3 % and 0.525.
#[test]
#[ignore = "needs BARELM_DATA"]
fn one_epoch_on_wikipedia_gives_vectors_as_good_as_word2vecs() {
    use crate::embeddings::{Evaluation, evaluate};
    let corpus = data("wiki-100m.txt");
    let folder = std::env::var_os("BARELM_DATA").unwrap();
    let folder = std::path::Path::new(&folder);
    let (mut accuracy, mut spearman) = (0.0, 0.0);
    for seed in 1..=3 {
        let options = CbowOptions {
            seed,
            epochs: 1,
            ..CbowOptions::default()
        };
        let vectors = train_words(&corpus, &options).unwrap().embeddings;
        for file in ["questions-words.txt", "wordsim353.tsv"] {
            match evaluate(&vectors, folder.join(file), 30_000, options.threads).unwrap() {
                Evaluation::Analogies(report) => accuracy += report.total.accuracy / 3.0,
                Evaluation::Pairs(report) => spearman += report.spearman / 3.0,
            }
        }
    }
    println!("analogies {accuracy:.4}, wordsim353 {spearman:.4}");
    assert!(
        accuracy >= 0.14 && spearman >= 0.50,
        "{accuracy} {spearman}"
    );
}
