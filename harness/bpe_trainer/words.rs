//! All distinct pretokens in one array of tokens, with merging in place.
//!
//! A token that covers `n` bytes of a word covers `n` cells of the array; its id stands in the
//! first and in the last of them. So the next token starts `n` cells further on, and the previous
//! one ends in the cell before: neighbours are found without links. Cells between hold whatever
//! was there before, but never the id of a token that starts there: a start that was merged away
//! gets [`DEAD`], or the id of a longer token that ends there. A position that was noted earlier
//! for a pair is therefore still good if, and only if, both ids still stand where they stood.
//!
//! Words lie in the order of falling counts, so the count of the word at a position is a step
//! function of the position: a short table of runs, with a hint for every 64 cells.

use super::alphabet::Alphabet;
use super::pairs::Pair;
use crate::kernels::bpe::{TokenizerRef, encode_workspace_len};
use crate::kernels::simd::prefetch;
use crate::pretoken_counts::PretokenCounts;
use crate::scratch::ScratchVec;
use crate::{Error, Result};

/// The cell between two words.
pub(super) const SEPARATOR: u32 = u32::MAX;
/// The former start of a token that was merged into the one before.
const DEAD: u32 = u32::MAX - 1;
/// How many positions ahead of its use a cell is asked for.
const AHEAD: usize = 12;
/// Cells for one hint into the runs.
const HINT_CELLS: usize = 64;

/// Most cells: a position is to fit in 32 bits.
const MAX_CELLS: usize = u32::MAX as usize;

/// The words of a corpus, and how often each occurs.
pub(super) struct Words {
    cells: ScratchVec<u32>,
    runs: Vec<Run>,
    hints: ScratchVec<u32>,
}

/// Words of equal count that lie together, up to the next run's start.
struct Run {
    start: u32,
    count: u64,
}

/// What a merge found around the pair: the ids of the tokens before and behind it, where the one
/// before starts, and the count of the word.
pub(super) struct Site {
    pub(super) before: Option<(u32, u32)>,
    pub(super) after: Option<u32>,
    pub(super) count: u64,
}

/// A pair that merges, and what it becomes.
#[derive(Clone, Copy)]
pub(super) struct Merge {
    pub(super) left: u32,
    pub(super) right: u32,
    pub(super) new: u32,
    pub(super) left_len: u32,
    pub(super) right_len: u32,
}

impl Words {
    /// The words as bytes.
    pub(super) fn of_bytes(counts: &PretokenCounts, alphabet: &Alphabet) -> Result<Self> {
        Self::fill(counts, |word, cells| {
            let bytes = word.iter().chain(&alphabet.end_of_word);
            for (cell, byte) in cells.iter_mut().zip(bytes) {
                *cell = alphabet.ids[usize::from(*byte)];
            }
            Ok(())
        })
    }

    /// The words as the tokens of a tokenizer, whose lengths are `len`.
    pub(super) fn of_tokens(
        counts: &PretokenCounts,
        tokenizer: TokenizerRef<'_>,
        len: &[u32],
    ) -> Result<Self> {
        let (mut ids, mut workspace) = (Vec::new(), Vec::new());
        Self::fill(counts, |word, cells| {
            ids.resize(cells.len(), 0);
            workspace.resize(encode_workspace_len(cells.len()), 0);
            let encoded = tokenizer.encode_piece_into(word, &mut ids, &mut workspace);
            let used = encoded.expect("a piece has no more tokens than bytes");
            lay_down(&ids[..used], len, cells)
        })
    }

    /// Lays out cells for all words and lets `spell` fill those of each.
    fn fill(
        counts: &PretokenCounts,
        mut spell: impl FnMut(&[u8], &mut [u32]) -> Result<()>,
    ) -> Result<Self> {
        let mark = usize::from(counts.pattern().end_of_word().is_some());
        let len = 1 + counts.distinct_bytes() + counts.len() * (1 + mark);
        if len > MAX_CELLS {
            let message = "the distinct pretokens have over 4 GB; train on less text";
            return Err(Error::Usage(message.into()));
        }
        let mut cells = counts.scratch().zeros::<u32>(len)?;
        let (mut at, mut runs) = (1, Vec::<Run>::new());
        cells[0] = SEPARATOR;
        let all = &mut cells[..];
        for (word, count) in counts.iter() {
            if runs.last().is_none_or(|run| run.count != count) {
                let start = at as u32;
                runs.push(Run { start, count });
            }
            let end = at + word.len() + mark;
            spell(word, &mut all[at..end])?;
            all[end] = SEPARATOR;
            at = end + 1;
        }
        let mut hints = counts.scratch().zeros(len.div_ceil(HINT_CELLS))?;
        fill_hints(&mut hints, &runs);
        Ok(Self { cells, runs, hints })
    }

    /// Calls `f` with position, left, right and count of every pair of neighbours.
    pub(super) fn for_each_pair(&self, len: &[u32], mut f: impl FnMut(u32, u32, u32, u64)) {
        let ends = self.runs.iter().skip(1).map(|run| run.start as usize);
        for (run, end) in self.runs.iter().zip(ends.chain([self.cells.len()])) {
            let cells = &self.cells[..end];
            let mut at = run.start as usize;
            let mut left = SEPARATOR;
            while let Some(&right) = cells.get(at) {
                // The one before starts as many cells back as it is long.
                if left != SEPARATOR && right != SEPARATOR {
                    f(at as u32 - len[left as usize], left, right, run.count);
                }
                at += match right {
                    SEPARATOR => 1,
                    token => len[token as usize] as usize,
                };
                left = right;
            }
        }
    }

    /// Asks for the cells at the first positions of a list.
    pub(super) fn prefetch(&self, positions: &[u32]) {
        let cells = &*self.cells;
        for position in positions.iter().take(AHEAD) {
            prefetch(&cells[*position as usize]);
        }
    }

    /// Moves those positions to the front where a pair still stands; their number, and the sum of
    /// the words' counts there.
    pub(super) fn recount(
        &self,
        positions: &mut [u32],
        (left, right): Pair,
        left_len: u32,
    ) -> (usize, u64) {
        let mut counts = Counts::new(&self.runs, &self.hints);
        let cells = &*self.cells;
        let (mut standing, mut sum) = (0, 0);
        for i in 0..positions.len() {
            if let Some(later) = positions.get(i + AHEAD) {
                prefetch(&cells[*later as usize]);
            }
            let position = positions[i];
            let middle = (position + left_len) as usize;
            if cells[position as usize] != left || cells[middle] != right {
                continue;
            }
            // What need not be written does not make a page of a file dirty.
            if standing < i {
                positions[standing] = position;
            }
            standing += 1;
            sum += counts.at(position);
        }
        (standing, sum)
    }

    /// Merges a pair wherever it still stands, and calls `f` with each position and what is there.
    pub(super) fn merge(
        &mut self,
        positions: &[u32],
        merge: &Merge,
        len: &[u32],
        mut f: impl FnMut(u32, Site),
    ) {
        let mut counts = Counts::new(&self.runs, &self.hints);
        let cells = &mut *self.cells;
        for (i, &position) in positions.iter().enumerate() {
            if let Some(later) = positions.get(i + AHEAD) {
                prefetch(&cells[*later as usize]);
            }
            let start = position as usize;
            let middle = start + merge.left_len as usize;
            if cells[start] != merge.left || cells[middle] != merge.right {
                continue;
            }
            let end = middle + merge.right_len as usize;
            cells[start] = merge.new;
            cells[middle] = DEAD;
            cells[end - 1] = merge.new;
            let (before, after) = (cells[start - 1], cells[end]);
            let site = Site {
                before: (before != SEPARATOR).then(|| (before, position - len[before as usize])),
                after: (after != SEPARATOR).then_some(after),
                count: counts.at(position),
            };
            f(position, site);
        }
    }
}

/// Puts tokens into the cells of their bytes.
fn lay_down(ids: &[u32], len: &[u32], cells: &mut [u32]) -> Result<()> {
    let total: usize = ids.iter().map(|id| len[*id as usize] as usize).sum();
    if total != cells.len() {
        let message = "the text has bytes that the vocabulary to extend has no token for";
        return Err(Error::Usage(message.into()));
    }
    cells.fill(DEAD);
    let mut start = 0;
    for &id in ids {
        let end = start + len[id as usize] as usize;
        (cells[start], cells[end - 1]) = (id, id);
        start = end;
    }
    Ok(())
}

/// The counts of the words at positions that rise, most of them in the run of the one before.
struct Counts<'w> {
    runs: &'w [Run],
    hints: &'w [u32],
    /// Where the present run ends.
    end: u32,
    count: u64,
}

impl<'w> Counts<'w> {
    fn new(runs: &'w [Run], hints: &'w [u32]) -> Self {
        Self {
            runs,
            hints,
            end: 0,
            count: 0,
        }
    }

    #[inline]
    fn at(&mut self, position: u32) -> u64 {
        if position >= self.end {
            self.seek(position);
        }
        self.count
    }

    fn seek(&mut self, position: u32) {
        let hint = self.hints[position as usize / HINT_CELLS] as usize;
        let later = self.runs[hint + 1..].iter();
        let run = hint + later.take_while(|run| run.start <= position).count();
        self.count = self.runs[run].count;
        self.end = self.runs.get(run + 1).map_or(u32::MAX, |next| next.start);
    }
}

/// For every [`HINT_CELLS`] cells, the run that the first of them belongs to.
fn fill_hints(hints: &mut [u32], runs: &[Run]) {
    let mut run = 0;
    for (hint, cell) in hints.iter_mut().zip((0..).step_by(HINT_CELLS)) {
        while runs
            .get(run + 1)
            .is_some_and(|next| next.start as usize <= cell)
        {
            run += 1;
        }
        *hint = run as u32;
    }
}
