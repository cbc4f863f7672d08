//! Large tables on huge pages, where the system has them.
//!
//! A table that is read all over would, with pages of 4 KiB, miss the processor's caches by its
//! addresses alone; and the system makes few large pages sooner than many small ones.

use bytemuck::Pod;
use memmap2::MmapMut;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

/// A slice of plain values in a mapping of its own.
pub(crate) struct HugeSlice<T> {
    map: MmapMut,
    values: PhantomData<T>,
}

impl<T: Pod> HugeSlice<T> {
    /// Zeros from the system.
    ///
    /// # Errors
    /// That of the system when it has no memory.
    pub(crate) fn zeros(len: usize) -> io::Result<Self> {
        // A mapping of no bytes does not exist.
        let map = MmapMut::map_anon(len.saturating_mul(size_of::<T>()).max(1))?;
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::HugePage); // without them it is only slower
        let values = PhantomData;
        Ok(Self { map, values })
    }

    /// The same value everywhere.
    ///
    /// # Panics
    /// Without memory, as vectors do.
    pub(crate) fn filled(len: usize, value: T) -> Self {
        let mut slice = Self::zeros(len).expect("memory for a table");
        slice.fill(value);
        slice
    }
}

impl<T: Pod> Default for HugeSlice<T> {
    /// No values.
    fn default() -> Self {
        Self::filled(0, T::zeroed())
    }
}

/// The bytes that are whole values.
#[inline]
fn whole<T>(bytes: usize) -> usize {
    bytes / size_of::<T>() * size_of::<T>()
}

impl<T: Pod> Deref for HugeSlice<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        bytemuck::cast_slice(&self.map[..whole::<T>(self.map.len())])
    }
}

impl<T: Pod> DerefMut for HugeSlice<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        let len = whole::<T>(self.map.len());
        bytemuck::cast_slice_mut(&mut self.map[..len])
    }
}

impl<T> fmt::Debug for HugeSlice<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HugeSlice").field(&self.map.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_have_the_length_and_the_values_asked_for() {
        assert!(HugeSlice::<[u64; 3]>::default().is_empty());
        for len in [0, 1, 7, 4096, 1 << 18] {
            let mut slice = HugeSlice::filled(len, [u32::MAX; 3]);
            assert_eq!(slice.len(), len);
            assert!(slice.iter().all(|value| *value == [u32::MAX; 3]));
            slice.iter_mut().for_each(|value| *value = [1, 2, 3]);
            assert!(slice.iter().all(|value| *value == [1, 2, 3]));
            assert!(
                HugeSlice::<f32>::zeros(len)
                    .unwrap()
                    .iter()
                    .all(|value| *value == 0.0)
            );
        }
    }
}
