//! Text to token ids and back, over tables that may lie in flash.

use super::chars;
use super::long;
use super::merge::{self, Merges, Pairs};
use super::ranks::FilePairs;
use super::sections::{Tables, content_error};
use super::table::{NONE, UNREACHABLE, find_bytes};
use super::{BpeError, CharMemo, MergeRule, PairIndex, Pattern, Pieces};
use crate::error::{BufferTooSmall, take};
use crate::format::{Container, FormatError};

/// Kind of a file that holds a tokenizer and nothing else.
pub const KIND: [u8; 8] = *b"tokenizr";

/// A tokenizer over borrowed tables; see [`sections`](super::sections) for their layout.
///
/// Ids are those of the tokenizer that the tables were made from, exactly. No input, and no table
/// however wrong, makes a method panic or run without end.
#[derive(Clone, Copy, Debug)]
pub struct TokenizerRef<'a> {
    tables: Tables<'a>,
}

/// Words of scratch for encoding text whose longest piece has `longest_piece` bytes.
///
/// Pieces of ordinary text are short (256 bytes are plenty); one million equal letters are one.
pub const fn encode_workspace_len(longest_piece: usize) -> usize {
    merge::workspace_len(longest_piece.saturating_add(1))
}

impl<'a> TokenizerRef<'a> {
    /// The tokenizer in a file of kind [`KIND`], or of any kind that embeds a tokenizer's
    /// sections. Structure and shapes are checked, not every slot of the hash tables: wrong slots
    /// give wrong ids, and do no other harm. See [`TokenizerRef::new_checked`].
    ///
    /// # Errors
    /// [`FormatError`] with the section that is missing or not valid.
    pub fn new(file: &Container<'a>) -> Result<Self, FormatError> {
        let tables = Tables::from_sections(file)?;
        tables
            .check()
            .map_err(|section| content_error(file, section))?;
        Ok(Self { tables })
    }

    /// [`TokenizerRef::new`], which also reads the hash tables and checks each of their slots.
    ///
    /// # Errors
    /// [`FormatError`] with the section that is missing or not valid.
    pub fn new_checked(file: &Container<'a>) -> Result<Self, FormatError> {
        let tokenizer = Self::new(file)?;
        let slots = tokenizer.tables.check_slots();
        slots.map_err(|section| content_error(file, section))?;
        Ok(tokenizer)
    }

    /// The tokenizer of tables that were checked before: wrong tables give wrong ids.
    pub const fn from_tables(tables: Tables<'a>) -> Self {
        Self { tables }
    }

    /// The tables.
    pub const fn tables(&self) -> &Tables<'a> {
        &self.tables
    }

    /// One more than the largest id.
    pub const fn vocab_size(&self) -> usize {
        self.tables.offsets.len().saturating_sub(1)
    }

    /// How text is cut into pieces; `None` if by a regular expression of the user's own, for which
    /// only [`TokenizerRef::encode_piece_into`] can be used.
    pub fn pattern(&self) -> Option<Pattern> {
        self.tables.pattern()
    }

    /// Which rule the tables were made for.
    pub fn rule(&self) -> MergeRule {
        self.tables.rule().unwrap_or(MergeRule::PairRank)
    }

    /// The bytes of a token; `None` for an id that the vocabulary does not have.
    pub fn token_bytes(&self, id: u32) -> Option<&'a [u8]> {
        let at = id as usize;
        let start = *self.tables.offsets.get(at)? as usize;
        let end = *self.tables.offsets.get(at.checked_add(1)?)? as usize;
        self.tables.blob.get(start..end).filter(|b| !b.is_empty())
    }

    /// The ordinary token of exactly these bytes.
    pub fn token_id(&self, bytes: &[u8]) -> Option<u32> {
        self.entry(bytes, None).map(|entry| entry & !UNREACHABLE)
    }

    /// The special token of that name. Encoding never yields special tokens.
    pub fn special_id(&self, name: &[u8]) -> Option<u32> {
        let specials = self.tables.specials.iter().copied();
        specials
            .into_iter()
            .find(|id| self.token_bytes(*id) == Some(name))
    }

    /// Whether a token is special.
    pub fn is_special(&self, id: u32) -> bool {
        self.tables.specials.binary_search(&id).is_ok()
    }

    /// Rank of a pair of neighbours, the lowest of a piece merges first, and the token that they
    /// merge to; `None` if they never do.
    pub fn merge_of(&self, left: u32, right: u32) -> Option<(u32, u32)> {
        let found = self.pairs().get(left, right);
        (found.0 != NONE).then_some(found)
    }

    pub(super) fn pairs(&self) -> Pairs<'a> {
        Pairs {
            slots: self.tables.pairs,
            probes: self.tables.probes()[0],
            vocab: self.vocab_size() as u32,
        }
    }

    fn entry(&self, bytes: &[u8], end: Option<u8>) -> Option<u32> {
        let [_, probes] = self.tables.probes();
        find_bytes(self.tables.hashes, probes, (bytes, end), |id| {
            self.token_bytes(id)
        })
    }

    /// The ids of a piece, in the first words of the workspace.
    fn encode_piece<'w>(
        &self,
        piece: &[u8],
        workspace: &'w mut [u32],
    ) -> Result<&'w [u32], BufferTooSmall> {
        let end = self.pattern().and_then(Pattern::end_of_word);
        let needed = encode_workspace_len(piece.len());
        let workspace = take(workspace, needed)?;
        match self.entry(piece, end).filter(|e| e & UNREACHABLE == 0) {
            Some(id) => {
                let ids = workspace.get_mut(..1).unwrap_or(&mut []);
                ids.fill(id);
                Ok(ids)
            }
            None => Ok(self.merge_bytes(piece, end, workspace)),
        }
    }

    fn merge_bytes<'w>(&self, bytes: &[u8], end: Option<u8>, ids: &'w mut [u32]) -> &'w [u32] {
        let len = self.spell(bytes, end, ids);
        let len = merge::merge(self.pairs(), ids, len);
        ids.get(..len).unwrap_or(&[])
    }

    /// Writes the tokens of single bytes; bytes that the vocabulary does not have are left out.
    fn spell(&self, piece: &[u8], end: Option<u8>, ids: &mut [u32]) -> usize {
        let token = |byte: &u8| self.tables.bytes.get(*byte as usize).copied();
        let tokens = piece.iter().chain(&end).filter_map(token);
        let known = tokens.filter(|id| *id != NONE);
        ids.iter_mut()
            .zip(known)
            .map(|(slot, id)| *slot = id)
            .count()
    }

    /// Encodes one piece (for own patterns; [`TokenizerRef::encode_into`] otherwise).
    ///
    /// # Errors
    /// [`BufferTooSmall`] when `out` has fewer words than the piece has tokens, or `workspace`
    /// fewer than [`encode_workspace_len`] of the piece.
    pub fn encode_piece_into(
        &self,
        piece: &[u8],
        out: &mut [u32],
        workspace: &mut [u32],
    ) -> Result<usize, BufferTooSmall> {
        let ids = self.encode_piece(piece, workspace)?;
        take(out, ids.len())?.copy_from_slice(ids);
        Ok(ids.len())
    }

    /// Encodes one piece with the pairs of an index that was built for this tokenizer: the same
    /// ids, several times as fast.
    ///
    /// Pieces of up to [`PairIndex::SHORT`] bytes need no workspace, longer ones some thousand
    /// words mostly.
    ///
    /// # Errors
    /// [`BufferTooSmall`] when `out` has fewer words than the piece has bytes, one for the mark of
    /// its end included (fewer may do), or when `workspace` is too small.
    pub fn encode_piece_with(
        &self,
        index: &PairIndex<'_>,
        piece: &[u8],
        out: &mut [u32],
        workspace: &mut [u32],
    ) -> Result<usize, BufferTooSmall> {
        let end = self.pattern().and_then(Pattern::end_of_word);
        let piece = long::Piece { bytes: piece, end };
        let encoded = long::encode(self, index, piece, out, workspace, usize::MAX)?;
        Ok(encoded.unwrap_or(0))
    }

    /// Encodes a piece that repeats itself, one million equal letters say, without an index;
    /// `None` if more than about `windows` stretches of [`PairIndex::SHORT`] bytes have to be
    /// merged: for such a piece an index pays.
    ///
    /// # Errors
    /// Those of [`TokenizerRef::encode_piece_with`].
    pub fn encode_repetitive_piece_into(
        &self,
        piece: &[u8],
        out: &mut [u32],
        workspace: &mut [u32],
        windows: usize,
    ) -> Result<Option<usize>, BufferTooSmall> {
        let end = self.pattern().and_then(Pattern::end_of_word);
        let whole = self.entry(piece, end).filter(|e| e & UNREACHABLE == 0);
        let pairs = FilePairs::new(self).filter(|_| whole.is_none());
        let piece = long::Piece { bytes: piece, end };
        pairs.map_or(Ok(None), |pairs| {
            long::encode(self, &pairs, piece, out, workspace, windows)
        })
    }

    /// Encodes one piece of characters that are mostly wide and mostly known to the memo: the same
    /// ids, and no merge for most of them.
    ///
    /// `None` if `out` is too small, or if the piece should better be encoded by
    /// [`TokenizerRef::encode_piece_with`]; [`CharMemo::suits`] tells in advance where that is so.
    pub fn encode_chars_with(
        &self,
        index: &PairIndex<'_>,
        memo: &mut CharMemo<'_>,
        piece: &[u8],
        out: &mut [u32],
    ) -> Option<usize> {
        match self.pattern().and_then(Pattern::end_of_word) {
            None => chars::encode(self, index, memo, piece, out),
            Some(_) => None,
        }
    }

    /// Encodes up to [`PairIndex::AT_ONCE`] pieces of less than [`PairIndex::SHORT`] bytes each,
    /// which takes less time than one after the other. `emit` gets the place of each among them, in order, and its
    /// ids.
    ///
    /// The ids are those of [`TokenizerRef::encode_piece_with`]; of more pieces, and of longer
    /// ones, the rest is left out.
    pub fn encode_short_pieces_with(
        &self,
        index: &PairIndex<'_>,
        pieces: &[&[u8]],
        emit: impl FnMut(usize, &[u32]),
    ) {
        let end = self.pattern().and_then(Pattern::end_of_word);
        let pieces = pieces.iter().map(|bytes| long::Piece { bytes, end });
        long::encode_short(index, pieces, emit);
    }

    /// Encodes bytes by merges alone: no look whether they are a token as a whole, no end-of-word
    /// mark. That is how a builder of tables finds out which tokens merging leads to.
    ///
    /// # Errors
    /// Those of [`TokenizerRef::encode_piece_into`].
    pub fn merge_into(
        &self,
        bytes: &[u8],
        out: &mut [u32],
        workspace: &mut [u32],
    ) -> Result<usize, BufferTooSmall> {
        let workspace = take(workspace, encode_workspace_len(bytes.len()))?;
        let ids = self.merge_bytes(bytes, None, workspace);
        take(out, ids.len())?.copy_from_slice(ids);
        Ok(ids.len())
    }

    /// Encodes a text as ordinary text: names of special tokens in it are text too.
    ///
    /// Writes the ids to `out` and returns their number, at most one a byte (one more a word for
    /// [`Pattern::Whitespace`]). The workspace has [`encode_workspace_len`] words of the longest
    /// piece. To encode a text that is not all in memory, cut it at [`last_cut`](super::last_cut).
    ///
    /// # Errors
    /// [`BpeError::Buffer`] when `out` or `workspace` is too small, [`BpeError::Pattern`] when the
    /// pattern is a regular expression.
    pub fn encode_into(
        &self,
        text: &[u8],
        out: &mut [u32],
        workspace: &mut [u32],
    ) -> Result<usize, BpeError> {
        let mut len = 0;
        for piece in self.pattern().ok_or(BpeError::Pattern)?.pieces(text) {
            let ids = self.encode_piece(piece, workspace)?;
            let needed = len + ids.len();
            let place = out.get_mut(len..needed).ok_or(BufferTooSmall { needed })?;
            place.copy_from_slice(ids);
            len = needed;
        }
        Ok(len)
    }

    /// The ids of a text one after the other, without a buffer for them.
    ///
    /// # Errors
    /// [`BpeError::Pattern`] when the pattern is a regular expression.
    pub fn tokens<'t>(
        &self,
        text: &'t [u8],
        workspace: &'t mut [u32],
    ) -> Result<Tokens<'t>, BpeError>
    where
        'a: 't,
    {
        let pieces = self.pattern().ok_or(BpeError::Pattern)?.pieces(text);
        let tokenizer = *self;
        Ok(Tokens {
            tokenizer,
            pieces,
            workspace,
            next: 0,
            len: 0,
        })
    }

    /// Writes the bytes of tokens, special ones included, one after the other to `out`; returns
    /// their number.
    ///
    /// # Errors
    /// [`BpeError::Id`] with an id that the vocabulary does not have, [`BpeError::Buffer`] when
    /// `out` is too small.
    pub fn decode_into(&self, ids: &[u32], out: &mut [u8]) -> Result<usize, BpeError> {
        let mut len = 0;
        for id in ids {
            let bytes = self.token_bytes(*id).ok_or(BpeError::Id(*id))?;
            let needed = len + bytes.len();
            let place = out.get_mut(len..needed).ok_or(BufferTooSmall { needed })?;
            place.copy_from_slice(bytes);
            len = needed;
        }
        Ok(len)
    }
}

/// Iterator over the ids of a text; see [`TokenizerRef::tokens`].
#[derive(Debug)]
pub struct Tokens<'t> {
    tokenizer: TokenizerRef<'t>,
    pieces: Pieces<'t>,
    workspace: &'t mut [u32],
    next: usize,
    len: usize,
}

impl Iterator for Tokens<'_> {
    type Item = Result<u32, BufferTooSmall>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.next == self.len {
            let piece = self.pieces.next()?;
            self.next = 0;
            self.len = match self.tokenizer.encode_piece(piece, self.workspace) {
                Ok(ids) => ids.len(),
                Err(error) => {
                    self.len = 0;
                    return Some(Err(error));
                }
            };
        }
        self.next += 1;
        self.workspace.get(self.next - 1).map(|id| Ok(*id))
    }
}
