//! Text on its way out: whole characters only, and nothing that a stop text begins with.
//!
//! Tokens are bytes; a character may be spread over several, and so may a stop text. So what could
//! still become either is held back until the next token tells.

/// Holds back what is not yet certain to be wanted.
pub(super) struct Outlet<'a> {
    stops: &'a [String],
    held: Vec<u8>,
}

impl<'a> Outlet<'a> {
    pub(super) fn new(stops: &'a [String]) -> Self {
        let held = Vec::new();
        Self { stops, held }
    }

    /// Takes a token's bytes; gives what can go out, and whether a stop text ended it.
    pub(super) fn push(&mut self, token: &[u8]) -> (Vec<u8>, bool) {
        self.held.extend(token);
        let found = self.stops.iter().filter_map(|stop| find(&self.held, stop));
        if let Some(at) = found.min() {
            self.held.truncate(at);
            return (self.finish(), true);
        }
        let starts = |stop: &String| start_of(&self.held, stop.as_bytes());
        let begun = self.stops.iter().map(starts).max().unwrap_or(0);
        let free = self.held.len() - begun;
        let whole = free - unfinished(&self.held[..free]);
        (self.held.drain(..whole).collect(), false)
    }

    /// What is left: nothing more follows.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }
}

fn find(text: &[u8], stop: &str) -> Option<usize> {
    memchr::memmem::find(text, stop.as_bytes())
}

/// Length of the longest end of the text that the stop text begins with.
fn start_of(text: &[u8], stop: &[u8]) -> usize {
    let longest = stop.len().saturating_sub(1).min(text.len());
    let begins = |len: &usize| stop.starts_with(&text[text.len() - len..]);
    (1..=longest).rev().find(begins).unwrap_or(0)
}

/// Bytes at the end that may be the first of a character whose others follow.
fn unfinished(text: &[u8]) -> usize {
    let last = text.iter().rev().take(3);
    let Some(back) = last.clone().position(|byte| byte & 0xC0 != 0x80) else {
        return 0;
    };
    let wanted = match text[text.len() - 1 - back] {
        0xC2..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF4 => 4,
        _ => 1,
    };
    if back + 1 < wanted { back + 1 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What goes out for each token, then at the end.
    fn run(stops: &[&str], tokens: &[&[u8]]) -> Vec<String> {
        let stops: Vec<String> = stops.iter().map(|stop| stop.to_string()).collect();
        let mut outlet = Outlet::new(&stops);
        let mut out = Vec::new();
        for token in tokens {
            let (text, stopped) = outlet.push(token);
            out.push(text);
            if stopped {
                out.push(b"STOP".to_vec());
                break;
            }
        }
        out.push(outlet.finish());
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        out.iter().map(|bytes| text(bytes)).collect()
    }

    #[test]
    fn a_stop_text_may_span_tokens_and_is_not_shown() {
        assert_eq!(run(&["\n\n"], &[b"a\n", b"\nb"]), ["a", "", "STOP", ""]);
        assert_eq!(run(&["\n\n"], &[b"a\n", b"b"]), ["a", "\nb", ""]);
        assert_eq!(
            run(&["end"], &[b"e", b"n", b"e", b"nd"]),
            ["", "", "en", "", "STOP", ""]
        );
        assert_eq!(run(&["xyz", "b"], &[b"abxyz"]), ["a", "STOP", ""]);
        assert_eq!(run(&["abc"], &[b"ab"]), ["", "ab"]);
        assert_eq!(run(&[], &[b"ab", b"c"]), ["ab", "c", ""]);
    }

    #[test]
    fn characters_are_never_split() {
        let text = "é中😀".as_bytes();
        for cut in 1..text.len() {
            for out in run(&[], &[&text[..cut], &text[cut..]]) {
                assert!(!out.contains('\u{FFFD}'), "{cut}");
            }
        }
        // What is no character goes out as it is, at the latest with the end.
        assert_eq!(run(&[], &[b"a\xff", b"b"]), ["a\u{FFFD}", "b", ""]);
        assert_eq!(run(&[], &[b"a\xe4\xb8", b"b"]), ["a", "\u{FFFD}b", ""]);
        assert_eq!(run(&[], &[b"\xf0\x9f"]), ["", "\u{FFFD}"]);
        assert_eq!(run(&["中x"], &["中".as_bytes(), b"y"]), ["", "中y", ""]);
    }
}
