#![no_main]

#[path = "../survive.rs"]
mod survive;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| survive::toml(bytes));
