//! Buffers of a C caller as slices, and values in the caller's memory.

use crate::Status;
use core::slice;

/// Whether `len` elements may lie at `x`.
fn check<T>(x: *const T, len: usize) -> Result<(), Status> {
    if x.is_null() {
        Err(Status::Null)
    } else if !x.is_aligned() {
        Err(Status::Misaligned)
    } else if len > isize::MAX as usize / size_of::<T>() {
        Err(Status::Shape)
    } else {
        Ok(())
    }
}

/// Elements that a call reads.
///
/// # Safety
/// Unless `len` is 0, `x` is null, misaligned, or the start of `len` initialised elements that
/// nothing writes to while the slice is in use.
pub(crate) unsafe fn read<'a, T>(x: *const T, len: usize) -> Result<&'a [T], Status> {
    if len == 0 {
        return Ok(&[]);
    }
    check(x, len)?;
    // SAFETY: checked, and the caller's promise.
    Ok(unsafe { slice::from_raw_parts(x, len) })
}

/// Elements that a call writes.
///
/// # Safety
/// As [`read`], and nothing else reads them while the slice is in use.
pub(crate) unsafe fn write<'a, T>(x: *mut T, len: usize) -> Result<&'a mut [T], Status> {
    if len == 0 {
        return Ok(&mut []);
    }
    check(x, len)?;
    // SAFETY: checked, and the caller's promise.
    Ok(unsafe { slice::from_raw_parts_mut(x, len) })
}

/// One value that a call reads.
///
/// # Safety
/// As [`read`] of one element.
pub(crate) unsafe fn value<'a, T>(x: *const T) -> Result<&'a T, Status> {
    check(x, 1)?;
    // SAFETY: checked, and the caller's promise.
    Ok(unsafe { &*x })
}

/// One value that a call changes.
///
/// # Safety
/// As [`write`] of one element.
pub(crate) unsafe fn value_mut<'a, T>(x: *mut T) -> Result<&'a mut T, Status> {
    check(x, 1)?;
    // SAFETY: checked, and the caller's promise.
    Ok(unsafe { &mut *x })
}

/// Where a call puts a result; what was there is not read.
///
/// # Safety
/// `x` is null, misaligned, or may be written to.
pub(crate) unsafe fn put<T>(x: *mut T, value: T) -> Result<(), Status> {
    check(x, 1)?;
    // SAFETY: checked, and the caller's promise.
    unsafe { x.write(value) };
    Ok(())
}

/// Puts a handle in the caller's memory, at its first place that is aligned.
///
/// # Safety
/// `memory` is null, or `len` bytes that are the handle's from now on.
pub(crate) unsafe fn place<T>(memory: *mut u8, len: usize, handle: T) -> Result<*mut T, Status> {
    check(memory, len)?;
    let skipped = memory.align_offset(align_of::<T>());
    if skipped
        .checked_add(size_of::<T>())
        .is_none_or(|end| end > len)
    {
        return Err(Status::TooShort);
    }
    // SAFETY: within the memory, and aligned.
    unsafe {
        let place = memory.add(skipped).cast::<T>();
        place.write(handle);
        Ok(place)
    }
}

/// Bytes of memory that hold a `T` wherever they start.
pub(crate) const fn size_of_place<T>() -> usize {
    size_of::<T>() + align_of::<T>() - 1
}
