//! Work for several threads with results that do not depend on how many there are.
//!
//! Items are handed out in order from one counter, and results come back in the order of the
//! items, so a sum over them is always added up in the same order.

use crate::Result;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};

/// Threads to use when the user does not say: one a core.
pub fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// `threads`, or one a core if it is 0.
pub fn threads_or_all(threads: usize) -> usize {
    match threads {
        0 => default_threads(),
        n => n,
    }
}

/// `f(item)` for every item, on up to `threads` threads; results in the order of the items.
pub fn map<T: Send, R: Send>(threads: usize, items: Vec<T>, f: impl Fn(T) -> R + Sync) -> Vec<R> {
    let threads = threads.clamp(1, items.len().max(1));
    if threads == 1 {
        return items.into_iter().map(f).collect();
    }
    let items: Vec<Mutex<Option<T>>> = items.into_iter().map(|i| Mutex::new(Some(i))).collect();
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut results = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(slot) = items.get(index) else {
                break results;
            };
            let item = slot.lock().expect("no holder panics").take();
            results.push((index, f(item.expect("each index is drawn once"))));
        }
    };
    let mut results: Vec<(usize, R)> = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(worker)).collect();
        let mut results = worker();
        for other in others {
            results.extend(
                other
                    .join()
                    .unwrap_or_else(|e| std::panic::resume_unwind(e)),
            );
        }
        results
    });
    results.sort_unstable_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

/// Both results; the first is worked out on a thread of its own meanwhile, if there are cores.
pub fn join<A: Send, B>(a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B) -> (A, B) {
    if default_threads() == 1 {
        return (a(), b());
    }
    std::thread::scope(|scope| {
        let a = scope.spawn(a);
        let b = b();
        (a.join().unwrap_or_else(|e| std::panic::resume_unwind(e)), b)
    })
}

/// `f` of every item on up to `threads` threads, and `sink` of the results in the order of the
/// items, one at a time, while the other threads go on.
///
/// Each thread makes one `state` and keeps it. Items are drawn as they are needed, results that
/// wait for an earlier one are few: the memory does not grow with the number of items.
///
/// # Example
/// ```
/// use barelm::parallel::for_each_in_order;
/// let mut squares = Vec::new();
/// let sink = |square| {
///     squares.push(square);
///     Ok(())
/// };
/// for_each_in_order(2, 0..4u32, || Ok(()), |(), x| Ok(x * x), sink)?;
/// assert_eq!(squares, [0, 1, 4, 9]);
/// # Ok::<(), barelm::Error>(())
/// ```
///
/// # Errors
/// The first error in the order of the items; no item is begun after it is seen.
pub fn for_each_in_order<T, S, R: Send>(
    threads: usize,
    items: impl Iterator<Item = T> + Send,
    state: impl Fn() -> Result<S> + Sync,
    f: impl Fn(&mut S, T) -> Result<R> + Sync,
    sink: impl FnMut(R) -> Result<()> + Send,
) -> Result<()> {
    let items = Mutex::new(items.enumerate());
    let outlet = Outlet::new(sink, 4 * threads);
    let worker = || -> Result<()> {
        let mut state = state()?;
        let _hangs_nobody = StopOnPanic(&outlet);
        while !outlet.stopped() {
            // Bound by `let`, so that the lock is not held while the item is worked on.
            let drawn = items.lock().expect("drawing does not panic").next();
            let Some((index, item)) = drawn else { break };
            outlet.put(index, f(&mut state, item));
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(worker)).collect();
        let mut result = worker();
        for other in others {
            let other = other.join();
            result = result.and(other.unwrap_or_else(|e| std::panic::resume_unwind(e)));
        }
        result
    })?;
    outlet.finish()
}

/// Puts results in order, and hands them on.
struct Outlet<R, F> {
    inner: Mutex<Results<R, F>>,
    room: Condvar,
    most: usize,
}

struct Results<R, F> {
    sink: F,
    waiting: BTreeMap<usize, Result<R>>,
    next: usize,
    stopped: bool,
    outcome: Result<()>,
}

impl<R, F: FnMut(R) -> Result<()>> Outlet<R, F> {
    fn new(sink: F, most: usize) -> Self {
        let results = Results {
            sink,
            waiting: BTreeMap::new(),
            next: 0,
            stopped: false,
            outcome: Ok(()),
        };
        Self {
            inner: Mutex::new(results),
            room: Condvar::new(),
            most,
        }
    }

    /// Takes a result, once it is not too far ahead of those that are missing.
    fn put(&self, index: usize, result: Result<R>) {
        let results = self.inner.lock().expect("the sink does not panic");
        let too_far =
            |results: &mut Results<R, F>| !results.stopped && index >= results.next + self.most;
        let waited = self.room.wait_while(results, too_far);
        let mut results = waited.expect("the sink does not panic");
        results.waiting.insert(index, result);
        results.hand_on();
        self.room.notify_all();
    }

    fn stopped(&self) -> bool {
        self.inner.lock().map_or(true, |results| results.stopped)
    }

    fn finish(self) -> Result<()> {
        self.inner
            .into_inner()
            .expect("the sink does not panic")
            .outcome
    }
}

impl<R, F: FnMut(R) -> Result<()>> Results<R, F> {
    fn hand_on(&mut self) {
        while let Some(result) = self.waiting.remove(&self.next)
            && !self.stopped
        {
            self.next += 1;
            self.outcome = result.and_then(&mut self.sink);
            self.stopped = self.outcome.is_err();
        }
    }
}

/// Lets the other threads end when one panics, instead of waiting for its result forever.
struct StopOnPanic<'o, R, F: FnMut(R) -> Result<()>>(&'o Outlet<R, F>);

impl<R, F: FnMut(R) -> Result<()>> Drop for StopOnPanic<'_, R, F> {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Ok(mut results) = self.0.inner.lock()
        {
            results.stopped = true;
            self.0.room.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_the_order_of_the_items() {
        for threads in [0, 1, 2, 7] {
            let squares = map(threads, (0..100u64).collect(), |x| x * x);
            assert_eq!(squares, (0..100).map(|x| x * x).collect::<Vec<_>>());
        }
        assert!(map(3, Vec::<u8>::new(), |x| x).is_empty());
    }

    #[test]
    fn results_are_handed_on_in_order_and_items_drawn_as_needed() {
        for threads in [1, 2, 7] {
            let (drawn, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
            let items = (0..500usize).inspect(|_| {
                drawn.fetch_add(1, Ordering::Relaxed);
            });
            let work = |calls: &mut u64, item: usize| {
                *calls += 1;
                // The first items take longest: later ones must wait for them.
                std::thread::sleep(std::time::Duration::from_micros(200 / (item as u64 + 1)));
                let ahead = drawn.load(Ordering::Relaxed) - done.load(Ordering::Relaxed);
                assert!(
                    ahead <= 6 * threads,
                    "{ahead} items ahead on {threads} threads"
                );
                Ok(item)
            };
            let mut seen = Vec::new();
            let sink = |item| {
                done.fetch_add(1, Ordering::Relaxed);
                seen.push(item);
                Ok(())
            };
            for_each_in_order(threads, items, || Ok(0), work, sink).unwrap();
            assert_eq!(seen, (0..500).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_first_error_in_order_is_reported_and_ends_the_work() {
        for threads in [1, 3] {
            let mut sum = 0;
            let work = |(): &mut (), item: u64| match item {
                20.. => Err(crate::Error::Failed(item.to_string())),
                _ => Ok(item),
            };
            let sink = |item| {
                sum += item;
                Ok(())
            };
            let error = for_each_in_order(threads, 0.., || Ok(()), work, sink).unwrap_err();
            assert_eq!((error.to_string(), sum), ("20".into(), 190));
        }
    }
}
