//! What can go wrong in a kernel: small `Copy` values, no text to allocate.

use core::fmt;

/// Operands whose shapes do not fit each other, or a buffer that cannot hold its view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShapeError;

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("operand shapes do not fit each other")
    }
}

impl core::error::Error for ShapeError {}

/// A caller's buffer is too small; `needed` elements would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufferTooSmall {
    /// Number of elements (not bytes) the call would have used.
    pub needed: usize,
}

impl fmt::Display for BufferTooSmall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "buffer too small: {} elements needed", self.needed)
    }
}

impl core::error::Error for BufferTooSmall {}

/// Either of the two ways in which a call's operands can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelError {
    /// Operands do not fit each other.
    Shape(ShapeError),
    /// Scratch or output is too small.
    Buffer(BufferTooSmall),
}

impl fmt::Display for KernelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape(e) => e.fmt(f),
            Self::Buffer(e) => e.fmt(f),
        }
    }
}

impl core::error::Error for KernelError {}

impl From<ShapeError> for KernelError {
    fn from(e: ShapeError) -> Self {
        Self::Shape(e)
    }
}

impl From<BufferTooSmall> for KernelError {
    fn from(e: BufferTooSmall) -> Self {
        Self::Buffer(e)
    }
}

/// The first `needed` elements of `buffer`, or an error that says how many were needed.
pub(crate) fn take<T>(buffer: &mut [T], needed: usize) -> Result<&mut [T], BufferTooSmall> {
    buffer.get_mut(..needed).ok_or(BufferTooSmall { needed })
}
