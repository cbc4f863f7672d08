//! Text that grows token by token.

use crate::status::of;
use crate::{Model, Status, buffer};
use barelm_kernels::rng::Rng;
use barelm_kernels::{model, sample};

/// A model and the last tokens that it has read.
#[derive(Debug)]
pub struct Session(model::Session<'static>);

/// How to draw the next token.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Logits are divided by it; 0 chooses the largest logit, 1 leaves them as they are.
    pub temperature: f32,
    /// Only this many of the likeliest are left; 0 is off.
    pub top_k: usize,
    /// Of these, only the fewest likeliest whose probability reaches this; 1 is off.
    pub top_p: f32,
}

/// Bytes of memory for a handle of a session, wherever they start.
#[unsafe(no_mangle)]
pub extern "C" fn barelm_session_size() -> usize {
    buffer::size_of_place::<Session>()
}

/// Puts a session that has read nothing in `memory`, of `barelm_session_size` bytes.
///
/// # Safety
/// `model` is a handle; `workspace` points to `workspace_len` floats, [`Info`](crate::Info) says how
/// many are needed; it and `memory` belong to the session from now on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn barelm_session_open(
    memory: *mut u8,
    memory_len: usize,
    model: *const Model,
    workspace: *mut f32,
    workspace_len: usize,
    session: *mut *mut Session,
) -> Status {
    let open = || {
        // SAFETY: the caller's promise.
        let Model(model) = unsafe { buffer::value(model)? };
        // SAFETY: the caller's promise.
        let workspace = unsafe { buffer::write(workspace, workspace_len)? };
        let opened = Session(model::Session::new(model.parameters(), workspace)?);
        // SAFETY: the caller's promise.
        unsafe {
            let handle = buffer::place(memory, memory_len, opened)?;
            buffer::put(session, handle)
        }
    };
    of(open())
}

/// Reads a token.
///
/// # Safety
/// `session` is a handle, or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn barelm_session_push(session: *mut Session, token: u32) -> Status {
    let push = || {
        // SAFETY: the caller's promise.
        let Session(session) = unsafe { buffer::value_mut(session)? };
        session.push(token).map_err(|_| Status::Token)
    };
    of(push())
}

/// Logits of the next token, one a token of the vocabulary.
///
/// # Safety
/// `session` is a handle, or null; `logits` points to `len` floats.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn barelm_session_logits(
    session: *mut Session,
    logits: *mut f32,
    len: usize,
) -> Status {
    let predict = || {
        // SAFETY: the caller's promise.
        let Session(session) = unsafe { buffer::value_mut(session)? };
        // SAFETY: the caller's promise.
        let logits = unsafe { buffer::write(logits, len)? };
        session.logits(logits)?;
        Ok(())
    };
    of(predict())
}

/// Draws the next token and reads it.
///
/// `rng` holds the two words of the generator's state: any two to begin with, kept between calls. `logits` and
/// `order` have one element a token of the vocabulary, and are scratch.
///
/// # Safety
/// `session` is a handle, or null; `rng` points to two words, other pointers to as many elements as
/// their lengths say, `token` to one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn barelm_session_generate(
    session: *mut Session,
    sampling: *const Sampling,
    rng: *mut u64,
    logits: *mut f32,
    logits_len: usize,
    order: *mut u32,
    order_len: usize,
    token: *mut u32,
) -> Status {
    let generate = || {
        // SAFETY: the caller's promise.
        let Session(session) = unsafe { buffer::value_mut(session)? };
        // SAFETY: the caller's promise.
        let (sampling, rng) = unsafe {
            (
                buffer::value(sampling)?,
                buffer::value_mut(rng.cast::<[u64; 2]>())?,
            )
        };
        // SAFETY: the caller's promise.
        let logits = unsafe { buffer::write(logits, logits_len)? };
        // SAFETY: the caller's promise.
        let order = unsafe { buffer::write(order, order_len)? };
        let sampling = sample::Sampling {
            temperature: sampling.temperature,
            top_k: sampling.top_k,
            top_p: sampling.top_p,
        };
        let mut generator = Rng::from_state(*rng);
        let drawn = session.generate(&sampling, &mut generator, logits, order)?;
        *rng = generator.state();
        // SAFETY: the caller's promise.
        unsafe { buffer::put(token, drawn) }
    };
    of(generate())
}
