//! Where a text that is still coming in may be cut so that no id changes.
//!
//! A scanner finds the end of the piece that starts at a place, and looks little further. So of
//! the pieces of a text that goes on, all are final but the last two: the last one may grow, and
//! the one before it may have ended only because the last one's end was not to be seen yet
//! (`don` and `'l`, one piece in o200k if an `l` follows; a line feed and the blanks behind it, one
//! piece if another line feed follows). A cut is made behind a final piece, at a place where the
//! part before it, a text of its own now, still ends in the same pieces. Bytes that may be the start of a character are left out of
//! the count, and so are those that may be the start of a special token's name.

use super::decoder::incomplete_len;
use super::{HarnessPattern, Segment, Specials};
use barelm_kernels::bpe::{Pattern, last_cut};

/// Most texts have a place to cut at this close to their end, which is found without a scan.
const NEAR: usize = 4096;

/// Finds places to cut a text at; see [`TextEncoder::cutter`](super::TextEncoder::cutter).
///
/// # Example
/// ```
/// use barelm::tokenizer::{EncodeOptions, TextEncoder};
/// # use barelm::tokenizer::{HarnessPattern, MergeRule, Tokenizer, Vocabulary};
/// # fn main() -> barelm::Result<()> {
/// # let tokenizer = Tokenizer::from_vocabulary(&Vocabulary {
/// #     tokens: [&b"a"[..], b"b", b"ab", b" ", b"<end>"].map(<[u8]>::to_vec).to_vec(),
/// #     merges: vec![(0, 1)],
/// #     specials: vec![("<end>".into(), 4)],
/// #     pattern: HarnessPattern::parse("gpt2")?,
/// #     rule: MergeRule::PairRank,
/// # })?;
/// let cutter = TextEncoder::new(&tokenizer, &EncodeOptions::default())?.cutter();
/// // More letters may follow on the last word, but not on the one before.
/// assert_eq!(cutter.final_len(b"ab ba ab"), 5);
/// assert_eq!(cutter.final_len(b"ab"), 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Cutter<'t> {
    pattern: &'t HarnessPattern,
    specials: Specials,
    lines: bool,
}

impl<'t> Cutter<'t> {
    pub(super) fn new(pattern: &'t HarnessPattern, specials: &Specials) -> Self {
        Self {
            pattern,
            specials: specials.clone(),
            lines: false,
        }
    }

    /// The same for a text each line of which is encoded for itself: cuts are behind newlines, too.
    pub fn of_lines(self) -> Self {
        let lines = true;
        Self { lines, ..self }
    }

    /// Length of the part of `text` whose ids are known whatever comes behind it; may be 0.
    ///
    /// `text` starts where a text may be cut. Under a regular expression of the user's own, which
    /// can look at all that follows, nothing is known before the end (of the line, if lines stand
    /// alone).
    pub fn final_len(&self, text: &[u8]) -> usize {
        let line = match self.lines {
            true => text.iter().rposition(|byte| *byte == b'\n'),
            false => None,
        };
        if let Some(newline) = line {
            return newline + 1;
        }
        let Some(pattern) = self.pattern.known() else {
            return 0;
        };
        let (start, end) = self.last_segment(text);
        start + final_len(pattern, &text[start..end])
    }

    /// Bounds of what is certainly ordinary text, behind the last special token.
    fn last_segment(&self, text: &[u8]) -> (usize, usize) {
        // A name that starts there or behind it may not be all here, or be part of a longer one.
        let settled = self.specials.unfinished(text);
        let mut segment = (0, text.len());
        for found in self.specials.segments(text) {
            segment = match found {
                Ok(Segment::Text(range)) => (range.start, range.end),
                Ok(Segment::Special(_, range)) if range.start < settled => (range.end, range.end),
                // An error will be found again when this part is encoded.
                Ok(Segment::Special(_, range)) => (segment.0, range.start),
                Err(disallowed) => (segment.0, disallowed.at as usize),
            };
            if segment.1 >= settled {
                break;
            }
        }
        (segment.0, segment.1.min(settled).max(segment.0))
    }

    /// Length of a first block of `text`, which ends there: about `wanted` bytes, more where it has
    /// no earlier cut, all of it if it has none.
    pub fn block_len(&self, text: &[u8], wanted: usize) -> usize {
        let mut len = wanted.max(1);
        while len < text.len() {
            match self.final_len(&text[..len]) {
                0 => len = len.saturating_mul(2),
                cut => return cut,
            }
        }
        text.len()
    }
}

/// Length of the part of a text whose pieces are known whatever comes behind it.
fn final_len(pattern: Pattern, text: &[u8]) -> usize {
    let text = &text[..text.len() - incomplete_len(text)];
    let near = text.len().saturating_sub(NEAR);
    if let Some(cut) = last_cut(&text[near..], NEAR) {
        return near + cut;
    }
    let mut pieces = pattern.pieces(text);
    let mut ends = [0; 8];
    while pieces.next().is_some() {
        ends.rotate_left(1);
        ends[7] = pieces.position();
    }
    let last_two = |w: &&[usize]| w[2] > 0 && ends_are(pattern, &text[w[0]..w[2]], w);
    ends[..6]
        .windows(3)
        .rev()
        .find(last_two)
        .map_or(0, |w| w[2])
}

/// Whether a part of a text, cut off behind a piece, still has its last two pieces: white space at
/// the end of a text is not cut as it is before a word.
fn ends_are(pattern: Pattern, part: &[u8], ends: &[usize]) -> bool {
    let mut pieces = pattern.pieces(part);
    let wanted = ends
        .windows(2)
        .filter(|w| w[0] < w[1])
        .map(|w| w[1] - ends[0]);
    wanted.eq(std::iter::from_fn(|| {
        pieces.next()?;
        Some(pieces.position())
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATTERNS: [Pattern; 4] = [
        Pattern::Gpt2,
        Pattern::Cl100k,
        Pattern::O200k,
        Pattern::Whitespace,
    ];
    /// One of each kind that some pattern tells from the others.
    const KINDS: [&str; 15] = [
        " ", "\n", "\r", "\t", "'", "s", "l", "A", "中", "\u{301}", "1", "!", "/", "\u{3000}",
        "\u{17f}",
    ];

    fn pieces(pattern: Pattern, text: &[u8]) -> Vec<&[u8]> {
        pattern.pieces(text).collect()
    }

    /// Every cut of a text, at every byte, against the text as a whole.
    fn check(pattern: Pattern, text: &[u8]) {
        let whole = pieces(pattern, text);
        for len in 1..text.len() {
            let cut = final_len(pattern, &text[..len]);
            let (head, tail) = text.split_at(cut);
            let parts = [pieces(pattern, head), pieces(pattern, tail)].concat();
            assert!(
                parts == whole,
                "{pattern:?} {:?} {cut}",
                String::from_utf8_lossy(text)
            );
        }
    }

    #[test]
    fn no_cut_changes_a_piece_of_any_short_text() {
        for pattern in PATTERNS {
            for number in 0..KINDS.len().pow(4) {
                let kind = |at| KINDS[number / KINDS.len().pow(at) % KINDS.len()];
                let text: String = (0..4).map(kind).collect();
                check(pattern, text.as_bytes());
            }
        }
    }

    #[test]
    fn no_cut_changes_a_piece_of_a_random_text() {
        let mut rng = crate::kernels::rng::Rng::new(31);
        for _ in 0..20_000 {
            let mut text = Vec::new();
            for _ in 0..rng.below(20) {
                let kind = KINDS[rng.below(15) as usize].as_bytes();
                let times = if rng.below(4) == 0 { rng.below(5) } else { 1 };
                // Now and then half a character.
                let len = if rng.below(8) == 0 { 1 } else { kind.len() };
                (0..times).for_each(|_| text.extend(&kind[..len]));
            }
            PATTERNS.iter().for_each(|pattern| check(*pattern, &text));
        }
    }

    #[test]
    fn texts_without_ascii_are_cut_near_their_end() {
        let text = "第一回，甄士隐梦幻识通灵。１２３４５６７８".repeat(100);
        for pattern in [Pattern::Gpt2, Pattern::Cl100k, Pattern::O200k] {
            let held = text.len() - final_len(pattern, text.as_bytes());
            assert!(held < 100, "{pattern:?} {held}");
        }
    }
}
