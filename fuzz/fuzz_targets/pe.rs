//! Any bytes as a boot image: the reader refuses them or gives sections that are inside the file; signatures end with an answer.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sealstone_boot::uki::{Certificate, UkiParts, build_uki, verify_signature};
use sealstone_boot::Uki;

fuzz_target!(|bytes: &[u8]| {
    let _ = verify_signature(&bytes, "fuzz", &[]);
    let _ = Certificate::parse(bytes, "fuzz");
    // As a stub: what is built of it reads back.
    let mut built = Vec::new();
    let parts = UkiParts { cmdline: Some("quiet"), linux: Some(&bytes), ..UkiParts::default() };
    let done = build_uki(&bytes, &parts, |piece| {
        built.extend_from_slice(piece);
        Ok(())
    });
    if let Ok(size) = done {
        assert_eq!(size, built.len() as u64);
    }
    let Ok(uki) = Uki::read(&bytes, "fuzz") else { return };
    for section in uki.pe().sections() {
        assert!(section.size() == 0 || section.offset() + section.size() <= bytes.len() as u64);
    }
    let _ = uki.kargs();
    let _ = uki.check_image(&[]);
    assert!(uki.is_addon() || uki.boot_digest(&bytes).is_ok());
});
