//! WebAssembly: the host hands in a function that takes text.

use crate::firmware_main;

#[link(wasm_import_module = "host")]
unsafe extern "C" {
    fn print(text: *const u8, len: usize);
}

/// What the host calls.
#[unsafe(no_mangle)]
extern "C" fn run() -> bool {
    firmware_main()
}

/// Writes text.
pub fn write(bytes: &[u8]) {
    // SAFETY: the host reads so many bytes from there, and keeps nothing.
    unsafe { print(bytes.as_ptr(), bytes.len()) }
}
