mod naive;

use super::*;
use crate::bpe_trainer::BpeTrainerOptions;
use crate::corpus::Corpus;
use crate::kernels::rng::Rng;
use crate::pipeline::train_tokenizer;
use crate::tokenizer::{HarnessPattern, Tokenizer};
use naive::Naive;
use std::path::Path;

const VOCAB_SIZE: usize = 24;

/// Ids below 20 of 24, small ones more often.
fn random_ids(seed: u64, len: usize) -> Vec<u32> {
    let mut rng = Rng::new(seed);
    let id = |_| (rng.below(20) * rng.below(20) / 20) as u32;
    (0..len).map(id).collect()
}

fn stream(ids: &[u32]) -> TokenStream {
    TokenStream::from_ids(ids.to_vec(), VOCAB_SIZE)
}

/// Histories of all lengths up to 6: as they occur, and with tokens never seen in them.
fn histories(ids: &[u32]) -> Vec<Vec<u32>> {
    let seen = (0..=6).map(|length| ids[..length.min(ids.len())].to_vec());
    let unseen = (0..6).map(|at| {
        let mut history = ids[ids.len() - 6..].to_vec();
        history[at] = 22;
        history
    });
    seen.chain(unseen).collect()
}

#[test]
fn every_order_agrees_with_the_definition() {
    for seed in 1..4 {
        for order in 1..=5 {
            let ids = random_ids(seed, 600 * seed as usize);
            let model = NgramModel::train(&stream(&ids), order, 1).unwrap();
            let (model, naive) = (model.as_ref(), Naive::train(&ids, VOCAB_SIZE, order));
            for at in (0..ids.len()).step_by(7) {
                let history = &ids[..at];
                for next in [ids[at], (at % VOCAB_SIZE) as u32] {
                    let [ours, theirs] = [
                        model.probability(history, next),
                        naive.probability(history, next),
                    ];
                    assert!(
                        (ours - theirs).abs() < 1e-12,
                        "{order}, {at}: {ours}, {theirs}"
                    );
                }
            }
        }
    }
}

#[test]
fn probabilities_after_any_history_sum_to_one_and_are_those_of_the_row() {
    let ids = random_ids(9, 3000);
    for order in 1..=6 {
        let model = NgramModel::train(&stream(&ids), order, 1).unwrap();
        let model = model.as_ref();
        let mut row = [0.0; VOCAB_SIZE];
        for history in histories(&ids) {
            model.probabilities_into(&history, &mut row);
            assert!(
                (row.iter().sum::<f64>() - 1.0).abs() < 1e-9,
                "{order}, {history:?}"
            );
            for (next, p) in (0..).zip(row) {
                let alone = model.probability(&history, next);
                assert!(
                    p > 0.0 && (alone / p - 1.0).abs() < 1e-9,
                    "{order}, {history:?}"
                );
            }
        }
        assert_eq!(model.probability(&[0], VOCAB_SIZE as u32), 0.0);
    }
}

#[test]
fn unseen_tokens_get_a_little_and_frequent_ones_much() {
    let ids = [0, 1, 0, 2].repeat(1000);
    let model = NgramModel::train(&TokenStream::from_ids(ids, 4), 2, 1).unwrap();
    let model = model.as_ref();
    assert!(model.probability(&[1], 0) > 0.99);
    assert!((model.probability(&[0], 1) - 0.5).abs() < 0.01);
    let unseen = model.probability(&[1], 3);
    assert!(unseen > 0.0 && unseen < 0.01, "{unseen}");
}

#[test]
fn a_longer_context_tells_more_where_the_text_has_more_to_tell() {
    // The third token is the sum of the two before it: no bigram knows.
    let mut ids = random_ids(3, 2)
        .into_iter()
        .map(|id| id % 4)
        .collect::<Vec<_>>();
    let mut rng = Rng::new(5);
    while ids.len() < 6000 {
        let [.., a, b] = ids[..] else { unreachable!() };
        ids.push(if ids.len() % 3 == 2 {
            (a + b) % 4
        } else {
            rng.below(4) as u32
        });
    }
    let (train, valid) = ids.split_at(5000);
    let bits = |order| {
        let model = NgramModel::train(&stream(train), order, 1).unwrap();
        model.bits_per_byte(&stream(valid), 1, 1).unwrap()
    };
    assert!(bits(4) < 0.95 * bits(2), "{} and {}", bits(4), bits(2));
}

#[test]
fn a_predictable_text_costs_little_more_than_its_first_token() {
    let ids: Vec<u32> = (0..4096).map(|i| i % 16).collect();
    let stream = TokenStream::from_ids(ids, 16);
    let model = NgramModel::train(&stream, 2, 1).unwrap();
    let bits = model.bits_per_byte(&stream, 1, 1).unwrap();
    assert!(bits > 4.0 && bits < 128.0, "{bits}");
}

#[test]
fn texts_too_short_to_count_are_uniform() {
    for (ids, order) in [(vec![], 1), (vec![], 2), (vec![1], 2), (vec![1, 2, 3], 5)] {
        let model = NgramModel::train(&stream(&ids), order, 2).unwrap();
        let p = model.as_ref().probability(&[1], 2);
        assert!(
            (p * VOCAB_SIZE as f64 - 1.0).abs() < 1e-12,
            "{ids:?}, {order}: {p}"
        );
        assert!(model.token_probabilities(&stream(&ids), 1).unwrap().len() == ids.len());
    }
}

#[test]
fn absurd_orders_and_other_vocabularies_are_refused() {
    let ids = random_ids(1, 100);
    for order in [0, 9] {
        let error = NgramModel::train(&stream(&ids), order, 1).unwrap_err();
        assert_eq!(error.exit_code(), 2);
    }
    // Eight tokens of 18 bits are more than a key holds.
    let wide = TokenStream::from_ids(ids.clone(), 200_000);
    assert_eq!(NgramModel::train(&wide, 8, 1).unwrap_err().exit_code(), 2);
    let model = NgramModel::train(&wide, 7, 1).unwrap();
    let error = model.token_probabilities(&stream(&ids), 1).unwrap_err();
    assert_eq!(error.exit_code(), 2);
}

/// A text, its tokenizer and its ids: more of them than one part has, so that there are several.
fn corpus() -> (Tokenizer, TokenStream) {
    let mut text = Vec::new();
    let mut corpus = crate::synthetic::SyntheticCorpus::new(3);
    corpus.write_into(600_000, &mut text).unwrap();
    let options = BpeTrainerOptions {
        vocab_size: 300,
        ..Default::default()
    };
    let pattern = HarnessPattern::Known(crate::kernels::bpe::Pattern::Gpt2);
    let corpus = Corpus::from_bytes("stories", text.clone());
    let tokenizer = train_tokenizer(&corpus, &pattern, &options, 1).unwrap();
    let ids = tokenizer.encode(&text);
    (tokenizer, TokenStream::from_ids(ids, 300))
}

fn save(path: &Path, model: &NgramModel, tokenizer: &Tokenizer) -> Vec<u8> {
    NgramFile::save(path, model, tokenizer, 7, 8).unwrap();
    std::fs::read(path).unwrap()
}

#[test]
fn a_file_holds_the_model_and_is_the_same_at_any_thread_count() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ngram.barelm");
    let (tokenizer, stream) = corpus();
    let model = NgramModel::train(&stream, 4, 1).unwrap();
    let bytes = save(&path, &model, &tokenizer);
    for threads in [2, 3] {
        let other = NgramModel::train(&stream, 4, threads).unwrap();
        assert!(
            save(&path, &other, &tokenizer) == bytes,
            "{threads} threads"
        );
    }
    let file = NgramFile::open(&path).unwrap();
    assert!(NgramFile::is_one(&path) && !NgramFile::is_one(folder.path()));
    assert_eq!(file.tokenizer().hash(), tokenizer.hash());
    assert_eq!(file.model().counts(), model.counts());
    let [mapped, counted] =
        [file.model(), &model].map(|model| model.token_probabilities(&stream, 2).unwrap());
    assert!(mapped == counted && mapped.iter().all(|p| *p > 0.0 && *p < 1.0));
    let one = file.model().token_probabilities(&stream, 1).unwrap();
    assert!(one == mapped);
}

#[test]
fn damaged_files_are_refused_or_give_probabilities() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ngram.barelm");
    let (tokenizer, stream) = corpus();
    let model = NgramModel::train(&stream, 3, 1).unwrap();
    let good = save(&path, &model, &tokenizer);
    for len in [0, 1, 63, 64, 700, good.len() / 2, good.len() - 1] {
        std::fs::write(&path, &good[..len]).unwrap();
        assert_eq!(
            NgramFile::open(&path).unwrap_err().exit_code(),
            3,
            "{len} bytes"
        );
    }
    let mut rng = Rng::new(2);
    let mut row = vec![0.0; 300];
    let mut harmless = 0;
    for _ in 0..200 {
        let mut bad = good.clone();
        for _ in 0..200 {
            // Outside the section table, whose checksum would refuse the file.
            let at = 2000 + rng.below(bad.len() as u64 - 2000) as usize;
            bad[at] = rng.below(256) as u8;
        }
        std::fs::write(&path, &bad).unwrap();
        let Ok(file) = NgramFile::open(&path) else {
            continue;
        };
        harmless += 1;
        let model = file.model().as_ref();
        let mut ids = [0; 40];
        for start in [0, 1000, 5000] {
            stream.read(start, &mut ids);
            for at in 0..ids.len() {
                let p = model.probability(&ids[..at], ids[at]);
                assert!((0.0..=1.0).contains(&p), "{p}");
                model.probabilities_into(&ids[..at], &mut row);
                assert!(row.iter().all(|p| (0.0..=1.0 + 1e-9).contains(p)));
            }
        }
    }
    assert!(harmless > 20, "{harmless} files were opened");
}
