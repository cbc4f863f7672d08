//! Encodes text of wide characters: each character by itself, and then the borders between them.
//!
//! A character of Chinese or an emoji is three or four bytes and mostly one to three tokens, and
//! few of them make up a text. So what a character's own bytes merge to is noted, and so is which
//! two tokens stay apart: those whose bytes together merge to just the two. Tokens of which each
//! two neighbours stay apart are the encoding of the whole (see [`long`](super::long)), so a text
//! of known characters is read off without any merge.
//!
//! Where two tokens do not stay apart, the bytes of the last token and of the character are
//! encoded anew, and if the border before them does not hold either, those of one more token.
//!
//! Whether two tokens stay apart is found by taking their merges back, the last one first. A
//! merge inside either of them ends the time of one pair of tokens across the border. If that
//! pair merges, and at a lower rank, it would have merged before. This needs that the merges of a
//! token alone come in the order of their ranks, which is looked at when they are first taken
//! back; tokens of which it is not true are said not to stay apart from any.

use super::TokenizerRef;
use super::index::PairIndex;
use super::merge::Merges;
use super::ranks::{ID_BITS, NO_RANK, Ranks, rank_of};
use super::table::NONE;
use super::window::{WINDOW, Window, merge_all};
use crate::simd::prefetch;

/// Slots of each kind.
const CHARS: usize = 1 << 12;
const SPLITS: usize = 1 << 13;
const BORDERS: usize = 1 << BORDER_BITS;
const BORDER_BITS: u32 = 17;
/// Tokens of a character that is noted.
const MOST_TOKENS: usize = 3;
/// Characters that are looked up at once.
const AHEAD: usize = 8;
/// Meetings of tokens that are looked up at once.
const MEETINGS: usize = 8;
/// So many times the bytes around a border are encoded anew before the text is left to others.
const ATTEMPTS: usize = 4;
const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;

/// What an encoder remembers of characters and tokens, in a buffer of the caller's.
///
/// Each thing has one slot where it can be, and is found out again after it lost that to another.
#[derive(Debug)]
pub struct CharMemo<'w> {
    /// The bytes of a character, as a number, and its tokens; [`NONE`] behind them.
    chars: &'w mut [[u32; 4]],
    /// One more than a token; the two tokens that merge to it; one more than the rank, 0 for a
    /// byte, [`NONE`] for a token that cannot be taken back.
    splits: &'w mut [[u32; 4]],
    /// The mark of two tokens, and one more if they stay apart.
    borders: &'w mut [u32],
}

impl<'w> CharMemo<'w> {
    /// Words of the buffer.
    pub const WORDS: usize = 2 * CHARS + 2 * SPLITS + BORDERS / 2;

    /// The memo in a buffer of [`CharMemo::WORDS`] words, at first zeros; `None` if it is shorter.
    /// It belongs to one tokenizer: what another one noted gives wrong ids, and no other harm.
    pub fn new(words: &'w mut [u64]) -> Option<Self> {
        let (chars, rest) = words.split_at_mut_checked(2 * CHARS)?;
        let (splits, rest) = rest.split_at_mut_checked(2 * SPLITS)?;
        Some(Self {
            chars: bytemuck::cast_slice_mut(chars).as_chunks_mut().0,
            splits: bytemuck::cast_slice_mut(splits).as_chunks_mut().0,
            borders: bytemuck::cast_slice_mut(rest.get_mut(..BORDERS / 2)?),
        })
    }

    /// Whether a piece begins with a wide character, so that [`TokenizerRef::encode_chars_with`]
    /// is likely to be the fastest.
    pub fn suits(piece: &[u8]) -> bool {
        piece.first().is_some_and(|byte| *byte >= 0xE0)
    }
}

/// The upper bits of a hash, as one of `slots` (a power of two) slots.
#[inline]
const fn home(number: u64, slots: usize) -> usize {
    (number.wrapping_mul(MULTIPLIER) >> 40) as usize & (slots - 1)
}

/// The bytes of the first character as a number, and how many there are; `None` if they are not
/// all there. Bytes that are no UTF-8 count as characters too: any cut will do.
#[inline]
fn first_char(text: &[u8]) -> Option<(u32, usize)> {
    let len = match text.first()? {
        0..0xC0 => 1,
        0xC0..0xE0 => 2,
        0xE0..0xF0 => 3,
        _ => 4,
    };
    let bytes = match text.first_chunk::<4>() {
        Some(bytes) => u32::from_le_bytes(*bytes) & u32::MAX >> (32 - 8 * len),
        None => text
            .get(..len)?
            .iter()
            .rev()
            .fold(0, |bytes, byte| bytes << 8 | u32::from(*byte)),
    };
    (bytes != 0).then_some((bytes, len))
}

/// Encodes a piece; `None` if `out` is too small or the text should be left to others.
pub(super) fn encode(
    tokenizer: &TokenizerRef<'_>,
    index: &PairIndex<'_>,
    memo: &mut CharMemo<'_>,
    text: &[u8],
    out: &mut [u32],
) -> Option<usize> {
    #[rustfmt::skip]
    let mut encoder = Encoder { tokenizer, index, memo, text, out, len: 0 };
    let mut chars = [Char::default(); AHEAD];
    let mut from = 0;
    while from < text.len() {
        let known = encoder.look_ahead(from, &mut chars)?;
        for char in chars.iter().take(known) {
            encoder.append(char)?;
            from = char.to;
        }
    }
    Some(encoder.len)
}

/// Where a character is, and its tokens; [`NONE`] behind them.
#[derive(Clone, Copy, Default)]
struct Char {
    from: usize,
    to: usize,
    tokens: [u32; MOST_TOKENS],
}

/// The slot of the border between two tokens, and its mark there, an even number but 0.
///
/// Multiplying by an odd number mixes the bits of both tokens and loses none of them, so those
/// that do not say which slot it is are enough for a mark.
#[inline]
const fn border(left: u32, right: u32) -> (usize, u32) {
    const ID: u64 = (1 << ID_BITS) - 1;
    const MARK_BITS: u32 = 2 * ID_BITS - BORDER_BITS;
    let number = (left as u64 & ID) << ID_BITS | right as u64 & ID;
    let mixed = number.wrapping_mul(MULTIPLIER);
    let mark = mixed as u32 & ((1 << MARK_BITS) - 1);
    ((mixed >> MARK_BITS) as usize % BORDERS, mark << 2 | 2)
}

struct Encoder<'t, 'o, 'w> {
    tokenizer: &'t TokenizerRef<'t>,
    index: &'t PairIndex<'t>,
    memo: &'o mut CharMemo<'w>,
    text: &'t [u8],
    /// Tokens of which each two neighbours stay apart, `len` of them.
    out: &'o mut [u32],
    len: usize,
}

impl Encoder<'_, '_, '_> {
    /// Finds the next characters from `from` on, and asks the memory for what their borders will
    /// need; returns how many there are.
    #[inline]
    fn look_ahead(&mut self, mut from: usize, chars: &mut [Char; AHEAD]) -> Option<usize> {
        let mut before = self.last().unwrap_or(NONE);
        let mut len = 0;
        for place in chars {
            if from == self.text.len() {
                break;
            }
            let (bytes, width) = first_char(self.text.get(from..)?)?;
            let to = from + width;
            let [known, tokens @ ..] = self.memo.chars[home(u64::from(bytes), CHARS)];
            let tokens = if known == bytes {
                tokens
            } else {
                self.char_tokens(bytes, from, to)?
            };
            let [first, second, third] = tokens;
            prefetch(&self.memo.borders[border(before, first).0]);
            before = if second == NONE { first } else { second };
            before = if third == NONE { before } else { third };
            *place = Char { from, to, tokens };
            (from, len) = (to, len + 1);
        }
        Some(len)
    }

    /// Appends a character.
    #[inline]
    fn append(&mut self, char: &Char) -> Option<()> {
        if !self.holds(char.tokens[0]) {
            return self.join(char);
        }
        for token in char.tokens.into_iter().take_while(|token| *token != NONE) {
            *self.out.get_mut(self.len)? = token;
            self.len += 1;
        }
        Some(())
    }

    /// The last token.
    #[inline]
    fn last(&self) -> Option<u32> {
        let last = self.len.checked_sub(1)?;
        self.out.get(last).copied()
    }

    /// Finds out and notes the tokens of a character; `None` if they are too many.
    #[cold]
    fn char_tokens(&mut self, bytes: u32, from: usize, to: usize) -> Option<[u32; MOST_TOKENS]> {
        let mut window = Window::new();
        self.merge(from, to, &mut window)?;
        if window.len() > MOST_TOKENS {
            return None;
        }
        let mut tokens = [NONE; MOST_TOKENS];
        window.write(&mut tokens);
        let [first, second, third] = tokens;
        self.memo.chars[home(u64::from(bytes), CHARS)] = [bytes, first, second, third];
        Some(tokens)
    }

    /// Merges the bytes from `from` to `to`.
    fn merge(&self, from: usize, to: usize, window: &mut Window) -> Option<()> {
        let bytes = self.text.get(from..to).filter(|b| b.len() <= WINDOW)?;
        window.spell(self.index, bytes);
        merge_all(self.index, core::slice::from_mut(window));
        Some(())
    }

    /// Whether a token stays apart from the last one.
    #[inline]
    fn holds(&mut self, token: u32) -> bool {
        self.last().is_none_or(|before| self.apart(before, token))
    }

    /// Appends a character that does not stay apart from the last token.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn join(&mut self, char: &Char) -> Option<()> {
        let (mut from, to, tokens) = (char.from, char.to, char.tokens);
        for attempt in 0..ATTEMPTS {
            self.len = self.len.checked_sub(1)?;
            let last = *self.out.get(self.len)?;
            from = from.checked_sub(self.tokenizer.token_bytes(last)?.len())?;
            if attempt == 0
                && tokens[1] == NONE
                && let Some(merged) = self.merged(last, tokens[0])
            {
                if self.holds(merged) {
                    *self.out.get_mut(self.len)? = merged;
                    self.len += 1;
                    return Some(());
                }
                continue;
            }
            let mut window = Window::new();
            self.merge(from, to, &mut window)?;
            if self.holds(window.token(0)) {
                let end = self.len + window.len();
                window.write(self.out.get_mut(self.len..end)?);
                self.len = end;
                return Some(());
            }
        }
        None
    }

    /// The token that the bytes of two tokens merge to, if the two merge to it last.
    fn merged(&mut self, left: u32, right: u32) -> Option<u32> {
        let (_, merged) = self.index.get(left, right);
        let split = (merged != NONE).then(|| self.split(merged)).flatten()?;
        ((split[0], split[1]) == (left, right)).then_some(merged)
    }

    /// Whether the bytes of two tokens merge to just the two.
    #[inline]
    fn apart(&mut self, left: u32, right: u32) -> bool {
        let (at, mark) = border(left, right);
        let slot = self.memo.borders[at];
        if slot & !1 == mark {
            return slot & 1 == 1;
        }
        let apart = self.find_apart(left, right).unwrap_or(false);
        self.memo.borders[at] = mark | u32::from(apart);
        apart
    }

    /// [`Encoder::apart`], by taking back merges. `None` if those of one cannot be taken back.
    ///
    /// Which tokens meet does not depend on what merges: first all are found, and the memory is
    /// asked for their pairs, and then those are looked up.
    #[inline(never)]
    fn find_apart(&mut self, mut left: u32, mut right: u32) -> Option<bool> {
        // Pairs across the border would have merged in time below this; all numbers are ranks + 1.
        let mut limit = NONE;
        let mut meetings = [(0, 0, 0); MEETINGS];
        for _ in 0..2 * WINDOW / MEETINGS {
            let (mut len, mut is_last) = (0, false);
            for meeting in &mut meetings {
                *meeting = (left, right, limit);
                self.index.prefetch(left, right);
                len += 1;
                let (a, b) = (self.split(left)?, self.split(right)?);
                match (a[2], b[2]) {
                    (0, 0) => {
                        is_last = true;
                        break;
                    }
                    // Of equal ranks the left one merges first and is taken back last.
                    (a_rank, b_rank) if a_rank > b_rank => (limit, left) = (a_rank, a[1]),
                    (_, b_rank) => (limit, right) = (b_rank + 1, b[0]),
                }
            }
            for (left, right, limit) in meetings.iter().take(len) {
                let (rank, _) = self.index.get(*left, *right);
                if rank != NONE && rank + 1 < *limit {
                    return Some(false);
                }
            }
            if is_last {
                return Some(true);
            }
        }
        None
    }

    /// The two tokens that merge to a token last, and one more than the rank (0 for a byte).
    #[inline]
    fn split(&mut self, token: u32) -> Option<[u32; 3]> {
        let at = token as usize % SPLITS;
        let [known, split @ ..] = self.memo.splits[at];
        if known == token.wrapping_add(1) {
            return (split[2] != NONE).then_some(split);
        }
        let found = self.find_split(token);
        let [left, right, rank] = found.unwrap_or([NONE; 3]);
        self.memo.splits[at] = [token.wrapping_add(1), left, right, rank];
        found
    }

    #[cold]
    fn find_split(&mut self, token: u32) -> Option<[u32; 3]> {
        let bytes = self
            .tokenizer
            .token_bytes(token)
            .filter(|b| b.len() <= WINDOW)?;
        let mut window = Window::new();
        window.spell(self.index, bytes);
        let (mut last, mut rank) = ([NONE; 2], 0);
        loop {
            if window.len() == 2 {
                last = window.first_two();
            }
            match window.step(self.index) {
                NO_RANK => break,
                packed if rank_of(packed) + 1 < rank => return None,
                packed => rank = rank_of(packed) + 1,
            }
        }
        (window.len() == 1 && window.token(0) == token).then_some([last[0], last[1], rank])
    }
}
