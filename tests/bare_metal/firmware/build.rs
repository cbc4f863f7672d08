//! Chooses the memory layout of the machine; see `link/`.

fn main() {
    let target = std::env::var("TARGET").expect("cargo sets TARGET");
    let folder = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    let machine = match target.split('-').next() {
        Some("thumbv7em") => "cortex_m",
        Some("riscv32imac" | "riscv64gc") => "riscv",
        Some("aarch64") => "aarch64",
        Some("x86_64") => "x86_64",
        Some("wasm32") => return,
        _ => panic!("no memory layout for {target}"),
    };
    println!("cargo:rerun-if-changed=link");
    println!("cargo:rustc-link-arg-bins=-T{folder}/link/{machine}.ld");
    if machine == "x86_64" {
        for arg in [
            "-nostartfiles",
            "-nostdlib",
            "-static",
            "-no-pie",
            "-Wl,--build-id=none",
            "-Wl,-z,max-page-size=4096",
        ] {
            println!("cargo:rustc-link-arg-bins={arg}");
        }
    }
}
