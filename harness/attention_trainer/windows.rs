//! The order in which a stream is read: windows of `context` tokens, shuffled anew each epoch.

use crate::kernels::rng::Rng;
use crate::token_stream::TokenStream;

/// Draws windows without replacement until the stream is used up, then starts again.
///
/// Each epoch shifts the grid of windows by a random number of tokens, so that no token always
/// stands at a window's start, where it has nothing to look back at.
#[derive(Debug)]
pub(super) struct Windows<'a> {
    stream: &'a TokenStream,
    context: usize,
    rng: Rng,
    starts: Vec<u64>,
}

impl<'a> Windows<'a> {
    /// Windows over a stream of more than `context` tokens.
    pub(super) fn new(stream: &'a TokenStream, context: usize, seed: u64) -> Self {
        let rng = Rng::with_stream(seed, 1);
        Self {
            stream,
            context,
            rng,
            starts: Vec::new(),
        }
    }

    /// All that the windows to come depend on: the generator's state, and the epoch's starts.
    pub(super) fn place(&self) -> ([u64; 2], &[u64]) {
        (self.rng.state(), &self.starts)
    }

    /// Goes on from a [`Windows::place`] of the same stream; `false` if it is of another.
    pub(super) fn go_on(&mut self, rng: [u64; 2], starts: &[u64]) -> bool {
        let last = (self.stream.len() - self.context) as u64;
        self.rng = Rng::from_state(rng);
        self.starts = starts.to_vec();
        starts.iter().all(|start| *start < last)
    }

    /// Reads the next window: `context` tokens and the one after.
    pub(super) fn next_into(&mut self, ids: &mut [u32]) {
        if self.starts.is_empty() {
            self.shuffle();
        }
        let start = self.starts.pop().expect("an epoch has at least one window");
        self.stream.read(start as usize, ids);
    }

    fn shuffle(&mut self) {
        let slack = self.stream.len() - self.context;
        let shift = self.rng.below(slack.min(self.context) as u64) as usize;
        let starts = (shift..slack).step_by(self.context);
        self.starts.extend(starts.map(|start| start as u64));
        for i in (1..self.starts.len()).rev() {
            let j = self.rng.below(i as u64 + 1) as usize;
            self.starts.swap(i, j);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_reads_each_token_once_in_another_order() {
        let stream = TokenStream::from_ids((0..103).collect(), 103);
        let mut windows = Windows::new(&stream, 10, 5);
        let mut seen = Vec::new();
        let mut ids = [0; 11];
        windows.next_into(&mut ids);
        let epoch = windows.starts.len() + 1;
        seen.push(ids[0]);
        for _ in 1..epoch {
            windows.next_into(&mut ids);
            assert!(ids.windows(2).all(|pair| pair[0] + 1 == pair[1]));
            seen.push(ids[0]);
        }
        assert!(epoch >= 9);
        assert!(!seen.is_sorted());
        seen.sort();
        assert!(seen.windows(2).all(|pair| pair[0] + 10 == pair[1]));
    }

    #[test]
    fn the_shortest_stream_has_one_window() {
        let stream = TokenStream::from_ids((0..11).collect(), 11);
        let mut windows = Windows::new(&stream, 10, 5);
        let mut ids = [0; 11];
        for _ in 0..3 {
            windows.next_into(&mut ids);
            assert_eq!(ids[0], 0);
        }
    }
}
