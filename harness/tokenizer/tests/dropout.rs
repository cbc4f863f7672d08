//! Merges that are left out by chance.

use super::text::{PATTERNS, mixed_text, tokenizer};
use super::*;
use std::collections::BTreeSet;

#[test]
fn dropout_of_zero_gives_the_ids_and_of_one_the_bytes() {
    let mut rng = Rng::new(47);
    for pattern in PATTERNS {
        let tokenizer = tokenizer(pattern);
        let encode = |text: &[u8], probability| {
            let mut ids = Vec::new();
            let dropout = Dropout {
                probability,
                seed: 1,
            };
            DropoutEncoder::new(&tokenizer, dropout).encode_into(text, 0, &mut ids);
            ids
        };
        for _ in 0..200 {
            let text = mixed_text(&mut rng, 30);
            assert_eq!(encode(&text, 0.0), tokenizer.encode(&text));
            let bytes = encode(&text, 1.0);
            assert!(bytes.iter().all(|id| *id < 256));
            assert_eq!(
                tokenizer.decode(&encode(&text, 0.5)),
                tokenizer.decode(&bytes)
            );
        }
    }
}

#[test]
fn dropout_gives_every_segmentation_as_often_as_the_paper_says() {
    // `ab` merges with probability 1 - p each time it is drawn, and nothing else can be drawn.
    let vocabulary = Vocabulary {
        tokens: [&b"a"[..], b"b", b"c", b"ab", b"abc"]
            .map(<[u8]>::to_vec)
            .to_vec(),
        merges: vec![(0, 1), (3, 2)],
        specials: vec![],
        pattern: HarnessPattern::parse("gpt2").unwrap(),
        rule: MergeRule::PairRank,
    };
    let tokenizer = Tokenizer::from_vocabulary(&vocabulary).unwrap();
    let dropout = Dropout {
        probability: 0.3,
        seed: 9,
    };
    let mut encoder = DropoutEncoder::new(&tokenizer, dropout);
    let (rounds, mut counts) = (40_000, HashMap::new());
    for place in 0..rounds {
        let mut ids = Vec::new();
        encoder.encode_into(b"abc", place, &mut ids);
        *counts.entry(ids).or_insert(0) += 1;
    }
    let share = |ids: &[u32]| f64::from(counts[ids]) / rounds as f64;
    for (ids, probability) in [(&[4][..], 0.49), (&[3, 2], 0.21), (&[0, 1, 2], 0.3)] {
        assert!(
            (share(ids) - probability).abs() < 0.01,
            "{ids:?} {}",
            share(ids)
        );
    }
}

#[test]
fn seeds_and_places_give_different_encodings_and_the_same_ones_again() {
    let tokenizer = tokenizer("gpt2");
    let text = random_text(&mut Rng::new(48), 60);
    let encode = |seed, place| {
        let mut ids = Vec::new();
        let dropout = Dropout {
            probability: 0.5,
            seed,
        };
        DropoutEncoder::new(&tokenizer, dropout).encode_into(&text, place, &mut ids);
        ids
    };
    let seeds: BTreeSet<_> = (0..20).map(|seed| encode(seed, 0)).collect();
    let places: BTreeSet<_> = (0..20).map(|place| encode(0, place)).collect();
    assert!(
        seeds.len() > 5 && places.len() > 5,
        "{} {}",
        seeds.len(),
        places.len()
    );
    assert_eq!(encode(3, 8), encode(3, 8));
    for probability in [-0.1, 1.1, f32::NAN] {
        assert!(
            Dropout {
                probability,
                seed: 0
            }
            .validate()
            .is_err()
        );
    }
}
