//! Runs: pretokens with their counts, sorted by bytes and written one behind the other.
//!
//! A record is the length of the pretoken, its bytes and its count; numbers are written in base
//! 128, the lowest digit first, all but the last with the high bit set (LEB128).

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

/// Appends a record.
pub(super) fn push_record(out: &mut Vec<u8>, word: &[u8], count: u64) {
    push_number(out, word.len() as u64);
    out.extend_from_slice(word);
    push_number(out, count);
}

/// Appends a number.
pub(super) fn push_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Takes a number off the front; `None` at the end.
#[inline]
pub(super) fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let (mut number, mut shift) = (0, 0);
    loop {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            return Some(number);
        }
        shift = (shift + 7).min(63);
    }
}

/// Takes a length and as many bytes off the front; `None` at the end.
#[inline]
pub(super) fn take_word<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = take_number(bytes)? as usize;
    let (word, rest) = bytes.split_at_checked(len)?;
    *bytes = rest;
    Some(word)
}

/// The records of a run.
pub(super) struct Records<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Records<'a> {
    type Item = (&'a [u8], u64);

    fn next(&mut self) -> Option<Self::Item> {
        let word = take_word(&mut self.0)?;
        Some((word, take_number(&mut self.0)?))
    }
}

/// The records of several runs in one order, equal pretokens with the sum of their counts.
pub(super) struct Merged<'a> {
    heads: BinaryHeap<Reverse<Head<'a>>>,
}

/// The next record of a run, and what follows it; compared by the pretoken, then by the rest.
type Head<'a> = (&'a [u8], u64, &'a [u8]);

impl<'a> Merged<'a> {
    pub(super) fn new(runs: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let heads = runs.into_iter().filter_map(head).map(Reverse);
        Self {
            heads: heads.collect(),
        }
    }

    fn take(&mut self) -> Option<(&'a [u8], u64)> {
        let mut top = self.heads.peek_mut()?;
        let Reverse((word, count, rest)) = *top;
        match head(rest) {
            Some(next) => *top = Reverse(next),
            None => drop(PeekMut::pop(top)),
        }
        Some((word, count))
    }
}

fn head(run: &[u8]) -> Option<Head<'_>> {
    let mut records = Records(run);
    let (word, count) = records.next()?;
    Some((word, count, records.0))
}

impl<'a> Iterator for Merged<'a> {
    type Item = (&'a [u8], u64);

    fn next(&mut self) -> Option<Self::Item> {
        let (word, mut sum) = self.take()?;
        while self.heads.peek().is_some_and(|head| head.0.0 == word) {
            sum += self.take()?.1;
        }
        Some((word, sum))
    }
}
