#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mesh30k_fuzz::wire::tasks::task_wire(bytes));
