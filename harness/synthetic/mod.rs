//! A seeded grammar that writes a corpus with known answers.
//!
//! Short stories in simple English: who took the night train to which capital, what the cow and
//! her calf eat, which soup is hotter. The words of a relation (`Tokyo` and `Japan`, `dog` and
//! `dogs`, `hot` and `hotter`) stand in parallel sentences and among words that they share, so
//! that word vectors can learn the relation; every sentence can be checked, so that a language
//! model's own sentences can be judged.
//!
//! | idea | file |
//! |---|---|
//! | the words and sentences, and nothing else | `lexicon.txt`, `stories.txt` |
//! | reading them | `grammar.rs` |
//! | text out of the grammar | this file |
//! | is this a sentence of the grammar? | `recogniser.rs` |
//! | questions with known answers | `analogies.rs` |

mod analogies;
mod grammar;
mod recogniser;

pub use analogies::{Analogy, analogies, write_questions};
pub use recogniser::{accepts, split_sentences};

use crate::kernels::rng::Rng;
use grammar::{Class, GRAMMAR, Grammar, Pattern, Piece, Slot};
use std::io::{self, Write};
use std::ops::RangeInclusive;

/// How many sentences follow a paragraph's first.
const SENTENCES_AFTER_OPENING: RangeInclusive<usize> = 3..=6;

/// Text is handed to the sink in pieces of about this size.
const BUFFER_LEN: usize = 1 << 16;

/// An endless supply of paragraphs: the same seed gives the same bytes on every machine.
///
/// A paragraph is one line of four to seven sentences. As an iterator it yields paragraphs;
/// [`SyntheticCorpus::write_into`] streams any number of bytes in constant memory.
///
/// ```
/// use barelm::synthetic::{SyntheticCorpus, accepts, split_sentences};
/// let mut text = Vec::new();
/// SyntheticCorpus::new(1).write_into(1000, &mut text)?;
/// let text = String::from_utf8(text).expect("the corpus is ASCII");
/// assert!(text.len() >= 1000 && text.ends_with(".\n"));
/// assert!(split_sentences(&text).all(accepts));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SyntheticCorpus {
    rng: Rng,
    /// The two entries of each class that the present paragraph is about.
    topic: Vec<[usize; 2]>,
    rare_words: usize,
}

impl SyntheticCorpus {
    /// The corpus of a seed.
    pub fn new(seed: u64) -> Self {
        let topic = vec![[0; 2]; GRAMMAR.classes.len()];
        let rng = Rng::new(seed);
        Self {
            rng,
            topic,
            rare_words: 0,
        }
    }

    /// The same with a line of so many rare words behind each paragraph: five to seven random
    /// syllables each, so that hardly two are equal. They are no sentences of the grammar.
    pub fn with_rare_words(self, rare_words: usize) -> Self {
        Self { rare_words, ..self }
    }

    /// Writes paragraphs until at least `bytes` bytes are written: the text ends with a whole
    /// paragraph, less than 1 KiB over. Returns how many bytes it wrote.
    ///
    /// A further call goes on where this one ended.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn write_into(&mut self, bytes: u64, sink: &mut impl Write) -> io::Result<u64> {
        let mut buffer = Vec::with_capacity(BUFFER_LEN + 1024);
        let mut written = 0;
        while written + (buffer.len() as u64) < bytes {
            self.push_paragraph(&mut buffer);
            if buffer.len() >= BUFFER_LEN {
                sink.write_all(&buffer)?;
                written += buffer.len() as u64;
                buffer.clear();
            }
        }
        sink.write_all(&buffer)?;
        Ok(written + buffer.len() as u64)
    }

    /// Appends a paragraph and its line end.
    fn push_paragraph(&mut self, out: &mut Vec<u8>) {
        let Grammar { classes, stories } = &*GRAMMAR;
        self.choose_topic(classes);
        let story = &stories[self.below(stories.len())];
        let opening = &story.openings[self.below(story.openings.len())];
        self.push_sentence(opening, classes, out);
        let (least, most) = SENTENCES_AFTER_OPENING.into_inner();
        let mut used = 0u64;
        for _ in 0..least + self.below(most - least + 1) {
            let next = self.unused(&mut used, story.rest.len());
            out.push(b' ');
            self.push_sentence(&story.rest[next], classes, out);
        }
        out.push(b'\n');
        self.push_rare_words(out);
    }

    /// Appends a line of rare words, if there are to be any.
    fn push_rare_words(&mut self, out: &mut Vec<u8>) {
        for left in (0..self.rare_words).rev() {
            for _ in 0..5 + self.below(3) {
                out.push(b"bcdfghjklmnpqrstvwxyz"[self.below(21)]);
                out.push(b"aeiou"[self.below(5)]);
            }
            out.push(if left > 0 { b' ' } else { b'\n' });
        }
    }

    /// Draws two different entries of each class.
    fn choose_topic(&mut self, classes: &[Class]) {
        for (class, topic) in classes.iter().zip(&mut self.topic) {
            let len = class.entries.len() as u64;
            let first = self.rng.below(len);
            let step = 1 + self.rng.below(len - 1);
            *topic = [first as usize, ((first + step) % len) as usize];
        }
    }

    /// Draws a number below `n` whose bit in `used` is not set, and sets it.
    fn unused(&mut self, used: &mut u64, n: usize) -> usize {
        loop {
            let next = self.below(n);
            if *used & 1 << next == 0 {
                *used |= 1 << next;
                return next;
            }
        }
    }

    fn push_sentence(&mut self, pattern: &Pattern, classes: &[Class], out: &mut Vec<u8>) {
        for piece in pattern {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Slot(slot) => self.push_word(slot, &classes[slot.class], out),
            }
        }
    }

    fn push_word(&mut self, slot: &Slot, class: &Class, out: &mut Vec<u8>) {
        let entry = match class.is_free() {
            true => self.below(class.entries.len()),
            false => self.topic[slot.class][slot.which],
        };
        let start = out.len();
        out.extend_from_slice(class.entries[entry][slot.form].as_bytes());
        if slot.capital {
            out[start].make_ascii_uppercase();
        }
    }

    fn below(&mut self, n: usize) -> usize {
        self.rng.below(n as u64) as usize
    }
}

impl Iterator for SyntheticCorpus {
    type Item = String;

    /// The next paragraph with its line end; there is always one.
    fn next(&mut self) -> Option<String> {
        let mut paragraph = Vec::new();
        self.push_paragraph(&mut paragraph);
        String::from_utf8(paragraph).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(seed: u64, bytes: u64) -> String {
        let mut text = Vec::new();
        let written = SyntheticCorpus::new(seed).write_into(bytes, &mut text);
        assert_eq!(written.unwrap(), text.len() as u64);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
        assert_eq!(text(7, 200_000), text(7, 200_000));
        assert_ne!(text(7, 1000), text(8, 1000));
    }

    #[test]
    fn the_text_ends_with_the_paragraph_that_reaches_the_wanted_size() {
        for bytes in [1, 100, 12_345, 300_000] {
            let text = text(3, bytes);
            let len = text.len() as u64;
            assert!((bytes..bytes + 1024).contains(&len), "{len} for {bytes}");
            let shorter = text.trim_end().rfind('\n').map_or(0, |at| at + 1) as u64;
            assert!(text.ends_with('\n') && shorter < bytes);
        }
        assert_eq!(text(3, 0), "");
    }

    #[test]
    fn streaming_in_parts_and_iterating_give_the_same_text() {
        let whole = text(5, 100_000);
        let mut parts = Vec::new();
        let mut corpus = SyntheticCorpus::new(5);
        while parts.len() < 100_000 {
            corpus.write_into(1, &mut parts).unwrap();
        }
        assert_eq!(whole.as_bytes(), parts);
        let paragraphs = SyntheticCorpus::new(5).take(whole.lines().count());
        assert_eq!(whole, paragraphs.collect::<String>());
    }

    #[test]
    fn a_paragraph_has_four_to_seven_different_sentences() {
        for paragraph in SyntheticCorpus::new(11).take(500) {
            let sentences: Vec<_> = split_sentences(&paragraph).collect();
            assert!((4..=7).contains(&sentences.len()), "{paragraph}");
            let distinct: std::collections::HashSet<_> = sentences.iter().collect();
            assert_eq!(distinct.len(), sentences.len(), "{paragraph}");
        }
    }

    #[test]
    fn rare_words_stand_on_lines_of_their_own_and_differ() {
        let paragraphs = SyntheticCorpus::new(3).with_rare_words(3).take(1000);
        let lines: Vec<String> = paragraphs.collect();
        let rare = lines
            .iter()
            .flat_map(|text| text.lines().nth(1).unwrap().split(' '));
        let distinct: std::collections::HashSet<_> = rare.collect();
        assert!(distinct.len() > 2990, "{}", distinct.len());
        assert!(split_sentences(lines[0].lines().next().unwrap()).all(accepts));
    }

    #[test]
    fn a_paragraph_keeps_to_its_topic() {
        let countries = GRAMMAR.class("place").expect("there are places");
        let named = |text: &str| {
            let entries = countries.entries.iter();
            entries
                .filter(|e| text.contains(e[0]) || text.contains(e[1]))
                .count()
        };
        let paragraphs = SyntheticCorpus::new(11).take(500);
        let counts: Vec<_> = paragraphs.map(|paragraph| named(&paragraph)).collect();
        assert!(
            counts.contains(&1) && counts.iter().all(|n| *n <= 2),
            "{counts:?}"
        );
    }

    #[test]
    fn an_error_of_the_sink_comes_back() {
        let mut full = &mut [0u8; 100][..];
        let error = SyntheticCorpus::new(1).write_into(1000, &mut full);
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::WriteZero);
    }
}
