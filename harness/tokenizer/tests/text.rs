//! Special tokens, offsets, counts, streams and dropout against what they must equal.

use super::*;
use std::collections::BTreeSet;

const PATTERNS: [&str; 5] = ["gpt2", "cl100k", "o200k", "whitespace", r"\w+|\s+(?!\S)|\W"];

/// Merges that come up in many places, and special tokens that are parts of others.
fn tokenizer(pattern: &str) -> Tokenizer {
    let mut tokens: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
    let mut merges = Vec::new();
    let pairs = [
        "ab", "bc", "ca", "cab", "abc", "aa", "aaaa", "11", "  ", "ll", "'ll", " a", "ab ", "é",
        "a ",
    ];
    for pair in pairs {
        let id = |part: &[u8]| tokens.iter().position(|token| token == part);
        let halves = (1..pair.len()).rev().find_map(|at| {
            let (left, right) = pair.as_bytes().split_at(at);
            Some((id(left)? as u32, id(right)? as u32))
        });
        merges.push(halves.unwrap());
        tokens.push(pair.as_bytes().to_vec());
    }
    let first = tokens.len() as u32;
    let names = ["<|end|>", "<|end|>!", "<a b>", "<"];
    Tokenizer::from_vocabulary(&Vocabulary {
        tokens,
        merges,
        specials: names
            .iter()
            .map(|name| name.to_string())
            .zip(first..)
            .collect(),
        pattern: HarnessPattern::parse(pattern).unwrap(),
        rule: MergeRule::PairRank,
    })
    .unwrap()
}

fn only(names: &[&str]) -> SpecialSet {
    SpecialSet::Names(names.iter().map(|name| name.to_string()).collect())
}

fn options(allowed: SpecialSet, disallowed: SpecialSet) -> EncodeOptions {
    EncodeOptions {
        allowed,
        disallowed,
        dropout: None,
    }
}

/// Letters, spaces, names of special tokens and parts of them, characters of several bytes.
fn mixed_text(rng: &mut Rng, parts: u64) -> Vec<u8> {
    const PARTS: [&[u8]; 16] = [
        b"<|end|>",
        b"<|end|>!",
        b"<|en",
        b"<a b>",
        b" ",
        b"  \n ",
        b"abc",
        b"cab a",
        b"'ll",
        b"11111",
        "中文，".as_bytes(),
        "é".as_bytes(),
        b"\xe4\xb8",
        b"\xff",
        b"aaaaaaaaaaaaaaa",
        b"\n",
    ];
    (0..rng.below(parts))
        .flat_map(|_| PARTS[rng.below(16) as usize])
        .copied()
        .collect()
}

#[test]
fn the_longest_special_token_counts_and_the_text_between_stands_alone() {
    let tokenizer = tokenizer("gpt2");
    let id = |name: &str| tokenizer.as_ref().special_id(name.as_bytes()).unwrap();
    let encode = |text: &str, allowed| {
        tokenizer
            .encode_with(text.as_bytes(), &options(allowed, SpecialSet::None))
            .unwrap()
    };
    let text = "ab  <|end|>!c<|end|>";
    let between = [tokenizer.encode(b"ab  "), tokenizer.encode(b"c")];
    let want = [
        &between[0][..],
        &[id("<|end|>!")],
        &between[1],
        &[id("<|end|>")],
    ]
    .concat();
    assert_eq!(encode(text, SpecialSet::All), want);
    let shorter = [
        &between[0][..],
        &[id("<|end|>")],
        &tokenizer.encode(b"!c"),
        &[id("<|end|>")],
    ];
    assert_eq!(encode(text, only(&["<|end|>"])), shorter.concat());
    assert_eq!(
        encode(text, SpecialSet::None),
        tokenizer.encode(text.as_bytes())
    );
}

#[test]
fn a_disallowed_special_token_is_named_with_its_place_and_an_unknown_one_refused() {
    let tokenizer = tokenizer("cl100k");
    let allowed = only(&["<|end|>"]);
    let refused = |text: &[u8], options: &EncodeOptions| {
        tokenizer
            .encode_with(text, options)
            .unwrap_err()
            .to_string()
    };
    let error = refused(b"a<|end|><a b>", &options(allowed.clone(), SpecialSet::All));
    assert!(
        error.contains("byte 8") && error.contains("<a b>"),
        "{error}"
    );
    let ordinary = options(allowed, only(&["<"]));
    assert!(tokenizer.encode_with(b"a<|end|>a b>", &ordinary).is_ok());
    let unknown = options(only(&["<|fin|>"]), SpecialSet::None);
    assert!(refused(b"", &unknown).contains("<|end|>"));
}

#[test]
fn offsets_lie_side_by_side_and_cover_the_tokens_bytes() {
    let mut rng = Rng::new(42);
    for pattern in PATTERNS {
        let tokenizer = tokenizer(pattern);
        let marked = tokenizer.pattern().end_of_word().is_some();
        for _ in 0..300 {
            let text = mixed_text(&mut rng, 20);
            let all = options(SpecialSet::All, SpecialSet::None);
            let found = tokenizer.encode_with_offsets(&text, &all).unwrap();
            let ids: Vec<u32> = found.iter().map(|(id, _)| *id).collect();
            assert_eq!(ids, tokenizer.encode_with(&text, &all).unwrap());
            let mut end = 0;
            for (id, range) in found {
                let bytes = tokenizer.token_bytes(id).unwrap();
                if marked {
                    let between = text[end..range.start].iter();
                    assert!(between.clone().all(|b| b" \n".contains(b)), "{text:?}");
                    let word = bytes.strip_suffix(b" ").unwrap_or(bytes);
                    assert!(bytes == &text[range.clone()] || word == &text[range.clone()]);
                } else {
                    assert_eq!((range.start, &text[range.clone()]), (end, bytes));
                }
                end = range.end;
            }
        }
    }
}

#[test]
fn bytes_without_a_token_are_in_no_range() {
    let vocabulary = Vocabulary {
        tokens: [&b"a"[..], b"b", b"ab"].map(<[u8]>::to_vec).to_vec(),
        merges: vec![(0, 1)],
        specials: vec![],
        pattern: HarnessPattern::parse("gpt2").unwrap(),
        rule: MergeRule::PairRank,
    };
    let tokenizer = Tokenizer::from_vocabulary(&vocabulary).unwrap();
    let found = tokenizer
        .encode_with_offsets(b"xxabxbaxbx", &EncodeOptions::default())
        .unwrap();
    // `a` and `b` merge over the `x` that is left out between them.
    assert_eq!(found, [(2, 2..4), (1, 5..6), (2, 6..9)]);
}

#[test]
fn the_three_tokens_of_one_character_have_all_of_it() {
    let tokenizer = tokenizer("gpt2");
    let text = "é中 a".as_bytes();
    let mut chars = CharOffsets::new(text);
    let found = tokenizer
        .encode_with_offsets(text, &EncodeOptions::default())
        .unwrap();
    let ranges: Vec<_> = found
        .into_iter()
        .map(|(_, range)| chars.range(range))
        .collect();
    assert_eq!(ranges, [0..1, 1..2, 1..2, 1..2, 2..4]);
}

#[test]
fn a_count_is_the_number_of_ids() {
    let mut rng = Rng::new(43);
    for pattern in PATTERNS {
        let tokenizer = tokenizer(pattern);
        let long = [
            &b"abc ".repeat(200_000)[..],
            &b"a".repeat(600_000),
            &mixed_text(&mut rng, 999),
        ];
        for text in [long.concat(), mixed_text(&mut rng, 99), vec![]] {
            let count = tokenizer.count(&text);
            assert_eq!(count, tokenizer.encode(&text).len() as u64, "{pattern}");
        }
    }
}

#[test]
fn a_stream_gives_the_ids_of_the_text_in_one_piece_whatever_its_parts() {
    let mut rng = Rng::new(44);
    let sets = [
        SpecialSet::None,
        SpecialSet::All,
        only(&["<a b>", "<|end|>!"]),
    ];
    for pattern in PATTERNS {
        let tokenizer = tokenizer(pattern);
        for allowed in &sets {
            let mut options = options(allowed.clone(), SpecialSet::None);
            for round in 0..400 {
                let probability = if round % 4 == 0 { 0.3 } else { 0.0 };
                options.dropout = Some(Dropout {
                    probability,
                    seed: 5,
                });
                let text = mixed_text(&mut rng, 40);
                let want = tokenizer.encode_with(&text, &options).unwrap();
                let mut stream = EncoderStream::new(&tokenizer, &options).unwrap();
                let (mut ids, mut rest) = (Vec::new(), &text[..]);
                while !rest.is_empty() {
                    let (part, next) = rest.split_at(rest.len().min(1 + rng.below(9) as usize));
                    stream.push(part, &mut ids).unwrap();
                    rest = next;
                }
                stream.finish(&mut ids).unwrap();
                assert_eq!(ids, want, "{pattern} {allowed:?} {text:x?}");
            }
        }
    }
}

#[test]
fn a_stream_keeps_no_more_than_the_last_pieces_and_names_places_in_the_whole() {
    let tokenizer = tokenizer("cl100k");
    let strict = options(SpecialSet::None, SpecialSet::All);
    let mut stream = EncoderStream::new(&tokenizer, &strict).unwrap();
    let (mut ids, mut given) = (Vec::new(), 0);
    for part in ["中文，中文。", "１２３ ", "a b c "].map(|part| part.repeat(10_000)) {
        for bytes in part.as_bytes().chunks(777) {
            stream.push(bytes, &mut ids).unwrap();
            given += bytes.len();
            let out: usize = ids
                .iter()
                .map(|id| tokenizer.token_bytes(*id).unwrap().len())
                .sum();
            assert!(given - out < 32, "{} bytes held", given - out);
        }
    }
    let error = stream.push(b"x<|end|> y", &mut ids).unwrap_err();
    assert_eq!(
        (error.at, error.name.as_str()),
        (given as u64 + 1, "<|end|>")
    );
}

#[test]
fn chunks_of_a_reader_can_be_encoded_apart() {
    let mut rng = Rng::new(45);
    for pattern in PATTERNS {
        let tokenizer = tokenizer(pattern);
        let all = options(SpecialSet::All, SpecialSet::None);
        let mut encoder = TextEncoder::new(&tokenizer, &all).unwrap();
        for _ in 0..200 {
            let text = mixed_text(&mut rng, 200);
            let mut ids = Vec::new();
            for chunk in TextChunks::new(&text[..], encoder.cutter(), 1 + rng.below(100) as usize) {
                let chunk = chunk.unwrap();
                encoder
                    .encode_into(&chunk.text, chunk.position, &mut ids)
                    .unwrap();
            }
            assert_eq!(
                ids,
                tokenizer.encode_with(&text, &all).unwrap(),
                "{pattern}"
            );
        }
    }
}

#[test]
fn lines_of_a_reader_are_cut_behind_newlines() {
    let tokenizer = tokenizer(r"(?s:.+)");
    let encoder = TextEncoder::new(&tokenizer, &EncodeOptions::default()).unwrap();
    let chunks = TextChunks::new(&b"one\ntwo\nthree"[..], encoder.cutter().of_lines(), 6);
    let texts: Vec<_> = chunks
        .map(|c| String::from_utf8(c.unwrap().text).unwrap())
        .collect();
    assert_eq!(texts, ["one\n", "two\n", "three"]);
}

#[test]
fn a_decoder_never_gives_half_a_character() {
    let tokenizer = tokenizer("gpt2");
    let text = "aé中😀".repeat(5);
    let (mut decoder, mut out) = (Decoder::new(&tokenizer, InvalidBytes::Keep), Vec::new());
    for id in tokenizer.encode(text.as_bytes()) {
        decoder.push(&[id], &mut out);
        assert!(str::from_utf8(&out).is_ok());
    }
    assert_eq!(out, text.as_bytes());
}

#[test]
fn bytes_that_are_no_characters_come_out_as_they_are_or_replaced() {
    let mut rng = Rng::new(46);
    let tokenizer = tokenizer("o200k");
    for _ in 0..500 {
        let text = mixed_text(&mut rng, 30);
        let ids = tokenizer.encode(&text);
        for invalid in [InvalidBytes::Keep, InvalidBytes::Replace] {
            let (mut decoder, mut out) = (Decoder::new(&tokenizer, invalid), Vec::new());
            for part in ids.chunks(1 + rng.below(4) as usize) {
                decoder.push(part, &mut out);
            }
            decoder.finish(&mut out);
            let lossy = String::from_utf8_lossy(&text);
            let want = if invalid == InvalidBytes::Keep {
                &text
            } else {
                lossy.as_bytes()
            };
            assert_eq!(out, want);
        }
    }
}

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

#[test]
fn blocks_of_a_corpus_can_be_encoded_apart() {
    let mut rng = Rng::new(49);
    let folder = tempfile::tempdir().unwrap();
    for pattern in PATTERNS {
        let tokenizer = tokenizer(pattern);
        let all = options(SpecialSet::All, SpecialSet::None);
        let mut encoder = TextEncoder::new(&tokenizer, &all).unwrap();
        for round in 0..20 {
            let texts = [300, 9000, 20].map(|parts| mixed_text(&mut rng, parts));
            let write = |(at, text): (usize, &Vec<u8>)| {
                let path = folder.path().join(at.to_string());
                std::fs::write(&path, text).unwrap();
                (!text.is_empty()).then_some(path)
            };
            let files: Vec<_> = texts.iter().enumerate().filter_map(write).collect();
            let corpus = crate::corpus::Corpus::open(&files, &Default::default()).unwrap();
            let mut documents: Vec<Vec<u32>> = Vec::new();
            for part in CorpusBlocks::new(&corpus, encoder.cutter(), 1 << (round % 14)).flatten() {
                if part.offset == 0 {
                    documents.push(Vec::new());
                }
                let ids = documents.last_mut().unwrap();
                encoder.encode_into(part.text, part.position, ids).unwrap();
            }
            let texts = texts.iter().filter(|text| !text.is_empty());
            let whole = texts.map(|text| tokenizer.encode_with(text, &all).unwrap());
            assert!(documents == whole.collect::<Vec<_>>(), "{pattern} {round}");
        }
    }
}
