use super::*;
use crate::tokenizer::{HarnessPattern, Tokenizer};
use barelm_kernels::rng::Rng;
use std::collections::{BTreeMap, BTreeSet};

fn counts(pattern: &str, words: &[(Vec<u8>, u64)]) -> PretokenCounts {
    let pattern = HarnessPattern::parse(pattern).unwrap();
    PretokenCounts::from_counts(pattern, words.iter().map(|(word, n)| (&word[..], *n)))
}

fn learn(counts: &PretokenCounts, options: &BpeTrainerOptions) -> Vocabulary {
    train(counts, options, &Progress::new("test", 0, "tokens")).unwrap()
}

/// A pair that waits in the reference's queue, with the words to merge it in.
#[derive(Clone, Debug)]
struct Waiting {
    count: i64,
    pair: (u32, u32),
    words: BTreeSet<usize>,
}

/// The reference, written down as it is described: lists, whole words, everything searched.
fn naive(counts: &PretokenCounts, options: &BpeTrainerOptions) -> (Vec<Vec<u8>>, Vec<(u32, u32)>) {
    let alphabet = Alphabet::new(options, counts);
    let ids = |word: &[u8]| -> Vec<u32> {
        let bytes = word.iter().chain(&alphabet.end_of_word);
        bytes.map(|&b| alphabet.ids[usize::from(b)]).collect()
    };
    let mut words: Vec<(Vec<u32>, i64)> = counts.iter().map(|(w, n)| (ids(w), n as i64)).collect();
    let (mut tokens, mut merges) = (alphabet.tokens.clone(), Vec::new());
    let mut pair_counts = BTreeMap::<(u32, u32), i64>::new();
    let mut places = BTreeMap::<(u32, u32), BTreeSet<usize>>::new();
    for (i, (word, count)) in words.iter().enumerate() {
        for pair in word.windows(2).map(|w| (w[0], w[1])) {
            *pair_counts.entry(pair).or_default() += count;
            places.entry(pair).or_default().insert(i);
        }
    }
    let mut queue = Vec::new();
    let max_len = options.max_token_length.unwrap_or(usize::MAX);
    loop {
        for (pair, words) in std::mem::take(&mut places) {
            if pair_counts[&pair] > 0 {
                queue.push(Waiting {
                    count: pair_counts[&pair],
                    pair,
                    words,
                });
            }
        }
        let rank = |w: &Waiting| (w.count, std::cmp::Reverse(w.pair));
        let Some(best) = (0..queue.len()).max_by_key(|i| rank(&queue[*i])) else {
            return (tokens, merges);
        };
        let present = pair_counts[&queue[best].pair];
        if queue[best].count != present {
            queue[best].count = present;
            continue;
        }
        let top = queue.swap_remove(best);
        if top.count < options.min_frequency.max(1) as i64 {
            return (tokens, merges);
        }
        if tokens.len() >= options.vocab_size {
            return (tokens, merges);
        }
        let (a, b) = top.pair;
        let bytes = [&tokens[a as usize][..], &tokens[b as usize]].concat();
        let existing = tokens.iter().position(|t| *t == bytes);
        if existing.is_some() && options.compat == Compat::Clean {
            continue;
        }
        let new = existing.unwrap_or_else(|| {
            tokens.push(bytes);
            tokens.len() - 1
        }) as u32;
        merges.push((a, b));
        let stands = |(word, count): &(Vec<u32>, i64)| {
            let places = word.windows(2).filter(|w| **w == [a, b]);
            places.count() as i64 * count
        };
        let standing: i64 = words.iter().map(stands).sum();
        assert_eq!(top.count, standing, "a pair is merged that is not there");
        let may_grow = |x: u32| tokens[x as usize].len() + tokens[new as usize].len() < max_len;
        for i in top.words {
            let (word, count) = &mut words[i];
            let mut change = |pair, n: i64| {
                *pair_counts.entry(pair).or_default() += n * *count;
                if n > 0 {
                    places.entry(pair).or_default().insert(i);
                }
            };
            let mut at = 0;
            while at + 1 < word.len() {
                if (word[at], word[at + 1]) == (a, b) {
                    word.splice(at..at + 2, [new]);
                    if at > 0 {
                        change((word[at - 1], a), -1);
                        if may_grow(word[at - 1]) {
                            change((word[at - 1], new), 1);
                        }
                    }
                    if let Some(&next) = word.get(at + 1) {
                        change((b, next), -1);
                        if may_grow(next) {
                            change((new, next), 1);
                        }
                    }
                }
                at += 1;
            }
        }
    }
}

/// Words of few letters, so that runs, ties and equal bytes from different pairs are common.
fn random_words(rng: &mut Rng, letters: u64, longest: u64) -> Vec<(Vec<u8>, u64)> {
    let word = |rng: &mut Rng| {
        let len = 1 + rng.below(longest);
        let bytes = (0..len).map(|_| b'a' + rng.below(letters) as u8).collect();
        (bytes, 1 + rng.below(20) * rng.below(20))
    };
    (0..1 + rng.below(30)).map(|_| word(rng)).collect()
}

#[test]
fn merges_are_those_of_the_naive_reference() {
    let mut rng = Rng::new(2);
    let mut spelled = 0;
    for round in 0..600 {
        let (letters, longest) = (1 + rng.below(5), 1 + rng.below(24));
        let words = random_words(&mut rng, letters, longest);
        let pattern = ["gpt2", "whitespace"][round % 2];
        let counts = counts(pattern, &words);
        let options = BpeTrainerOptions {
            vocab_size: 258 + rng.below(400) as usize,
            min_frequency: rng.below(4),
            max_token_length: [None, Some(3 + rng.below(6) as usize)][rng.below(2) as usize],
            specials: [vec![], vec!["<s>".to_owned(), "ab".to_owned()]][round % 2].clone(),
            alphabet: ["bytes", "seen", "xa"][rng.below(3) as usize]
                .parse()
                .unwrap(),
            compat: [Compat::Hf, Compat::Clean][rng.below(2) as usize],
        };
        let (tokens, merges) = naive(&counts, &options);
        let learned = learn(&counts, &options);
        assert_eq!(learned.tokens, tokens, "{words:?} {options:?}");
        assert_eq!(learned.merges, merges, "{words:?} {options:?}");
        let start = Alphabet::new(&options, &counts).tokens.len();
        spelled += usize::from(tokens.len() - start < merges.len());
    }
    assert!(
        spelled > 0,
        "no merge spelled a special token out: the case was not tested"
    );
}

#[test]
fn ids_start_with_specials_and_the_bytes_in_the_order_of_their_characters() {
    let options = BpeTrainerOptions {
        vocab_size: 260,
        specials: vec!["<|end|>".into(), "<|pad|>".into()],
        ..Default::default()
    };
    let learned = learn(
        &counts("gpt2", &[(b"aa".to_vec(), 1), (b"ab".to_vec(), 1)]),
        &options,
    );
    assert_eq!(
        learned.specials,
        [("<|end|>".to_owned(), 0), ("<|pad|>".to_owned(), 1)]
    );
    assert_eq!(
        learned.tokens[2..5],
        [b"!".to_vec(), b"\"".to_vec(), b"#".to_vec()]
    );
    assert_eq!(learned.tokens[2 + 188..2 + 190], [vec![0], vec![1]]);
    assert_eq!(learned.tokens[258..], [b"aa".to_vec(), b"ab".to_vec()]);
}

#[test]
fn a_vocabulary_extended_on_its_own_text_is_the_larger_one() {
    let mut rng = Rng::new(9);
    for round in 0..200 {
        let letters = 1 + rng.below(4);
        let words = random_words(&mut rng, letters, 20);
        let counts = counts(["gpt2", "whitespace"][round % 2], &words);
        let mut options = BpeTrainerOptions {
            vocab_size: 257 + rng.below(40) as usize,
            specials: [vec![], vec!["<s>".to_owned(), "ab".to_owned()]][round / 2 % 2].clone(),
            max_token_length: [None, Some(5)][round / 4 % 2],
            compat: [Compat::Hf, Compat::Clean][rng.below(2) as usize],
            ..Default::default()
        };
        options.vocab_size += options.specials.len();
        let small = Tokenizer::from_vocabulary(&learn(&counts, &options)).unwrap();
        options.vocab_size += 1 + rng.below(60) as usize;
        let whole = learn(&counts, &options);
        options.specials.clear();
        let progress = Progress::new("test", 0, "tokens");
        let extended = extend(&small, &counts, &options, &progress).unwrap();
        assert_eq!(extended, whole, "{words:?} {options:?}");
    }
}

#[test]
fn a_vocabulary_extended_on_other_text_keeps_its_ids_and_encodes_by_old_merges_first() {
    let mut rng = Rng::new(10);
    for _ in 0..100 {
        let old = counts("gpt2", &random_words(&mut rng, 3, 12));
        let new = counts("gpt2", &random_words(&mut rng, 4, 12));
        let mut options = BpeTrainerOptions {
            vocab_size: 270,
            ..Default::default()
        };
        let small = Tokenizer::from_vocabulary(&learn(&old, &options)).unwrap();
        options.vocab_size = 300;
        let progress = Progress::new("test", 0, "tokens");
        let extended = extend(&small, &new, &options, &progress).unwrap();
        let before = small.vocabulary();
        assert!(extended.tokens.starts_with(&before.tokens));
        assert!(extended.merges.starts_with(&before.merges));
        let large = Tokenizer::from_vocabulary(&extended).unwrap();
        for (word, _) in new.iter() {
            let mut ids = small.encode(word);
            for (&(left, right), token) in extended.merges[before.merges.len()..]
                .iter()
                .zip(before.tokens.len() as u32..)
            {
                let mut at = 0;
                while at + 1 < ids.len() {
                    if (ids[at], ids[at + 1]) == (left, right) {
                        ids.splice(at..at + 2, [token]);
                    }
                    at += 1;
                }
            }
            assert_eq!(large.encode(word), ids);
        }
    }
}

#[test]
fn what_cannot_be_extended_is_refused() {
    let words = [(b"abab".to_vec(), 3)];
    let options = BpeTrainerOptions {
        vocab_size: 257,
        ..Default::default()
    };
    let base = learn(&counts("gpt2", &words), &options);
    let refused = |base: &Vocabulary, pattern: &str, options: BpeTrainerOptions| {
        let base = Tokenizer::from_vocabulary(base).unwrap();
        let progress = Progress::new("test", 0, "");
        let error = extend(&base, &counts(pattern, &words), &options, &progress).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    };
    assert!(refused(&base, "gpt2", options.clone()).contains("nothing to add"));
    let larger = BpeTrainerOptions {
        vocab_size: 300,
        ..Default::default()
    };
    assert!(refused(&base, "cl100k", larger.clone()).contains("pattern gpt2, not cl100k"));
    let special = BpeTrainerOptions {
        specials: vec!["<s>".into()],
        ..larger.clone()
    };
    assert!(refused(&base, "gpt2", special).contains("<s>"));
    let ranked = Vocabulary {
        rule: MergeRule::BytesRank,
        ..base.clone()
    };
    assert!(refused(&ranked, "gpt2", larger.clone()).contains("ranks bytes"));
    let seen = BpeTrainerOptions {
        vocab_size: 2,
        alphabet: InitialAlphabet::Seen(vec![]),
        ..Default::default()
    };
    let few = learn(&counts("gpt2", &[(b"xy".to_vec(), 1)]), &seen);
    assert!(refused(&few, "gpt2", larger).contains("no token for"));
}

#[test]
fn a_special_token_spelled_out_is_reused_as_the_peer_does_or_left_alone() {
    let words = [(b"abc".to_vec(), 5)];
    let mut options = BpeTrainerOptions {
        vocab_size: 300,
        specials: vec!["ab".into()],
        ..Default::default()
    };
    let learned = learn(&counts("gpt2", &words), &options);
    let (a, b, c) = (1 + 64, 1 + 65, 1 + 66);
    assert_eq!(learned.merges, [(a, b), (0, c)]);
    options.compat = Compat::Clean;
    let learned = learn(&counts("gpt2", &words), &options);
    assert_eq!(learned.merges, [(b, c), (a, 257)]);
}

#[test]
fn a_special_token_that_is_written_like_other_bytes_is_refused_when_they_come_up() {
    let counts = counts("gpt2", &[(b" a".to_vec(), 5)]);
    let mut options = BpeTrainerOptions {
        vocab_size: 300,
        specials: vec!["\u{120}a".into()],
        ..Default::default()
    };
    let error = train(&counts, &options, &Progress::new("test", 0, "")).unwrap_err();
    assert!(error.to_string().contains("another name"), "{error}");
    options.compat = Compat::Clean;
    assert!(learn(&counts, &options).merges.is_empty());
}

#[test]
fn an_alphabet_of_what_is_seen_has_no_other_bytes() {
    let counts = counts("whitespace", &[(b"ba".to_vec(), 3)]);
    let mut options = BpeTrainerOptions {
        vocab_size: 6,
        alphabet: "!a".parse().unwrap(),
        ..Default::default()
    };
    let tokens = learn(&counts, &options).tokens;
    let expected: [&[u8]; 6] = [b"!", b"a", b"b", b" ", b"a ", b"ba "];
    assert_eq!(tokens, expected);
    options.vocab_size = 3;
    let error = train(&counts, &options, &Progress::new("test", 0, "")).unwrap_err();
    assert!(error.to_string().contains("below 4"), "{error}");
}

#[test]
fn a_word_ends_in_its_mark_under_the_whitespace_pattern() {
    let options = BpeTrainerOptions {
        vocab_size: 257,
        ..Default::default()
    };
    let learned = learn(
        &counts("whitespace", &[(b"ba".to_vec(), 3), (b"a".to_vec(), 2)]),
        &options,
    );
    assert_eq!(learned.tokens[256], b"a ");
}

#[test]
fn a_tokenizer_of_what_was_learned_encodes_and_decodes() {
    let words = [
        (b"low".to_vec(), 5),
        (b" lower".to_vec(), 2),
        (b" newest".to_vec(), 6),
    ];
    let options = BpeTrainerOptions {
        vocab_size: 270,
        specials: vec!["<|end|>".into()],
        ..Default::default()
    };
    let learned = learn(&counts("gpt2", &words), &options);
    let tokenizer = Tokenizer::from_vocabulary(&learned).unwrap();
    let ids = tokenizer.encode(b"low newest\xFF<|end|>");
    assert_eq!(tokenizer.decode(&ids), b"low newest\xFF<|end|>");
    assert!(ids.len() < 16 && !ids.contains(&0), "{ids:?}");
}

#[test]
fn long_runs_and_long_words_take_no_quadratic_time() {
    let mut rng = Rng::new(3);
    let run = vec![b'a'; 1 << 20];
    let noise: Vec<u8> = (0..1 << 20).map(|_| rng.below(256) as u8).collect();
    let options = BpeTrainerOptions {
        vocab_size: 2000,
        ..Default::default()
    };
    let start = std::time::Instant::now();
    let learned = learn(&counts("gpt2", &[(run, 1), (noise, 1)]), &options);
    assert_eq!(learned.tokens.len(), 2000);
    assert!(learned.tokens.iter().any(|token| token.len() >= 1 << 14));
    assert!(start.elapsed().as_secs() < 60);
}

#[test]
fn training_stops_when_no_pair_is_left() {
    let counts = counts("gpt2", &[(b"abc".to_vec(), 5), (b"x".to_vec(), 100)]);
    let mut options = BpeTrainerOptions {
        vocab_size: 1000,
        ..Default::default()
    };
    assert_eq!(learn(&counts, &options).tokens.len(), 258);
    options.min_frequency = 6;
    assert_eq!(learn(&counts, &options).tokens.len(), 256);
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let counts = counts("gpt2", &[(b"ab".to_vec(), 1)]);
    let refused = |options: BpeTrainerOptions| {
        let error = train(&counts, &options, &Progress::new("test", 0, "")).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    };
    let size = |vocab_size| BpeTrainerOptions {
        vocab_size,
        ..Default::default()
    };
    let specials = |names: [&str; 2]| BpeTrainerOptions {
        specials: names.map(String::from).to_vec(),
        ..Default::default()
    };
    assert!(refused(size(255)).contains("below 256"));
    assert!(refused(size(usize::MAX)).contains("above"));
    assert!(refused(specials(["<s>", "<s>"])).contains("twice"));
    assert!(refused(specials(["<s>", "a"])).contains("too short"));
}

#[test]
#[ignore = "needs BARELM_DATA"]
fn merges_of_real_text_are_those_of_the_naive_reference_at_any_thread_count() {
    use crate::corpus::{Corpus, CorpusOptions};
    use crate::pretoken_counts::CountMode;
    let data = std::env::var_os("BARELM_DATA").expect("BARELM_DATA names the folder of corpora");
    let path = std::path::Path::new(&data).join("tinyshakespeare.txt");
    let corpus = Corpus::open(&[path], &CorpusOptions::default()).unwrap();
    let pattern = HarnessPattern::parse("cl100k").unwrap();
    let count = |threads| {
        let progress = Progress::new("test", corpus.bytes(), "bytes");
        PretokenCounts::count(&corpus, &pattern, CountMode::Lines, threads, &progress).unwrap()
    };
    let options = BpeTrainerOptions {
        vocab_size: 900,
        max_token_length: Some(8),
        ..Default::default()
    };
    let learned = learn(&count(1), &options);
    assert_eq!(learned, learn(&count(2), &options));
    let (tokens, merges) = naive(&count(1), &options);
    assert_eq!((learned.tokens, learned.merges), (tokens, merges));
}
