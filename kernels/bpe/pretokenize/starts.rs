//! Each pattern as arithmetic of masks: where pieces start in a window.
//!
//! `x << 1` is what comes directly behind the bytes of `x`, and `x >> 1` what comes before them.

use super::masks::Masks;
use super::scan::{contraction, contraction_any_case};
use super::window::Window;

/// A pattern's arithmetic.
pub(super) trait Rules {
    /// Whether there is text between pieces. Then their starts and ends are given in turn.
    const GAPS: bool = false;
    /// The places behind the first byte where pieces end, as far as the window decides them.
    fn cuts(masks: &Masks, window: Window<'_>) -> u64;
}

/// [`Pattern::Gpt2`](super::Pattern::Gpt2).
pub(super) struct Gpt2;
/// [`Pattern::Cl100k`](super::Pattern::Cl100k).
pub(super) struct Cl100k;
/// [`Pattern::O200k`](super::Pattern::O200k).
pub(super) struct O200k;
/// [`Pattern::Whitespace`](super::Pattern::Whitespace).
pub(super) struct Words;

const BEHIND_FIRST: u64 = !1;

/// The first byte of each run.
#[inline(always)]
fn first(runs: u64) -> u64 {
    runs & !(runs << 1)
}

/// The last byte of each run.
#[inline(always)]
fn last(runs: u64) -> u64 {
    runs & !(runs >> 1)
}

/// The bytes of `runs` from those of `from` on.
///
/// A sum carries each bit of `from` through its run (Parabix, "MatchStar").
#[inline(always)]
fn run_from(from: u64, runs: u64) -> u64 {
    let from = from & runs;
    ((from.wrapping_add(runs) ^ runs) | from) & runs
}

/// Bit `i`, if there is one.
#[inline(always)]
fn bit(i: usize) -> u64 {
    1_u64.checked_shl(i as u32).unwrap_or(0)
}

/// The lowest bit, taken out of the mask.
#[inline(always)]
fn take_lowest(mask: &mut u64) -> Option<usize> {
    let i = mask.trailing_zeros();
    *mask &= mask.wrapping_sub(1);
    (i < 64).then_some(i as usize)
}

impl Rules for Gpt2 {
    #[inline(always)]
    fn cuts(m: &Masks, window: Window<'_>) -> u64 {
        let (letter, white, symbol) = (m.letter(), m.white(), m.symbol());
        let symbols = first(symbol) & !(m.space << 1);
        let words = (first(letter) | first(m.number)) & !(m.space << 1);
        let mut starts = symbols | words | first(white) | m.first_bytes(last(white));
        let mut quotes = symbols & m.apostrophe & (letter >> 1);
        while let Some(quote) = take_lowest(&mut quotes) {
            let at = window.at + quote;
            if let Some(end) = contraction(window.text, at) {
                starts = starts & !bit(quote + 1) | bit(end - window.at);
            }
        }
        (window.without_last_white(starts, white) | window.end()) & BEHIND_FIRST
    }
}

impl Rules for Cl100k {
    #[inline(always)]
    fn cuts(m: &Masks, window: Window<'_>) -> u64 {
        let (letter, symbol) = (m.letter(), m.symbol());
        let symbols = first(symbol) & !(m.space << 1);
        // Last bytes of symbols that are the first character of a word.
        let prefix = m.all_bytes(symbols) & (letter >> 1);
        let words = first(letter) & !((m.blank | prefix) << 1);
        let mut starts = symbols | words | groups_of_three(m.number);
        let mut quotes = prefix & m.apostrophe;
        while let Some(quote) = take_lowest(&mut quotes) {
            if let Some(end) = contraction_any_case(window.text, window.at + quote) {
                starts |= bit(end - window.at);
            }
        }
        // Newlines behind symbols belong to them.
        let newline = m.newline & !run_from(symbol << 1, m.newline);
        let white = m.blank | newline;
        starts |= lines(m, newline) | first(white) | m.first_bytes(last(white) & m.blank);
        let starts = window.without_last_white(starts, white) | window.end();
        starts & decided(m.number & m.long) & BEHIND_FIRST
    }
}

/// Without the characters that [`undecided_words`] finds, a word ends behind a small letter that a
/// capital follows, and at the end of its letters and marks.
impl Rules for O200k {
    #[inline(always)]
    fn cuts(m: &Masks, window: Window<'_>) -> u64 {
        let letter = m.letter() | m.mark;
        // Newlines behind symbols belong to them, and so do slashes behind those.
        let symbol = m.valid & !(letter | m.number | m.white());
        let tail = run_from((symbol << 1) & m.newline, m.newline | m.slash);
        let (symbol, newline) = (symbol & !tail, m.newline & !tail);
        let symbols = first(symbol) & !(m.space << 1);
        let prefix = m.all_bytes(symbols) & (letter >> 1);
        let words = (first(letter) & !((m.blank | prefix) << 1)) | (m.upper & (m.lower << 1));
        let white = m.blank | newline;
        let blanks = last(white) & m.blank & !window.last();
        let starts = symbols | words | groups_of_three(m.number);
        let starts = with_contractions(starts, m.apostrophe & (letter << 1), window);
        let starts = starts | lines(m, newline) | first(white) | m.first_bytes(blanks);
        let starts = match window.is_last() {
            true => starts | window.end(),
            false => window.without_last_white(starts, white),
        };
        starts & decided(undecided_words(m) | (m.number & m.long)) & BEHIND_FIRST
    }
}

/// Characters of o200k's words that the arithmetic does not express: marks that do not follow a
/// letter, and capitals that follow a letter without case or a mark.
#[inline(always)]
fn undecided_words(m: &Masks) -> u64 {
    let marks = m.mark & !((m.letter() | m.mark) << 1);
    marks | (m.upper & ((m.caseless | m.mark) << 1))
}

/// Moves the starts at `quotes`, which come directly behind words, to the ends of contractions.
#[inline(always)]
fn with_contractions(mut starts: u64, mut quotes: u64, window: Window<'_>) -> u64 {
    let mut last_end = 0;
    while let Some(quote) = take_lowest(&mut quotes) {
        // A second contraction is a word of its own: a word has one.
        let end = contraction_any_case(window.text, window.at + quote).unwrap_or(0);
        if end > 0 && quote != last_end {
            last_end = end - window.at;
            starts &= (bit(quote) - 1) | bit(last_end).wrapping_neg();
            starts |= bit(last_end);
        }
    }
    starts
}

/// The bits below the first one of `hard`, which the arithmetic does not express; all without it.
#[inline(always)]
fn decided(hard: u64) -> u64 {
    !hard & hard.wrapping_sub(1)
}

/// Every third digit of each run, from the first one on.
#[inline(always)]
fn groups_of_three(number: u64) -> u64 {
    let mut starts = first(number);
    let two = number & (number << 1);
    let fourth = two & (two << 2);
    let mut group = starts;
    while fourth != 0 && group != 0 {
        group = group << 3 & fourth;
        starts |= group;
    }
    starts
}

/// The first blanks behind the last newline of a run of white space.
#[inline(always)]
fn lines(m: &Masks, newline: u64) -> u64 {
    let mut lines = m.blank & (newline << 1);
    // A run of blanks that ends in another newline does not come behind the last one.
    let mut ends = lines.wrapping_add(m.blank) & !m.blank & newline;
    while let Some(end) = take_lowest(&mut ends) {
        let before = lines & (bit(end) - 1);
        lines ^= bit(63 - before.leading_zeros() as usize);
    }
    lines
}

/// The start and the end of each word that ends.
impl Rules for Words {
    const GAPS: bool = true;

    #[inline(always)]
    fn cuts(m: &Masks, window: Window<'_>) -> u64 {
        let word = m.valid & !m.white();
        let cuts = (word ^ (word << 1)) & (m.valid | window.end());
        if cuts.count_ones().is_multiple_of(2) {
            cuts
        } else {
            cuts & !(1 << (63 - cuts.leading_zeros()))
        }
    }
}
