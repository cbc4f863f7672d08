//! Tokenizers: text to token ids and back, and the files that hold them.
//!
//! A [`Vocabulary`] is what training produces. A [`Tokenizer`] is the same as flat tables, in
//! memory or mapped from a file, that the kernels' encoder reads without a copy; an [`Encoder`]
//! adds a cache of words for long texts.

mod blocks;
pub(crate) mod byte_chars;
mod convert;
mod cut;
mod decoder;
mod dropout;
mod encoder;
mod encoders;
mod flat;
mod gpt2_files;
pub mod inspect;
mod json;
mod lexicon;
mod load;
mod mapped;
mod merges;
mod names;
mod offsets;
mod pattern;
mod special;
mod speller;
mod splits;
mod stream;
mod text_encoder;
mod tiktoken;
mod token_table;
mod vocabulary;

#[cfg(test)]
mod tests;

pub use barelm_kernels::bpe::{MergeRule, Pattern};
pub use blocks::{CorpusBlocks, TextPart};
pub use convert::{Loss, TokenizerFormat, refuse_unread_parts};
pub use cut::Cutter;
pub use decoder::{Decoder, InvalidBytes};
pub use dropout::{Dropout, DropoutEncoder};
pub use encoder::Encoder;
pub use encoders::Encoders;
pub use load::LoadOptions;
pub use offsets::CharOffsets;
pub use pattern::HarnessPattern;
pub use special::{DisallowedSpecial, Segment, SpecialSet, Specials};
pub use stream::{EncoderStream, TextChunk, TextChunks};
pub use text_encoder::{EncodeOptions, TextEncoder};
pub use vocabulary::Vocabulary;

use crate::container::ContainerWriter;
use crate::huge::HugeSlice;
use crate::{Error, Result};
use barelm_kernels::bpe::sections::{SECTIONS, Tables};
use barelm_kernels::bpe::table::NONE;
use barelm_kernels::bpe::{KIND, PairIndex, TokenizerRef};
use flat::FlatTables;
use lexicon::Lexicon;
use mapped::MappedTables;
use std::ops::Range;
use std::path::Path;
use std::sync::OnceLock;
use xxhash_rust::xxh64::Xxh64;

/// A tokenizer; see [`Vocabulary`] for an example.
#[derive(Debug)]
pub struct Tokenizer {
    tables: Storage,
    pattern: HarnessPattern,
    /// Words of the encoders' index of pairs, made when the first of them wants it.
    index: OnceLock<Option<HugeSlice<u64>>>,
}

#[derive(Debug)]
enum Storage {
    Owned(FlatTables),
    Mapped(MappedTables),
}

impl Tokenizer {
    /// Number of sections that [`Tokenizer::write_sections`] writes.
    pub const SECTIONS: usize = SECTIONS.len();

    /// The tokenizer of a vocabulary.
    ///
    /// # Errors
    /// [`Error::Failed`] when the vocabulary contradicts itself: two tokens of equal bytes, a
    /// merge that gives no token.
    pub fn from_vocabulary(vocabulary: &Vocabulary) -> Result<Self> {
        let built = Self::from_lexicon(vocabulary.into());
        built.map_err(|e| Error::Failed(format!("not a vocabulary: {e}")))
    }

    fn from_lexicon(lexicon: Lexicon) -> std::result::Result<Self, String> {
        let pattern = lexicon.pattern.clone();
        let flat = FlatTables::build(lexicon)?;
        Ok(Self {
            tables: Storage::Owned(flat),
            pattern,
            index: OnceLock::new(),
        })
    }

    /// Opens a tokenizer by its content: `tokenizer.json`, `.tiktoken`, GPT-2's `vocab.json` or
    /// `merges.txt` (the other one beside it), `tokenizer.barelm`, a file that embeds one
    /// (`model.barelm`), or a folder with any of them.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Data`] for a file that is none of these, is damaged, or needs
    /// something that barelm does not have, by its name.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        load::load(path.as_ref(), &LoadOptions::default())
    }

    /// Reads a mapped file to its end: compares its checksums and looks at every slot of its
    /// tables. Loading one looks at its structure alone, which is safe: damage that it does not
    /// see gives wrong ids and no other harm. Other tokenizers have nothing left to verify.
    ///
    /// # Errors
    /// [`Error::Data`] with the first place that is damaged.
    pub fn verify(&self) -> Result<()> {
        match &self.tables {
            Storage::Owned(_) => Ok(()),
            Storage::Mapped(mapped) => mapped.verify(),
        }
    }

    /// [`Tokenizer::load`] with options.
    ///
    /// # Errors
    /// Those of [`Tokenizer::load`].
    pub fn load_with(path: impl AsRef<Path>, options: &LoadOptions) -> Result<Self> {
        load::load(path.as_ref(), options)
    }

    /// Saves a `tokenizer.json` that Hugging Face's `tokenizers` opens and encodes alike.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn save_json(&self, path: impl AsRef<Path>) -> Result<()> {
        self.vocabulary().save_json(path)
    }

    /// Saves a `tokenizer.barelm`, which is mapped when it is loaded.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn save_flat(&self, path: impl AsRef<Path>) -> Result<()> {
        let mut writer = ContainerWriter::create(path, &KIND, Self::SECTIONS)?;
        self.write_sections(&mut writer)?;
        writer.finish()
    }

    /// Writes the tables as [`Tokenizer::SECTIONS`] sections of a file of any kind.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write_sections(&self, writer: &mut ContainerWriter) -> Result<()> {
        let sections = SECTIONS.iter().zip(payloads(self.as_ref().tables()));
        for (name, payload) in sections {
            writer.section(name, payload)?;
        }
        Ok(())
    }

    /// The kernels' tokenizer over the same tables.
    pub fn as_ref(&self) -> TokenizerRef<'_> {
        match &self.tables {
            Storage::Owned(flat) => TokenizerRef::from_tables(flat.tables()),
            Storage::Mapped(mapped) => TokenizerRef::from_tables(mapped.tables()),
        }
    }

    /// The index of pairs, if the tables allow one; made at the first call.
    fn pair_index(&self) -> Option<PairIndex<'_>> {
        let tokenizer = self.as_ref();
        let words = self.index.get_or_init(|| {
            let mut words = HugeSlice::zeros(PairIndex::words(&tokenizer)).ok()?;
            PairIndex::build(&tokenizer, &mut words).then_some(words)
        });
        PairIndex::new(&tokenizer, words.as_deref()?)
    }

    /// How text is cut into pieces.
    pub fn pattern(&self) -> &HarnessPattern {
        &self.pattern
    }

    /// An encoder of this thread's own for long or many texts.
    pub fn encoder(&self) -> Encoder<'_> {
        Encoder::new(self)
    }

    /// Encoders for several threads that learn from each other.
    pub fn encoders(&self) -> Encoders<'_> {
        Encoders::new(self)
    }

    /// The ids of a text; names of special tokens in it are ordinary text.
    ///
    /// Bytes that the vocabulary has no token for are left out, as Hugging Face's library does;
    /// vocabularies that barelm trains have all bytes.
    pub fn encode(&self, text: &[u8]) -> Vec<u32> {
        let mut ids = Vec::new();
        self.encoder().encode_into(text, &mut ids);
        ids
    }

    /// The ids of a text by options: special tokens, dropout. [`EncodeOptions`] has an example.
    ///
    /// # Errors
    /// [`Error::Usage`] for options that make no sense, [`Error::Data`] with the place of a special
    /// token that is not allowed.
    pub fn encode_with(&self, text: &[u8], options: &EncodeOptions) -> Result<Vec<u32>> {
        let mut ids = Vec::new();
        let encoded = TextEncoder::new(self, options)?.encode_into(text, 0, &mut ids);
        encoded.map_err(|found| found.in_file("text"))?;
        Ok(ids)
    }

    /// The ids of a text by options, each with the bytes it was made from; [`CharOffsets`] turns
    /// them into characters.
    ///
    /// # Example
    /// ```
    /// use barelm::tokenizer::EncodeOptions;
    /// # use barelm::tokenizer::{HarnessPattern, MergeRule, Tokenizer, Vocabulary};
    /// # fn main() -> barelm::Result<()> {
    /// # let tokenizer = Tokenizer::from_vocabulary(&Vocabulary {
    /// #     tokens: [&b"a"[..], b"b", b"ab", b" ", b"<end>"].map(<[u8]>::to_vec).to_vec(),
    /// #     merges: vec![(0, 1)],
    /// #     specials: vec![("<end>".into(), 4)],
    /// #     pattern: HarnessPattern::parse("gpt2")?,
    /// #     rule: MergeRule::PairRank,
    /// # })?;
    /// let found = tokenizer.encode_with_offsets(b"ab b", &EncodeOptions::default())?;
    /// assert_eq!(found, [(2, 0..2), (3, 2..3), (1, 3..4)]);
    /// assert_eq!(tokenizer.count(b"ab b"), 3);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of [`Tokenizer::encode_with`].
    pub fn encode_with_offsets(
        &self,
        text: &[u8],
        options: &EncodeOptions,
    ) -> Result<Vec<(u32, Range<usize>)>> {
        let (mut ids, mut ranges) = (Vec::new(), Vec::new());
        let mut encoder = TextEncoder::new(self, options)?;
        let encoded = encoder.encode_with_offsets_into(text, 0, &mut ids, &mut ranges);
        encoded.map_err(|found| found.in_file("text"))?;
        Ok(ids.into_iter().zip(ranges).collect())
    }

    /// Number of ids that [`Tokenizer::encode`] gives, a block of the text at a time: none are kept.
    /// (A regular expression of the user's own has one block, the text.)
    pub fn count(&self, text: &[u8]) -> u64 {
        let mut encoder = TextEncoder::new(self, &EncodeOptions::default())
            .expect("every tokenizer encodes ordinary text");
        let count = encoder.count(text, 0);
        count.expect("no special token is disallowed in ordinary text")
    }

    /// A search for special tokens; what is neither allowed nor disallowed is ordinary text.
    ///
    /// # Errors
    /// [`Error::Usage`] for a name that the vocabulary does not have.
    pub fn specials(&self, allowed: &SpecialSet, disallowed: &SpecialSet) -> Result<Specials> {
        Specials::new(self, allowed, disallowed)
    }

    /// Names and ids of the special tokens.
    pub fn special_tokens(&self) -> Vec<(String, u32)> {
        let ids = self.as_ref().tables().specials.iter();
        let name = |id| String::from_utf8_lossy(self.token_bytes(id).unwrap_or(&[])).into_owned();
        ids.map(|id| (name(*id), *id)).collect()
    }

    /// The bytes of tokens, one after the other; ids that the vocabulary does not have give none.
    /// [`Decoder`] takes ids as they come.
    pub fn decode(&self, ids: &[u32]) -> Vec<u8> {
        let mut text = Vec::new();
        decoder::decode_into(self.as_ref(), ids, &mut text);
        text
    }

    /// One more than the largest id.
    pub fn vocab_size(&self) -> usize {
        self.as_ref().vocab_size()
    }

    /// The bytes of a token.
    pub fn token_bytes(&self, id: u32) -> Option<&[u8]> {
        self.as_ref().token_bytes(id)
    }

    /// Length of the longest token in bytes.
    pub fn longest_token(&self) -> usize {
        let offsets = self.as_ref().tables().offsets;
        let lens = offsets.windows(2).map(|w| w[1].saturating_sub(w[0]));
        lens.max().unwrap_or(0) as usize
    }

    /// A number that is the same for tokenizers that encode all texts alike by equal tables.
    pub fn hash(&self) -> u64 {
        let mut hash = Xxh64::new(0);
        for payload in payloads(self.as_ref().tables()) {
            hash.update(&(payload.len() as u64).to_le_bytes());
            hash.update(payload);
        }
        hash.digest()
    }

    /// Tokens and merges in plain form.
    pub fn vocabulary(&self) -> Vocabulary {
        let tokenizer = self.as_ref();
        let bytes = |id| tokenizer.token_bytes(id).unwrap_or(&[]).to_vec();
        // An empty slot has no tokens; one of a mapped file may name tokens that do not exist.
        let exists = |id: u32| (id as usize) < self.vocab_size();
        let used = |slot: &&[u32; 4]| exists(slot[0]) && exists(slot[1]) && exists(slot[3]);
        let mut slots: Vec<_> = tokenizer.tables().pairs.iter().filter(used).collect();
        slots.sort_unstable_by_key(|[_, _, rank, _]| *rank);
        Vocabulary {
            tokens: (0..self.vocab_size() as u32).map(bytes).collect(),
            merges: slots
                .into_iter()
                .map(|[left, right, ..]| (*left, *right))
                .collect(),
            specials: self.special_tokens(),
            pattern: self.pattern.clone(),
            rule: tokenizer.rule(),
        }
    }
}

/// The token of a single byte, if the vocabulary has one.
fn byte_token(tokenizer: TokenizerRef<'_>, byte: u8) -> Option<u32> {
    let id = tokenizer.tables().bytes.get(byte as usize).copied();
    id.filter(|id| *id != NONE)
}

/// The tables' bytes in the order of [`SECTIONS`].
fn payloads<'a>(tables: &Tables<'a>) -> [&'a [u8]; 8] {
    [
        bytemuck::cast_slice(tables.head),
        bytemuck::cast_slice(tables.offsets),
        tables.blob,
        bytemuck::cast_slice(tables.bytes),
        bytemuck::cast_slice(tables.pairs),
        bytemuck::cast_slice(tables.hashes),
        bytemuck::cast_slice(tables.specials),
        tables.regex,
    ]
}
