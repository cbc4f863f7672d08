//! AArch64, `virt`: a serial port, and the end by semihosting.

use crate::{clear_variables, firmware_main};
use core::arch::{asm, global_asm};

global_asm!(
    ".section .start, \"ax\"",
    ".globl start",
    "start:",
    "adrp x0, stack_top",
    "add x0, x0, :lo12:stack_top",
    "mov sp, x0",
    "mov x0, #(3 << 20)", // floating point on
    "msr cpacr_el1, x0",
    "isb",
    "b start_rust",
);

#[unsafe(no_mangle)]
extern "C" fn start_rust() -> ! {
    // SAFETY: nothing has run yet.
    unsafe { clear_variables() };
    let reason = [0x2_0026, u64::from(!firmware_main())];
    // SAFETY: QEMU ends with the code in the second word, and does not come back.
    unsafe { asm!("hlt #0xf000", in("x0") 0x18, in("x1") reason.as_ptr()) }
    loop {}
}

/// Writes text.
pub fn write(bytes: &[u8]) {
    const UART: *mut u32 = 0x900_0000 as *mut u32;
    for byte in bytes {
        // SAFETY: the data register of the machine's serial port, which QEMU never lets overrun.
        unsafe { UART.write_volatile(u32::from(*byte)) };
    }
}
