//! Tokenizers as their users see them.

mod convert;
mod dropout;
mod files;
mod flat;
mod published;
mod streams;
mod text;

use super::*;
use barelm_kernels::bpe::encode_workspace_len;
use barelm_kernels::rng::Rng;
use std::collections::HashMap;

/// All bytes, then random merges of tokens over a few letters and the space.
fn random_vocabulary(rng: &mut Rng, pattern: &str, merges: usize) -> Vocabulary {
    let mut tokens: Vec<Vec<u8>> = (0..=255).map(|b| vec![b]).collect();
    let mut pool: Vec<u32> = b"abc 1\n".iter().map(|b| u32::from(*b)).collect();
    let mut list = Vec::new();
    while list.len() < merges {
        let mut pick = || pool[rng.below(pool.len() as u64) as usize];
        let pair = (pick(), pick());
        let bytes = [&tokens[pair.0 as usize][..], &tokens[pair.1 as usize]].concat();
        if bytes.len() <= 10 && !tokens.contains(&bytes) {
            pool.push(tokens.len() as u32);
            tokens.push(bytes);
            list.push(pair);
        }
    }
    Vocabulary {
        tokens,
        merges: list,
        specials: vec![("<|end|>".into(), 256 + merges as u32)],
        pattern: HarnessPattern::parse(pattern).unwrap(),
        rule: MergeRule::PairRank,
    }
}

fn random_text(rng: &mut Rng, len: usize) -> Vec<u8> {
    let mut letter = || b"aaabbbccc   1\n\xff\xe9"[rng.below(16) as usize];
    (0..len).map(|_| letter()).collect()
}

/// tiktoken's rule as it is told: the two neighbours whose bytes together have the lowest rank.
fn encode_by_ranks_naively(ranks: &HashMap<&[u8], u32>, piece: &[u8]) -> Vec<u32> {
    if let Some(id) = ranks.get(piece) {
        return vec![*id];
    }
    let mut ends: Vec<usize> = (0..=piece.len()).collect();
    loop {
        let rank = |w: &[usize]| ranks.get(&piece[w[0]..w[2]]);
        let ranked = ends
            .windows(3)
            .enumerate()
            .filter_map(|(at, w)| Some((rank(w)?, at)));
        let Some((_, at)) = ranked.min() else {
            return ends.windows(2).map(|w| ranks[&piece[w[0]..w[1]]]).collect();
        };
        ends.remove(at + 1);
    }
}

#[test]
fn one_pair_a_token_gives_the_ids_of_the_lowest_rank_of_bytes() {
    let mut rng = Rng::new(21);
    for _ in 0..60 {
        let mut vocabulary = random_vocabulary(&mut rng, r"(?s:.)+", 60);
        vocabulary.rule = MergeRule::BytesRank;
        vocabulary.specials.clear();
        // Any order of ranks, also one in which a whole ranks before its parts.
        for at in (257..vocabulary.tokens.len()).rev() {
            vocabulary
                .tokens
                .swap(at, 256 + rng.below(at as u64 - 255) as usize);
        }
        // And tokens that no merges lead to.
        vocabulary.tokens.push(b"1c1b1a1 c".to_vec());
        let tokenizer = Tokenizer::from_vocabulary(&vocabulary).unwrap();
        let ids = (0u32..).zip(&vocabulary.tokens);
        let ranks: HashMap<&[u8], u32> = ids.map(|(id, token)| (&token[..], id)).collect();
        for _ in 0..50 {
            let len = rng.below(90) as usize;
            let mut text = random_text(&mut rng, len);
            text.iter_mut()
                .filter(|b| !b.is_ascii())
                .for_each(|b| *b = b'a');
            assert_eq!(
                tokenizer.encode(&text),
                encode_by_ranks_naively(&ranks, &text)
            );
        }
        for token in &vocabulary.tokens {
            assert_eq!(tokenizer.encode(token), [ranks[&token[..]]]);
        }
    }
}

/// Tokens of 2, 4, 8 ... 128 letters, and one in which merging cannot end.
fn with_long_tokens(mut vocabulary: Vocabulary) -> Vocabulary {
    vocabulary.specials.clear();
    for doubling in 0..7 {
        let half = vec![b'x'; 1 << doubling];
        let id = vocabulary.tokens.iter().position(|token| *token == half);
        let id = id.unwrap() as u32;
        vocabulary.merges.push((id, id));
        vocabulary.tokens.push(half.repeat(2));
    }
    vocabulary.tokens.push(vec![b'x'; 100]);
    vocabulary
}

#[test]
fn a_token_is_taken_whole_only_where_merging_leads_to_it() {
    let mut rng = Rng::new(27);
    let mut unreachable = 0;
    for _ in 0..40 {
        let mut vocabulary = with_long_tokens(random_vocabulary(&mut rng, r"(?s:.)+", 60));
        // Merges in an order in which nobody learns them.
        for at in (1..vocabulary.merges.len()).rev() {
            let other = rng.below(at as u64 + 1) as usize;
            vocabulary.merges.swap(at, other);
        }
        let tokenizer = Tokenizer::from_vocabulary(&vocabulary).unwrap();
        for token in &vocabulary.tokens {
            let (mut ids, mut workspace) = ([0; 128], vec![0; encode_workspace_len(128)]);
            let merged = tokenizer
                .as_ref()
                .merge_into(token, &mut ids, &mut workspace)
                .unwrap();
            assert_eq!(tokenizer.encode(token), ids[..merged], "{token:?}");
            unreachable += usize::from(merged > 1);
        }
    }
    assert!(unreachable > 100, "{unreachable}");
}

#[test]
fn long_tokens_merge_by_the_rank_of_bytes_too() {
    let mut rng = Rng::new(28);
    let mut vocabulary = with_long_tokens(random_vocabulary(&mut rng, r"(?s:.)+", 10));
    vocabulary.rule = MergeRule::BytesRank;
    vocabulary.tokens[usize::from(b'q')] = Vec::new();
    vocabulary.tokens.push(b"xqx".to_vec());
    let tokenizer = Tokenizer::from_vocabulary(&vocabulary).unwrap();
    let ids = (0u32..).zip(&vocabulary.tokens);
    let ranks: HashMap<&[u8], u32> = ids.map(|(id, token)| (&token[..], id)).collect();
    for len in 1..300 {
        let text = vec![b'x'; len];
        assert_eq!(
            tokenizer.encode(&text),
            encode_by_ranks_naively(&ranks, &text)
        );
    }
    // A byte without a token is left out, and does not make its neighbours a pair.
    assert_eq!(tokenizer.encode(b"xx"), [ranks[&b"xx"[..]]]);
    assert_eq!(tokenizer.decode(&tokenizer.encode(b"axqxa")), b"axxa");
}

#[test]
fn an_encoder_with_its_cache_gives_the_ids_of_the_kernel() {
    let mut rng = Rng::new(22);
    for pattern in ["gpt2", "cl100k", "o200k", "whitespace"] {
        let vocabulary = random_vocabulary(&mut rng, pattern, 80);
        let tokenizer = Tokenizer::from_vocabulary(&vocabulary).unwrap();
        let mut encoder = tokenizer.encoder();
        for _ in 0..200 {
            let len = rng.below(300) as usize;
            let text = random_text(&mut rng, len);
            let (mut ids, mut want) = (vec![7], vec![0; 2 * len]);
            encoder.encode_into(&text, &mut ids);
            let mut workspace = vec![0; 9 * len + 9];
            let count = tokenizer
                .as_ref()
                .encode_into(&text, &mut want, &mut workspace)
                .unwrap();
            assert_eq!((ids[0], &ids[1..]), (7, &want[..count]));
        }
    }
}

#[test]
fn encoders_that_learn_from_each_other_give_the_ids_of_one_alone() {
    let mut rng = Rng::new(9);
    let tokenizer = Tokenizer::from_vocabulary(&random_vocabulary(&mut rng, "gpt2", 200)).unwrap();
    let parts: Vec<_> = (0..8).map(|_| random_text(&mut rng, 200_000)).collect();
    let encoders = tokenizer.encoders();
    let mut encoders = [encoders.encoder(), encoders.encoder()];
    for (turn, part) in parts.iter().enumerate() {
        let mut ids = Vec::new();
        encoders[turn % 2].encode_into(part, &mut ids);
        assert!(ids == tokenizer.encode(part), "part {turn}");
    }
}

#[test]
fn random_bytes_come_back() {
    let mut rng = Rng::new(23);
    for pattern in ["gpt2", "cl100k", "o200k", r"\w+|\d"] {
        let vocabulary = random_vocabulary(&mut rng, pattern, 80);
        let tokenizer = Tokenizer::from_vocabulary(&vocabulary).unwrap();
        for len in [0, 1, 2, 100, 5000] {
            let bytes: Vec<u8> = (0..len).map(|_| rng.next_u32() as u8).collect();
            assert_eq!(tokenizer.decode(&tokenizer.encode(&bytes)), bytes);
        }
    }
}

#[test]
fn white_space_is_normalised_by_the_whitespace_pattern_alone() {
    let vocabulary = random_vocabulary(&mut Rng::new(24), "whitespace", 40);
    let tokenizer = Tokenizer::from_vocabulary(&vocabulary).unwrap();
    let text = "\n one\u{3000}two\t\tthree ";
    assert_eq!(
        tokenizer.decode(&tokenizer.encode(text.as_bytes())),
        b"one two three "
    );
}

#[test]
fn special_tokens_are_no_text() {
    let vocabulary = random_vocabulary(&mut Rng::new(25), "gpt2", 10);
    let tokenizer = Tokenizer::from_vocabulary(&vocabulary).unwrap();
    assert_eq!(tokenizer.vocab_size(), 267);
    assert_eq!(tokenizer.as_ref().special_id(b"<|end|>"), Some(266));
    assert_eq!(tokenizer.decode(&[97, 266, 98, 9999]), b"a<|end|>b");
    assert!(tokenizer.encode(b"<|end|>").len() > 1);
}

#[test]
fn vocabularies_that_contradict_themselves_are_refused() {
    let good = random_vocabulary(&mut Rng::new(26), "gpt2", 5);
    let refused = |change: fn(&mut Vocabulary), why: &str| {
        let mut bad = good.clone();
        change(&mut bad);
        let error = Tokenizer::from_vocabulary(&bad).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    };
    refused(|v| v.tokens[256] = b"a".to_vec(), "are both \"a\"");
    refused(|v| v.merges.push((1, 2)), "which is no token");
    refused(|v| v.merges.push((1, 9999)), "does not exist");
    refused(|v| v.specials.push(("x".into(), 97)), "another token's");
    refused(|v| v.specials.push(("x".into(), u32::MAX)), "far-off");
}

#[test]
fn a_repeated_string_keeps_its_first_id_and_its_merges() {
    // As Hugging Face's trainer leaves it: two merges that give the same token.
    let mut tokens: Vec<Vec<u8>> = (0..=255).map(|b| vec![b]).collect();
    tokens.extend([b"ab".to_vec(), b"bc".to_vec(), b"abc".to_vec()]);
    let merges = vec![(97, 98), (98, 99), (256, 99), (97, 257)];
    let pattern = HarnessPattern::parse("gpt2").unwrap();
    let rule = MergeRule::PairRank;
    let vocabulary = Vocabulary {
        tokens,
        merges,
        specials: vec![],
        pattern,
        rule,
    };
    let tokenizer = Tokenizer::from_vocabulary(&vocabulary).unwrap();
    assert_eq!(tokenizer.encode(b"abc"), [258]);
    assert_eq!(tokenizer.vocabulary(), vocabulary);
    // And a merge recorded twice has the later rank.
    let merges = [&vocabulary.merges[..], &[(97, 98)]].concat();
    let twice = Tokenizer::from_vocabulary(&Vocabulary {
        merges,
        ..vocabulary
    })
    .unwrap();
    assert_eq!(twice.encode(b"abc"), [258]);
    let want = [(98, 99), (256, 99), (97, 257), (97, 98)];
    assert_eq!(twice.vocabulary().merges, want);
}
