//! Encoding text that comes in bit by bit, in memory for the current piece alone.

use super::{Cutter, DisallowedSpecial, EncodeOptions, TextEncoder, Tokenizer};
use crate::Result;
use std::io::{self, Read};

/// Text of this length without a cut is looked at again only when it has doubled, so that
/// the time for a long piece stays linear.
const PATIENCE: usize = 4096;

/// Encodes a text given in parts of any size; the ids are those of the text in one piece.
///
/// Ids come out as soon as nothing that follows can change them, which is two pieces behind
/// the end of what was given. Parts may end inside a character. Under a regular expression of the
/// user's own the whole text is kept until it ends.
///
/// # Example
/// ```
/// use barelm::tokenizer::{EncodeOptions, EncoderStream};
/// # use barelm::tokenizer::{HarnessPattern, MergeRule, Tokenizer, Vocabulary};
/// # fn main() -> barelm::Result<()> {
/// # let tokenizer = Tokenizer::from_vocabulary(&Vocabulary {
/// #     tokens: (0..=255).map(|byte| vec![byte]).collect(),
/// #     merges: vec![],
/// #     specials: vec![],
/// #     pattern: HarnessPattern::parse("gpt2")?,
/// #     rule: MergeRule::PairRank,
/// # })?;
/// let mut stream = EncoderStream::new(&tokenizer, &EncodeOptions::default())?;
/// let mut ids = Vec::new();
/// stream.push(b"two wo", &mut ids).unwrap();
/// assert_eq!(ids, tokenizer.encode(b"two"));
/// stream.push(b"rds", &mut ids).unwrap();
/// stream.finish(&mut ids).unwrap();
/// assert_eq!(ids, tokenizer.encode(b"two words"));
/// # Ok(())
/// # }
/// ```
pub struct EncoderStream<'t> {
    encoder: TextEncoder<'t>,
    pending: Pending<'t>,
}

impl<'t> EncoderStream<'t> {
    /// A stream at the start of its text.
    ///
    /// # Errors
    /// Those of [`TextEncoder::new`].
    pub fn new(tokenizer: &'t Tokenizer, options: &EncodeOptions) -> Result<Self> {
        let encoder = TextEncoder::new(tokenizer, options)?;
        let pending = Pending::new(encoder.cutter());
        Ok(Self { encoder, pending })
    }

    /// Takes in the next part of the text, and appends the ids that are final.
    ///
    /// # Errors
    /// [`DisallowedSpecial`] with its place in the whole text.
    pub fn push(
        &mut self,
        text: &[u8],
        ids: &mut Vec<u32>,
    ) -> std::result::Result<(), DisallowedSpecial> {
        self.pending.text.extend(text);
        let len = self.pending.final_len();
        self.encode(len, ids)
    }

    /// The text ends here: appends the last ids. The stream can then take in another text.
    ///
    /// # Errors
    /// Those of [`EncoderStream::push`].
    pub fn finish(&mut self, ids: &mut Vec<u32>) -> std::result::Result<(), DisallowedSpecial> {
        let encoded = self.encode(self.pending.text.len(), ids);
        self.pending = Pending::new(self.encoder.cutter());
        encoded
    }

    fn encode(
        &mut self,
        len: usize,
        ids: &mut Vec<u32>,
    ) -> std::result::Result<(), DisallowedSpecial> {
        let position = self.pending.position;
        let encoded = self
            .encoder
            .encode_into(&self.pending.text[..len], position, ids);
        encoded.map_err(|found| found.behind(position))?;
        self.pending.take(len);
        Ok(())
    }
}

/// Text that is not final yet.
struct Pending<'t> {
    cutter: Cutter<'t>,
    text: Vec<u8>,
    /// Where it starts in the whole.
    position: u64,
    /// Not looked for a cut below this length.
    enough: usize,
}

impl<'t> Pending<'t> {
    fn new(cutter: Cutter<'t>) -> Self {
        Self {
            cutter,
            text: Vec::new(),
            position: 0,
            enough: 0,
        }
    }

    fn final_len(&mut self) -> usize {
        if self.text.len() < self.enough {
            return 0;
        }
        let len = self.cutter.final_len(&self.text);
        let waits = len == 0 && self.text.len() > PATIENCE;
        self.enough = if waits { 2 * self.text.len() } else { 0 };
        len
    }

    fn take(&mut self, len: usize) {
        self.text.drain(..len);
        self.position += len as u64;
    }
}

/// A part of a text that was read, which can be encoded for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextChunk {
    /// Its bytes.
    pub text: Vec<u8>,
    /// Where it starts in the whole.
    pub position: u64,
    /// Whether it starts at the start of a line.
    pub starts_line: bool,
}

/// Reads a text as chunks that can be encoded apart, on several threads for instance.
///
/// # Example
/// ```
/// use barelm::tokenizer::{EncodeOptions, TextChunks, TextEncoder};
/// # use barelm::tokenizer::{HarnessPattern, MergeRule, Tokenizer, Vocabulary};
/// # fn main() -> barelm::Result<()> {
/// # let tokenizer = Tokenizer::from_vocabulary(&Vocabulary {
/// #     tokens: (0..=255).map(|byte| vec![byte]).collect(),
/// #     merges: vec![],
/// #     specials: vec![],
/// #     pattern: HarnessPattern::parse("gpt2")?,
/// #     rule: MergeRule::PairRank,
/// # })?;
/// let encoder = TextEncoder::new(&tokenizer, &EncodeOptions::default())?;
/// let text = b"some words and some more";
/// let chunks: Result<Vec<_>, _> = TextChunks::new(&text[..], encoder.cutter(), 8).collect();
/// let texts: Vec<_> = chunks.unwrap().into_iter().map(|chunk| chunk.text).collect();
/// assert_eq!(texts.concat(), text);
/// assert_eq!(texts[0], b"some");
/// # Ok(())
/// # }
/// ```
pub struct TextChunks<'t, R> {
    input: R,
    pending: Pending<'t>,
    block: Vec<u8>,
    ended: bool,
    starts_line: bool,
}

impl<'t, R: Read> TextChunks<'t, R> {
    /// Chunks of up to `block_len` bytes, longer ones where the text has no earlier cut.
    pub fn new(input: R, cutter: Cutter<'t>, block_len: usize) -> Self {
        Self {
            input,
            pending: Pending::new(cutter),
            block: vec![0; block_len.max(1)],
            ended: false,
            starts_line: true,
        }
    }

    /// Reads what is there, so that ids of a slow pipe do not wait for more of it.
    fn read(&mut self) -> io::Result<()> {
        match self.input.read(&mut self.block) {
            Ok(len) => {
                self.ended = len == 0;
                self.pending.text.extend(&self.block[..len]);
                Ok(())
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(e) => {
                self.ended = true;
                self.pending.text.clear();
                Err(e)
            }
        }
    }
}

impl<R: Read> Iterator for TextChunks<'_, R> {
    type Item = io::Result<TextChunk>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut len = 0;
        while len == 0 && !self.ended {
            if let Err(e) = self.read() {
                return Some(Err(e));
            }
            len = self.pending.final_len();
        }
        if self.ended {
            len = self.pending.text.len();
        }
        let chunk = TextChunk {
            text: self.pending.text[..len].to_vec(),
            position: self.pending.position,
            starts_line: self.starts_line,
        };
        self.starts_line = chunk.text.ends_with(b"\n");
        self.pending.take(len);
        (len > 0).then_some(Ok(chunk))
    }
}
