//! The flat tables of a tokenizer: what they hold, and what must be true of them.
//!
//! | section | content |
//! |---|---|
//! | `tok.head` | 8 words: pattern (0 gpt2, 1 cl100k, 2 o200k, 3 whitespace, 4 own), rule (0 pair rank, 1 bytes rank), longest probe of the pairs, of the hashes, zeros |
//! | `tok.offs` | where each token's bytes start in the blob, and where the last ends: vocabulary size + 1 words |
//! | `tok.blob` | the bytes of all tokens |
//! | `tok.byte` | token of each of the 256 bytes, or all ones |
//! | `tok.pair` | table of pairs, 4 words a slot: see [`table`](super::table) |
//! | `tok.hash` | table of bytes, 1 word a slot |
//! | `tok.spec` | ids of special tokens, ascending |
//! | `tok.regx` | regular expression of an own pattern, UTF-8 |

use super::table::{MAX_PROBES, NONE, PairSlot, UNREACHABLE};
use super::{MergeRule, Pattern};
use crate::format::{Container, FormatError, FormatProblem};

/// Names of the sections, in the order of [`Tables`]' fields.
pub const SECTIONS: [[u8; 8]; 8] = [
    *b"tok.head",
    *b"tok.offs",
    *b"tok.blob",
    *b"tok.byte",
    *b"tok.pair",
    *b"tok.hash",
    *b"tok.spec",
    *b"tok.regx",
];

/// Code of a pattern that the kernels do not know, in the head.
pub const OWN_PATTERN: u32 = 4;

/// Words of the head.
pub const HEAD_LEN: usize = 8;

/// The tables of a tokenizer, borrowed; [`SECTIONS`] of a file, or vectors of a builder.
#[derive(Clone, Copy, Debug)]
pub struct Tables<'a> {
    /// Pattern, rule and longest probes.
    pub head: &'a [u32],
    /// Vocabulary size + 1 offsets into `blob`.
    pub offsets: &'a [u32],
    /// Bytes of all tokens.
    pub blob: &'a [u8],
    /// Token of each byte.
    pub bytes: &'a [u32],
    /// Table of pairs.
    pub pairs: &'a [PairSlot],
    /// Table of bytes.
    pub hashes: &'a [u32],
    /// Ids of special tokens, ascending.
    pub specials: &'a [u32],
    /// Regular expression of an own pattern.
    pub regex: &'a [u8],
}

impl<'a> Tables<'a> {
    /// The tables in a file of any kind, not yet checked.
    ///
    /// # Errors
    /// [`FormatError`] when a section is missing or its length is no multiple of its words.
    pub fn from_sections(file: &Container<'a>) -> Result<Self, FormatError> {
        Ok(Self {
            head: file.section(&SECTIONS[0])?,
            offsets: file.section(&SECTIONS[1])?,
            blob: file.section(&SECTIONS[2])?,
            bytes: file.section(&SECTIONS[3])?,
            pairs: file.section(&SECTIONS[4])?,
            hashes: file.section(&SECTIONS[5])?,
            specials: file.section(&SECTIONS[6])?,
            regex: file.section(&SECTIONS[7])?,
        })
    }

    /// Checks all but the slots of the two hash tables: head, offsets, tokens of bytes, special
    /// tokens, shapes. It reads a few words a token, where the hash tables have dozens.
    ///
    /// Lookups need no more: a slot that says nonsense is passed over, and its probes are
    /// bounded. [`Tables::check_slots`] looks at the slots too.
    ///
    /// # Errors
    /// The name of the first section that contradicts itself or another.
    pub fn check(&self) -> Result<(), [u8; 8]> {
        let known = |id: &u32| *id < self.vocab();
        first_wrong([
            self.head.len() == HEAD_LEN && self.rule().is_some() && self.head[0] <= OWN_PATTERN,
            self.offsets_are_valid(),
            true,
            self.bytes.len() == 256 && self.bytes.iter().all(|id| known(id) || *id == NONE),
            self.pairs.len().is_power_of_two(),
            self.hashes.len().is_power_of_two(),
            rises(self.specials, |a, b| a < b) && self.specials.iter().all(known),
            core::str::from_utf8(self.regex).is_ok(),
        ])
    }

    /// Checks that every slot of the hash tables is empty or names tokens that exist; tables that
    /// a builder made are so.
    ///
    /// # Errors
    /// The name of the first section that is wrong.
    pub fn check_slots(&self) -> Result<(), [u8; 8]> {
        let vocab = self.vocab();
        let entry_is_valid = |entry: &u32| (entry & !UNREACHABLE) < vocab || *entry == NONE;
        let mut right = [true; SECTIONS.len()];
        right[4] = self.pairs.iter().all(|slot| pair_is_valid(slot, vocab));
        right[5] = self.hashes.iter().all(entry_is_valid);
        first_wrong(right)
    }

    fn vocab(&self) -> u32 {
        self.offsets.len().saturating_sub(1) as u32
    }

    fn offsets_are_valid(&self) -> bool {
        let ends = self.offsets.first() == Some(&0)
            && self.offsets.last().map(|end| *end as usize) == Some(self.blob.len());
        ends && self.offsets.len() <= UNREACHABLE as usize && rises(self.offsets, |a, b| a <= b)
    }

    fn head(&self, at: usize) -> u32 {
        self.head.get(at).copied().unwrap_or(0)
    }

    /// The pattern, if the kernels know it.
    pub fn pattern(&self) -> Option<Pattern> {
        match self.head(0) {
            0 => Some(Pattern::Gpt2),
            1 => Some(Pattern::Cl100k),
            2 => Some(Pattern::O200k),
            3 => Some(Pattern::Whitespace),
            _ => None,
        }
    }

    /// The merge rule, if the head names one.
    pub fn rule(&self) -> Option<MergeRule> {
        match self.head(1) {
            0 => Some(MergeRule::PairRank),
            1 => Some(MergeRule::BytesRank),
            _ => None,
        }
    }

    /// Longest probe of the pairs and of the hashes.
    pub(super) fn probes(&self) -> [u32; 2] {
        [self.head(2).min(MAX_PROBES), self.head(3).min(MAX_PROBES)]
    }
}

/// The head for a pattern (`None` for an own one), a rule, and the tables' longest probes.
pub const fn head(pattern: Option<Pattern>, rule: MergeRule, probes: [u32; 2]) -> [u32; HEAD_LEN] {
    let pattern = match pattern {
        Some(Pattern::Gpt2) => 0,
        Some(Pattern::Cl100k) => 1,
        Some(Pattern::O200k) => 2,
        Some(Pattern::Whitespace) => 3,
        None => OWN_PATTERN,
    };
    let rule = match rule {
        MergeRule::PairRank => 0,
        MergeRule::BytesRank => 1,
    };
    [pattern, rule, probes[0], probes[1], 0, 0, 0, 0]
}

/// The name of the first section that is not right.
fn first_wrong(right: [bool; SECTIONS.len()]) -> Result<(), [u8; 8]> {
    let mut sections = SECTIONS.into_iter().zip(right);
    sections
        .find(|(_, right)| !right)
        .map_or(Ok(()), |(name, _)| Err(name))
}

fn pair_is_valid(slot: &PairSlot, vocab: u32) -> bool {
    let [left, right, rank, id] = *slot;
    left == NONE || (left.max(right).max(id) < vocab && rank != NONE)
}

/// The error for a section whose content is not valid.
pub(super) fn content_error(file: &Container<'_>, section: [u8; 8]) -> FormatError {
    FormatError::at(FormatProblem::Content, file.offset_of(&section))
}

/// Whether each word and the next one are in order. (`is_sorted` of `core` holds a panic that is
/// never reached, and that no compiler removes.)
fn rises(words: &[u32], in_order: impl Fn(u32, u32) -> bool) -> bool {
    words.windows(2).all(|pair| in_order(pair[0], pair[1]))
}
