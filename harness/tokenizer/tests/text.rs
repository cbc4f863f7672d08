//! Special tokens, offsets and counts against what they must equal.

use super::*;

pub(super) const PATTERNS: [&str; 5] =
    ["gpt2", "cl100k", "o200k", "whitespace", r"\w+|\s+(?!\S)|\W"];

/// Merges that come up in many places, and special tokens that are parts of others.
pub(super) fn tokenizer(pattern: &str) -> Tokenizer {
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

pub(super) fn only(names: &[&str]) -> SpecialSet {
    SpecialSet::Names(names.iter().map(|name| name.to_string()).collect())
}

pub(super) fn options(allowed: SpecialSet, disallowed: SpecialSet) -> EncodeOptions {
    EncodeOptions {
        allowed,
        disallowed,
        dropout: None,
    }
}

/// Letters, spaces, names of special tokens and parts of them, characters of several bytes.
pub(super) fn mixed_text(rng: &mut Rng, parts: u64) -> Vec<u8> {
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
