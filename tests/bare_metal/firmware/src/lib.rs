//! Start-up, output and end of a program on each machine, and the proof that it cannot panic.
//!
//! A program is `firmware::entry!(main)` with `fn main() -> bool`, which says whether all went well.
#![no_std]

mod flash;
#[cfg(target_arch = "aarch64")]
#[path = "machine/aarch64.rs"]
mod machine;
#[cfg(target_arch = "arm")]
#[path = "machine/cortex_m.rs"]
mod machine;
#[cfg(any(target_arch = "riscv32", target_arch = "riscv64"))]
#[path = "machine/riscv.rs"]
mod machine;
#[cfg(target_arch = "wasm32")]
#[path = "machine/wasm.rs"]
mod machine;
#[cfg(target_arch = "x86_64")]
#[path = "machine/x86_64.rs"]
mod machine;
#[cfg(target_arch = "x86_64")]
mod memory;
mod once;
mod print;

pub use flash::Flash;
#[cfg(target_arch = "arm")]
pub use machine::instructions_of;
pub use machine::write;
pub use once::Once;
pub use print::{print_checksum, print_number, print_text};

unsafe extern "C" {
    /// Defined nowhere: a program in which one panic can be reached does not link.
    fn a_panic_can_be_reached() -> !;
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: never runs, for there is no such function.
    unsafe { a_panic_can_be_reached() }
}

/// Sets every variable to zero: the first thing that a program does.
///
/// # Safety
/// The linker script puts `bss_start` and `bss_end` around the variables, at multiples of 16, and
/// nothing has used them yet.
#[cfg(not(target_arch = "wasm32"))]
unsafe fn clear_variables() {
    unsafe extern "C" {
        static mut bss_start: u64;
        static mut bss_end: u64;
    }
    let (mut at, end) = (&raw mut bss_start, &raw mut bss_end);
    while at < end {
        // SAFETY: between the two symbols lies memory of the program's own. Volatile, so that the
        // loop does not become a call before the start is over.
        unsafe {
            at.write_volatile(0);
            at = at.add(1);
        }
    }
}

/// Makes a function the program.
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        #[unsafe(no_mangle)]
        fn firmware_main() -> bool {
            $main()
        }
    };
}

unsafe extern "Rust" {
    safe fn firmware_main() -> bool;
}
