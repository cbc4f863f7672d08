//! Training as a user sees it: the loss falls, bits repeat, trouble is said.

mod checkpoints;
mod continued;
mod real_text;

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
    for dim in [8, 40, 100, 300, 320] {
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

const ARCHITECTURES: [Architecture; 2] = [Architecture::Cbow, Architecture::SkipGram];
const LOSSES: [Loss; 3] = [
    Loss::HierarchicalSoftmax,
    Loss::NegativeSampling { negatives: 5 },
    Loss::Softmax,
];

#[test]
fn every_way_to_learn_learns_and_repeats_its_bits() {
    let corpus = generated(300);
    for architecture in ARCHITECTURES {
        for loss in LOSSES {
            let train = |threads| {
                #[rustfmt::skip]
                let options = CbowOptions { architecture, loss, threads, dim: 70, ..options() };
                let trained = train_words(&corpus, &options).unwrap();
                let losses = [0, 1, 2].map(|epoch| trained.epochs[epoch].loss_nats);
                (losses, trained.embeddings, trained.thetas)
            };
            let one = train(1);
            let [first, second, third] = one.0;
            assert!(
                first > second && second > third,
                "{architecture:?} {loss:?}: {:?}",
                one.0
            );
            assert!(
                train(2) == one && train(3) == one,
                "{architecture:?} {loss:?}"
            );
        }
    }
}

/// Twenty words alone are 3.0 nats; the context tells the kind, or one of two, which leaves between
/// `ln 5 = 1.6` and `ln 10 = 2.3`.
#[test]
fn tree_and_softmax_reach_the_same_likelihood() {
    let reached = [Loss::HierarchicalSoftmax, Loss::Softmax].map(|loss| {
        #[rustfmt::skip]
        let options = CbowOptions { loss, epochs: 10, hold_out: 0.1, ..options() };
        let trained = train_words(&generated(2000), &options).unwrap();
        trained.epochs[9].held_out_nats.unwrap()
    });
    assert!((reached[0] - reached[1]).abs() < 0.15, "{reached:?}");
    assert!(
        reached.iter().all(|nats| (5f64.ln()..2.0).contains(nats)),
        "{reached:?}"
    );
}

#[test]
fn before_learning_a_softmax_costs_the_logarithm_of_the_vocabulary() {
    let options = CbowOptions {
        loss: Loss::Softmax,
        alpha: 1e-9,
        epochs: 1,
        ..options()
    };
    let trained = train_words(&generated(100), &options).unwrap();
    assert!((trained.epochs[0].loss_nats - 20f64.ln()).abs() < 1e-5);
}

#[test]
fn text_that_is_held_out_is_measured_and_not_learned() {
    let corpus = generated(1000);
    let stream = WordStream::new(&corpus, 1, 100).unwrap();
    let train = |source, hold_out| {
        let options = CbowOptions {
            hold_out,
            ..options()
        };
        train(source, stream.words().to_vec(), &options).unwrap()
    };
    let held = train(stream.source(), 0.25);
    let (learned, _) = stream
        .source()
        .ids
        .split_at(stream.source().ids.len() * 3 / 4);
    let source = TokenSource {
        ids: learned,
        ..stream.source()
    };
    assert_eq!(held.embeddings, train(source, 0.0).embeddings);
    let measured = held.epochs.iter().map(|epoch| epoch.held_out_nats.unwrap());
    let measured: Vec<f64> = measured.collect();
    assert!(
        measured[2] < measured[0] && measured[2] > 5f64.ln(),
        "{measured:?}"
    );
    assert!((measured[2] - held.epochs[2].loss_nats).abs() < 0.05);
}

#[test]
fn training_starts_from_the_vectors_of_its_words() {
    let stream = WordStream::new(&generated(500), 1, 100).unwrap();
    let options = CbowOptions {
        epochs: 1,
        ..options()
    };
    let train = |start: Option<&Embeddings>| {
        let mut training = Training::new(stream.source(), stream.words().to_vec(), &options);
        training.start = start.map(Start::Vectors);
        training.run().unwrap()
    };
    let mut first = train(None);
    let again = train(Some(&first.embeddings));
    assert!(again.epochs[0].loss_nats < first.epochs[0].loss_nats);
    first
        .embeddings
        .words
        .iter_mut()
        .for_each(|word| word.push(b'?'));
    let of_others = train(Some(&first.embeddings));
    assert_eq!(
        of_others.embeddings,
        train(None).embeddings,
        "no word of it is in the text"
    );
}

#[test]
fn too_little_memory_is_known_before_the_start() {
    let stream = WordStream::new(&generated(50), 1, 100).unwrap();
    let options = options();
    let mut training = Training::new(stream.source(), stream.words().to_vec(), &options);
    training.memory = Some(1000);
    assert_eq!(training.run().unwrap_err().exit_code(), 2);
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
