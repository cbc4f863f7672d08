//! Texts of wide characters, and texts that repeat themselves, against the naive encoder.

use super::*;
use crate::bpe::CharMemo;

/// Merges by the table of pairs, the lowest rank first.
fn encode_by_table(tokenizer: TokenizerRef<'_>, piece: &[u8]) -> Vec<u32> {
    let mut ids: Vec<u32> = piece.iter().map(|b| u32::from(*b)).collect();
    loop {
        let merges = ids.windows(2).enumerate().filter_map(|(at, pair)| {
            let (rank, id) = tokenizer.merge_of(pair[0], pair[1])?;
            Some((rank, at, id))
        });
        let Some((_, at, id)) = merges.min() else {
            return ids;
        };
        ids.splice(at..at + 2, [id]);
    }
}

/// Characters of one to four bytes; a few are cut short, and so no characters.
fn wide_text(rng: &mut Rng, len: u64) -> Vec<u8> {
    let mut text = Vec::new();
    for _ in 0..len {
        let mut tail = || 0x80 + rng.below(3) as u8;
        let (a, b, c) = (tail(), tail(), tail());
        match rng.below(20) {
            0..10 => text.extend([0xE4, a, b]),
            10..15 => text.extend([0xF0, a, b, c]),
            15..17 => text.extend([0xC3, a]),
            17..19 => text.push(0x61),
            _ => text.push([0xE4, a, 0][rng.below(3) as usize]),
        }
    }
    text
}

/// Merges between stretches of such texts, with different bytes.
fn wide_vocabulary(rng: &mut Rng, merges: usize) -> Vocabulary {
    let mut tokens: Vec<(u32, Vec<u8>)> = [0x61, 0x80, 0x81, 0x82, 0xC3, 0xE4, 0xF0]
        .map(|byte: u8| (u32::from(byte), vec![byte]))
        .to_vec();
    let mut list = Vec::new();
    while list.len() < merges {
        let text = wide_text(rng, 3);
        let mut pick = || tokens[rng.below(tokens.len() as u64) as usize].clone();
        let (left, right) = (pick(), pick());
        let bytes = [&left.1[..], &right.1].concat();
        let occurs = text.windows(bytes.len()).any(|stretch| stretch == bytes);
        if occurs && tokens.iter().all(|token| token.1 != bytes) {
            tokens.push((256 + list.len() as u32, bytes));
            list.push((left.0, right.0));
        }
    }
    Vocabulary::new(Pattern::Gpt2, &list)
}

/// Ranks that are those of bytes, or that are not in the order in which tokens need each other.
fn change_ranks(rng: &mut Rng, vocabulary: &mut Vocabulary, kind: usize) {
    let mut ranks: Vec<u32> = (0..vocabulary.merges.len() as u32).collect();
    for at in (1..ranks.len()).rev().filter(|_| kind == 2) {
        ranks.swap(at, rng.below(at as u64 + 1) as usize);
    }
    vocabulary.head[1] = u32::from(kind == 1);
    for slot in vocabulary.pairs.iter_mut().filter(|slot| slot[0] != NONE) {
        slot[2] = if kind == 1 {
            slot[3]
        } else {
            ranks[slot[2] as usize]
        };
    }
}

fn index_words(tokenizer: TokenizerRef<'_>) -> Vec<u64> {
    let mut words = vec![0; PairIndex::words(&tokenizer)];
    assert!(PairIndex::build(&tokenizer, &mut words));
    words
}

#[test]
fn wide_characters_have_the_ids_of_the_naive_encoder() {
    let mut rng = Rng::new(41);
    let (mut encoded, mut left) = (0, 0);
    for round in 0..60 {
        let mut vocabulary = wide_vocabulary(&mut rng, [8, 30, 60][round / 3 % 3]);
        change_ranks(&mut rng, &mut vocabulary, round % 3);
        let tokenizer = vocabulary.tokenizer();
        let words = index_words(tokenizer);
        let index = PairIndex::new(&tokenizer, &words).unwrap();
        let mut noted = vec![0; CharMemo::WORDS];
        let mut memo = CharMemo::new(&mut noted).unwrap();
        for _ in 0..60 {
            let len = rng.below(60);
            let text = wide_text(&mut rng, len);
            let mut out = vec![0; text.len()];
            match tokenizer.encode_chars_with(&index, &mut memo, &text, &mut out) {
                Some(len) => assert_eq!(out[..len], encode_by_table(tokenizer, &text), "{text:?}"),
                None => left += 1,
            }
            encoded += 1;
        }
    }
    assert!(left < encoded / 4 * 3, "{left} of {encoded} left to others");
}

#[test]
fn any_words_for_a_memo_do_no_harm() {
    let mut rng = Rng::new(42);
    let vocabulary = wide_vocabulary(&mut rng, 40);
    let tokenizer = vocabulary.tokenizer();
    let words = index_words(tokenizer);
    let index = PairIndex::new(&tokenizer, &words).unwrap();
    assert!(CharMemo::new(&mut vec![0; CharMemo::WORDS - 1]).is_none());
    let mut noted = vec![0; CharMemo::WORDS];
    for _ in 0..200 {
        let text = wide_text(&mut rng, 100);
        for slots in [0..2 << 12, 2 << 12..6 << 12, 6 << 12..noted.len()] {
            for word in noted[slots].iter_mut() {
                let mut id = || rng.below(300) << 32 | rng.below(300);
                *word = if *word == 0 { 0 } else { *word ^ id() & id() };
            }
        }
        let mut memo = CharMemo::new(&mut noted).unwrap();
        let mut out = vec![0; text.len()];
        let len = tokenizer.encode_chars_with(&index, &mut memo, &text, &mut out);
        assert!(len.is_none_or(|len| len <= text.len()));
        let _ = tokenizer.encode_chars_with(&index, &mut memo, &text, &mut [0; 7]);
    }
}

#[test]
fn a_text_that_repeats_itself_needs_no_index() {
    let mut rng = Rng::new(43);
    for round in 0..30 {
        let pattern = [Pattern::Gpt2, Pattern::Whitespace][round % 2];
        let vocabulary = Vocabulary::random(&mut rng, pattern, 3, 80);
        let tokenizer = vocabulary.tokenizer();
        let text = letters(&mut rng, 1, 20_000);
        let mut out = vec![0; text.len() + 1];
        let mut workspace = vec![0; encode_workspace_len(text.len())];
        let mut encode = |text: &[u8], windows| {
            let len =
                tokenizer.encode_repetitive_piece_into(text, &mut out, &mut workspace, windows);
            len.unwrap().map(|len| out[..len].to_vec())
        };
        assert!(encode(&text, 64) == Some(encode_piece(tokenizer, &text)));
        let text = letters(&mut rng, 3, 20_000);
        assert!(encode(&text, 64).is_none());
        assert!(encode(&text, 10_000) == Some(encode_piece(tokenizer, &text)));
        let unit = letters(&mut rng, 3, 1 + round as u64 % 5);
        let text: Vec<u8> = unit.into_iter().cycle().take(20_000).collect();
        let expected = encode_piece(tokenizer, &text);
        assert!(encode(&text, 64).is_none_or(|ids| ids == expected));
    }
}
