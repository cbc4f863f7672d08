//! A binary heap in the caller's buffer: what is sorted, and what is taken out largest first.
//!
//! `core`'s sorts panic when an order contradicts itself, so a program that must not be able to
//! panic cannot contain them. A heap has no such case: with any order it ends, in `n log n` steps.
//!
//! Source: J. W. J. Williams, "Algorithm 232: Heapsort", 1964; R. W. Floyd, "Treesort 3", 1964.

/// Makes a heap of `x`: every element comes before its two children (those of `i` are `2 i + 1` and
/// `2 i + 2`), the first before all others.
pub(crate) fn build<T: Copy>(x: &mut [T], before: impl Fn(&T, &T) -> bool) {
    for root in (0..x.len() / 2).rev() {
        sink(x, root, &before);
    }
}

/// Moves the first of a heap to the place behind what is left of it; `None` when it is empty.
///
/// What was taken out stands at the end of the buffer, the last taken first.
pub(crate) fn pop<T: Copy>(
    x: &mut [T],
    heap_len: &mut usize,
    before: impl Fn(&T, &T) -> bool,
) -> Option<T> {
    let last = heap_len.checked_sub(1)?;
    let heap = x.get_mut(..=last)?;
    heap.swap(0, last);
    let popped = heap.last().copied();
    *heap_len = last;
    sink(heap.get_mut(..last)?, 0, &before);
    popped
}

/// Puts another element in the place of the first of a heap, and a heap it stays.
pub(crate) fn replace_first<T: Copy>(x: &mut [T], with: T, before: impl Fn(&T, &T) -> bool) {
    if let Some(first) = x.first_mut() {
        *first = with;
        sink(x, 0, before);
    }
}

/// Sorts by `before`, in place; equal elements in any order.
pub(crate) fn sort<T: Copy>(x: &mut [T], before: impl Fn(&T, &T) -> bool) {
    // The largest is taken out first and ends up last.
    let after = |a: &T, b: &T| before(b, a);
    build(x, after);
    let mut left = x.len();
    while pop(x, &mut left, after).is_some() {}
}

/// Moves the element at `at` down to where neither of its children comes before it.
fn sink<T: Copy>(x: &mut [T], mut at: usize, before: impl Fn(&T, &T) -> bool) {
    let Some(sinking) = x.get(at).copied() else {
        return;
    };
    loop {
        let left = 2 * at + 1;
        let child = match x.get(left..) {
            Some([a, b, ..]) if before(b, a) => left + 1,
            _ => left,
        };
        match x.get(child).copied() {
            Some(above) if before(&above, &sinking) => {
                if let Some(place) = x.get_mut(at) {
                    *place = above;
                }
                at = child;
            }
            _ => break,
        }
    }
    if let Some(place) = x.get_mut(at) {
        *place = sinking;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use std::vec::Vec;

    #[test]
    fn sorting_agrees_with_the_standard_library() {
        let mut rng = Rng::new(1);
        for len in 0..200 {
            let mut x: Vec<u64> = (0..len).map(|_| rng.below(len / 2 + 1)).collect();
            let mut wanted = x.clone();
            wanted.sort_unstable();
            sort(&mut x, |a, b| a < b);
            assert_eq!(x, wanted);
        }
    }

    #[test]
    fn elements_come_out_in_order_and_stand_at_the_end() {
        let mut x = [3, 9, 1, 7, 5];
        build(&mut x, |a, b| a > b);
        let mut left = x.len();
        let popped = [0; 2].map(|_| pop(&mut x, &mut left, |a, b| a > b));
        assert_eq!((popped, left), ([Some(9), Some(7)], 3));
        assert_eq!(x[3..], [7, 9]);
        assert_eq!(pop(&mut [0; 0], &mut 0, |a, b| a > b), None);
    }

    #[test]
    fn an_order_that_contradicts_itself_ends() {
        let mut x: Vec<u32> = (0..100).collect();
        sort(&mut x, |_, _| true);
        x.sort_unstable();
        assert!(x.into_iter().eq(0..100));
    }
}
