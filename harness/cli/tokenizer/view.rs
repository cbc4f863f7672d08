//! `barelm tokenizer encode --view`: the pieces of a text, to look at.
//!
//! On a terminal neighbours have different background colours; elsewhere, and under `NO_COLOR`,
//! a `|` stands between them. What cannot be shown is written out: `↵` before the line break of a
//! newline, `<1b>` for a control character or a byte that is no UTF-8.

use crate::tokenizer::Tokenizer;
use std::fmt::Write;
use std::io::IsTerminal;

/// Background colours (of the 256) that black letters can be read on.
const BACKGROUNDS: [u8; 5] = [153, 157, 223, 218, 189];
const SPECIAL: &str = "\x1b[1;37;41m";
const DIM: &str = "\x1b[2m";
const RESET: &str = "\x1b[0m";

/// Shows tokens one after the other.
pub(super) struct View {
    colours: bool,
    ids: bool,
    shown: usize,
    at_line_start: bool,
}

impl View {
    /// Colours are for a terminal whose user did not refuse them.
    pub(super) fn new(to_stdout: bool, ids: bool) -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        let colours = to_stdout && std::io::stdout().is_terminal() && !refused && !dumb;
        Self::with_colours(colours, ids)
    }

    fn with_colours(colours: bool, ids: bool) -> Self {
        let (shown, at_line_start) = (0, true);
        Self {
            colours,
            ids,
            shown,
            at_line_start,
        }
    }

    /// The tokens of a record; each record starts on a line of its own.
    pub(super) fn record(&mut self, tokenizer: &Tokenizer, ids: &[u32], starts: bool) -> String {
        let mut shown = match starts {
            true => self.end().to_string(),
            false => String::new(),
        };
        for id in ids {
            let special = tokenizer.as_ref().is_special(*id);
            let text = readable(tokenizer.token_bytes(*id).unwrap_or(&[]));
            self.token(&mut shown, &text, *id, special);
        }
        shown
    }

    /// What brings the cursor to the start of a line.
    pub(super) fn end(&mut self) -> &'static str {
        match std::mem::replace(&mut self.at_line_start, true) {
            true => "",
            false => "\n",
        }
    }

    fn token(&mut self, out: &mut String, text: &str, id: u32, special: bool) {
        match self.colours {
            true => self.coloured(out, text, special),
            false => self.marked(out, text, special),
        }
        if self.ids {
            let (dim, reset) = if self.colours {
                (DIM, RESET)
            } else {
                (":", "")
            };
            write!(out, "{dim}{id}{reset}").expect("memory takes every write");
        }
        self.at_line_start = text.ends_with('\n') && !self.ids;
        self.shown += 1;
    }

    fn coloured(&self, out: &mut String, text: &str, special: bool) {
        let background = BACKGROUNDS[self.shown % BACKGROUNDS.len()];
        let colour = match special {
            true => SPECIAL.to_string(),
            false => format!("\x1b[38;5;16;48;5;{background}m"),
        };
        // A terminal would fill the rest of the line with the background.
        let over_lines = text.replace('\n', &format!("{RESET}\n{colour}"));
        out.extend([&colour, &over_lines, RESET]);
    }

    fn marked(&self, out: &mut String, text: &str, special: bool) {
        if !self.at_line_start {
            out.push('|');
        }
        let [before, after] = if special { ["«", "»"] } else { ["", ""] };
        out.extend([before, text, after]);
    }
}

/// A token as text that a terminal can show.
fn readable(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\n' => text.push_str("↵\n"),
                '\t' => text.push('\t'),
                c if c.is_control() => hex(&mut text, c.encode_utf8(&mut [0; 4]).as_bytes()),
                c => text.push(c),
            }
        }
        hex(&mut text, chunk.invalid());
    }
    text
}

fn hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        write!(text, "<{byte:02x}>").expect("memory takes every write");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_cannot_show_is_written_out() {
        assert_eq!(
            readable(b"a\x1b[2J\xe4\xb8 \xc3\xa9\n"),
            "a<1b>[2J<e4><b8> é↵\n"
        );
    }

    #[test]
    fn neighbours_have_different_colours_that_end_with_the_line() {
        let mut view = View::with_colours(true, false);
        let mut out = String::new();
        for text in ["a", "b↵\n"] {
            view.token(&mut out, text, 7, false);
        }
        let colours: Vec<&str> = out
            .matches("48;5;153m")
            .chain(out.matches("48;5;157m"))
            .collect();
        assert_eq!(colours.len(), 3, "{out:?}");
        assert!(out.contains(&format!("↵{RESET}\n")) && out.ends_with(RESET));
    }

    #[test]
    fn marks_stand_between_tokens_where_there_are_no_colours() {
        let mut view = View::with_colours(false, true);
        let mut out = String::new();
        view.token(&mut out, "a", 1, false);
        view.token(&mut out, "<end>", 2, true);
        assert_eq!((out.as_str(), view.end()), ("a:1|«<end>»:2", "\n"));
        assert_eq!(view.end(), "");
    }
}
