//! The published patterns: each function gives the end of the piece that starts at `at`.
//!
//! A function tries the alternatives of its regular expression in their order. None of them needs
//! to go back over more than one run, so a text is cut in linear time.

use super::scan::{White, contraction, contraction_any_case, run, short_run};
use crate::bpe::unicode::{
    CASELESS, LETTER, LOWER, MARK, NEWLINE, NUMBER, SYMBOL, Set, UPPER, class_at,
};

/// Behind a space at `at`, or `at`: the ` ?` of the patterns.
#[inline]
fn skip_space(text: &[u8], at: usize) -> usize {
    at + usize::from(text.get(at) == Some(&b' '))
}

/// [`Pattern::Gpt2`](super::Pattern::Gpt2).
#[inline]
pub(super) fn gpt2(text: &[u8], at: usize) -> usize {
    if let Some(end) = contraction(text, at) {
        return end;
    }
    let word = skip_space(text, at);
    let (class, len) = class_at(text, word);
    for set in [LETTER, SYMBOL, NUMBER] {
        if class & set != 0 {
            return run(text, word + len, set);
        }
    }
    White::at(text, at).before_word(text, at)
}

/// [`Pattern::Cl100k`](super::Pattern::Cl100k).
#[inline]
pub(super) fn cl100k(text: &[u8], at: usize) -> usize {
    let (first, len) = class_at(text, at);
    if first & LETTER != 0 {
        return run(text, at + len, LETTER);
    }
    if first & NUMBER != 0 {
        return short_run(text, at + len, NUMBER, 2);
    }
    if let Some(end) = contraction_any_case(text, at) {
        return end;
    }
    let (second, second_len) = class_at(text, at + len);
    if first & NEWLINE == 0 && second & LETTER != 0 {
        return run(text, at + len + second_len, LETTER);
    }
    let symbols = skip_space(text, at);
    if class_at(text, symbols).0 & SYMBOL != 0 {
        return run(text, run(text, symbols, SYMBOL), NEWLINE);
    }
    let white = White::at(text, at);
    match white.newline {
        Some(newline) if white.end < text.len() => newline,
        _ => white.before_word(text, at),
    }
}

/// What an o200k word may begin with: capitals, and letters without case.
const HEAD: Set = UPPER | CASELESS | MARK;
/// What an o200k word may end with: small letters, and letters without case.
const TAIL: Set = LOWER | CASELESS | MARK;

/// [`Pattern::O200k`](super::Pattern::O200k).
#[inline]
pub(super) fn o200k(text: &[u8], at: usize) -> usize {
    let (first, len) = class_at(text, at);
    if first & NUMBER != 0 {
        return short_run(text, at + len, NUMBER, 2);
    }
    if let Some(end) = o200k_word(text, at, first, at + len) {
        return contraction_any_case(text, end).unwrap_or(end);
    }
    let symbols = skip_space(text, at);
    if class_at(text, symbols).0 & SYMBOL != 0 {
        return run_or_slash(text, run(text, symbols, SYMBOL));
    }
    let white = White::at(text, at);
    white.newline.unwrap_or_else(|| white.before_word(text, at))
}

/// End of a word, without contraction, whose first character, of class `first`, ends at `second`.
///
/// The first two alternatives of the pattern, `P? H* T+` and `P? H+ T*`, where P is neither
/// newline nor letter nor number, so that a mark can be P, H or T: tried in the order of a
/// backtracking engine.
#[inline]
fn o200k_word(text: &[u8], at: usize, first: Set, second: usize) -> Option<usize> {
    if first & LETTER != 0 {
        let (tail, heads) = head_tail(text, at);
        return Some(tail.unwrap_or(heads));
    }
    if first & (NEWLINE | NUMBER) != 0 {
        return None;
    }
    let (tail, heads) = head_tail(text, second);
    match tail {
        Some(end) => Some(end),
        // Without P, a mark followed by capitals only is a tail by itself.
        None if first == MARK => Some(second),
        None => (heads > second).then_some(heads),
    }
}

/// End of `H* T+` at `at`, if there is one, and the end of `H*`.
#[inline]
fn head_tail(text: &[u8], at: usize) -> (Option<usize>, usize) {
    let (mut heads, mut last_both) = (at, None);
    loop {
        let (class, len) = class_at(text, heads);
        if class & HEAD == 0 {
            break;
        }
        heads += len;
        if class & TAIL != 0 {
            last_both = Some(heads);
        }
    }
    let tail = run(text, heads, TAIL);
    // No small letter follows: `H*` gives back as far as a character that can be a tail.
    (if tail > heads { Some(tail) } else { last_both }, heads)
}

/// End of `[\r\n/]*` at `at`.
#[inline]
fn run_or_slash(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or(&[]);
    let other = rest.iter().position(|b| !matches!(b, b'\r' | b'\n' | b'/'));
    at + other.unwrap_or(rest.len())
}
