//! Zeros from the system, on huge pages where it has them.
//!
//! A table that is looked up all over is so large that with pages of 4 KiB their addresses alone
//! would miss the processor's caches.

use bytemuck::Pod;
use memmap2::MmapMut;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

/// An array whose length does not change.
#[derive(Debug)]
pub(crate) struct HugeZeros<T> {
    /// A mapping of no bytes does not exist.
    map: Option<MmapMut>,
    values: PhantomData<T>,
}

impl<T> Default for HugeZeros<T> {
    fn default() -> Self {
        Self {
            map: None,
            values: PhantomData,
        }
    }
}

impl<T: Pod> HugeZeros<T> {
    /// So many zeros.
    ///
    /// # Panics
    /// When there is no memory, as `Vec` does.
    pub(crate) fn new(len: usize) -> Self {
        let map = (len > 0).then(|| {
            let bytes = len.checked_mul(size_of::<T>()).expect("it fits in memory");
            let map = MmapMut::map_anon(bytes).expect("memory for a table");
            #[cfg(target_os = "linux")]
            let _ = map.advise(memmap2::Advice::HugePage); // without them it is only slower
            map
        });
        Self {
            map,
            values: PhantomData,
        }
    }
}

impl<T: Pod> Deref for HugeZeros<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        self.map.as_deref().map_or(&[], bytemuck::cast_slice)
    }
}

impl<T: Pod> DerefMut for HugeZeros<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        match &mut self.map {
            Some(map) => bytemuck::cast_slice_mut(map),
            None => &mut [],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_zeros_and_can_be_written() {
        let mut zeros = HugeZeros::<[u64; 3]>::new(200_000);
        assert_eq!(zeros.len(), 200_000);
        assert!(zeros.iter().all(|slot| *slot == [0; 3]));
        zeros[199_999] = [1, 2, 3];
        assert_eq!(zeros[199_999], [1, 2, 3]);
        assert!(HugeZeros::<u8>::new(0).is_empty());
    }
}
