#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| perceptra_fuzz::csv(bytes));
