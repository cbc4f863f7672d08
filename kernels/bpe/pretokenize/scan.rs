//! What the patterns have in common: runs of a class, contractions, white space, cuts.

use crate::bpe::unicode::{ASCII, BLANK, NEWLINE, SPACE, Set, class_at};

/// End of the run of characters of `set` that starts at `at`.
#[inline]
pub(super) fn run(text: &[u8], mut at: usize, set: Set) -> usize {
    while let Some(byte) = text.get(at) {
        if ASCII[*byte as usize] & set != 0 {
            at += 1;
            continue;
        }
        let (class, len) = class_at(text, at);
        if class & set == 0 {
            break;
        }
        at += len;
    }
    at
}

/// First bytes of all white space: ASCII's, U+0085, U+00A0, U+1680, U+2000 to U+205F, U+3000.
const MAY_BE_WHITE: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = matches!(byte, 0x09..=0x0D | 0x20 | 0xC2 | 0xE1..=0xE3);
        byte += 1;
    }
    table
};

/// End of the word that starts at `at`: `run(text, at, !SPACE)`, without decoding what cannot be
/// white space.
#[inline]
pub(super) fn word(text: &[u8], mut at: usize) -> usize {
    while let Some(byte) = text.get(at) {
        if MAY_BE_WHITE[*byte as usize] && class_at(text, at).0 & SPACE != 0 {
            break;
        }
        at += 1;
    }
    at
}

/// End of the run of at most `most` characters of `set` that starts at `at`.
#[inline]
pub(super) fn short_run(text: &[u8], mut at: usize, set: Set, most: usize) -> usize {
    for _ in 0..most {
        let (class, len) = class_at(text, at);
        if class & set == 0 {
            break;
        }
        at += len;
    }
    at
}

/// End of `'(?:[sdmt]|ll|ve|re)` at `at`, if it is there.
#[inline]
pub(super) fn contraction(text: &[u8], at: usize) -> Option<usize> {
    let len = match text.get(at..)? {
        [b'\'', b's' | b'd' | b'm' | b't', ..] => 2,
        [b'\'', b'l', b'l', ..] | [b'\'', b'v' | b'r', b'e', ..] => 3,
        _ => return None,
    };
    Some(at + len)
}

/// End of `'(?i:[sdmt]|ll|ve|re)` at `at`, if it is there.
///
/// Case folding makes the long s (U+017F) an s; no other character folds to one of these letters.
#[inline]
pub(super) fn contraction_any_case(text: &[u8], at: usize) -> Option<usize> {
    let rest = text.get(at..)?;
    let len = match rest {
        [b'\'', 0xC5, 0xBF, ..] => 3,
        [b'\'', a, ..] if matches!(a | 0x20, b's' | b'd' | b'm' | b't') => 2,
        [b'\'', a, b, ..] if matches!([a | 0x20, b | 0x20], [b'l', b'l'] | [b'v' | b'r', b'e']) => {
            3
        }
        _ => return None,
    };
    Some(at + len)
}

/// A run of white space that starts a piece.
pub(super) struct White {
    /// Behind its last character.
    pub(super) end: usize,
    /// Start of its last character.
    pub(super) last: usize,
    /// Behind its last line feed or carriage return, if it has one.
    pub(super) newline: Option<usize>,
}

impl White {
    /// The run that starts at `at`.
    #[inline]
    pub(super) fn at(text: &[u8], at: usize) -> Self {
        let (mut end, mut last, mut newline) = (at, at, None);
        loop {
            let (class, len) = class_at(text, end);
            if class & SPACE == 0 {
                return Self { end, last, newline };
            }
            (last, end) = (end, end + len);
            if class == NEWLINE {
                newline = Some(end);
            }
        }
    }

    /// End of `\s+(?!\S)|\s+` at `at`: white space before a word leaves its last character to it.
    #[inline]
    pub(super) fn before_word(&self, text: &[u8], at: usize) -> usize {
        if self.last == at || self.end == text.len() {
            self.end
        } else {
            self.last
        }
    }
}

/// The last place up to `at` (and after 0) where a text may be cut in two so that, under every
/// [`Pattern`](super::Pattern), the pieces of the parts are those of the whole.
///
/// Such places are before a space that follows an ASCII letter, digit or symbol, and after a
/// lone line feed that follows one, if no white space and no slash comes next. A text without any
/// (a long run of Chinese, for instance) has no place to cut: `None`.
///
/// ```
/// use barelm_kernels::bpe::last_cut;
/// assert_eq!(last_cut(b"two words", 9), Some(3));
/// assert_eq!(last_cut(b"one.\ntwo", 8), Some(5));
/// ```
pub fn last_cut(text: &[u8], at: usize) -> Option<usize> {
    let at = at.min(text.len());
    (1..=at).rev().find(|cut| is_cut(text, *cut))
}

fn is_cut(text: &[u8], cut: usize) -> bool {
    let (Some(before), Some(next)) = (text.get(..cut), text.get(cut)) else {
        return false;
    };
    match before {
        [.., last] if last.is_ascii_graphic() => *next == b' ',
        [.., last, b'\n'] if last.is_ascii_graphic() => {
            *next != b'/' && class_at(text, cut).0 & (BLANK | NEWLINE) == 0
        }
        _ => false,
    }
}
