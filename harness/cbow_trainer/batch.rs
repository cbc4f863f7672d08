//! Windows of a batch, as flat tables for the kernels.

use crate::kernels::cbow::{BatchRef, blocks};
use std::iter::repeat_n;
use std::ops::Range;

/// Windows with their contexts, their targets, and the rows of the output table that decide.
pub(crate) struct Batch {
    context_offsets: Vec<u32>,
    contexts: Vec<u32>,
    row_offsets: Vec<u32>,
    rows: Vec<u32>,
    signs: Vec<f32>,
    targets: Vec<u32>,
    tokens_read: u64,
    in_pairs: bool,
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            context_offsets: vec![0],
            contexts: Vec::new(),
            row_offsets: vec![0],
            rows: Vec::new(),
            signs: Vec::new(),
            targets: Vec::new(),
            tokens_read: 0,
            in_pairs: false,
        }
    }
}

impl Batch {
    pub(super) fn clear(&mut self) {
        for offsets in [&mut self.context_offsets, &mut self.row_offsets] {
            offsets.truncate(1);
        }
        for list in [&mut self.contexts, &mut self.rows, &mut self.targets] {
            list.clear();
        }
        self.signs.clear();
    }

    /// Appends a window, and the rows of its target. Bit `i` of the code says what row `i` is to answer;
    /// without a code all rows compete, in a softmax.
    #[inline]
    pub(crate) fn push(&mut self, window: Window<'_>, (rows, code): (&[u32], Option<u64>)) {
        self.push_context(&window);
        self.push_rows(rows);
        self.targets.push(window.target());
        if let Some(code) = code {
            let end = self.signs.len() + rows.len();
            for first in (0..rows.len()).step_by(SIGNS) {
                self.signs.extend_from_slice(&signs_of(code >> first));
            }
            self.signs.truncate(end);
        }
    }

    /// The words before the target, then those after it.
    #[inline]
    fn push_context(&mut self, window: &Window<'_>) {
        for part in window.parts() {
            push_part(&mut self.contexts, window.text, part);
        }
    }

    /// As [`Batch::push`], but each word of the context is to predict the target by itself. All of a
    /// batch are pushed so.
    #[inline]
    pub(crate) fn push_pairs(&mut self, window: Window<'_>, (rows, code): (&[u32], Option<u64>)) {
        self.in_pairs = true;
        let (target, [before, after]) = (window.target(), window.parts());
        let words = before.len() + after.len();
        let Some(code) = code else {
            // The scores of a softmax lie side by side: those of a pair, not of a block of pairs.
            for word in before.chain(after) {
                self.contexts.push(window.text[word]);
                self.push_rows(rows);
                self.targets.push(target);
            }
            return;
        };
        self.push_context(&window);
        self.push_rows(rows);
        self.targets.extend(repeat_n(target, words));
        for block in blocks(words) {
            match block {
                4 => self.push_signs::<4>(code, rows.len()),
                2 => self.push_signs::<2>(code, rows.len()),
                _ => self.push_signs::<1>(code, rows.len()),
            }
        }
    }

    /// Ends a window whose context is there.
    #[inline]
    fn push_rows(&mut self, rows: &[u32]) {
        self.context_offsets.push(self.contexts.len() as u32);
        self.rows.extend_from_slice(rows);
        self.row_offsets.push(self.rows.len() as u32);
    }

    /// The sign of every row, for each of the words of a block.
    #[inline]
    fn push_signs<const WORDS: usize>(&mut self, code: u64, rows: usize) {
        let start = self.signs.len();
        self.signs.resize(start + WORDS * rows, 0.0);
        let (out, _) = self.signs[start..].as_chunks_mut();
        for (first, out) in (0..).step_by(SIGNS).zip(out.chunks_mut(SIGNS)) {
            for (out, sign) in out.iter_mut().zip(signs_of(code >> first)) {
                *out = [sign; WORDS];
            }
        }
    }

    /// Notes how many tokens of the text have been read for this batch and those before.
    pub(super) fn set_tokens_read(&mut self, tokens: u64) {
        self.tokens_read = tokens;
    }

    /// Tokens read for this batch and those before, those that subsampling left out included.
    pub(super) fn tokens_read(&self) -> u64 {
        self.tokens_read
    }

    /// Number of predictions: windows, or pairs.
    pub(super) fn len(&self) -> usize {
        self.targets.len()
    }

    /// For each row of each prediction 1 where the code's bit is 1, else -1; nothing for a softmax.
    pub(crate) fn signs(&self) -> &[f32] {
        &self.signs
    }

    /// The token that each prediction is to be.
    pub(super) fn targets(&self) -> &[u32] {
        &self.targets
    }

    /// The tables as the kernels take them.
    pub(crate) fn view(&self) -> BatchRef<'_> {
        let (contexts, rows) = (&self.contexts, &self.rows);
        let batch = BatchRef::new(&self.context_offsets, contexts, &self.row_offsets, rows)
            .expect("`push` keeps offsets and tables together");
        if self.in_pairs {
            batch.of_pairs()
        } else {
            batch
        }
    }
}

/// Signs that are made at once.
const SIGNS: usize = 16;

/// For each bit 1 where it is 1, else -1; without a branch, which nothing could foresee.
fn signs_of(code: u64) -> [f32; SIGNS] {
    let sign_bit = |i: usize| if code & 1 << i == 0 { 1 << 31 } else { 0 };
    std::array::from_fn(|i| f32::from_bits(1.0f32.to_bits() | sign_bit(i)))
}

/// Words that are copied at once.
const BLOCK: usize = 8;

/// Appends a part of a text. A short one is copied with what is behind it, which is then dropped: its
/// length, which is hard to foresee, decides nothing.
#[inline]
fn push_part(list: &mut Vec<u32>, text: &[u32], part: Range<usize>) {
    let block = text
        .get(part.start..)
        .and_then(<[u32]>::first_chunk::<BLOCK>);
    match block {
        Some(block) if part.len() <= BLOCK => {
            let end = list.len() + part.len();
            list.extend_from_slice(block);
            list.truncate(end);
        }
        _ => list.extend_from_slice(&text[part]),
    }
}

/// A target in its text, and how many words on each side of it are its context.
pub(crate) struct Window<'a> {
    pub(crate) text: &'a [u32],
    pub(crate) at: usize,
    pub(crate) size: usize,
}

impl Window<'_> {
    fn target(&self) -> u32 {
        self.text[self.at]
    }

    /// Where the words before the target are, and those after it.
    pub(crate) fn parts(&self) -> [Range<usize>; 2] {
        let start = self.at.saturating_sub(self.size);
        let end = self.text.len().min(self.at + 1 + self.size);
        [start..self.at, self.at + 1..end]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Short contexts and long ones, at both ends of a text and within it; codes of up to 64 bits.
    #[test]
    fn windows_are_the_words_around_with_a_sign_for_each_bit() {
        let text: Vec<u32> = (100..140).collect();
        let rows: Vec<u32> = (0..64).collect();
        let code = 0x9e37_79b9_7f4a_7c15;
        let mut batch = Batch::default();
        let mut wanted = Vec::new();
        for (at, size) in (0..40).flat_map(|at| (1..=12).map(move |size| (at, size))) {
            let rows = &rows[..1 + (7 * at + size) % 64];
            let text = &text[..];
            batch.push(Window { text, at, size }, (rows, Some(code)));
            let is_near = |other: &usize| *other != at && other.abs_diff(at) <= size;
            let near: Vec<u32> = (0..40).filter(is_near).map(|i| text[i]).collect();
            wanted.push((near, rows));
        }
        let mut signs = batch.signs().iter();
        for (b, (context, rows)) in wanted.iter().enumerate() {
            assert_eq!(batch.view().window(b), (&context[..], *rows));
            for bit in 0..rows.len() {
                let sign = [-1.0, 1.0][(code >> bit & 1) as usize];
                assert_eq!(signs.next(), Some(&sign), "window {b}, bit {bit}");
            }
        }
        assert_eq!((batch.len(), signs.next()), (wanted.len(), None));
    }
}
