//! One driver, named as its binary is.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|script: &[u8]| vagt_fuzz::play(vagt_fuzz::driver(env!("CARGO_BIN_NAME")), script));
