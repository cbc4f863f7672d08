//! What a call says about its outcome.

use barelm_kernels::bpe::BpeError;
use barelm_kernels::error::{BufferTooSmall, KernelError, ShapeError};
use barelm_kernels::format::FormatError;
use barelm_kernels::model::ModelError;
use barelm_kernels::sample::SampleError;
use core::ffi::{CStr, c_char};

/// Outcome of a call.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// All went well.
    Ok,
    /// A pointer is null, and its buffer not empty.
    Null,
    /// A pointer is not aligned to what it points to; a file not to 64.
    Misaligned,
    /// A buffer is too short.
    TooShort,
    /// Lengths do not fit each other.
    Shape,
    /// A file is damaged, of another kind, or contradicts itself.
    Format,
    /// A token is not of the vocabulary.
    Token,
    /// Sampling that makes no sense, or no logit that could be drawn.
    Sampling,
    /// The tokenizer cuts text by a regular expression, which kernels do not run.
    Pattern,
}

/// The outcome in words: static, ends with zero, never null.
#[unsafe(no_mangle)]
pub extern "C" fn barelm_status_name(status: Status) -> *const c_char {
    let name: &CStr = match status {
        Status::Ok => c"ok",
        Status::Null => c"null pointer",
        Status::Misaligned => c"misaligned pointer",
        Status::TooShort => c"buffer too short",
        Status::Shape => c"lengths do not fit",
        Status::Format => c"not a valid model file",
        Status::Token => c"no such token",
        Status::Sampling => c"nothing to draw",
        Status::Pattern => c"text is cut by a regular expression",
    };
    name.as_ptr()
}

/// The status of a call's result.
pub(crate) fn of(result: Result<(), Status>) -> Status {
    result.err().unwrap_or(Status::Ok)
}

impl From<ShapeError> for Status {
    fn from(_: ShapeError) -> Self {
        Self::Shape
    }
}

impl From<BufferTooSmall> for Status {
    fn from(_: BufferTooSmall) -> Self {
        Self::TooShort
    }
}

impl From<KernelError> for Status {
    fn from(error: KernelError) -> Self {
        match error {
            KernelError::Shape(_) => Self::Shape,
            KernelError::Buffer(_) => Self::TooShort,
        }
    }
}

impl From<FormatError> for Status {
    fn from(_: FormatError) -> Self {
        Self::Format
    }
}

impl From<ModelError> for Status {
    fn from(error: ModelError) -> Self {
        match error {
            ModelError::Format(_) => Self::Format,
            ModelError::Buffer(_) => Self::TooShort,
        }
    }
}

impl From<BpeError> for Status {
    fn from(error: BpeError) -> Self {
        match error {
            BpeError::Buffer(_) => Self::TooShort,
            BpeError::Pattern => Self::Pattern,
            BpeError::Id(_) => Self::Token,
        }
    }
}

impl From<SampleError> for Status {
    fn from(error: SampleError) -> Self {
        match error {
            SampleError::Buffer(_) => Self::TooShort,
            SampleError::NoCandidate | SampleError::BadSampling => Self::Sampling,
        }
    }
}
