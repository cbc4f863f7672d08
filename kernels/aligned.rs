//! A buffer from its first cache line on: vectors that are read there never cross into the next line.

/// Bytes in a cache line.
pub(crate) const LINE: usize = 64;

/// Elements that [`align`] may drop.
pub(crate) const ALIGN_SLACK: usize = LINE / size_of::<f32>() - 1;

/// The buffer from its first cache line on.
#[inline(always)]
pub(crate) fn align(buffer: &mut [f32]) -> &mut [f32] {
    let skipped = buffer.as_ptr().align_offset(LINE).min(ALIGN_SLACK);
    buffer.get_mut(skipped..).unwrap_or(&mut [])
}
