//! A corpus in blocks that threads can encode apart: parts of long documents, many short ones.

use super::Cutter;
use crate::corpus::{Corpus, Document};
use std::path::Path;

/// A document, or a part of one, whose ids do not depend on what is before or behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextPart<'c> {
    /// The file it comes from.
    pub name: &'c Path,
    /// Its bytes.
    pub text: &'c [u8],
    /// Where it starts in its document: at 0, the document starts.
    pub offset: u64,
    /// Where it starts in the corpus.
    pub position: u64,
    /// Whether it starts at the start of a line.
    pub starts_line: bool,
}

/// Cuts a corpus as it is read; nothing is looked at before its turn.
///
/// # Example
/// ```
/// use barelm::corpus::Corpus;
/// use barelm::tokenizer::{CorpusBlocks, EncodeOptions, TextEncoder};
/// # use barelm::tokenizer::{HarnessPattern, MergeRule, Tokenizer, Vocabulary};
/// # fn main() -> barelm::Result<()> {
/// # let tokenizer = Tokenizer::from_vocabulary(&Vocabulary {
/// #     tokens: (0..=255).map(|byte| vec![byte]).collect(),
/// #     merges: vec![],
/// #     specials: vec![],
/// #     pattern: HarnessPattern::parse("gpt2")?,
/// #     rule: MergeRule::PairRank,
/// # })?;
/// let mut encoder = TextEncoder::new(&tokenizer, &EncodeOptions::default())?;
/// let corpus = Corpus::from_bytes("words", b"some words ".repeat(10_000));
/// let mut ids = Vec::new();
/// for part in CorpusBlocks::new(&corpus, encoder.cutter(), 1 << 16).flatten() {
///     encoder.encode_into(part.text, part.position, &mut ids).unwrap();
/// }
/// assert_eq!(ids, tokenizer.encode(&b"some words ".repeat(10_000)));
/// # Ok(())
/// # }
/// ```
pub struct CorpusBlocks<'c> {
    documents: Box<dyn Iterator<Item = Document<'c>> + Send + 'c>,
    /// The document that is being cut, and how much of it is done.
    current: Option<(Document<'c>, usize)>,
    position: u64,
    cutter: Cutter<'c>,
    target_len: usize,
}

/// A block with less room than this is full.
const LITTLE: usize = 4096;

impl<'c> CorpusBlocks<'c> {
    /// Blocks of about `target_len` bytes, longer ones where a document has no earlier cut.
    pub fn new(corpus: &'c Corpus, cutter: Cutter<'c>, target_len: usize) -> Self {
        Self {
            documents: Box::new(corpus.documents()),
            current: None,
            position: 0,
            cutter,
            target_len,
        }
    }

    /// The next part of about `wanted` bytes.
    fn part(&mut self, wanted: usize) -> Option<TextPart<'c>> {
        let next = || self.documents.next().map(|document| (document, 0));
        let (document, start) = self.current.take().or_else(next)?;
        let rest = &document.text[start..];
        let len = self.cutter.block_len(rest, wanted);
        if len < rest.len() {
            self.current = Some((document, start + len));
        }
        let position = self.position;
        self.position += len as u64;
        Some(TextPart {
            name: document.name,
            text: &rest[..len],
            offset: start as u64,
            position,
            starts_line: document.text[..start].last().is_none_or(|b| *b == b'\n'),
        })
    }
}

impl<'c> Iterator for CorpusBlocks<'c> {
    type Item = Vec<TextPart<'c>>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut parts = Vec::from_iter(self.part(self.target_len.max(1)));
        let mut len = parts.first()?.text.len();
        while len + LITTLE < self.target_len {
            let Some(part) = self.part(self.target_len - len) else {
                break;
            };
            len += part.text.len();
            parts.push(part);
        }
        Some(parts)
    }
}
