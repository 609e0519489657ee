//! The fuzzer's entry to `targets_common::envelope`.
#![no_main]

#[path = "../targets_common.rs"]
mod targets_common;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets_common::envelope(data));
