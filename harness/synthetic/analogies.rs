//! Questions whose answers the grammar knows: Paris is to France as Tokyo is to what?

use super::grammar::{Class, GRAMMAR};
use std::io::{self, Write};

/// The sections: name, class of entries, and the two forms that are related.
const SECTIONS: [(&str, &str, [&str; 2]); 10] = [
    ("capital-country", "place", ["capital", "country"]),
    ("country-adjective", "place", ["country", "adjective"]),
    ("male-female", "kin", ["male", "female"]),
    ("singular-plural-animals", "animal", ["singular", "plural"]),
    ("singular-plural-things", "thing", ["singular", "plural"]),
    ("animal-young", "animal", ["singular", "young"]),
    ("base-past", "verb", ["base", "past"]),
    ("adjective-comparative", "quality", ["high", "higher"]),
    ("comparative-superlative", "quality", ["lower", "lowest"]),
    ("opposite", "quality", ["high", "low"]),
];

/// `a` is to `b` as `c` is to `d`; all four are different words of the corpus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Analogy {
    /// The relation, `capital-country` for instance.
    pub section: &'static str,
    /// First word of the pair that is shown.
    pub a: &'static str,
    /// Second word of the pair that is shown.
    pub b: &'static str,
    /// First word of the pair that is asked for.
    pub c: &'static str,
    /// The answer.
    pub d: &'static str,
}

/// All questions, section by section: each pair of related words is shown with each other pair.
///
/// The words are spelled as within a sentence, where a space stands before them: with a byte-level
/// tokenizer ask for the tokens of `" word"`.
///
/// ```
/// let questions = barelm::synthetic::analogies();
/// let asked = questions.iter().find(|q| q.a == "Paris" && q.b == "France" && q.c == "Tokyo");
/// assert_eq!(asked.expect("it is asked").d, "Japan");
/// ```
pub fn analogies() -> Vec<Analogy> {
    let sections = SECTIONS.iter();
    sections.flat_map(questions).collect()
}

/// The questions of one section.
fn questions(&(section, class, [from, to]): &(&'static str, &str, [&str; 2])) -> Vec<Analogy> {
    let class = GRAMMAR.class(class).expect("sections name classes");
    let pairs = pairs(class, from, to);
    let mut questions = Vec::new();
    for &[a, b] in &pairs {
        for &[c, d] in pairs.iter().filter(|[c, _]| *c != a) {
            questions.push(Analogy {
                section,
                a,
                b,
                c,
                d,
            });
        }
    }
    questions
}

/// The related words of every entry.
fn pairs(class: &Class, from: &str, to: &str) -> Vec<[&'static str; 2]> {
    let form = |name| class.form(name).expect("sections name forms");
    let (from, to) = (form(from), form(to));
    let entries = class.entries.iter();
    entries.map(|entry| [entry[from], entry[to]]).collect()
}

/// Writes the questions as a `questions-words` file: `: section` lines, and four words a line.
///
/// # Errors
/// Those of the sink.
///
/// ```
/// let mut file = Vec::new();
/// barelm::synthetic::write_questions(&mut file)?;
/// assert!(file.starts_with(b": capital-country\nParis France Tokyo Japan\n"));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn write_questions(sink: &mut impl Write) -> io::Result<()> {
    let mut section = "";
    for q in analogies() {
        if q.section != section {
            section = q.section;
            writeln!(sink, ": {section}")?;
        }
        writeln!(sink, "{} {} {} {}", q.a, q.b, q.c, q.d)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_question_has_four_different_words_and_one_answer() {
        let mut asked = HashSet::new();
        for q in analogies() {
            assert_eq!(HashSet::from([q.a, q.b, q.c, q.d]).len(), 4, "{q:?}");
            assert!(
                asked.insert((q.section, q.a, q.b, q.c)),
                "asked twice: {q:?}"
            );
        }
    }

    #[test]
    fn every_section_asks_at_least_two_hundred_questions() {
        for (section, ..) in SECTIONS {
            let count = analogies().iter().filter(|q| q.section == section).count();
            assert!(count >= 200, "{section}: {count}");
        }
    }

    #[test]
    fn every_word_that_is_asked_for_is_frequent_in_the_text() {
        let mut counts = std::collections::HashMap::<String, usize>::new();
        for paragraph in crate::synthetic::SyntheticCorpus::new(6).take(20_000) {
            for word in paragraph.split(|c: char| !c.is_alphanumeric()) {
                *counts.entry(word.into()).or_default() += 1;
            }
        }
        for word in analogies().iter().flat_map(|q| [q.a, q.b]) {
            let count = counts.get(word).copied().unwrap_or(0);
            assert!(count >= 75, "{word}: {count}");
        }
    }
}
