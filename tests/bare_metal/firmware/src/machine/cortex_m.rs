//! Cortex-M4F, `mps2-an386`: output and end by semihosting.

use crate::{clear_variables, firmware_main};
use core::arch::{asm, global_asm};

// The table of exceptions after the stack's start, which the linker script writes: all stop.
global_asm!(
    ".section .vectors, \"a\"",
    ".word start",
    ".rept 14",
    ".word stop",
    ".endr",
    ".section .text.stop, \"ax\"",
    ".thumb_func",
    "stop: b stop",
);

/// Where execution starts.
#[unsafe(no_mangle)]
extern "C" fn start() -> ! {
    const CPACR: *mut u32 = 0xE000_ED88 as *mut u32;
    // SAFETY: the register exists on every Cortex-M4F, and nothing has run yet.
    unsafe {
        CPACR.write_volatile(CPACR.read_volatile() | 0xF << 20);
        asm!("dsb", "isb");
        clear_variables();
        paint_stack();
    }
    let ok = firmware_main();
    report_stack();
    let reason = if ok { 0x2_0026 } else { 0x2_0024 };
    semihosting(0x18, core::ptr::without_provenance(reason));
    loop {}
}

/// Bytes of the stack that are painted at the start, to see at the end how far it reached.
const PAINTED: usize = 32 * 1024;
const PAINT: u32 = 0x57AC_57AC;

unsafe extern "C" {
    static stack_top: u32;
}

/// Where the paint begins.
fn deepest() -> *mut u32 {
    (&raw const stack_top).cast_mut().wrapping_byte_sub(PAINTED)
}

/// # Safety
/// Nothing but this call's own frame is on the stack.
unsafe fn paint_stack() {
    let mut at = deepest();
    let own = (&raw mut at).cast::<u32>();
    while at < own.wrapping_byte_sub(64) {
        // SAFETY: memory below the stack, which nobody else uses.
        unsafe {
            at.write_volatile(PAINT);
            at = at.add(1);
        }
    }
}

/// Tells the other side, on stderr, how much of the stack was used.
fn report_stack() {
    let mut at = deepest();
    // SAFETY: memory of the stack.
    while at < (&raw const stack_top).cast_mut() && unsafe { at.read_volatile() } == PAINT {
        at = at.wrapping_add(1);
    }
    let used = (&raw const stack_top).addr() - at.addr();
    let open = [c":tt".as_ptr().expose_provenance(), 8, 3];
    let stderr = semihosting(0x01, open.as_ptr());
    for part in [
        &b"stack "[..],
        &crate::print::hexadecimal(used as u64),
        b"\n",
    ] {
        let write = [stderr, part.as_ptr().expose_provenance(), part.len()];
        semihosting(0x05, write.as_ptr());
    }
}

/// Instructions that `work` takes, to some dozens, where QEMU counts one a nanosecond
/// (`-icount shift=0`): its clock's ticks are 40 of them.
pub fn instructions_of(work: impl FnOnce()) -> u64 {
    const CONTROL: *mut u32 = 0xE000_E010 as *mut u32;
    const RELOAD: *mut u32 = 0xE000_E014 as *mut u32;
    const NOW: *mut u32 = 0xE000_E018 as *mut u32;
    // SAFETY: the timer of every Cortex-M, which nobody else uses; it counts down 24 bits.
    unsafe {
        RELOAD.write_volatile(0x00FF_FFFF);
        NOW.write_volatile(0);
        CONTROL.write_volatile(5);
    }
    // SAFETY: as above.
    let now = || u64::from(unsafe { NOW.read_volatile() });
    while now() == 0 {}
    let start = now();
    work();
    40 * (start - now())
}

/// Writes text.
pub fn write(bytes: &[u8]) {
    for part in bytes.chunks(63) {
        // Ends with a zero.
        let mut text = [0_u8; 64];
        for (to, from) in text.iter_mut().zip(part) {
            *to = *from;
        }
        semihosting(0x04, text.as_ptr().cast());
    }
}

fn semihosting(operation: usize, argument: *const usize) -> usize {
    let result;
    // SAFETY: a debugger, here QEMU, does what is asked and changes r0 alone; the argument is the
    // address of what the operation takes, text that ends with a zero or its parameters.
    unsafe { asm!("bkpt 0xab", inout("r0") operation => result, in("r1") argument) }
    result
}
