//! Every pattern against a regex engine.

mod keys;
mod windows;

use super::*;
use crate::rng::Rng;
use fancy_regex::Regex;
use std::string::String;
use std::vec::Vec;
use std::{env, format, fs, println, vec};

const PATTERNS: [Pattern; 4] = [
    Pattern::Gpt2,
    Pattern::Cl100k,
    Pattern::O200k,
    Pattern::Whitespace,
];

/// Characters that a rule of some pattern singles out, and their neighbours.
const AWKWARD: &str = " \t\n\r\u{b}\u{85}\u{a0}\u{2028}\u{3000}'''sStTdDmMlLvVrReE\u{17f}\u{212a}\
    aZ09/!.-\u{301}\u{20dd}\u{e0100}ǅʰªß中文ñÑ٣½Ⅷ\u{200b}\u{200d}😀\u{feff}\u{e000}\u{1f1e6}𝔸𝐚";

fn assert_same_pieces(pattern: Pattern, regex: &Regex, text: &str) {
    let want: Vec<&str> = regex.find_iter(text).map(|m| m.unwrap().as_str()).collect();
    let got: Vec<&str> = pattern
        .pieces(text.as_bytes())
        .map(|piece| std::str::from_utf8(piece).unwrap())
        .collect();
    assert!(
        got == want,
        "{pattern:?} {text:?}\n got {got:?}\nwant {want:?}"
    );
}

fn random_text(rng: &mut Rng, pool: &[char]) -> String {
    let len = rng.below(24);
    let any = rng.below(4) == 0;
    let mut next = || match any {
        true => char::from_u32(rng.below(0x3_3000) as u32).unwrap_or(' '),
        false => pool[rng.below(pool.len() as u64) as usize],
    };
    (0..len).map(|_| next()).collect()
}

#[test]
fn random_strings_are_cut_as_by_the_regular_expression() {
    let pool: Vec<char> = AWKWARD.chars().collect();
    for pattern in PATTERNS {
        let regex = Regex::new(pattern.regex()).unwrap();
        let mut rng = Rng::new(7);
        for _ in 0..20_000 {
            assert_same_pieces(pattern, &regex, &random_text(&mut rng, &pool));
        }
    }
}

#[test]
fn every_short_string_of_awkward_characters_is_cut_as_by_the_regular_expression() {
    let pool = [
        " ", "\n", "\r", "'", "s", "L", "l", "中", "\u{301}", "1", "/", "\u{a0}",
    ];
    for pattern in PATTERNS {
        let regex = Regex::new(pattern.regex()).unwrap();
        for n in 0..pool.len().pow(4) {
            let text: String = (0..4)
                .map(|i| pool[n / pool.len().pow(i) % pool.len()])
                .collect();
            assert_same_pieces(pattern, &regex, &text);
        }
    }
}

#[test]
#[ignore = "needs BARELM_DATA"]
fn real_texts_are_cut_as_by_the_regular_expression() {
    let folder = env::var("BARELM_DATA").expect("BARELM_DATA names the data folder");
    for file in [
        "tinyshakespeare.txt",
        "multi-udhr.txt",
        "zh-hongloumeng.txt",
    ] {
        let text = fs::read_to_string(format!("{folder}/{file}")).unwrap();
        for pattern in PATTERNS {
            println!("{file} {pattern:?}");
            let regex = Regex::new(pattern.regex()).unwrap();
            // By paragraph, or the engine's work grows beyond a test's patience.
            for paragraph in text.split_inclusive("\n\n") {
                assert_same_pieces(pattern, &regex, paragraph);
            }
        }
    }
}

/// Bytes that are often not UTF-8: pieces of characters among whole ones.
fn random_bytes(rng: &mut Rng, pool: &[char]) -> Vec<u8> {
    let mut bytes = random_text(rng, pool).into_bytes();
    for _ in 0..rng.below(4) {
        if !bytes.is_empty() {
            let at = rng.below(bytes.len() as u64) as usize;
            bytes[at] = rng.next_u32() as u8;
        }
    }
    bytes
}

#[test]
fn a_byte_that_is_not_utf8_counts_as_a_symbol() {
    let pool: Vec<char> = AWKWARD.chars().collect();
    let mut rng = Rng::new(11);
    for _ in 0..20_000 {
        let bytes = random_bytes(&mut rng, &pool);
        // The same text with a private-use symbol for each such byte, and where it stands.
        let mut text = String::new();
        for chunk in bytes.utf8_chunks() {
            text += chunk.valid();
            text.extend(chunk.invalid().iter().map(|_| '\u{f8ff}'));
        }
        for pattern in PATTERNS {
            let shrink = |piece: &[u8]| {
                let piece = std::str::from_utf8(piece).unwrap();
                piece.len() - 2 * piece.matches('\u{f8ff}').count()
            };
            let want: Vec<usize> = pattern.pieces(text.as_bytes()).map(shrink).collect();
            let got: Vec<usize> = pattern.pieces(&bytes).map(<[u8]>::len).collect();
            assert_eq!(got, want, "{pattern:?} {bytes:x?}");
        }
    }
}

#[test]
fn pieces_put_together_are_the_text() {
    let pool: Vec<char> = AWKWARD.chars().collect();
    let mut rng = Rng::new(13);
    for _ in 0..20_000 {
        let bytes = random_bytes(&mut rng, &pool);
        for pattern in [Pattern::Gpt2, Pattern::Cl100k, Pattern::O200k] {
            let pieces: Vec<&[u8]> = pattern.pieces(&bytes).collect();
            assert_eq!(pieces.concat(), bytes, "{pattern:?}");
            assert!(pieces.iter().all(|piece| !piece.is_empty()));
        }
    }
}

#[test]
fn a_cut_changes_no_piece() {
    let pool: Vec<char> = AWKWARD.chars().chain("     \n\n\nabc.,".chars()).collect();
    let mut rng = Rng::new(17);
    let mut cuts = 0;
    for _ in 0..100_000 {
        let bytes = random_bytes(&mut rng, &pool);
        let at = rng.below(bytes.len() as u64 + 1) as usize;
        let Some(cut) = last_cut(&bytes, at) else {
            continue;
        };
        assert!(0 < cut && cut <= at);
        cuts += 1;
        let (left, right) = bytes.split_at(cut);
        for pattern in PATTERNS {
            let whole: Vec<&[u8]> = pattern.pieces(&bytes).collect();
            let parts: Vec<&[u8]> = pattern.pieces(left).chain(pattern.pieces(right)).collect();
            assert_eq!(parts, whole, "{pattern:?} {bytes:x?} at {cut}");
        }
    }
    assert!(cuts > 10_000, "{cuts} cuts");
}

#[test]
fn the_position_follows_the_pieces() {
    let mut pieces = Pattern::Whitespace.pieces(b"  ab c");
    assert_eq!((pieces.next(), pieces.position()), (Some(&b"ab"[..]), 4));
    assert_eq!((pieces.next(), pieces.position()), (Some(&b"c"[..]), 6));
    assert_eq!((pieces.next(), pieces.next()), (None, None));
}
