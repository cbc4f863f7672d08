//! C interface of `barelm-kernels`: a model in flash that predicts and generates.
//!
//! Nothing is allocated, nothing is kept in globals, nothing calls back. Handles lie in the caller's
//! memory, and sizes are told by functions. Every function returns a [`Status`] or cannot fail; null,
//! misaligned and short buffers are errors. `barelm.h` is generated from this crate by cbindgen.
#![no_std]
#![allow(unsafe_code)]
#![allow(
    clippy::too_many_arguments,
    reason = "C has no slices: a buffer takes two"
)]

#[cfg(test)]
extern crate std;

mod buffer;
mod kernels;
mod model;
mod session;
mod status;
#[cfg(test)]
mod tests;

pub use kernels::{barelm_dot, barelm_sigmoid_table, barelm_softmax};
pub use model::{
    Info, Model, barelm_decode, barelm_encode, barelm_encode_scratch_words,
    barelm_model_check_words, barelm_model_info, barelm_model_open, barelm_model_size,
};
pub use session::{
    Sampling, Session, barelm_session_generate, barelm_session_logits, barelm_session_open,
    barelm_session_push, barelm_session_size,
};
pub use status::{Status, barelm_status_name};

/// Proves at link time that no panic can be reached: nobody defines the function that it calls.
#[cfg(not(test))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    unsafe extern "C" {
        fn a_panic_can_be_reached() -> !;
    }
    // SAFETY: never runs, for a program that could come here does not link.
    unsafe { a_panic_can_be_reached() }
}
