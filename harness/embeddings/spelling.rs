//! How words with white space or odd bytes in them are spelled in formats that end a word at a
//! space or a newline, and whose readers take words for UTF-8.
//!
//! If any word holds white space or is not UTF-8, all words of the file are written in the spelling
//! of GPT-2: each byte becomes a printable character, the printable ones of Latin-1 themselves and
//! the rest the characters from U+0100 on, so that a space is `Ġ` and a newline `Ċ`. Other files
//! are written as they are; a NUL or another control character that is no white space breaks no
//! reader.
//!
//! A file is read back as GPT-2's spelling if all its words are made of those 256 characters and
//! some word has a `Ġ` or a `Ċ`; real words of no living language do that. Pieces of a byte-level
//! tokenizer nearly always show this sign. Words that would not, or all of which begin with a
//! space, are written with one more `Ġ` before each; so a `Ġ` before every word is taken off again.
//! Words that look so spelled by themselves are spelled, too: every list comes back as it was.

use crate::tokenizer::byte_chars;
use std::borrow::Cow;

/// Words as they stand in a file.
pub(super) fn spell(words: &[Vec<u8>]) -> Cow<'_, [Vec<u8>]> {
    let is_odd =
        |word: &Vec<u8>| word.iter().any(u8::is_ascii_whitespace) || str::from_utf8(word).is_err();
    if !words.iter().any(is_odd) && !shows_sign(words) {
        return Cow::Borrowed(words);
    }
    let mut spelled: Vec<Vec<u8>> = words
        .iter()
        .map(|word| byte_chars::to_text(word).into_bytes())
        .collect();
    if !spelled.iter().any(|word| has_white(word)) || has_extra_space(&spelled) {
        spelled.iter_mut().for_each(|word| {
            word.splice(..0, SPACE.bytes());
        });
    }
    Cow::Owned(spelled)
}

/// The words that a file's spelling stands for.
pub(super) fn unspell(words: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    if !shows_sign(&words) {
        return words;
    }
    let extra = if has_extra_space(&words) {
        SPACE.len()
    } else {
        0
    };
    let read = |word: &Vec<u8>| byte_chars::to_bytes(str::from_utf8(&word[extra..]).ok()?);
    words
        .iter()
        .map(read)
        .collect::<Option<_>>()
        .unwrap_or(words)
}

/// A space in GPT-2's spelling.
const SPACE: &str = "Ġ";
/// A newline in GPT-2's spelling.
const NEWLINE: &str = "Ċ";

/// Whether a space stands before every word; one that is nothing else is a word itself.
fn has_extra_space(words: &[Vec<u8>]) -> bool {
    let has = |word: &Vec<u8>| word.len() > SPACE.len() && word.starts_with(SPACE.as_bytes());
    words.iter().all(has)
}

fn has_white(word: &[u8]) -> bool {
    str::from_utf8(word).is_ok_and(|word| word.contains(SPACE) || word.contains(NEWLINE))
}

/// Whether words are read as GPT-2's spelling.
fn shows_sign(words: &[Vec<u8>]) -> bool {
    let is_mapped = |word: &Vec<u8>| {
        str::from_utf8(word).is_ok_and(|word| byte_chars::to_bytes(word).is_some())
    };
    words.iter().any(|word| has_white(word)) && words.iter().all(is_mapped)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(list: &[&[u8]]) -> Vec<Vec<u8>> {
        list.iter().map(|word| word.to_vec()).collect()
    }

    #[test]
    fn every_byte_has_a_character_of_its_own_and_comes_back() {
        let all: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte, b'x']).collect();
        let spelled = spell(&all).into_owned();
        assert_eq!(spelled[usize::from(b' ')], "Ġx".as_bytes());
        assert_eq!(spelled[usize::from(b'\n')], "Ċx".as_bytes());
        assert_eq!(unspell(spelled), all);
    }

    #[test]
    fn plain_words_stay_as_they_are() {
        for plain in [
            words(&[
                b"the",
                "café".as_bytes(),
                "山".as_bytes(),
                "ābols".as_bytes(),
            ]),
            words(&["café".as_bytes()]),
            words(&[b"nul\0", b"\x7F", b"\x01\x0B"]),
            words(&["Ġthe".as_bytes(), "山".as_bytes()]),
        ] {
            assert!(matches!(spell(&plain), Cow::Borrowed(_)), "{plain:?}");
            assert_eq!(unspell(plain.clone()), plain);
        }
    }

    #[test]
    fn odd_words_become_text_without_white_space_and_come_back() {
        for odd in [
            words(&[b"caf\xE9"]),
            words(&[b"\xFF", b"\x00", b"the"]),
            words(&[b" a", b" b"]),
            words(&[b"  a", b" "]),
            words(&[b"  a", b"  "]),
            words(&[b" a", b"b"]),
            words(&[b"\ta", b"b\r"]),
            words(&["Ġthe".as_bytes(), b"of"]),
            words(&["Ġthe".as_bytes(), "Ġof".as_bytes()]),
            words(&["Ċ".as_bytes()]),
        ] {
            let spelled = spell(&odd).into_owned();
            for word in &spelled {
                let text = str::from_utf8(word).expect("text");
                assert!(!text.contains(char::is_whitespace), "{text:?}");
            }
            assert_eq!(unspell(spelled), odd);
        }
    }
}
