//! Single kernels.

use crate::status::of;
use crate::{Status, buffer};
use barelm_kernels::sigmoid::{SigmoidMethod, sigmoid_in_place};
use barelm_kernels::{blas1, softmax};

/// `*out = sum_i a[i] * b[i]`.
///
/// # Safety
/// `a` and `b` point to `len` floats, `out` to one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn barelm_dot(
    a: *const f32,
    b: *const f32,
    len: usize,
    out: *mut f32,
) -> Status {
    let dot = || {
        // SAFETY: the caller's promise.
        let (a, b) = unsafe { (buffer::read(a, len)?, buffer::read(b, len)?) };
        let product = blas1::dot(a, b)?;
        // SAFETY: the caller's promise.
        unsafe { buffer::put(out, product) }
    };
    of(dot())
}

/// `x[i] = 1 / (1 + exp(-x[i]))`, by a table of 516 bytes.
///
/// # Safety
/// `x` points to `len` floats.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn barelm_sigmoid_table(x: *mut f32, len: usize) -> Status {
    // SAFETY: the caller's promise.
    let x = unsafe { buffer::write(x, len) };
    of(x.map(|x| sigmoid_in_place(SigmoidMethod::Table, x)))
}

/// `x[i] = exp(x[i]) / sum_j exp(x[j])`.
///
/// # Safety
/// `x` points to `len` floats.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn barelm_softmax(x: *mut f32, len: usize) -> Status {
    // SAFETY: the caller's promise.
    let x = unsafe { buffer::write(x, len) };
    of(x.map(softmax::softmax_in_place))
}
