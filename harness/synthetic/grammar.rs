//! The grammar, read from its two tables: words in `lexicon.txt`, sentences in `stories.txt`.
//!
//! A sentence pattern is a row of pieces: plain text, and slots that name a class of entries and
//! one of its forms. The generator fills the slots, the recogniser matches them; neither knows
//! any word or sentence that is not in the tables, so they cannot drift apart.

use std::sync::LazyLock;

/// The built-in grammar.
pub(super) static GRAMMAR: LazyLock<Grammar> =
    LazyLock::new(|| Grammar::read(include_str!("lexicon.txt"), include_str!("stories.txt")));

/// All classes of words and all stories.
pub(super) struct Grammar {
    pub(super) classes: Vec<Class>,
    pub(super) stories: Vec<Story>,
}

/// Entries that can take each other's place, each in the same forms.
pub(super) struct Class {
    pub(super) name: &'static str,
    pub(super) forms: Vec<&'static str>,
    /// `entries[e][f]` is the word of entry `e` in form `f`; at most 64 entries.
    pub(super) entries: Vec<Vec<&'static str>>,
}

/// Sentences that go together in a paragraph.
#[derive(Default)]
pub(super) struct Story {
    /// Patterns of a paragraph's first sentence.
    pub(super) openings: Vec<Pattern>,
    /// Patterns of the others.
    pub(super) rest: Vec<Pattern>,
}

/// A sentence with slots.
pub(super) type Pattern = Vec<Piece>;

/// A part of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Text that stands as it is.
    Text(&'static str),
    /// A word to choose.
    Slot(Slot),
}

/// A place for a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) class: usize,
    pub(super) form: usize,
    /// Which of the paragraph's two entries of the class is meant: 0 or 1.
    pub(super) which: usize,
    /// Whether the word gets a capital letter.
    pub(super) capital: bool,
}

impl Class {
    /// The index of a form.
    pub(super) fn form(&self, name: &str) -> Option<usize> {
        self.forms.iter().position(|form| *form == name)
    }

    /// Whether each slot is drawn for itself: entries of a single form have nothing to agree with.
    pub(super) fn is_free(&self) -> bool {
        self.forms.len() == 1
    }
}

impl Grammar {
    /// Reads both tables. They are part of the program, so a mistake in them is a bug of ours.
    fn read(lexicon: &'static str, stories: &'static str) -> Self {
        let classes = read_classes(lexicon);
        let stories = read_stories(stories, &classes);
        Self { classes, stories }
    }

    /// The class of a name.
    pub(super) fn class(&self, name: &str) -> Option<&Class> {
        self.classes.iter().find(|class| class.name == name)
    }

    /// All sentence patterns.
    pub(super) fn patterns(&self) -> impl Iterator<Item = &Pattern> {
        let stories = self.stories.iter();
        stories.flat_map(|story| story.openings.iter().chain(&story.rest))
    }
}

/// The lines of a table that are neither empty nor a comment.
fn lines(table: &'static str) -> impl Iterator<Item = &'static str> {
    let lines = table.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// Reads `lexicon.txt`.
fn read_classes(lexicon: &'static str) -> Vec<Class> {
    let mut classes = Vec::<Class>::new();
    for line in lines(lexicon) {
        if let Some(name) = line.strip_prefix("class ") {
            classes.push(Class::named(name));
        } else {
            let class = classes.last_mut().expect("a table starts with its name");
            class.read_line(line);
        }
    }
    classes
}

impl Class {
    fn named(name: &'static str) -> Self {
        let (forms, entries) = (Vec::new(), Vec::new());
        Self {
            name,
            forms,
            entries,
        }
    }

    /// Takes the line of forms, or a line of entries.
    fn read_line(&mut self, line: &'static str) {
        if self.forms.is_empty() {
            self.forms = line.split_whitespace().collect();
            return;
        }
        for entry in line.split('|') {
            let words: Vec<_> = entry.split_whitespace().collect();
            assert_eq!(words.len(), self.forms.len(), "{}: {entry}", self.name);
            self.entries.push(words);
        }
        assert!(self.entries.len() <= 64, "{}: one mask bit each", self.name);
    }
}

/// Reads `stories.txt`.
fn read_stories(table: &'static str, classes: &[Class]) -> Vec<Story> {
    let mut stories = Vec::<Story>::new();
    let mut opened = false;
    for line in lines(table) {
        if line.starts_with("story ") {
            stories.push(Story::default());
            opened = false;
        } else if line == "then" {
            opened = true;
        } else {
            let story = stories.last_mut().expect("a story starts with its name");
            let part = if opened {
                &mut story.rest
            } else {
                &mut story.openings
            };
            part.push(read_pattern(line, classes));
        }
    }
    stories
}

/// Cuts a line into text and slots.
fn read_pattern(line: &'static str, classes: &[Class]) -> Pattern {
    let mut pattern = Pattern::new();
    for part in line.split_inclusive(['{', '}']) {
        match part.split_at(part.len() - 1) {
            (slot, "}") => pattern.push(Piece::Slot(read_slot(slot, classes))),
            ("", "{") => {}
            (text, "{") => pattern.push(Piece::Text(text)),
            _ => pattern.push(Piece::Text(part)),
        }
    }
    pattern
}

/// Reads `class.form`, `class2.form`, `class.Form` or, for a free class, `class`.
fn read_slot(text: &str, classes: &[Class]) -> Slot {
    let (name, form) = text.split_once('.').unwrap_or((text, "word"));
    let (name, which) = name.strip_suffix('2').map_or((name, 0), |name| (name, 1));
    let found = |class: usize| {
        let form_index = classes[class].form(&form.to_lowercase())?;
        Some(Slot {
            class,
            form: form_index,
            which,
            capital: form.starts_with(char::is_uppercase),
        })
    };
    let class = classes.iter().position(|class| class.name == name);
    let slot = class.and_then(found);
    slot.unwrap_or_else(|| panic!("no such slot: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_pattern_is_cut_into_text_and_slots() {
        let classes = read_classes("class place\ncountry capital\nPeru Lima | Cuba Havana");
        let slot = |form, which, capital| {
            Piece::Slot(Slot {
                class: 0,
                form,
                which,
                capital,
            })
        };
        let pattern = read_pattern("{place.Capital} or {place2.country}.", &classes);
        let (or, end) = (Piece::Text(" or "), Piece::Text("."));
        assert_eq!(pattern, [slot(1, 0, true), or, slot(0, 1, false), end]);
    }

    #[test]
    fn every_word_is_one_run_of_letters_or_digits() {
        let words = GRAMMAR.classes.iter().flat_map(|class| &class.entries);
        for word in words.flatten() {
            assert!(word.bytes().all(|b| b.is_ascii_alphanumeric()), "{word}");
        }
    }

    #[test]
    fn entries_of_a_class_differ_in_their_first_form() {
        for class in &GRAMMAR.classes {
            let first: HashSet<_> = class.entries.iter().map(|entry| entry[0]).collect();
            assert_eq!(first.len(), class.entries.len(), "{}", class.name);
        }
    }

    #[test]
    fn every_form_of_every_class_occurs_in_some_sentence() {
        let slots = GRAMMAR.patterns().flatten();
        let used: HashSet<_> = slots
            .filter_map(|piece| match piece {
                Piece::Slot(slot) => Some((slot.class, slot.form)),
                Piece::Text(_) => None,
            })
            .collect();
        let forms: usize = GRAMMAR.classes.iter().map(|class| class.forms.len()).sum();
        assert_eq!(used.len(), forms);
    }

    #[test]
    fn the_article_a_stands_before_no_vowel() {
        for pair in GRAMMAR.patterns().flat_map(|pattern| pattern.windows(2)) {
            let [Piece::Text(text), Piece::Slot(slot)] = pair else {
                continue;
            };
            let entries = &GRAMMAR.classes[slot.class].entries;
            let vowel = |entry: &Vec<&str>| entry[slot.form].starts_with(['a', 'e', 'i', 'o', 'u']);
            let article = text.ends_with(" a ") || *text == "A ";
            assert!(!article || !entries.iter().any(vowel), "{pair:?}");
        }
    }

    #[test]
    fn a_paragraph_can_always_find_another_sentence() {
        let mut stories = GRAMMAR.stories.iter();
        let most = *super::super::SENTENCES_AFTER_OPENING.end();
        assert!(stories.all(|story| !story.openings.is_empty() && story.rest.len() >= most));
    }

    #[test]
    fn slots_stand_apart_so_that_words_have_one_reading() {
        for pattern in GRAMMAR.patterns() {
            let glued = pattern.windows(2).any(|pair| match pair {
                [Piece::Slot(_), Piece::Text(text)] => text.starts_with(char::is_alphanumeric),
                [Piece::Slot(_), Piece::Slot(_)] => true,
                _ => false,
            });
            assert!(!glued, "{pattern:?}");
        }
    }
}
