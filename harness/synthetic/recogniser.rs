//! Is this a sentence of the grammar?
//!
//! A slot holds one word, and a word ends where its letters end, so a pattern is matched from
//! left to right without going back. What is not yet decided is which entry a word belongs to
//! (`he` is a form of twelve people): for each class and each of its two entries a set of
//! candidates, one bit an entry, shrinks with every slot. The sentence is accepted if different
//! entries can be chosen from what is left.

use super::grammar::{Class, GRAMMAR, Pattern, Piece, Slot};

/// Whether the grammar can produce this sentence, given without space around it.
///
/// ```
/// use barelm::synthetic::accepts;
/// assert!(accepts("Paris is the capital of France."));
/// assert!(!accepts("Paris is the capital of Japan."));
/// ```
pub fn accepts(sentence: &str) -> bool {
    let mut patterns = GRAMMAR.patterns();
    patterns.any(|pattern| matches(pattern, sentence))
}

fn matches(pattern: &Pattern, sentence: &str) -> bool {
    let classes = &GRAMMAR.classes;
    let mut candidates = vec![[u64::MAX; 2]; classes.len()];
    let mut rest = sentence;
    for piece in pattern {
        let after = match piece {
            Piece::Text(text) => rest.strip_prefix(text),
            Piece::Slot(slot) => {
                let class = &classes[slot.class];
                match_slot(slot, class, &mut candidates[slot.class], rest)
            }
        };
        match after {
            Some(after) => rest = after,
            None => return false,
        }
    }
    rest.is_empty() && candidates.iter().all(two_entries_are_left)
}

/// What follows the slot's word, if some entry has that word.
fn match_slot<'a>(
    slot: &Slot,
    class: &Class,
    candidates: &mut [u64; 2],
    text: &'a str,
) -> Option<&'a str> {
    let end = text.find(|c: char| !c.is_alphanumeric());
    let (word, rest) = text.split_at(end.unwrap_or(text.len()));
    let entries = entries_with(class, slot, word);
    if class.is_free() {
        return (entries != 0).then_some(rest);
    }
    let left = &mut candidates[slot.which];
    *left &= entries;
    (*left != 0).then_some(rest)
}

/// The entries, as bits, whose word in the slot's form and capitals is `word`.
fn entries_with(class: &Class, slot: &Slot, word: &str) -> u64 {
    let fits = |entry: &Vec<&str>| match slot.capital {
        true => is_capitalised(entry[slot.form], word),
        false => entry[slot.form] == word,
    };
    let entries = class.entries.iter().enumerate();
    entries.fold(0, |bits, (e, entry)| bits | u64::from(fits(entry)) << e)
}

/// Whether `word` is `plain` with a capital at its start.
fn is_capitalised(plain: &str, word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_uppercase())
        && plain.eq_ignore_ascii_case(word)
        && plain.get(1..) == word.get(1..)
}

/// Whether two different entries can be chosen, one from each set.
fn two_entries_are_left(&[first, second]: &[u64; 2]) -> bool {
    first != second || first.count_ones() > 1
}

/// The sentences of a text, in order, for [`accepts`] to judge.
///
/// A sentence ends with `.`, `!` or `?` (and a closing quote) where a line ends or a capital or a
/// quote follows; what stands between the last such end and a line end is yielded too. Only the
/// unfinished end of the text, where a generator was stopped, is left out.
///
/// ```
/// use barelm::synthetic::split_sentences;
/// let text = "\"Is it?\" asked Tom. It is hot.\nAnd no end\nTom was st";
/// let sentences: Vec<_> = split_sentences(text).collect();
/// assert_eq!(sentences, ["\"Is it?\" asked Tom.", "It is hot.", "And no end"]);
/// ```
pub fn split_sentences(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.split_inclusive('\n');
    let sentences = lines.flat_map(|line| Sentences { rest: line });
    sentences
        .map(str::trim)
        .filter(|sentence| !sentence.is_empty())
}

/// The sentences of one line, with the space after them.
struct Sentences<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Sentences<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let ends = self.rest.match_indices(['.', '!', '?', '\n']);
        let mut after = ends.map(|(at, _)| at + 1);
        let end = after.find(|&end| ends_here(&self.rest[..end], &self.rest[end..]))?;
        let quote = usize::from(self.rest[end..].starts_with('"'));
        let (sentence, rest) = self.rest.split_at(end + quote);
        self.rest = rest;
        Some(sentence)
    }
}

/// Whether a sentence ends between the two parts.
fn ends_here(before: &str, after: &str) -> bool {
    let after = after.strip_prefix('"').unwrap_or(after);
    let next = after.trim_start().chars().next();
    let starts_another = |c: char| c == '"' || !c.is_lowercase();
    before.ends_with('\n')
        || after.is_empty()
        || after.starts_with(char::is_whitespace) && next.is_none_or(starts_another)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::SyntheticCorpus;

    #[test]
    fn every_generated_sentence_is_accepted() {
        let mut count = 0;
        for paragraph in SyntheticCorpus::new(2).take(3000) {
            for sentence in split_sentences(&paragraph) {
                assert!(accepts(sentence), "{sentence}");
                count += 1;
            }
        }
        assert!(count > 12_000, "{count}");
    }

    #[test]
    fn wrong_facts_agreement_and_spelling_are_rejected() {
        for (good, bad) in [
            (
                "Paris is the capital of France.",
                "Paris is the capital of Japan.",
            ),
            ("Many dogs live in the yard.", "Many dog live in the yard."),
            (
                "Many dogs live in the yard.",
                "Many dogs lives in the yard.",
            ),
            ("Many dogs live in the yard.", "Many dogs live in the pond."),
            (
                "It is the hottest soup of all.",
                "It is the hotter soup of all.",
            ),
            (
                "Anna said that she works in the school.",
                "Anna said that he works in the school.",
            ),
            ("He lost two red keys.", "he lost two red keys."),
            ("He lost two red keys.", "HE lost two red keys."),
            ("He lost two red keys.", "He lost two red key."),
            ("He lost two red keys.", "He lost two red keys"),
            ("He lost two red keys.", "He lost two red keys. "),
            ("He lost one red key.", "He lost two red key."),
            (
                "The border between Peru and Cuba is long.",
                "The border between Peru and Peru is long.",
            ),
        ] {
            assert!(accepts(good), "{good}");
            assert!(!accepts(bad), "{bad}");
        }
    }

    #[test]
    fn a_sentence_with_two_different_words_exchanged_is_rejected() {
        let (mut exchanged, mut accepted) = (0, 0);
        for paragraph in SyntheticCorpus::new(4).take(300) {
            for sentence in split_sentences(&paragraph) {
                let mut words: Vec<_> = sentence.split(' ').collect();
                words.swap(1, 3);
                let swapped = words.join(" ");
                exchanged += usize::from(swapped != sentence);
                accepted += usize::from(swapped != sentence && accepts(&swapped));
            }
        }
        // Some exchanges are sentences again: the two countries of a border.
        assert!(
            exchanged > 1000 && accepted * 50 < exchanged,
            "{accepted} of {exchanged}"
        );
    }

    #[test]
    fn texts_that_are_no_sentence_are_rejected() {
        for text in [
            "",
            " ",
            ".",
            "\n",
            "The",
            "é",
            "\u{0}",
            "{person.name}",
            "\"\"",
            "He lost two red ключи.",
        ] {
            assert!(!accepts(text), "{text:?}");
        }
    }

    #[test]
    fn an_unfinished_end_is_left_out_and_an_unfinished_line_is_not() {
        let split = |text| split_sentences(text).collect::<Vec<_>>();
        assert_eq!(split("A b. C"), ["A b."]);
        assert_eq!(split("A b.\nC\n\n D!"), ["A b.", "C", "D!"]);
        assert_eq!(split("A b. c d."), ["A b. c d."]);
        assert_eq!(
            split("\"A b!\" said C. \"D.\""),
            ["\"A b!\" said C.", "\"D.\""]
        );
        assert_eq!(split("3.5 is. No"), ["3.5 is."]);
        assert!(split("").is_empty() && split("no end").is_empty());
    }
}
