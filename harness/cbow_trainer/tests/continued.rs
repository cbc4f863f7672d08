//! Training that goes on with another text: nothing is lost, new words are learned.

use super::*;
use crate::embeddings::Space;

/// Lines of the words of some kinds, each in the company of its own kind, as [`generated`] has them.
fn text(kinds: &[&str], lines: usize) -> String {
    let mut rng = Rng::new(7);
    let mut text = String::new();
    for _ in 0..lines {
        let kind = kinds[rng.below(kinds.len() as u64) as usize];
        for _ in 0..12 {
            text += &format!("{kind}{} ", rng.below(5));
        }
        text.push('\n');
    }
    text
}

fn corpus(text: &str) -> Corpus {
    Corpus::from_bytes("text", text.as_bytes().to_vec())
}

/// Trains, and leaves a checkpoint in the folder.
fn train_into(folder: &tempfile::TempDir, training: Training<'_>) -> Trained {
    let checkpoints = Checkpoints {
        folder: folder.path().into(),
        every: std::time::Duration::MAX,
        resume: false,
    };
    let training = Training {
        checkpoints: Some(checkpoints),
        ..training
    };
    training.run().unwrap()
}

/// A training on this text, as its checkpoint has it.
fn earlier(text: &str, options: &CbowOptions) -> (Trained, Earlier) {
    let folder = tempfile::tempdir().unwrap();
    let stream = WordStream::new(&corpus(text), 1, 1000).unwrap();
    let words = stream.words().to_vec();
    let trained = train_into(&folder, Training::new(stream.source(), words, options));
    (trained, Earlier::open(folder.path()).unwrap())
}

fn go_on(stream: &ExtendedStream, start: Option<Start<'_>>, options: &CbowOptions) -> Trained {
    let mut training = Training::new(stream.source(), stream.words().to_vec(), options);
    training.start = start;
    training.run().unwrap()
}

fn last_held_out(trained: &Trained) -> f64 {
    trained.epochs.last().unwrap().held_out_nats.unwrap()
}

/// A learning rate that changes no bit worth speaking of.
const STANDING_STILL: f32 = 1e-12;

#[test]
fn nothing_is_lost_at_the_start() {
    let (old, new) = (text(&["a", "b"], 200), text(&["a", "c"], 200));
    for architecture in ARCHITECTURES {
        for loss in LOSSES {
            #[rustfmt::skip]
            let options = CbowOptions { architecture, loss, dim: 70, hold_out: 0.2, ..options() };
            let (trained, earlier) = earlier(&old, &options);
            let still = CbowOptions {
                alpha: STANDING_STILL,
                epochs: 1,
                ..options
            };
            let go_on = |text: &str| {
                let stream = ExtendedStream::new(&corpus(text), 1, 1000, &earlier).unwrap();
                go_on(&stream, Some(Start::Earlier(&earlier)), &still)
            };
            let same = go_on(&old);
            let losses = [last_held_out(&trained), last_held_out(&same)];
            assert!(
                (losses[0] - losses[1]).abs() < 1e-5,
                "{architecture:?} {loss:?}: {losses:?}"
            );
            let more = go_on(&new).embeddings;
            assert_eq!(more.words.len(), 15);
            let row = |word| more.words.iter().position(|w| w == word).unwrap();
            for (i, word) in trained.embeddings.words.iter().enumerate() {
                let pairs = trained
                    .embeddings
                    .vector(i)
                    .iter()
                    .zip(more.vector(row(word)));
                assert!(pairs.into_iter().all(|(old, new)| (old - new).abs() < 1e-6));
            }
        }
    }
}

#[test]
fn new_words_are_learned_to_the_same_bits_at_any_number_of_threads() {
    let (old, new) = (text(&["a", "b"], 500), text(&["a", "c", "d"], 500));
    for loss in LOSSES {
        let options = CbowOptions {
            loss,
            hold_out: 0.1,
            ..options()
        };
        let (_, earlier) = earlier(&old, &options);
        let stream = ExtendedStream::new(&corpus(&new), 1, 1000, &earlier).unwrap();
        let train = |threads| {
            let options = CbowOptions {
                threads,
                dim: 40,
                ..options.clone()
            };
            let trained = go_on(&stream, Some(Start::Earlier(&earlier)), &options);
            let losses = [0, 1, 2].map(|epoch| trained.epochs[epoch].held_out_nats);
            (losses, trained.embeddings, trained.thetas)
        };
        let one = train(1);
        let [first, _, third] = one.0;
        assert!(third < first, "{loss:?}: {:?}", one.0);
        for word in [b"c0", b"d0", b"b0"] {
            let near = Space::new(&one.1, 1000).neighbors(word, 4).unwrap();
            assert!(
                near.iter().all(|near| near.word[0] == word[0]),
                "{loss:?}: {near:?}"
            );
        }
        assert!(train(2) == one && train(3) == one, "{loss:?}");
    }
}

#[test]
fn going_on_beats_vectors_alone_and_those_beat_chance() {
    let (old, new) = (text(&["a", "b"], 1000), text(&["a", "b", "c"], 150));
    for loss in [Loss::HierarchicalSoftmax, Loss::Softmax] {
        let options = CbowOptions { loss, ..options() };
        let (trained, earlier) = earlier(&old, &options);
        let stream = ExtendedStream::new(&corpus(&new), 1, 1000, &earlier).unwrap();
        let starts = [
            Some(Start::Earlier(&earlier)),
            Some(Start::Vectors(&trained.embeddings)),
            None,
        ];
        let options = CbowOptions {
            hold_out: 0.2,
            epochs: 1,
            ..options
        };
        let [whole, vectors, chance] =
            starts.map(|start| last_held_out(&go_on(&stream, start, &options)));
        assert!(
            whole < vectors && vectors < chance,
            "{loss:?}: {whole} {vectors} {chance}"
        );
    }
}

#[test]
fn what_went_on_once_goes_on_again() {
    let options = CbowOptions {
        hold_out: 0.1,
        ..options()
    };
    let (_, first) = earlier(&text(&["a", "b"], 300), &options);
    let second_text = text(&["b", "c"], 300);
    let stream = ExtendedStream::new(&corpus(&second_text), 1, 1000, &first).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut training = Training::new(stream.source(), stream.words().to_vec(), &options);
    training.start = Some(Start::Earlier(&first));
    let trained = train_into(&folder, training);
    let second = Earlier::open(folder.path()).unwrap();
    let seen = |earlier: &Earlier| earlier.counts().iter().sum::<u64>();
    assert_eq!((seen(&first), seen(&second)), (3600, 7200));

    // The tree of the second one is that of its own text, not of its counts.
    let stream = ExtendedStream::new(&corpus(&second_text), 1, 1000, &second).unwrap();
    let still = CbowOptions {
        alpha: STANDING_STILL,
        epochs: 1,
        ..options.clone()
    };
    let again = go_on(&stream, Some(Start::Earlier(&second)), &still);
    assert!((last_held_out(&again) - last_held_out(&trained)).abs() < 1e-5);
    let third_text = text(&["d"], 100);
    let stream = ExtendedStream::new(&corpus(&third_text), 1, 1000, &second).unwrap();
    let third = go_on(&stream, Some(Start::Earlier(&second)), &options);
    assert_eq!(third.embeddings.words.len(), 20);
}

#[test]
fn old_words_stay_however_rare_and_new_ones_must_be_frequent() {
    let (_, earlier) = earlier(&"b b b a a c\n".repeat(2), &options());
    let new = corpus("c new c\n\nnew c c c c rare\nb other other c\nrarer");
    let stream = ExtendedStream::new(&new, 2, 1000, &earlier).unwrap();
    let words: Vec<&[u8]> = stream.words().iter().map(|word| &word[..]).collect();
    // In both texts: nine, seven, four, two and two.
    assert_eq!(words, [&b"c"[..], b"b", b"a", b"new", b"other"]);
    assert_eq!(stream.source().counts, [7, 1, 0, 2, 2]);
    let Ids::U32(ids) = stream.source().ids else {
        panic!("words are 32-bit ids");
    };
    assert_eq!(ids, [0, 3, 0, 5, 3, 0, 0, 0, 0, 5, 1, 4, 4, 0, 5]);
    let fewer = |max| ExtendedStream::new(&new, 1, max, &earlier).unwrap();
    assert_eq!(fewer(4).words().len(), 4);
    assert_eq!(fewer(1).words().len(), 3, "old words stay");
}

#[test]
fn what_does_not_fit_is_refused_by_the_setting_to_change() {
    let options = options();
    let (_, earlier) = earlier(&text(&["a"], 50), &options);
    let stream = WordStream::new(&corpus(&text(&["b"], 50)), 1, 1000).unwrap();
    let refused = |options: &CbowOptions, words: &str| {
        let mut training = Training::new(stream.source(), stream.words().to_vec(), options);
        training.start = Some(Start::Earlier(&earlier));
        let error = training.run().unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains(words), "{error}");
    };
    #[rustfmt::skip]
    refused(&CbowOptions { dim: 41, ..options.clone() }, "--dim 40");
    let architecture = Architecture::SkipGram;
    #[rustfmt::skip]
    refused(&CbowOptions { architecture, ..options.clone() }, "--arch cbow");
    let loss = LOSSES[1];
    #[rustfmt::skip]
    refused(&CbowOptions { loss, ..options.clone() }, "--loss hs");
    refused(&options, "is not in the vocabulary");
}

#[test]
fn a_damaged_checkpoint_is_no_start() {
    let folder = tempfile::tempdir().unwrap();
    let stream = WordStream::new(&corpus(&text(&["a"], 50)), 1, 1000).unwrap();
    let options = options();
    let training = Training::new(stream.source(), stream.words().to_vec(), &options);
    train_into(&folder, training);
    let path = folder.path().join("vectors.checkpoint");
    let whole = std::fs::read(&path).unwrap();
    assert!(Earlier::open(&path).is_ok());
    for at in (0..whole.len()).step_by(whole.len() / 50) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(Earlier::open(&path).unwrap_err().exit_code(), 3, "{at}");
    }
    std::fs::remove_file(path).unwrap();
    assert_eq!(Earlier::open(folder.path()).unwrap_err().exit_code(), 4);
}

/// Ten million bytes of text, and one epoch over others: over the same vocabulary, what goes on with
/// both tables predicts best, then what has the vectors alone.
#[test]
#[ignore = "needs BARELM_DATA"]
fn going_on_beats_vectors_alone_on_real_text() {
    let all = real_text::data("wiki-100m.txt");
    let bytes = all.documents().next().unwrap().text;
    let part = |range: std::ops::Range<usize>| Corpus::from_bytes("part", bytes[range].to_vec());
    let stream = WordStream::new(&part(0..10_000_000), 5, 1 << 20).unwrap();
    for (architecture, loss, alpha, epochs) in [
        (Architecture::Cbow, LOSSES[0], 0.05, 3),
        (Architecture::Cbow, LOSSES[1], 0.05, 3),
        (Architecture::SkipGram, LOSSES[0], 0.025, 1),
    ] {
        #[rustfmt::skip]
        let options = CbowOptions { architecture, loss, alpha, epochs, hold_out: 0.1, ..CbowOptions::default() };
        let folder = tempfile::tempdir().unwrap();
        let training = Training::new(stream.source(), stream.words().to_vec(), &options);
        let vectors = train_into(&folder, training).embeddings;
        let earlier = Earlier::open(folder.path()).unwrap();
        let options = CbowOptions {
            epochs: 1,
            ..options
        };
        for megabytes in [1, 5] {
            let new = part(30_000_000..30_000_000 + megabytes * 1_000_000);
            let new = ExtendedStream::new(&new, 5, 1 << 20, &earlier).unwrap();
            let starts = [
                Some(Start::Earlier(&earlier)),
                Some(Start::Vectors(&vectors)),
                None,
            ];
            let held_out = starts.map(|start| last_held_out(&go_on(&new, start, &options)));
            let more = new.words().len() - vectors.words.len();
            println!(
                "{architecture:?}, {loss:?}, {megabytes} MB, {more} new words: {held_out:.3?} nats"
            );
            assert!(held_out[0] < held_out[1] && held_out[1] < held_out[2]);
        }
    }
}
