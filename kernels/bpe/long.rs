//! Encodes pieces of any length with an index, window by window.
//!
//! Tokens that each are what their own bytes merge to, and of which each two neighbours are what
//! the bytes of both merge to, are the encoding of all the bytes. For if the merges of the whole
//! crossed a border between two of these tokens, take the first that does: up to there the merges
//! inside the two were those that either has alone, so this merge would be next for the bytes of
//! the two as well. Therefore every stretch of an encoding is an encoding, and two encodings can
//! be joined at a border that a third one has, too.
//!
//! So a long piece is encoded from left to right. The last two tokens of a window are not trusted,
//! since bytes behind the window could change them. The next window begins with the first of them
//! and mostly finds it again: then the border before it is one that has been seen, and the tokens
//! are joined. If not, or if tokens are so long that nothing is gained, the window becomes four
//! times longer and begins earlier. Long windows are merged with the heap. Each window costs time
//! in its length and either brings the text on by a quarter of that or is followed by one of four
//! times the length: the time is O(n log n), whatever the table.
//!
//! Merging is a chain of steps that wait for memory, so several windows are merged at once where
//! there is text enough. They overlap by 16 bytes, and two of them are joined at a border, and a
//! token behind it, that both have there.
//!
//! A window of the same bytes as the one before has the same tokens, so a million equal letters
//! are copied for the most part.

use super::TokenizerRef;
use super::index::PairIndex;
use super::merge::{merge_long, workspace_len as heap_workspace_len};
use super::ranks::Ranks;
use super::table::NONE;
use super::window::{MOST, WINDOW, Window, merge_all};
use crate::error::{BufferTooSmall, take};
use crate::simd::{Backend, Kernel, Simd};
use core::ops::Range;

/// From one of several windows to the next.
const STRIDE: usize = WINDOW - 16;
/// A window grows by this, and shrinks by it where tokens are short.
const STEP: usize = 4;

/// The bytes of a piece, its mark of a word's end included.
#[derive(Clone, Copy)]
pub(super) struct Piece<'t> {
    pub(super) bytes: &'t [u8],
    pub(super) end: Option<u8>,
}

impl<'t> Piece<'t> {
    pub(super) fn len(&self) -> usize {
        self.bytes.len() + usize::from(self.end.is_some())
    }

    /// At most [`WINDOW`] bytes from `from` on, in the buffer if the mark is one of them.
    fn window<'b>(&self, from: usize, buffer: &'b mut [u8; WINDOW]) -> &'b [u8]
    where
        't: 'b,
    {
        let rest = self.bytes.get(from..).unwrap_or(&[]);
        match (rest.get(..WINDOW), self.end) {
            (Some(bytes), _) => bytes,
            (None, None) => rest,
            (None, Some(end)) => {
                let bytes = buffer.get_mut(..=rest.len()).unwrap_or(&mut []);
                if let Some((last, before)) = bytes.split_last_mut() {
                    before.copy_from_slice(rest);
                    *last = end;
                }
                bytes
            }
        }
    }

    /// The bytes from `from` to `to`.
    fn iter(self, from: usize, to: usize) -> impl Iterator<Item = u8> + 't {
        let bytes = self.bytes.iter().copied().chain(self.end);
        bytes.skip(from).take(to - from)
    }

    /// Whether the bytes of two stretches of the same length are equal.
    fn repeats(&self, a: usize, b: usize, len: usize) -> bool {
        let stretch = |from: usize| self.bytes.get(from..from + len);
        stretch(a).is_some() && stretch(a) == stretch(b)
    }
}

/// Encodes a piece; `None` if more than `most` windows would have to be merged.
#[inline]
pub(super) fn encode<R: Ranks>(
    tokenizer: &TokenizerRef<'_>,
    index: &R,
    piece: Piece<'_>,
    out: &mut [u32],
    workspace: &mut [u32],
    most: usize,
) -> Result<Option<usize>, BufferTooSmall> {
    if piece.len() <= WINDOW {
        return encode_in_one_window(index, piece, out).map(Some);
    }
    let mut windows = [const { Window::new() }; MOST];
    let windows = &mut windows;
    #[rustfmt::skip]
    let encoder = Long { tokenizer, index, piece, out, workspace, windows, most, width: WINDOW, from: 0, len: 0, expected: NONE };
    encoder.encode()
}

/// Encodes a piece of at most [`WINDOW`] bytes.
#[cfg_attr(target_pointer_width = "32", inline(never))]
#[cfg_attr(not(target_pointer_width = "32"), inline(always))]
fn encode_in_one_window<R: Ranks>(
    index: &R,
    piece: Piece<'_>,
    out: &mut [u32],
) -> Result<usize, BufferTooSmall> {
    let mut window = [Window::new()];
    window[0].spell(index, piece.window(0, &mut [0; WINDOW]));
    merge_all(index, &mut window);
    window[0].write(take(out, window[0].len())?);
    Ok(window[0].len())
}

/// Encodes pieces of at most [`WINDOW`] bytes, several at once; `emit` gets the place of each and its ids.
#[inline]
pub(super) fn encode_short<'t>(
    index: &PairIndex<'_>,
    pieces: impl ExactSizeIterator<Item = Piece<'t>>,
    mut emit: impl FnMut(usize, &[u32]),
) {
    let mut windows = [const { Window::new() }; MOST];
    let len = pieces.len().min(MOST);
    for (window, piece) in windows.iter_mut().zip(pieces) {
        window.spell(index, piece.window(0, &mut [0; WINDOW]));
    }
    let windows = windows.get_mut(..len).unwrap_or(&mut []);
    Backend::best().run(MergeAll { index, windows });
    for (at, window) in windows.iter().enumerate() {
        let mut ids = [0; WINDOW];
        window.write(&mut ids);
        emit(at, ids.get(..window.len()).unwrap_or(&[]));
    }
}

/// [`merge_all`], with the instructions of the processor.
struct MergeAll<'i, 'w> {
    index: &'i PairIndex<'i>,
    windows: &'w mut [Window],
}

impl Kernel for MergeAll<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        merge_all(self.index, self.windows);
    }
}

/// A window as it was merged: where it was, its tokens, where the last but one starts.
#[derive(Clone, Copy, Default)]
struct Merged {
    from: usize,
    width: usize,
    len: usize,
    last_but_one: usize,
}

/// A place where a token starts that two windows have in common, the second [`STRIDE`] behind.
fn common_border(window: &Window, next: &Window) -> Option<usize> {
    let mut common = window.starts() & next.starts() << STRIDE;
    while common != 0 {
        let at = common.trailing_zeros() as usize;
        if window.token(at) == next.token(at - STRIDE) {
            return Some(at);
        }
        common &= common - 1;
    }
    None
}

struct Long<'t, 'o, R> {
    tokenizer: &'t TokenizerRef<'t>,
    index: &'t R,
    piece: Piece<'t>,
    out: &'o mut [u32],
    workspace: &'o mut [u32],
    windows: &'o mut [Window; MOST],
    /// Windows that may still be merged.
    most: usize,
    width: usize,
    /// Where the window begins, and how many tokens stand before it.
    from: usize,
    len: usize,
    /// The token that a valid encoding has behind them, if any stand there.
    expected: u32,
}

impl<R: Ranks> Long<'_, '_, R> {
    #[inline(never)]
    fn encode(mut self) -> Result<Option<usize>, BufferTooSmall> {
        let mut merged = Merged::default();
        while self.most > 0 {
            if self.width == WINDOW
                && !self.repeats(merged, WINDOW)
                && let Some(last) = self.advance_many()?
            {
                merged = last;
                continue;
            }
            let to = self.piece.len().min(self.from.saturating_add(self.width));
            merged = self.merge(merged, to)?;
            self.write(merged)?;
            let joins = self.len == 0 || self.out.get(self.len) == Some(&self.expected);
            if joins && to == self.piece.len() {
                return Ok(Some(self.len + merged.len));
            }
            if joins && merged.len > 2 {
                self.advance(merged);
            } else {
                self.widen();
            }
        }
        Ok(None)
    }

    /// Whether the next bytes are those of a window that was merged last.
    fn repeats(&self, last: Merged, width: usize) -> bool {
        last.width == width && self.piece.repeats(last.from, self.from, width)
    }

    /// Merges several windows at once and appends the tokens of those that can be joined, but for
    /// the last two; returns the last of these windows. `None` if there is no text for two, or if
    /// not even the first can be joined.
    fn advance_many(&mut self) -> Result<Option<Merged>, BufferTooSmall> {
        let rest = self.piece.bytes.get(self.from..).unwrap_or(&[]);
        let many = (rest.len().saturating_sub(WINDOW) / STRIDE + 1).min(MOST);
        if many < 2 || rest.len() < WINDOW {
            return Ok(None);
        }
        let stretches = rest.windows(WINDOW).step_by(STRIDE);
        for (window, bytes) in self.windows.iter_mut().zip(stretches) {
            window.spell(self.index, bytes);
        }
        self.most = self.most.saturating_sub(many);
        merge_all(self.index, self.windows.get_mut(..many).unwrap_or(&mut []));
        if self.len > 0 && self.windows[0].token(0) != self.expected {
            return Ok(None);
        }
        let window_from = self.from;
        let (mut at, mut start) = (0, 0);
        while let [window, next, ..] = self.windows.get(at..many).unwrap_or(&[])
            && let Some(border) = common_border(window, next)
        {
            self.append(at, start..border)?;
            (at, start) = (at + 1, border - STRIDE);
        }
        let from = window_from + at * STRIDE;
        let kept = self.append_trusted(at, start)?;
        Ok((kept || at > 0).then(|| self.merged_last(from, at)))
    }

    /// Appends the tokens of a window that start in a range of its places.
    fn append(&mut self, at: usize, range: Range<usize>) -> Result<(), BufferTooSmall> {
        let window = &self.windows[at % MOST];
        let needed = self.len + window.count(range.clone());
        let place = self.out.get_mut(self.len..needed);
        window.write_from(range.start, place.ok_or(BufferTooSmall { needed })?);
        self.len = needed;
        Ok(())
    }

    /// Appends the tokens of a window from `start` on, all but the last two, and goes there;
    /// `false` if that is none.
    fn append_trusted(&mut self, at: usize, start: usize) -> Result<bool, BufferTooSmall> {
        let window = &self.windows[at % MOST];
        let (len, end) = (window.count(start..WINDOW), window.last_but_one());
        let end = if len > 2 { end } else { start };
        self.expected = window.token(end);
        self.append(at, start..end)?;
        self.from += at * STRIDE + end;
        Ok(len > 2)
    }

    /// The window that was merged last, now the first of them.
    fn merged_last(&mut self, from: usize, at: usize) -> Merged {
        self.windows.swap(0, at % MOST);
        let [window, ..] = &*self.windows;
        Merged {
            from,
            width: WINDOW,
            len: window.len(),
            last_but_one: window.last_but_one(),
        }
    }

    /// Merges the bytes from `from` to `to`, unless they are those of the last time.
    fn merge(&mut self, last: Merged, to: usize) -> Result<Merged, BufferTooSmall> {
        let width = to - self.from;
        if self.repeats(last, width) {
            return Ok(last);
        }
        self.most = self.most.saturating_sub(width.div_ceil(WINDOW));
        let (len, last_but_one) = if width <= WINDOW {
            let [window, ..] = &mut *self.windows;
            window.spell(self.index, self.piece.window(self.from, &mut [0; WINDOW]));
            merge_all(self.index, core::slice::from_mut(window));
            (window.len(), window.last_but_one())
        } else {
            let spelled = self
                .piece
                .iter(self.from, to)
                .map(|byte| self.index.letter(byte));
            let workspace = take(self.workspace, heap_workspace_len(width))?;
            workspace
                .iter_mut()
                .zip(spelled)
                .for_each(|(place, id)| *place = id);
            merge_long(*self.index, workspace, width)
        };
        let from = self.from;
        #[rustfmt::skip]
        let merged = Merged { from, width, len, last_but_one };
        Ok(merged)
    }

    /// Writes the tokens of the window behind those that stand.
    fn write(&mut self, merged: Merged) -> Result<(), BufferTooSmall> {
        let needed = self.len + merged.len;
        let place = self
            .out
            .get_mut(self.len..needed)
            .ok_or(BufferTooSmall { needed })?;
        if merged.width <= WINDOW {
            self.windows[0].write(place);
        } else {
            place.copy_from_slice(take(self.workspace, merged.len)?);
        }
        Ok(())
    }

    /// Keeps all tokens of the window but the last two.
    fn advance(&mut self, merged: Merged) {
        self.len += merged.len - 2;
        self.expected = self.out.get(self.len).copied().unwrap_or(NONE);
        self.from += merged.last_but_one;
        if merged.last_but_one < self.width / STEP {
            self.width *= STEP;
        } else if merged.len > WINDOW {
            self.width = WINDOW.max(self.width / STEP);
        }
    }

    /// Makes the window longer, and begin earlier.
    fn widen(&mut self) {
        self.width = self.width.saturating_mul(STEP);
        let least = self.from.saturating_sub(self.width / 8);
        while self.from > least && self.len > 0 {
            self.len -= 1;
            self.expected = self.out.get(self.len).copied().unwrap_or(NONE);
            let bytes = self.tokenizer.token_bytes(self.expected);
            self.from = self.from.saturating_sub(bytes.map_or(1, <[u8]>::len));
        }
        // With an index that lies one is reached without the other: then all begins anew.
        if self.from == 0 || self.len == 0 {
            (self.from, self.len) = (0, 0);
        }
    }
}
