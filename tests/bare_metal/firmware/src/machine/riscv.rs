//! RISC-V, `virt`: a serial port, and a device that ends the machine.

use crate::{clear_variables, firmware_main};
use core::arch::global_asm;

#[cfg(target_arch = "riscv64")]
global_asm!(
    ".section .start, \"ax\"",
    ".globl start",
    "start:",
    "la sp, stack_top",
    "li t0, 0x2000", // floating point on
    "csrs mstatus, t0",
    "j start_rust",
);

#[cfg(target_arch = "riscv32")]
global_asm!(
    ".section .start, \"ax\"",
    ".globl start",
    "start:",
    "la sp, stack_top",
    "j start_rust"
);

#[unsafe(no_mangle)]
extern "C" fn start_rust() -> ! {
    const FINISHER: *mut u32 = 0x10_0000 as *mut u32;
    // SAFETY: nothing has run yet.
    unsafe { clear_variables() };
    let code = if firmware_main() {
        0x5555
    } else {
        1 << 16 | 0x3333
    };
    // SAFETY: the device of the machine that ends it.
    unsafe { FINISHER.write_volatile(code) };
    loop {}
}

/// Writes text.
pub fn write(bytes: &[u8]) {
    const UART: *mut u8 = 0x1000_0000 as *mut u8;
    for byte in bytes {
        // SAFETY: the data register of the machine's serial port, which QEMU never lets overrun.
        unsafe { UART.write_volatile(*byte) };
    }
}
