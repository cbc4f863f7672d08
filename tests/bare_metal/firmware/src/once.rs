//! A static that is handed out once, as a mutable reference.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};

/// Holds a `T` until somebody takes it.
pub struct Once<T> {
    value: UnsafeCell<T>,
    is_taken: AtomicBool,
}

// SAFETY: only one caller of `take` ever gets at the value.
unsafe impl<T: Send> Sync for Once<T> {}

impl<T> Once<T> {
    pub const fn new(value: T) -> Self {
        Self {
            value: UnsafeCell::new(value),
            is_taken: AtomicBool::new(false),
        }
    }

    /// The value, for the first who asks.
    pub fn take(&'static self) -> Option<&'static mut T> {
        if self.is_taken.swap(true, Ordering::AcqRel) {
            return None;
        }
        // SAFETY: the flag was not set before, so there is no other reference.
        Some(unsafe { &mut *self.value.get() })
    }
}
