//! Any bytes as an image's configuration: refused, or diff_ids that print and read back.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealstone_import::{DiffId, oci::Config};

fuzz_target!(|input: &[u8]| {
    if let Ok(config) = Config::parse(input) {
        for diff_id in &config.diff_ids {
            assert_eq!(diff_id.to_string().parse::<DiffId>(), Ok(*diff_id));
        }
    }
});
