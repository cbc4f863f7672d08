//! Windows of a batch, as flat tables for the kernels.

use crate::kernels::cbow::BatchRef;

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
    /// says what row `i` is to answer; without a code all rows compete, in a softmax. In pairs, each
    /// word of the context is to predict the target by itself.
    #[inline]
    pub(crate) fn push(
        &mut self,
        [before, after]: [&[u32]; 2],
        target: u32,
        (rows, code): (&[u32], Option<u64>),
        in_pairs: bool,
    ) {
        self.in_pairs = in_pairs;
        self.contexts.extend_from_slice(before);
        self.contexts.extend_from_slice(after);
        self.context_offsets.push(self.contexts.len() as u32);
        self.rows.extend_from_slice(rows);
        self.row_offsets.push(self.rows.len() as u32);
        let times = if in_pairs {
            before.len() + after.len()
        } else {
            1
        };
        for _ in 0..times {
            self.targets.push(target);
            if let Some(code) = code {
                let sign = |i| if code >> i & 1 == 1 { 1.0 } else { -1.0 };
                self.signs.extend((0..rows.len()).map(sign));
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
