//! Windows of text against the scanner that goes character by character, on every backend.

use super::*;
use crate::bpe::unicode::SPACE;
use crate::testing::on_every_backend;
use core::ops::Range;

/// Every rule of every pattern within a few characters: each has several ways to go wrong.
const DENSE: [&[u8]; 30] = [
    b"a",
    b"b",
    b"Z",
    b"Q",
    b"'",
    b"'",
    b"s",
    b"l",
    b"L",
    b"v",
    b"e",
    b"1",
    b"2",
    b" ",
    b" ",
    b"\t",
    b"\n",
    b"\r",
    b".",
    b"/",
    "é".as_bytes(),
    "É".as_bytes(),
    "中".as_bytes(),
    "\u{301}".as_bytes(),
    "\u{a0}".as_bytes(),
    "\u{3000}".as_bytes(),
    "\u{17f}".as_bytes(),
    "٣".as_bytes(),
    "😀".as_bytes(),
    b"\x80",
];

/// The pieces as the scanner of [`patterns`] gives them.
fn naive(pattern: Pattern, text: &[u8]) -> Vec<&[u8]> {
    let (mut pieces, mut at) = (Vec::new(), 0);
    while at < text.len() {
        let white = match pattern {
            Pattern::Whitespace => scan::run(text, at, SPACE),
            _ => at,
        };
        at = match pattern {
            Pattern::Gpt2 => patterns::gpt2(text, at),
            Pattern::Cl100k => patterns::cl100k(text, at),
            Pattern::O200k => patterns::o200k(text, at),
            Pattern::Whitespace => scan::run(text, white, !SPACE),
        };
        pieces.push(&text[white..at]);
    }
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

fn assert_same_as_naive(backend: Backend, text: &[u8]) {
    for pattern in PATTERNS {
        let want = naive(pattern, text);
        let pieces = || Pieces::new(pattern, text, backend);
        assert_same(pattern, pieces().collect(), &want);
        let mut batches = Vec::new();
        pieces().for_each(|piece| batches.push(piece));
        assert_same(pattern, batches, &want);
    }
}

#[track_caller]
fn assert_same(pattern: Pattern, got: Vec<&[u8]>, want: &[&[u8]]) {
    let lossy = |piece: &&[u8]| String::from_utf8_lossy(piece).into_owned();
    let show = |pieces: &[&[u8]]| pieces.iter().map(lossy).collect::<Vec<_>>();
    if got != want {
        let (got, want) = (show(&got), show(want));
        panic!("{pattern:?}\n got {got:?}\nwant {want:?}");
    }
}

/// `len` bytes at least, of a few of the dense characters, so that they come in runs.
pub(super) fn dense_text(rng: &mut Rng, len: usize) -> Vec<u8> {
    let kinds = 1 + rng.below(8);
    let kinds: Vec<&[u8]> = (0..kinds).map(|_| pick(rng)).collect();
    let mut text = Vec::new();
    while text.len() < len {
        let any = rng.below(16) == 0;
        text.extend_from_slice(match any {
            true => pick(rng),
            false => kinds[rng.below(kinds.len() as u64) as usize],
        });
    }
    text
}

fn pick(rng: &mut Rng) -> &'static [u8] {
    DENSE[rng.below(DENSE.len() as u64) as usize]
}

#[test]
fn windows_of_any_classes_are_cut_as_by_the_naive_scanner() {
    on_every_backend(|backend| {
        let mut rng = Rng::new(19);
        for _ in 0..40_000 {
            let len = rng.below(150) as usize;
            assert_same_as_naive(backend, &dense_text(&mut rng, len));
        }
    });
}

#[test]
fn single_pieces_and_batches_follow_each_other() {
    let mut rng = Rng::new(29);
    let mut batch = Bounds::new();
    for _ in 0..1_000 {
        let text = dense_text(&mut rng, 600);
        for pattern in PATTERNS {
            let (mut pieces, mut got) = (pattern.pieces(&text), Vec::new());
            while pieces.position() < text.len() {
                got.extend(pieces.by_ref().take(rng.below(40) as usize));
                pieces.fill(&mut batch);
                let ends_here = |piece: Range<usize>| piece.end == pieces.position();
                let is_at_end = pieces.position() == text.len();
                assert!(is_at_end || batch.iter().last().is_none_or(ends_here));
                got.extend(batch.iter().map(|piece| &text[piece]));
            }
            assert_same(pattern, got, &naive(pattern, &text));
            pieces.fill(&mut batch);
            assert_eq!((batch.len(), pieces.next()), (0, None));
        }
    }
}

#[test]
fn dense_texts_longer_than_windows_are_cut_as_by_the_regular_expression() {
    for pattern in PATTERNS {
        let regex = Regex::new(pattern.regex()).unwrap();
        let mut rng = Rng::new(23);
        for _ in 0..4_000 {
            let text = dense_text(&mut rng, 130);
            let text = String::from_utf8_lossy(&text);
            assert_same_pieces(pattern, &regex, &text);
        }
    }
}

#[test]
fn every_byte_behind_every_byte_is_cut_as_by_the_naive_scanner() {
    // Alone, and with the bytes that complete a character.
    for tail in [&b"aB"[..], b"\x80aB", b"\x80\xBFaB", b"\xBF\xBF\x80aB"] {
        let pair = |first| (0..=255).map(move |second| [&[b'x', first, second], tail].concat());
        on_every_backend(|backend| {
            for first in 0..=255 {
                assert_same_as_naive(backend, &pair(first).collect::<Vec<_>>().concat());
            }
        });
    }
}

#[test]
fn every_character_is_cut_as_by_the_naive_scanner() {
    // Each among neighbours that tell its class, and somewhere else in its window.
    let mut text = String::new();
    for (i, c) in ('\0'..=char::MAX).enumerate() {
        text += ["x", "x-", "xY", "x "][i / 7 % 4];
        text.extend([c, 'Y', 'z']);
    }
    on_every_backend(|backend| assert_same_as_naive(backend, text.as_bytes()));
}

#[test]
fn broken_utf8_is_cut_as_by_the_naive_scanner() {
    // The ends of all ranges of Unicode's table 3-7.
    let pool =
        b"\x80\x8F\x90\x9F\xA0\xBF\xC1\xC2\xDF\xE0\xE1\xEC\xED\xEE\xEF\xF0\xF1\xF4\xF5\xFFaB ";
    on_every_backend(|backend| {
        let mut rng = Rng::new(31);
        let mut byte = || pool[rng.below(pool.len() as u64) as usize];
        for len in 0..20_000 {
            let text: Vec<u8> = (0..len % 150).map(|_| byte()).collect();
            assert_same_as_naive(backend, &text);
        }
    });
}

#[test]
fn runs_of_any_length_are_cut_as_by_the_naive_scanner() {
    on_every_backend(|backend| {
        for piece in DENSE {
            for len in 0..140 {
                let text = [b"x", &*piece.repeat(len), b"y"].concat();
                assert_same_as_naive(backend, &text);
                assert_same_as_naive(backend, &text[1..=len]);
            }
        }
    });
}

#[test]
#[ignore = "needs BARELM_DATA"]
fn real_texts_are_cut_as_by_the_naive_scanner() {
    let folder = env::var("BARELM_DATA").expect("BARELM_DATA names the data folder");
    for file in [
        "classics-100m.txt",
        "wiki-100m.txt",
        "multi-udhr.txt",
        "zh-hongloumeng.txt",
    ] {
        let text = fs::read(format!("{folder}/{file}")).unwrap();
        on_every_backend(|backend| {
            assert_same_as_naive(backend, &text[..text.len().min(10_000_000)]);
        });
    }
}
