//! Any bytes as a unit file: a reason that names a line, or values that are read again the same when they are written anew.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealstone_deploy::bound::UnitFile;

fuzz_target!(|input: &[u8]| {
    let file = match UnitFile::parse(input) {
        Ok(file) => file,
        Err(reason) => {
            assert!(reason.starts_with("line ") || input.len() as u64 > UnitFile::BYTES_MAX, "{reason}");
            return;
        }
    };
    for section in ["Image", "Container"] {
        let Some(value) = file.get(section, "Image") else { continue };
        assert!(!value.is_empty() && value == value.trim() && !value.contains('\n'));
        assert!(file.has(section, "Image"));
        // A value that ends with a backslash would go on in the next line.
        if !value.ends_with('\\') {
            let text = format!("[{section}]\nImage={value}\n");
            let again = UnitFile::parse(text.as_bytes()).unwrap();
            assert_eq!(again.get(section, "Image"), Some(value));
        }
    }
});
