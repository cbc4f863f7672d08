//! What one core of this machine can do: arithmetic from registers, and reads from each memory.

use super::report::{Bound, Row};
use super::timing::sorted_seconds;
use crate::Result;
use crate::huge::on_lines;
use crate::kernels::peak;
use std::hint::black_box;

/// Buffers that fit in the caches of most processors, with the memory that they stand for.
const BUFFERS: [(&str, usize); 4] = [
    ("L1", 16 << 10),
    ("L2", 512 << 10),
    ("L3", 8 << 20),
    ("memory", 256 << 20),
];

/// Steps of the multiply-add chains in one call.
const CHAIN_STEPS: usize = 10_000;

/// What a call does, counted as the algorithm states it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work {
    /// Additions, multiplications and the like; a fused multiply-add is two.
    pub(super) flops: f64,
    /// Bytes read and written.
    pub(super) bytes: f64,
    /// Bytes that the call comes back to next time: they choose the memory.
    pub(super) working_set: usize,
}

/// The limits of one core: the best of several short repetitions.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    /// Billions of floating-point operations a second.
    peak: f64,
    /// Billions of bytes read a second, for each of [`BUFFERS`].
    reads: [f64; BUFFERS.len()],
}

impl Machine {
    /// Measures each limit for about `seconds`.
    ///
    /// # Errors
    /// [`crate::Error::Interrupted`].
    pub(super) fn measure(seconds: f64) -> Result<Self> {
        let (flops, _) = peak::fma_chains(CHAIN_STEPS);
        let run = || {
            black_box(peak::fma_chains(black_box(CHAIN_STEPS)));
        };
        let peak = flops as f64 * 1e-9 / sorted_seconds(seconds, run)?[0];
        let mut reads = [0.0; BUFFERS.len()];
        for (read, (_, bytes)) in reads.iter_mut().zip(BUFFERS) {
            let mut room = Vec::new();
            let buffer = on_lines(&mut room, bytes / size_of::<f32>());
            buffer.fill(1.0);
            let run = || {
                black_box(peak::sum(black_box(buffer)));
            };
            *read = bytes as f64 * 1e-9 / sorted_seconds(seconds, run)?[0];
        }
        Ok(Self { peak, reads })
    }

    /// The limits as rows of a report.
    pub(super) fn rows(&self) -> Vec<Row> {
        let peak = row("FMA peak", "one core".into(), self.peak, "GFLOP/s");
        let reads = BUFFERS.iter().zip(self.reads);
        let reads = reads.map(|((name, bytes), read)| {
            row(name, format!("read {} KiB", bytes >> 10), read, "GB/s")
        });
        std::iter::once(peak).chain(reads).collect()
    }

    /// The smallest memory that holds `working_set`, and how fast it is read.
    ///
    /// Caches are taken to be twice the measured buffers, which leave room for other data.
    fn memory(&self, working_set: usize) -> (&'static str, f64) {
        let fits = |(_, bytes): &(&str, usize)| working_set <= 2 * bytes;
        let level = BUFFERS.iter().position(fits).unwrap_or(BUFFERS.len() - 1);
        (BUFFERS[level].0, self.reads[level])
    }

    /// Work done in `seconds`, as a rate and a share of the limit that it meets first.
    pub(super) fn rate(&self, name: &'static str, shape: String, work: Work, seconds: f64) -> Row {
        let (memory, read) = self.memory(work.working_set);
        let (amount, unit, bound, limit) = if work.flops / self.peak >= work.bytes / read {
            (work.flops, "GFLOP/s", "FMA peak", self.peak)
        } else {
            (work.bytes, "GB/s", memory, read)
        };
        let value = amount * 1e-9 / seconds;
        let bound = Bound {
            name: bound,
            value: limit,
            percent: 100.0 * value / limit,
        };
        Row {
            bound: Some(bound),
            ..row(name, shape, value, unit)
        }
    }
}

/// A figure without a bound.
pub(super) fn row(name: &'static str, shape: String, value: f64, unit: &'static str) -> Row {
    Row {
        name,
        shape,
        value,
        unit,
        bound: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_that_takes_longest_is_the_bound() {
        let machine = Machine {
            peak: 100.0,
            reads: [80.0, 40.0, 20.0, 10.0],
        };
        let bound = |flops, bytes, working_set| {
            let work = Work {
                flops,
                bytes,
                working_set,
            };
            let row = machine.rate("", String::new(), work, 1.0);
            let bound = row.bound.expect("work has a bound");
            (row.unit, bound.name, bound.value)
        };
        assert_eq!(bound(2e9, 1e9, 1000), ("GFLOP/s", "FMA peak", 100.0));
        assert_eq!(bound(1e9, 1e9, 1000), ("GB/s", "L1", 80.0));
        assert_eq!(bound(2e9, 1e9, 1 << 20), ("GB/s", "L2", 40.0));
        assert_eq!(bound(2e9, 1e9, 1 << 40), ("GB/s", "memory", 10.0));
    }
}
