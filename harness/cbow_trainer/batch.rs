//! Windows of a batch, as flat tables for the kernels.

use crate::kernels::cbow::{BatchRef, blocks};
use std::iter::repeat_n;

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

    /// Appends a window: its context in two parts, and the rows of its target. Bit `i` of the code
    /// says what row `i` is to answer; without a code all rows compete, in a softmax.
    #[inline]
    pub(crate) fn push(
        &mut self,
        [before, after]: [&[u32]; 2],
        target: u32,
        (rows, code): (&[u32], Option<u64>),
    ) {
        self.contexts.extend_from_slice(before);
        self.contexts.extend_from_slice(after);
        self.push_rows(rows);
        self.targets.push(target);
        if let Some(code) = code {
            self.signs.extend(signs_of(code, rows.len()));
        }
    }

    /// As [`Batch::push`], but each word of the context is to predict the target by itself. All of a
    /// batch are pushed so.
    #[inline]
    pub(crate) fn push_pairs(
        &mut self,
        [before, after]: [&[u32]; 2],
        target: u32,
        (rows, code): (&[u32], Option<u64>),
    ) {
        self.in_pairs = true;
        let Some(code) = code else {
            // The scores of a softmax lie side by side: those of a pair, not of a block of pairs.
            for word in before.iter().chain(after) {
                self.contexts.push(*word);
                self.push_rows(rows);
                self.targets.push(target);
            }
            return;
        };
        self.contexts.extend_from_slice(before);
        self.contexts.extend_from_slice(after);
        self.push_rows(rows);
        let words = before.len() + after.len();
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
        for (out, sign) in out.iter_mut().zip(signs_of(code, rows)) {
            *out = [sign; WORDS];
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

/// 1 where the bit is 1, else -1; without a branch, which nothing could foresee.
fn signs_of(code: u64, rows: usize) -> impl Iterator<Item = f32> {
    let sign_bit = move |i| ((!code >> i & 1) as u32) << 31;
    (0..rows).map(move |i| f32::from_bits(1.0f32.to_bits() | sign_bit(i)))
}
