//! Must not link: one panic can be reached.
#![no_std]
#![no_main]

firmware::entry!(main);

fn main() -> bool {
    let (a, b) = (
        core::hint::black_box([1.0_f32; 4]),
        core::hint::black_box([2.0_f32; 4]),
    );
    let i = core::hint::black_box(3_usize);
    a[i] * b[i] > 1.0
}
