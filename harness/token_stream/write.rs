//! Writes token streams, a whole corpus at once or bit by bit.

use super::{DOCUMENTS, HEAD, IDS, KIND, SMALL_VOCABULARY};
use crate::container::ContainerWriter;
use crate::corpus::Corpus;
use crate::progress::Progress;
use crate::tokenizer::{CorpusBlocks, EncodeOptions, Encoder, TextEncoder, TextPart, Tokenizer};
use crate::{Result, parallel};
use std::path::Path;

/// Text that is encoded at a time, by one thread.
const CHUNK_LEN: usize = 1 << 20;

/// Writes a token stream from front to back.
pub struct TokenStreamWriter {
    file: ContainerWriter,
    head: [u64; 4],
    documents: Vec<u64>,
    narrow: Vec<u16>,
}

impl TokenStreamWriter {
    /// Starts a stream of a tokenizer's ids.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io).
    pub fn create(path: impl AsRef<Path>, tokenizer: &Tokenizer) -> Result<Self> {
        let mut file = ContainerWriter::create(path, &KIND, 3)?;
        file.begin(&IDS)?;
        let head = [tokenizer.vocab_size() as u64, tokenizer.hash(), 0, 0];
        let (documents, narrow) = (Vec::new(), Vec::new());
        Ok(Self {
            file,
            head,
            documents,
            narrow,
        })
    }

    /// The next document starts here.
    pub fn start_document(&mut self) {
        self.documents.push(self.head[3]);
    }

    /// Appends the ids of a part of a document that has `text_bytes` bytes.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io).
    pub fn append(&mut self, ids: &[u32], text_bytes: u64) -> Result<()> {
        self.head[2] += text_bytes;
        self.head[3] += ids.len() as u64;
        if self.head[0] > SMALL_VOCABULARY as u64 {
            return self.file.append(bytemuck::cast_slice(ids));
        }
        self.narrow.clear();
        self.narrow.extend(ids.iter().map(|id| *id as u16));
        self.file.append(bytemuck::cast_slice(&self.narrow))
    }

    /// Writes what is left, and gives the file its name.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io).
    pub fn finish(mut self) -> Result<()> {
        self.file
            .section(&DOCUMENTS, bytemuck::cast_slice(&self.documents))?;
        self.file.section(&HEAD, bytemuck::cast_slice(&self.head))?;
        self.file.finish()
    }
}

/// Encodes a corpus on up to `threads` threads; the file is the same for any number of them.
///
/// `progress` advances by bytes of text. Memory holds some chunks of text at a time, not all.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io) and those of `progress`.
pub fn encode_corpus(
    tokenizer: &Tokenizer,
    corpus: &Corpus,
    threads: usize,
    path: impl AsRef<Path>,
    progress: &Progress,
) -> Result<()> {
    let cutter = TextEncoder::new(tokenizer, &EncodeOptions::default())?.cutter();
    let blocks = CorpusBlocks::new(corpus, cutter, CHUNK_LEN);
    let mut writer = TokenStreamWriter::create(path, tokenizer)?;
    let encode = |encoder: &mut Encoder<'_>, block: Vec<TextPart<'_>>| {
        let parts = encode_block(encoder, &block);
        let bytes = parts.iter().map(|(_, bytes, _)| bytes).sum();
        progress.advance(bytes).map(|()| parts)
    };
    let write = |parts: Vec<(bool, u64, Vec<u32>)>| {
        parts.into_iter().try_for_each(|(starts, bytes, ids)| {
            if starts {
                writer.start_document();
            }
            writer.append(&ids, bytes)
        })
    };
    let encoders = tokenizer.encoders();
    parallel::for_each_in_order(threads, blocks, || Ok(encoders.encoder()), encode, write)?;
    writer.finish()
}

/// Whether each part of a block starts a document, its length in bytes, and its ids.
fn encode_block(encoder: &mut Encoder<'_>, block: &[TextPart<'_>]) -> Vec<(bool, u64, Vec<u32>)> {
    let encode = |part: &TextPart<'_>| {
        let mut ids = Vec::new();
        encoder.encode_into(part.text, &mut ids);
        (part.offset == 0, part.text.len() as u64, ids)
    };
    block.iter().map(encode).collect()
}
