//! Sums and lists of positions by token: what one merge found beside the new token.
//!
//! A plain array with one slot a token, of which a merge touches a few. Positions are gathered
//! first and then dealt out to the tokens' lists, which lie one behind the other.

use std::ops::Range;

/// Sums and lists by token.
#[derive(Default)]
pub(super) struct Neighbours {
    slots: Vec<Slot>,
    touched: Vec<u32>,
    noted: Vec<(u32, u32)>,
}

#[derive(Clone, Default)]
struct Slot {
    sum: u64,
    len: u32,
    /// Where the next position of the list goes.
    cursor: u32,
}

impl Neighbours {
    /// Starts anew, for ids below `ids`.
    pub(super) fn begin(&mut self, ids: usize) {
        for token in self.touched.drain(..) {
            self.slots[token as usize] = Slot::default();
        }
        self.noted.clear();
        self.slots.resize(ids, Slot::default());
    }

    /// Adds to a token's sum, and makes room for one more position in its list.
    #[inline]
    pub(super) fn announce(&mut self, token: u32, count: u64) {
        let slot = &mut self.slots[token as usize];
        if slot.len == 0 {
            self.touched.push(token);
        }
        slot.sum += count;
        slot.len += 1;
    }

    /// Adds to a token's sum, and gathers a position for its list.
    #[inline]
    pub(super) fn add(&mut self, token: u32, position: u32, count: u64) {
        self.announce(token, count);
        self.noted.push((token, position));
    }

    /// Number of positions gathered.
    pub(super) fn noted(&self) -> usize {
        self.noted.len()
    }

    /// Lays the lists out one behind the other.
    pub(super) fn lay_out(&mut self) {
        let mut at = 0;
        for &token in &self.touched {
            let slot = &mut self.slots[token as usize];
            slot.cursor = at;
            at += slot.len;
        }
    }

    /// Where the next position of a token's list goes.
    #[inline]
    pub(super) fn place(&mut self, token: u32) -> usize {
        let slot = &mut self.slots[token as usize];
        slot.cursor += 1;
        slot.cursor as usize - 1
    }

    /// Deals the gathered positions out into `positions`.
    pub(super) fn deal(&mut self, positions: &mut [u32]) {
        self.lay_out();
        for i in 0..self.noted.len() {
            let (token, position) = self.noted[i];
            positions[self.place(token)] = position;
        }
    }

    /// Sums and lists by token, once these have been filled.
    pub(super) fn lists(&self) -> impl Iterator<Item = (u32, u64, Range<usize>)> {
        let list = |&token: &u32| {
            let slot = &self.slots[token as usize];
            let end = slot.cursor as usize;
            (token, slot.sum, end - slot.len as usize..end)
        };
        self.touched.iter().map(list)
    }
}
