//! Encoding with everything a user may ask for: special tokens, dropout, offsets, a count.

use super::encoder::SharedWords;
use super::offsets::for_each_range;
use super::special::Segment;
use super::{
    Cutter, DisallowedSpecial, Dropout, DropoutEncoder, Encoder, SpecialSet, Specials, Tokenizer,
};
use crate::Result;
use std::ops::Range;
use std::sync::Arc;

/// How texts become ids. The default is ordinary text: no name of a special token means anything.
///
/// # Example
/// ```
/// use barelm::tokenizer::{Dropout, EncodeOptions, SpecialSet, Tokenizer};
/// # use barelm::tokenizer::{HarnessPattern, MergeRule, Vocabulary};
/// # fn main() -> barelm::Result<()> {
/// # let tokenizer = Tokenizer::from_vocabulary(&Vocabulary {
/// #     tokens: [&b"a"[..], b"b", b"ab", b"<end>"].map(<[u8]>::to_vec).to_vec(),
/// #     merges: vec![(0, 1)],
/// #     specials: vec![("<end>".into(), 3)],
/// #     pattern: HarnessPattern::parse("gpt2")?,
/// #     rule: MergeRule::PairRank,
/// # })?;
/// let options = EncodeOptions {
///     allowed: SpecialSet::All,
///     ..EncodeOptions::default()
/// };
/// assert_eq!(tokenizer.encode_with(b"ab<end>", &options)?, [2, 3]);
///
/// // As tiktoken's `encode`: what is not allowed must not be there.
/// let strict = EncodeOptions { disallowed: SpecialSet::All, ..EncodeOptions::default() };
/// assert!(tokenizer.encode_with(b"ab<end>", &strict).is_err());
///
/// let dropout = Some(Dropout { probability: 1.0, seed: 0 });
/// let bytes = EncodeOptions { dropout, ..EncodeOptions::default() };
/// assert_eq!(tokenizer.encode_with(b"ab", &bytes)?, [0, 1]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct EncodeOptions {
    /// Special tokens whose names in the text become their ids.
    pub allowed: SpecialSet,
    /// Special tokens whose names in the text are an error, unless they are allowed.
    pub disallowed: SpecialSet,
    /// Merges left out at random.
    pub dropout: Option<Dropout>,
}

/// Encodes texts by [`EncodeOptions`]; each thread has its own.
pub struct TextEncoder<'t> {
    tokenizer: &'t Tokenizer,
    specials: Specials,
    pieces: PieceEncoder<'t>,
}

enum PieceEncoder<'t> {
    Plain(Box<Encoder<'t>>),
    Dropout(Box<DropoutEncoder<'t>>),
}

impl PieceEncoder<'_> {
    fn encode_into(&mut self, text: &[u8], position: u64, ids: &mut Vec<u32>) {
        match self {
            Self::Plain(encoder) => encoder.encode_into(text, ids),
            Self::Dropout(encoder) => encoder.encode_into(text, position, ids),
        }
    }
}

/// Texts without a place to cut are encoded a block at a time where they are only counted.
const COUNT_BLOCK: usize = 1 << 18;

impl<'t> TextEncoder<'t> {
    /// An encoder for any number of texts.
    ///
    /// # Errors
    /// [`Error::Usage`](crate::Error::Usage) for options that make no sense for this tokenizer.
    pub fn new(tokenizer: &'t Tokenizer, options: &EncodeOptions) -> Result<Self> {
        let specials = tokenizer.specials(&options.allowed, &options.disallowed)?;
        let dropout = options.dropout.filter(|dropout| dropout.probability != 0.0);
        let pieces = match dropout {
            None => PieceEncoder::Plain(Box::new(tokenizer.encoder())),
            Some(dropout) => {
                dropout.validate()?;
                PieceEncoder::Dropout(Box::new(DropoutEncoder::new(tokenizer, dropout)))
            }
        };
        Ok(Self {
            tokenizer,
            specials,
            pieces,
        })
    }

    /// Tells others of the same tokenizer what it learns, and learns from them.
    pub(super) fn sharing(mut self, words: Arc<SharedWords>) -> Self {
        if let PieceEncoder::Plain(encoder) = self.pieces {
            self.pieces = PieceEncoder::Plain(Box::new(encoder.sharing(words)));
        }
        self
    }

    /// Where texts may be cut without a change of their ids.
    pub fn cutter(&self) -> Cutter<'t> {
        Cutter::new(self.tokenizer.pattern(), &self.specials)
    }

    /// Appends the ids of a text that stands `position` bytes into all that is encoded; dropout
    /// depends on that place.
    ///
    /// # Errors
    /// [`DisallowedSpecial`] with its place in `text`; `ids` has those of the text before it.
    pub fn encode_into(
        &mut self,
        text: &[u8],
        position: u64,
        ids: &mut Vec<u32>,
    ) -> std::result::Result<(), DisallowedSpecial> {
        self.for_each_segment(text, position, ids, |_, _, _, _| {})
    }

    /// [`TextEncoder::encode_into`], and in `ranges` the bytes of each token in `text`.
    ///
    /// # Errors
    /// Those of [`TextEncoder::encode_into`].
    pub fn encode_with_offsets_into(
        &mut self,
        text: &[u8],
        position: u64,
        ids: &mut Vec<u32>,
        ranges: &mut Vec<Range<usize>>,
    ) -> std::result::Result<(), DisallowedSpecial> {
        let note = |tokenizer: &Tokenizer, segment: Segment, text: &[u8], ids: &[u32]| match segment
        {
            Segment::Special(_, range) => ranges.push(range),
            Segment::Text(whole) => for_each_range(tokenizer, &text[whole.clone()], ids, |range| {
                ranges.push(whole.start + range.start..whole.start + range.end);
            }),
        };
        self.for_each_segment(text, position, ids, note)
    }

    fn for_each_segment(
        &mut self,
        text: &[u8],
        position: u64,
        ids: &mut Vec<u32>,
        mut note: impl FnMut(&Tokenizer, Segment, &[u8], &[u32]),
    ) -> std::result::Result<(), DisallowedSpecial> {
        for segment in self.specials.segments(text) {
            let segment = segment?;
            let first = ids.len();
            match &segment {
                Segment::Special(id, _) => ids.push(*id),
                Segment::Text(range) => {
                    let position = position + range.start as u64;
                    self.pieces.encode_into(&text[range.clone()], position, ids);
                }
            }
            note(self.tokenizer, segment, text, &ids[first..]);
        }
        Ok(())
    }

    /// Number of ids of a text, a block of it at a time.
    ///
    /// # Errors
    /// Those of [`TextEncoder::encode_into`].
    pub fn count(
        &mut self,
        text: &[u8],
        position: u64,
    ) -> std::result::Result<u64, DisallowedSpecial> {
        let cutter = self.cutter();
        let (mut ids, mut count, mut at) = (Vec::new(), 0, 0);
        while at < text.len() {
            let len = cutter.block_len(&text[at..], COUNT_BLOCK);
            ids.clear();
            let encoded = self.encode_into(&text[at..at + len], position + at as u64, &mut ids);
            encoded.map_err(|found| found.behind(at as u64))?;
            count += ids.len() as u64;
            at += len;
        }
        Ok(count)
    }
}
