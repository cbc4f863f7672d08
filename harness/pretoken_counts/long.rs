//! Counts of long pretokens: their bytes one behind the other, and an index by hash.

use xxhash_rust::xxh64::xxh64;

/// A table of counts.
#[derive(Default)]
pub(super) struct LongTable {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    /// One more than the place of an entry, or 0; at most half full.
    index: Vec<u32>,
}

struct Entry {
    start: u64,
    hash: u64,
    count: u64,
}

impl LongTable {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn memory(&self) -> usize {
        self.bytes.capacity() + self.entries.capacity() * size_of::<Entry>() + self.index.len() * 4
    }

    /// An upper bound of [`Self::memory`] while and after a pretoken comes in.
    pub(super) fn memory_with(&self, pretoken: &[u8]) -> usize {
        let grown = |capacity: usize, len: usize, more: usize| match capacity - len {
            room if room < more => len + step(len, more),
            _ => capacity,
        };
        let bytes = grown(self.bytes.capacity(), self.bytes.len(), pretoken.len());
        let entries = grown(self.entries.capacity(), self.entries.len(), 1);
        let index = match self.index_is_full() {
            true => 3 * self.index.len(),
            false => self.index.len(),
        };
        bytes + entries * size_of::<Entry>() + index * 4
    }

    fn index_is_full(&self) -> bool {
        2 * (self.entries.len() + 1) > self.index.len()
    }

    /// Adds to the count of a pretoken.
    pub(super) fn add(&mut self, pretoken: &[u8], count: u64) {
        let hash = xxh64(pretoken, 0);
        if self.index_is_full() {
            self.grow_index();
        }
        let at = self.find(pretoken, hash);
        match self.index[at] {
            0 => {
                self.index[at] = self.entries.len() as u32 + 1;
                self.push(pretoken, hash, count);
            }
            entry => self.entries[entry as usize - 1].count += count,
        }
    }

    /// Where in the index a pretoken is, or may go.
    fn find(&self, pretoken: &[u8], hash: u64) -> usize {
        let mask = self.index.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            match self.index[at] as usize {
                0 => return at,
                n if self.entries[n - 1].hash == hash && self.word(n - 1) == pretoken => return at,
                _ => at = (at + 1) & mask,
            }
        }
    }

    fn push(&mut self, pretoken: &[u8], hash: u64, count: u64) {
        let start = self.bytes.len() as u64;
        if self.bytes.capacity() - self.bytes.len() < pretoken.len() {
            let more = step(self.bytes.len(), pretoken.len());
            self.bytes.reserve_exact(more);
        }
        if self.entries.len() == self.entries.capacity() {
            self.entries.reserve_exact(step(self.entries.len(), 1));
        }
        self.bytes.extend_from_slice(pretoken);
        self.entries.push(Entry { start, hash, count });
    }

    fn grow_index(&mut self) {
        self.index = vec![0; (2 * self.index.len()).max(64)];
        let mask = self.index.len() - 1;
        for (entry, number) in self.entries.iter().zip(1..) {
            let mut at = entry.hash as usize & mask;
            while self.index[at] != 0 {
                at = (at + 1) & mask;
            }
            self.index[at] = number;
        }
    }

    fn word(&self, entry: usize) -> &[u8] {
        let end = self.entries.get(entry + 1);
        let end = end.map_or(self.bytes.len(), |next| next.start as usize);
        &self.bytes[self.entries[entry].start as usize..end]
    }

    /// Sorts by bytes: afterwards the table can only be read by [`Self::sorted`] and cleared.
    pub(super) fn sort(&mut self) {
        let mut order = std::mem::take(&mut self.index);
        order.clear();
        order.extend(0..self.entries.len() as u32);
        order.sort_unstable_by_key(|entry| self.word(*entry as usize));
        self.index = order;
    }

    /// The sorted pretokens with their counts.
    pub(super) fn sorted(&self) -> impl Iterator<Item = (&[u8], u64)> {
        let entry = |entry: &u32| {
            (
                self.word(*entry as usize),
                self.entries[*entry as usize].count,
            )
        };
        self.index.iter().map(entry)
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// How much to grow by: a quarter, so that little stays unused.
fn step(len: usize, needed: usize) -> usize {
    needed.max(len / 4).max(64)
}
