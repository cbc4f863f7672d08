//! Special tokens in a text: which of them become their ids, and which must not be there.
//!
//! A special token's name can stand in a text by accident, or because somebody wants a model to
//! take it for more than text. So, as in tiktoken, nothing is special unless the caller says so:
//! an *allowed* name becomes its id, a *disallowed* one is an error, any other is ordinary text.
//! The text between two special tokens is encoded as if it were all.
//!
//! The leftmost name counts, and of several that start at one place the longest, as in Hugging
//! Face's library. (tiktoken leaves that choice to the order of a hash table, and takes
//! a disallowed name inside an allowed one for an error.)

use super::Tokenizer;
use crate::{Error, Result};
use aho_corasick::{AhoCorasick, MatchKind};
use std::fmt;
use std::ops::Range;
use std::path::Path;

/// Some of the special tokens of a vocabulary.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SpecialSet {
    /// None of them.
    #[default]
    None,
    /// All of them; as what is disallowed: all that are not allowed.
    All,
    /// Those with these names.
    Names(Vec<String>),
}

impl SpecialSet {
    fn has(&self, name: &str) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Names(names) => names.iter().any(|n| n == name),
        }
    }
}

/// Finds special tokens in texts; see [`Tokenizer::specials`].
///
/// # Example
/// ```
/// use barelm::tokenizer::{Segment, SpecialSet};
/// # use barelm::tokenizer::{HarnessPattern, MergeRule, Tokenizer, Vocabulary};
/// # fn main() -> barelm::Result<()> {
/// # let tokenizer = Tokenizer::from_vocabulary(&Vocabulary {
/// #     tokens: [&b"a"[..], b"b", b"ab", b" ", b"<end>"].map(<[u8]>::to_vec).to_vec(),
/// #     merges: vec![(0, 1)],
/// #     specials: vec![("<end>".into(), 4)],
/// #     pattern: HarnessPattern::parse("gpt2")?,
/// #     rule: MergeRule::PairRank,
/// # })?;
/// let specials = tokenizer.specials(&SpecialSet::All, &SpecialSet::None)?;
/// let segments: Vec<_> = specials.segments(b"ab<end>").flatten().collect();
/// let want = [Segment::Text(0..2), Segment::Special(4, 2..7), Segment::Text(7..7)];
/// assert_eq!(segments, want);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Specials {
    search: Option<AhoCorasick>,
    found: Vec<Found>,
    longest: usize,
}

/// What a name means where it is found.
#[derive(Clone, Debug)]
struct Found {
    name: String,
    id: u32,
    allowed: bool,
}

/// A part of a text between, or of, special tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// Ordinary text; may be empty.
    Text(Range<usize>),
    /// A special token: its id, and where its name stands.
    Special(u32, Range<usize>),
}

/// A special token stands in a text that must not have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisallowedSpecial {
    /// Its name.
    pub name: String,
    /// Where it starts, in bytes.
    pub at: u64,
}

impl fmt::Display for DisallowedSpecial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        write!(
            f,
            "the special token {name} stands in the text; allow it to make it one token, or ask \
             for ordinary text"
        )
    }
}

impl std::error::Error for DisallowedSpecial {}

impl DisallowedSpecial {
    /// The same in a text that starts `bytes` later.
    pub(super) fn behind(mut self, bytes: u64) -> Self {
        self.at += bytes;
        self
    }

    /// The same as an error of a file.
    pub fn in_file(&self, path: impl AsRef<Path>) -> Error {
        Error::data_at(path, self.at, self.to_string())
    }
}

impl Specials {
    /// Looks for nothing: all text is ordinary.
    pub const NONE: Self = Self {
        search: None,
        found: Vec::new(),
        longest: 0,
    };

    pub(super) fn new(
        tokenizer: &Tokenizer,
        allowed: &SpecialSet,
        disallowed: &SpecialSet,
    ) -> Result<Self> {
        let all = tokenizer.special_tokens();
        let names = all.iter().map(|(name, _)| name.as_str());
        refuse_unknown(allowed, names.clone())?;
        refuse_unknown(disallowed, names)?;
        let found = all.into_iter().filter_map(|(name, id)| {
            let allowed = allowed.has(&name);
            (allowed || disallowed.has(&name)).then_some(Found { name, id, allowed })
        });
        Self::over(found.collect())
    }

    fn over(found: Vec<Found>) -> Result<Self> {
        if found.is_empty() {
            return Ok(Self::NONE);
        }
        let names = found.iter().map(|special| &special.name);
        let longest = names.clone().map(String::len).max().unwrap_or(0);
        let search = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(names)
            .map_err(|e| Error::Failed(format!("too many special tokens to search for: {e}")))?;
        Ok(Self {
            search: Some(search),
            found,
            longest,
        })
    }

    /// Whether any text may hold a name that is looked for.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Where a name may start of which only a part is there yet; the text's length if nowhere.
    pub(super) fn unfinished(&self, text: &[u8]) -> usize {
        let first = (text.len() + 1).saturating_sub(self.longest.max(1));
        let goes_on = |name: &[u8], rest: &[u8]| name.len() > rest.len() && name.starts_with(rest);
        let starts_name = |at: &usize| {
            let mut names = self.found.iter().map(|special| special.name.as_bytes());
            names.any(|name| goes_on(name, &text[*at..]))
        };
        (first..text.len()).find(starts_name).unwrap_or(text.len())
    }

    /// Cuts a text at its special tokens.
    pub fn segments<'s>(
        &'s self,
        text: &'s [u8],
    ) -> impl Iterator<Item = std::result::Result<Segment, DisallowedSpecial>> + 's {
        let search = self.search.as_ref();
        let matches = search.into_iter().flat_map(move |s| s.find_iter(text));
        let mut at = 0;
        let ends = matches.map(Some).chain([None]);
        ends.flat_map(move |found| {
            let end = found.map_or(text.len(), |m| m.start());
            let before = Ok(Segment::Text(at..end));
            at = found.map_or(end, |m| m.end());
            [Some(before), found.map(|m| self.judge(m))]
        })
        .flatten()
    }

    fn judge(&self, m: aho_corasick::Match) -> std::result::Result<Segment, DisallowedSpecial> {
        match &self.found[m.pattern().as_usize()] {
            special if special.allowed => Ok(Segment::Special(special.id, m.range())),
            special => Err(DisallowedSpecial {
                name: special.name.clone(),
                at: m.start() as u64,
            }),
        }
    }
}

fn refuse_unknown<'a>(
    set: &SpecialSet,
    known: impl Iterator<Item = &'a str> + Clone,
) -> Result<()> {
    let SpecialSet::Names(names) = set else {
        return Ok(());
    };
    match names
        .iter()
        .find(|name| !known.clone().any(|k| k == **name))
    {
        None => Ok(()),
        Some(name) => {
            let known: Vec<_> = known.take(8).collect();
            let known = match known[..] {
                [] => "none".into(),
                _ => known.join(", "),
            };
            Err(Error::Usage(format!(
                "{name:?} is no special token of this vocabulary; it has: {known}"
            )))
        }
    }
}
