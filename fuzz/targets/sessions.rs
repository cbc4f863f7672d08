#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| barelm_fuzz::run("sessions", bytes));
