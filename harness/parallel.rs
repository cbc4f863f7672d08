//! Work for several threads with results that do not depend on how many there are.
//!
//! Items are handed out in order from one counter, and results come back in the order of the
//! items, so a sum over them is always added up in the same order.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Threads to use when the user does not say: one a core.
pub fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
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
}
