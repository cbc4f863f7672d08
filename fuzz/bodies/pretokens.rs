//! The scanners of the published patterns against a regex engine.

use barelm::tokenizer::Pattern;
use fancy_regex::Regex;
use std::sync::OnceLock;

const PATTERNS: [Pattern; 4] = [
    Pattern::Gpt2,
    Pattern::Cl100k,
    Pattern::O200k,
    Pattern::Whitespace,
];

/// A byte that is not part of a character counts as a symbol; so does this one.
const SYMBOL: u8 = 1;

/// Each pattern cuts any bytes where its regular expression does.
pub fn against_regex(bytes: &[u8]) {
    static REGEXES: OnceLock<[Regex; 4]> = OnceLock::new();
    let compile = |pattern: Pattern| Regex::new(pattern.regex()).expect("a valid expression");
    let regexes = REGEXES.get_or_init(|| PATTERNS.map(compile));
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::from(SYMBOL)));
    }
    for (pattern, regex) in PATTERNS.into_iter().zip(regexes) {
        // Expressions that look far back give up on very long texts; the scanners do not.
        let found: Result<Vec<_>, _> = regex.find_iter(&text).collect();
        let Ok(found) = found else { continue };
        let expected: Vec<&[u8]> = found.iter().map(|m| &bytes[m.range()]).collect();
        let pieces: Vec<&[u8]> = pattern.pieces(bytes).collect();
        assert_eq!(pieces, expected, "{pattern:?}");
    }
}
