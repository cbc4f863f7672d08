//! Text for the tokenizer's commands: chunks of a mapped corpus, or of standard input as it comes.

use super::CHUNK_LEN;
use crate::cli::{Global, Input};
use crate::corpus::Corpus;
use crate::progress::Progress;
use crate::tokenizer::{
    CorpusBlocks, Cutter, DisallowedSpecial, EncodeOptions, TextChunk, TextChunks, TextEncoder,
    TextPart, Tokenizer,
};
use crate::{Error, Result, parallel};
use std::ops::Range;
use std::path::Path;

/// What standard input is called in messages.
const STDIN: &str = "-";

pub(super) enum Source {
    Corpus(Corpus),
    /// Not stored anywhere: read once, from front to back.
    Stdin,
}

/// Text that can be encoded for itself.
pub(super) enum Piece<'c> {
    Mapped(Vec<TextPart<'c>>),
    Read(TextChunk),
}

/// A document, a line, or a part of one.
pub(super) struct Record<'a> {
    /// The file it comes from.
    pub(super) name: &'a Path,
    pub(super) text: &'a [u8],
    /// Whether it starts here, and not in an earlier chunk.
    pub(super) starts: bool,
    /// Where `text` stands in its document.
    offset: u64,
    /// Where it stands in all of the input.
    position: u64,
}

/// What a command does to texts.
pub(super) struct Job<'t> {
    pub(super) tokenizer: &'t Tokenizer,
    pub(super) options: &'t EncodeOptions,
    /// Each line is a record.
    pub(super) lines: bool,
}

impl Source {
    pub(super) fn open(input: &Input) -> Result<Self> {
        let stdin = input.jsonl.is_none() && input.files.iter().all(|f| f.as_os_str() == STDIN);
        match stdin && input.files.len() == 1 {
            true => Ok(Self::Stdin),
            false => input.open().map(Self::Corpus),
        }
    }

    /// Whether a reader may be waiting for what is read so far.
    pub(super) fn is_live(&self) -> bool {
        matches!(self, Self::Stdin)
    }

    fn bytes(&self) -> u64 {
        match self {
            Self::Corpus(corpus) => corpus.bytes(),
            Self::Stdin => 0,
        }
    }

    fn pieces<'a>(
        &'a self,
        cutter: Cutter<'a>,
    ) -> Box<dyn Iterator<Item = Result<Piece<'a>>> + Send + 'a> {
        match self {
            Self::Corpus(corpus) => {
                let blocks = CorpusBlocks::new(corpus, cutter, CHUNK_LEN);
                Box::new(blocks.map(|block| Ok(Piece::Mapped(block))))
            }
            Self::Stdin => {
                let chunks = TextChunks::new(std::io::stdin(), cutter, CHUNK_LEN);
                Box::new(chunks.map(|chunk| chunk.map(Piece::Read).map_err(Error::io(STDIN))))
            }
        }
    }
}

impl<'t> Job<'t> {
    /// Calls `work` with every record, on all threads, and `sink` with the results of chunk after
    /// chunk, in order.
    pub(super) fn run<R: Send>(
        &self,
        (global, label): (&Global, &str),
        source: &Source,
        begin: impl Fn() -> R + Sync,
        work: impl Fn(&mut TextEncoder<'t>, &Record<'_>, &mut R) -> Result<()> + Sync,
        sink: impl FnMut(R) -> Result<()> + Send,
    ) -> Result<()> {
        let progress = Progress::new(label, source.bytes(), "bytes");
        let encoders = self.tokenizer.encoders();
        let new_encoder = || encoders.text_encoder(self.options);
        let mut read = 0;
        let cutter = new_encoder()?.cutter();
        let cutter = if self.lines {
            cutter.of_lines()
        } else {
            cutter
        };
        let pieces = source.pieces(cutter);
        let pieces = pieces.inspect(|piece| read += piece.as_ref().map_or(1, Piece::bytes));
        let of_piece = |encoder: &mut TextEncoder<'t>, piece: Result<Piece<'_>>| {
            let (piece, mut result) = (piece?, begin());
            piece.for_each_record(self.lines, |record| work(encoder, &record, &mut result))?;
            progress.advance(piece.bytes())?;
            Ok(result)
        };
        parallel::for_each_in_order(global.threads(), pieces, new_encoder, of_piece, sink)?;
        progress.finish();
        match read {
            0 => Err(Error::data(
                STDIN,
                "standard input is empty; give it some text",
            )),
            _ => Ok(()),
        }
    }
}

impl Piece<'_> {
    fn bytes(&self) -> u64 {
        match self {
            Self::Mapped(parts) => parts.iter().map(|part| part.text.len() as u64).sum(),
            Self::Read(chunk) => chunk.text.len() as u64,
        }
    }

    fn for_each_record(
        &self,
        lines: bool,
        mut f: impl FnMut(Record<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut each = |part: &TextPart<'_>| {
            let record = Record {
                name: part.name,
                text: part.text,
                starts: part.offset == 0 || (lines && part.starts_line),
                offset: part.offset,
                position: part.position,
            };
            match lines {
                true => record.for_each_line(&mut f),
                false => f(record),
            }
        };
        match self {
            Self::Mapped(parts) => parts.iter().try_for_each(each),
            Self::Read(chunk) => each(&TextPart {
                name: Path::new(STDIN),
                text: &chunk.text,
                offset: chunk.position,
                position: chunk.position,
                starts_line: chunk.starts_line,
            }),
        }
    }
}

impl Record<'_> {
    /// Appends the ids of the record.
    pub(super) fn encode(&self, encoder: &mut TextEncoder<'_>, ids: &mut Vec<u32>) -> Result<()> {
        let encoded = encoder.encode_into(self.text, self.position, ids);
        encoded.map_err(|found| self.refuse(found))
    }

    /// The ids and the bytes of each.
    pub(super) fn encode_with_offsets(
        &self,
        encoder: &mut TextEncoder<'_>,
    ) -> Result<(Vec<u32>, Vec<Range<usize>>)> {
        let (mut ids, mut ranges) = (Vec::new(), Vec::new());
        let position = self.position;
        let encoded = encoder.encode_with_offsets_into(self.text, position, &mut ids, &mut ranges);
        encoded.map_err(|found| self.refuse(found))?;
        Ok((ids, ranges))
    }

    /// Number of ids.
    pub(super) fn count(&self, encoder: &mut TextEncoder<'_>) -> Result<u64> {
        let counted = encoder.count(self.text, self.position);
        counted.map_err(|found| self.refuse(found))
    }

    fn refuse(&self, found: DisallowedSpecial) -> Error {
        let message = format!(
            "special token {} in the text; --allow-special {} makes it one token, --ordinary \
             encodes its name as text",
            found.name, found.name
        );
        Error::data_at(self.name, self.offset + found.at, message)
    }

    /// Each line without its newline.
    fn for_each_line(&self, mut f: impl FnMut(Record<'_>) -> Result<()>) -> Result<()> {
        let mut at = 0;
        self.text
            .split_inclusive(|byte| *byte == b'\n')
            .try_for_each(|line| {
                let text = line.strip_suffix(b"\n").unwrap_or(line);
                let place = at as u64;
                let starts = at > 0 || self.starts;
                at += line.len();
                f(Record {
                    name: self.name,
                    text,
                    starts,
                    offset: self.offset + place,
                    position: self.position + place,
                })
            })
    }
}
