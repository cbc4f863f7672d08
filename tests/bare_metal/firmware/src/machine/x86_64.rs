//! x86-64, `q35`, booted by the PVH protocol: a serial port, and a device that ends the machine.

use crate::{clear_variables, firmware_main};
use core::arch::{asm, global_asm};

// The protocol enters in 32-bit mode without paging. One gibibyte is mapped to itself in pages of
// two mebibytes, SSE is switched on, and a segment of 64-bit code entered.
global_asm!(
    ".section .note.pvh, \"a\", @note",
    ".long 4, 8, 18", // lengths of name and entry, kind
    ".asciz \"Xen\"",
    ".quad start",
    ".section .start, \"ax\"",
    ".code32",
    ".globl start",
    "start:",
    "cli",
    "mov esp, offset stack_top",
    "mov edi, offset page_tables",
    "xor eax, eax",
    "mov ecx, 3 * 1024",
    "rep stosd",
    "mov edi, offset page_tables",
    "lea eax, [edi + 4096 + 3]",
    "mov [edi], eax",
    "lea eax, [edi + 8192 + 3]",
    "mov [edi + 4096], eax",
    "mov eax, 0x83",
    "mov ecx, 512",
    "2:",
    "mov [edi + 8192], eax",
    "add edi, 8",
    "add eax, 0x200000",
    "dec ecx",
    "jnz 2b",
    "mov eax, cr4",
    "or eax, 0x620", // physical address extension, SSE
    "mov cr4, eax",
    "mov eax, offset page_tables",
    "mov cr3, eax",
    "mov ecx, 0xC0000080",
    "rdmsr",
    "or eax, 0x100", // long mode
    "wrmsr",
    "mov eax, cr0",
    "and eax, 0xFFFFFFFB",
    "or eax, 0x80000003", // paging, and floating point without emulation
    "mov cr0, eax",
    "lgdt [segments_register]",
    "push 8",
    "mov eax, offset start_long",
    "push eax",
    "retf",
    ".code64",
    "start_long:",
    "xor eax, eax",
    "mov ds, eax",
    "mov es, eax",
    "mov ss, eax",
    "mov rsp, offset stack_top",
    "call start_rust",
    ".balign 8",
    "segments: .quad 0, 0x00AF9A000000FFFF",
    "segments_register: .word 15",
    ".quad segments",
    // Not among the variables, which are cleared while the tables are in use.
    ".section .page_tables, \"aw\", @nobits",
    ".balign 4096",
    "page_tables: .skip 3 * 4096",
);

#[unsafe(no_mangle)]
extern "C" fn start_rust() -> ! {
    // SAFETY: nothing has run yet.
    unsafe { clear_variables() };
    let code = if firmware_main() { 0 } else { 1 };
    // SAFETY: QEMU's device ends the machine with twice the code and one.
    unsafe { asm!("out dx, al", in("dx") 0xF4, in("al") code as u8) }
    loop {}
}

/// Writes text.
pub fn write(bytes: &[u8]) {
    for byte in bytes {
        // SAFETY: the data register of the machine's serial port, which QEMU never lets overrun.
        unsafe { asm!("out dx, al", in("dx") 0x3F8, in("al") *byte) }
    }
}
