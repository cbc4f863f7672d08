//! The trainer against one that counts every pair anew before each merge.

use super::naive::{Input, PATTERNS};
use barelm::bpe_trainer::{BpeTrainerOptions, train};
use barelm::pretoken_counts::PretokenCounts;
use barelm::progress::Progress;
use barelm::tokenizer::HarnessPattern;
use std::collections::BTreeMap;

/// Words of few letters, so that pairs overlap and counts tie.
fn words(input: &mut Input<'_>) -> Vec<(Vec<u8>, u64)> {
    let mut words = Vec::new();
    for _ in 0..1 + input.byte() % 20 {
        let count = 1 + input.byte() as u64 % 5;
        let len = 1 + input.byte() % 12;
        words.push((
            (0..len).map(|_| b'a' + input.byte() as u8 % 3).collect(),
            count,
        ));
    }
    words
}

/// Merges and their order are those of the definition.
pub fn against_naive(bytes: &[u8]) {
    let mut input = Input(bytes);
    let pattern = HarnessPattern::parse(PATTERNS[input.byte() % PATTERNS.len()]).expect("a name");
    let options = BpeTrainerOptions {
        vocab_size: 256 + input.byte() % 64,
        min_frequency: input.byte() as u64 % 4,
        ..Default::default()
    };
    let words = words(&mut input);
    let borrowed = words.iter().map(|(word, count)| (&word[..], *count));
    let counts = PretokenCounts::from_counts(pattern.clone(), borrowed);
    barelm::progress::set_quiet(true);
    let learned = train(&counts, &options, &Progress::new("", 0, "merges"));
    let merges = learned.expect("sound options").merges;
    assert_eq!(merges, naive(&words, &pattern, &options));
}

/// The ids of single bytes: in the order of GPT-2's characters for them, as Hugging Face has it.
fn alphabet() -> [u32; 256] {
    let printable = |byte: u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    let plain = (0..=255_u8).filter(|byte| printable(*byte));
    let moved = (0..=255_u8).filter(|byte| !printable(*byte));
    let mut ids = [0; 256];
    for (id, byte) in plain.chain(moved).enumerate() {
        ids[usize::from(byte)] = id as u32;
    }
    ids
}

/// The pair of highest count, the smaller ids if counts tie, merged from left to right.
fn naive(
    words: &[(Vec<u8>, u64)],
    pattern: &HarnessPattern,
    options: &BpeTrainerOptions,
) -> Vec<(u32, u32)> {
    let ids = alphabet();
    let spell = |word: &Vec<u8>| -> Vec<u32> {
        let bytes = word.iter().copied().chain(pattern.end_of_word());
        bytes.map(|byte| ids[usize::from(byte)]).collect()
    };
    let mut words: Vec<_> = words
        .iter()
        .map(|(word, count)| (spell(word), *count))
        .collect();
    let mut merges = Vec::new();
    while 256 + merges.len() < options.vocab_size {
        let mut pairs = BTreeMap::<(u32, u32), u64>::new();
        for (word, count) in &words {
            for pair in word.windows(2) {
                *pairs.entry((pair[0], pair[1])).or_default() += count;
            }
        }
        // The first of equals: the map is in the order of the ids.
        let best = pairs.iter().rev().max_by_key(|(_, count)| **count);
        let Some((pair, _)) = best.filter(|(_, count)| **count >= options.min_frequency.max(1))
        else {
            break;
        };
        let (pair, new) = (*pair, 256 + merges.len() as u32);
        merges.push(pair);
        words
            .iter_mut()
            .for_each(|(word, _)| merge(word, pair, new));
    }
    merges
}

fn merge(word: &mut Vec<u32>, pair: (u32, u32), new: u32) {
    let mut at = 0;
    while at + 1 < word.len() {
        if (word[at], word[at + 1]) == pair {
            word.splice(at..at + 2, [new]);
        }
        at += 1;
    }
}
