//! Large tables on huge pages, where the system has them.
//!
//! A table that is read all over would, with pages of 4 KiB, miss the processor's caches by its
//! addresses alone; and the system makes few large pages sooner than many small ones.

use bytemuck::Pod;
use memmap2::MmapMut;
use std::fmt;
use std::io;
use std::ops::{Deref, DerefMut};

/// A smaller slice has no huge page, and is an ordinary vector.
const SMALL: usize = 1 << 20;
/// Size of a huge page: systems place a mapping at the start of one only if it is whole pages long.
const PAGE: usize = 1 << 21;

/// A slice of plain values, in a mapping of its own if it is large.
pub(crate) enum HugeSlice<T> {
    Small(Vec<T>),
    /// The mapping, and how many bytes of it are the slice's.
    Mapped(MmapMut, usize),
}

impl<T: Pod> HugeSlice<T> {
    /// Zeros from the system.
    ///
    /// # Errors
    /// That of the system when it has no memory.
    pub(crate) fn zeros(len: usize) -> io::Result<Self> {
        let bytes = len.saturating_mul(size_of::<T>());
        if bytes < SMALL {
            return Ok(Self::Small(vec![T::zeroed(); len]));
        }
        let map = MmapMut::map_anon(bytes.checked_next_multiple_of(PAGE).unwrap_or(bytes))?;
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::HugePage); // without them it is only slower
        Ok(Self::Mapped(map, bytes))
    }

    /// [`HugeSlice::zeros`].
    ///
    /// # Panics
    /// Without memory, as vectors do.
    pub(crate) fn zeroed(len: usize) -> Self {
        Self::zeros(len).expect("memory for a table")
    }

    /// The same value everywhere.
    ///
    /// # Panics
    /// Without memory, as vectors do.
    pub(crate) fn filled(len: usize, value: T) -> Self {
        let mut slice = Self::zeroed(len);
        slice.fill(value);
        slice
    }
}

/// So many elements of a buffer, from the start of a cache line on: rows of whole lines then lie in as
/// few of them as can be. The same ones each time while the buffer does not grow.
pub(crate) fn on_lines(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    const LINE: usize = 64;
    if buffer.len() < len + LINE {
        buffer.resize(len + LINE, 0.0);
    }
    let start = buffer.as_ptr().align_offset(LINE).min(LINE);
    &mut buffer[start..start + len]
}

impl<T: Pod> Default for HugeSlice<T> {
    /// No values.
    fn default() -> Self {
        Self::Small(Vec::new())
    }
}

impl<T: Pod> Deref for HugeSlice<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        match self {
            Self::Small(values) => values,
            Self::Mapped(map, bytes) => bytemuck::cast_slice(&map[..*bytes]),
        }
    }
}

impl<T: Pod> DerefMut for HugeSlice<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        match self {
            Self::Small(values) => values,
            Self::Mapped(map, bytes) => bytemuck::cast_slice_mut(&mut map[..*bytes]),
        }
    }
}

impl<T: Pod> fmt::Debug for HugeSlice<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HugeSlice").field(&self.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_grows_and_stays_on_lines() {
        let mut buffer = Vec::new();
        for len in [0, 1, 100, 17, 5000] {
            let part = on_lines(&mut buffer, len);
            assert_eq!((part.len(), part.as_ptr().align_offset(64)), (len, 0));
            part.fill(len as f32);
            let again = on_lines(&mut buffer, len);
            assert!(
                again.iter().all(|x| *x == len as f32),
                "it is the same part"
            );
        }
    }

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
