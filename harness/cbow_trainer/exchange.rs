//! Where threads meet once a batch: partial scores go in, sums over the slices come out.
//!
//! Scores are double-buffered. A thread that is ahead writes into the other buffer, and cannot
//! come back to this one before every thread has arrived at the next meeting, that is, has read it.
//! So no lock is ever waited for; they only prove to the compiler that nothing is read and written
//! at once.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// How often a waiting thread looks, for some hundred microseconds, before it sleeps. On a machine
/// that is busy with other work the others may not run for long, and a thread that spins or yields
/// meanwhile uses up the time that the system would give to the group.
const SPINS: u32 = 4000;

/// A barrier for short waits. Arrivals are counted through and never reset.
#[derive(Default)]
struct Barrier {
    threads: u64,
    arrived: AtomicU64,
    broken: AtomicBool,
    sleepers: AtomicU64,
    lock: Mutex<()>,
    wake: Condvar,
}

impl Barrier {
    /// Returns when all threads have called it as often as this one.
    fn wait(&self) {
        let before = self.arrived.fetch_add(1, Ordering::SeqCst);
        let all = (before / self.threads + 1) * self.threads;
        if before + 1 == all {
            self.wake_sleepers();
            return;
        }
        let ready = || {
            let broken = self.broken.load(Ordering::SeqCst);
            assert!(!broken, "another thread panicked");
            self.arrived.load(Ordering::SeqCst) >= all
        };
        for _ in 0..SPINS {
            if ready() {
                return;
            }
            std::hint::spin_loop();
        }
        // Who arrives last either sees this sleeper, or arrived early enough for `ready` to see it.
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        let mut guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        while !ready() {
            let woken = self.wake.wait(guard);
            guard = woken.unwrap_or_else(PoisonError::into_inner);
        }
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
    }

    fn wake_sleepers(&self) {
        if self.sleepers.load(Ordering::SeqCst) > 0 {
            // Under the lock no sleeper stands between its look and its sleep.
            let _guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
            self.wake.notify_all();
        }
    }
}

/// What a thread wishes to happen after a round; the gravest wish of all counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wish {
    /// The next round.
    GoOn,
    /// An end after this round.
    Pause,
    /// An end at once.
    Stop,
}

/// Partial scores of every slice, for the current round and the next.
pub(super) struct Exchange {
    barrier: Barrier,
    partials: [Vec<RwLock<Vec<f32>>>; 2],
    wishes: [AtomicU8; 2],
}

impl Exchange {
    pub(super) fn new(slices: usize, threads: usize) -> Self {
        let buffers = || (0..slices).map(|_| RwLock::default()).collect();
        Self {
            barrier: Barrier {
                threads: threads as u64,
                ..Barrier::default()
            },
            partials: [buffers(), buffers()],
            wishes: Default::default(),
        }
    }

    /// The buffer of a slice, for its owner to fill before [`Exchange::meet`].
    pub(super) fn partial(&self, round: usize, slice: usize) -> RwLockWriteGuard<'_, Vec<f32>> {
        let buffer = &self.partials[round % 2][slice];
        buffer.write().expect("a panic would have ended this round")
    }

    /// Waits for all threads; returns the gravest of their wishes.
    pub(super) fn meet(&self, round: usize, wish: Wish) -> Wish {
        let gravest = &self.wishes[round % 2];
        if wish != Wish::GoOn {
            gravest.fetch_max(wish as u8, Ordering::Relaxed);
        }
        self.barrier.wait();
        match gravest.load(Ordering::Relaxed) {
            0 => Wish::GoOn,
            1 => Wish::Pause,
            _ => Wish::Stop,
        }
    }

    /// Adds the partial scores of all slices: two and two, then those sums, in their order. Whoever has
    /// added up two slices leaves the buffer of the second empty.
    pub(super) fn sum_into(&self, round: usize, scores: &mut Vec<f32>) {
        scores.clear();
        for pair in self.partials[round % 2].chunks(2) {
            let (first, second) = (read(&pair[0]), pair.get(1).map(read));
            let second = second.as_deref().filter(|second| !second.is_empty());
            if scores.is_empty() {
                scores.resize(first.len(), 0.0);
            }
            let sums = scores.iter_mut().zip(&*first);
            match second {
                None => sums.for_each(|(sum, a)| *sum += a),
                Some(second) => sums.zip(second).for_each(|((sum, a), b)| *sum += a + b),
            }
        }
    }

    /// Something that, dropped in a panic, lets the other threads panic too instead of waiting.
    pub(super) fn guard(&self) -> impl Drop {
        Guard(&self.barrier)
    }
}

fn read(buffer: &RwLock<Vec<f32>>) -> RwLockReadGuard<'_, Vec<f32>> {
    buffer.read().expect("a panic would have ended this round")
}

struct Guard<'a>(&'a Barrier);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.broken.store(true, Ordering::SeqCst);
            self.0.wake_sleepers();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_threads_read_the_same_sums_and_stop_together() {
        let exchange = Exchange::new(3, 3);
        let work = |slice: usize| {
            let mut sums = Vec::new();
            for round in 0.. {
                *exchange.partial(round, slice) = vec![slice as f32, round as f32];
                let wish = match (slice, round) {
                    (1, 1000) => Wish::Pause,
                    _ => Wish::GoOn,
                };
                let end = exchange.meet(round, wish) == Wish::Pause;
                let mut scores = Vec::new();
                exchange.sum_into(round, &mut scores);
                sums.push(scores);
                if end {
                    break;
                }
            }
            sums
        };
        let results: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..3)
                .map(|slice| scope.spawn(move || work(slice)))
                .collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        for sums in results {
            assert_eq!(sums.len(), 1001);
            let right = |(round, sum): (usize, &Vec<f32>)| *sum == [3.0, 3.0 * round as f32];
            assert!(sums.iter().enumerate().all(right));
        }
    }

    #[test]
    fn two_slices_are_added_first_here_or_where_they_were_computed() {
        let exchange = Exchange::new(5, 1);
        for (slice, part) in [(0, 1.0), (2, 10.0), (3, 100.0), (4, 1000.0)] {
            *exchange.partial(0, slice) = vec![part, 2.0 * part];
        }
        let mut sums = vec![7.0];
        exchange.sum_into(0, &mut sums);
        assert_eq!(
            sums,
            [1111.0, 2222.0],
            "slices 0 and 1 are in the first buffer"
        );
        // In another order the small ones would be lost.
        for (slice, part) in [(0, 1e8), (1, 0.0), (2, 3.0), (3, 3.0), (4, 0.0)] {
            *exchange.partial(0, slice) = vec![part];
        }
        exchange.sum_into(0, &mut sums);
        assert_eq!(sums, [1e8 + 6.0]);
    }

    #[test]
    fn a_panic_reaches_the_threads_that_wait() {
        let exchange = Exchange::new(1, 2);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| exchange.meet(0, Wish::GoOn));
            let panicking = scope.spawn(|| {
                let _guard = exchange.guard();
                panic!("on purpose");
            });
            assert!(panicking.join().is_err());
            assert!(waiting.join().is_err());
        });
    }
}
