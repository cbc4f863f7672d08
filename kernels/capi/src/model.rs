//! A model file in flash: checked once, then its shape and its tokenizer.

use crate::status::of;
use crate::{Status, buffer};
use barelm_kernels::bpe::encode_workspace_len;
use barelm_kernels::format::ALIGNMENT;
use barelm_kernels::model::ModelRef;

/// A model that was checked. The file must stay where it is.
#[derive(Debug)]
pub struct Model(pub(crate) ModelRef<'static>);

/// What a caller must know of a model.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info {
    /// Tokens: the length of logits, and of the order that sampling needs.
    pub vocab_size: usize,
    /// Most tokens that a prediction looks at.
    pub context: usize,
    /// Floats of workspace of a session.
    pub session_floats: usize,
}

/// Bytes of memory for a handle of a model, wherever they start.
#[unsafe(no_mangle)]
pub extern "C" fn barelm_model_size() -> usize {
    buffer::size_of_place::<Model>()
}

/// A file's bytes.
///
/// # Safety
/// As [`buffer::read`]; the bytes never change and never go.
unsafe fn file(bytes: *const u8, len: usize) -> Result<&'static [u8], Status> {
    // SAFETY: the caller's promise.
    let file: &[u8] = unsafe { buffer::read(bytes, len)? };
    match file.as_ptr().addr().is_multiple_of(ALIGNMENT) {
        true => Ok(file),
        false if file.is_empty() => Ok(file),
        false => Err(Status::Misaligned),
    }
}

/// Words of scratch that `barelm_model_open` needs for a file.
///
/// # Safety
/// `bytes` points to the `len` bytes of the file, at a multiple of 64; `words` to one number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn barelm_model_check_words(
    bytes: *const u8,
    len: usize,
    words: *mut usize,
) -> Status {
    let check = || {
        // SAFETY: the caller's promise.
        let needed = ModelRef::check_workspace_len(unsafe { file(bytes, len)? })?;
        // SAFETY: the caller's promise.
        unsafe { buffer::put(words, needed) }
    };
    of(check())
}

/// Checks a file, every byte of it, and puts a handle of its model in `memory`.
///
/// `memory` has `barelm_model_size` bytes; `scratch` is free again afterwards.
///
/// # Safety
/// Pointers point to as many elements as their lengths say; `memory` belongs to the handle from now
/// on, and the file stays as it is as long as the handle is in use.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn barelm_model_open(
    memory: *mut u8,
    memory_len: usize,
    bytes: *const u8,
    len: usize,
    scratch: *mut u32,
    scratch_len: usize,
    model: *mut *const Model,
) -> Status {
    let open = || {
        // SAFETY: the caller's promise.
        let (file, scratch) = unsafe { (file(bytes, len)?, buffer::write(scratch, scratch_len)?) };
        let checked = Model(ModelRef::new_checked(file, scratch)?);
        // SAFETY: the caller's promise.
        unsafe {
            let handle = buffer::place(memory, memory_len, checked)?;
            buffer::put(model, handle.cast_const())
        }
    };
    of(open())
}

/// Sizes of a model.
///
/// # Safety
/// `model` is a handle of `barelm_model_open`, or null; `info` points to one [`Info`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn barelm_model_info(model: *const Model, info: *mut Info) -> Status {
    let tell = || {
        // SAFETY: the caller's promise.
        let Model(model) = unsafe { buffer::value(model)? };
        let sizes = Info {
            vocab_size: model.config().vocab_size,
            context: model.config().context,
            session_floats: model.session_workspace_len(),
        };
        // SAFETY: the caller's promise.
        unsafe { buffer::put(info, sizes) }
    };
    of(tell())
}

/// Words of scratch that `barelm_encode` needs for text whose longest word has so many bytes.
#[unsafe(no_mangle)]
pub extern "C" fn barelm_encode_scratch_words(longest_piece: usize) -> usize {
    encode_workspace_len(longest_piece)
}

/// Turns text into tokens, at most one a byte; `*count` becomes their number.
///
/// # Safety
/// `model` is a handle; other pointers point to as many elements as their lengths say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn barelm_encode(
    model: *const Model,
    text: *const u8,
    text_len: usize,
    tokens: *mut u32,
    tokens_len: usize,
    scratch: *mut u32,
    scratch_len: usize,
    count: *mut usize,
) -> Status {
    let encode = || {
        // SAFETY: the caller's promise.
        let (Model(model), text) =
            unsafe { (buffer::value(model)?, buffer::read(text, text_len)?) };
        // SAFETY: the caller's promise.
        let tokens = unsafe { buffer::write(tokens, tokens_len)? };
        // SAFETY: the caller's promise.
        let scratch = unsafe { buffer::write(scratch, scratch_len)? };
        let len = model.tokenizer().encode_into(text, tokens, scratch)?;
        // SAFETY: the caller's promise.
        unsafe { buffer::put(count, len) }
    };
    of(encode())
}

/// Turns tokens into text, which does not end with zero; `*count` becomes its number of bytes.
///
/// # Safety
/// `model` is a handle; other pointers point to as many elements as their lengths say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn barelm_decode(
    model: *const Model,
    tokens: *const u32,
    tokens_len: usize,
    text: *mut u8,
    text_len: usize,
    count: *mut usize,
) -> Status {
    let decode = || {
        // SAFETY: the caller's promise.
        let (Model(model), tokens) =
            unsafe { (buffer::value(model)?, buffer::read(tokens, tokens_len)?) };
        // SAFETY: the caller's promise.
        let text = unsafe { buffer::write(text, text_len)? };
        let len = model.tokenizer().decode_into(tokens, text)?;
        // SAFETY: the caller's promise.
        unsafe { buffer::put(count, len) }
    };
    of(decode())
}
