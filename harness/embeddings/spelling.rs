//! How words with white space in them are spelled in word2vec's formats, which end words at a
//! space.
//!
//! If any word holds white space, all words of the file are written in the spelling of
//! GPT-2: each byte becomes a printable character, the printable ones of Latin-1 themselves and the
//! rest the characters from U+0100 on, so that a space is `Ġ` and a newline `Ċ`. Other files are
//! written as they are. A file is read back as GPT-2's spelling if all its words are made of those
//! 256 characters and some word has a `Ġ` or a `Ċ`; real words of no living language do that.

use crate::tokenizer::byte_chars;

/// Whether words as they are would break the format.
pub(super) fn must_map(words: &[Vec<u8>]) -> bool {
    words.iter().flatten().any(u8::is_ascii_whitespace)
}

/// Words in GPT-2's spelling.
pub(super) fn map(words: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let spell = |word: &Vec<u8>| byte_chars::to_text(word).into_bytes();
    words.iter().map(spell).collect()
}

/// The words that a file's spelling stands for.
pub(super) fn unmap(words: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let white = [b' ', b'\n'].map(|byte| byte_chars::CHARS[usize::from(byte)]);
    let spells_white = |word: &Vec<u8>| str::from_utf8(word).is_ok_and(|w| w.contains(white));
    if !words.iter().any(spells_white) {
        return words;
    }
    let read = |word: &Vec<u8>| byte_chars::to_bytes(str::from_utf8(word).ok()?);
    words
        .iter()
        .map(read)
        .collect::<Option<_>>()
        .unwrap_or(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_a_character_of_its_own_and_comes_back() {
        let all: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte, b'x']).collect();
        assert!(must_map(&all));
        let mapped = map(&all);
        assert_eq!(mapped[usize::from(b' ')], "Ġx".as_bytes());
        assert_eq!(mapped[usize::from(b'\n')], "Ċx".as_bytes());
        assert!(!must_map(&mapped));
        assert_eq!(unmap(mapped), all);
    }

    #[test]
    fn plain_words_stay_as_they_are() {
        let words = |list: &[&str]| -> Vec<Vec<u8>> {
            list.iter().map(|w| w.as_bytes().to_vec()).collect()
        };
        let plain = words(&["the", "café", "山", "ābols"]);
        assert!(!must_map(&plain));
        assert_eq!(unmap(plain.clone()), plain);
        let latin = vec![b"caf\xE9".to_vec()];
        assert!(!must_map(&latin));
        assert_eq!(unmap(latin.clone()), latin);
    }
}
