//! Any bytes as a zstd:chunked table of contents, or footer: refused, or every file's chunks lie in order inside the file,
//! files lie in order inside the blob, and sizes add up.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealstone_import::{
    Limits,
    zstd_chunked::{FOOTER_BYTES, Footer, Toc},
};

const TOC_OFFSET: u64 = 1 << 20;

fuzz_target!(|input: &[u8]| {
    if let Some(bytes) = input.first_chunk::<FOOTER_BYTES>()
        && let Some(footer) = Footer::parse(bytes)
    {
        assert_eq!(footer.encode(), *bytes);
    }
    let limits = Limits::default();
    let Ok(toc) = Toc::parse(input, TOC_OFFSET, &limits) else { return };
    let (mut next, mut bytes) = (0, 0_u64);
    for file in toc.files() {
        assert!(next <= file.offset && file.offset < file.end && file.end <= TOC_OFFSET - 8);
        next = file.end;
        bytes = bytes.checked_add(file.size).expect("no overflow");
        let chunks = toc.chunks(file);
        assert_eq!(chunks.iter().map(|chunk| chunk.size).sum::<u64>(), file.size);
        assert_eq!((chunks[0].offset, chunks[chunks.len() - 1].end), (file.offset, file.end));
        assert!(chunks.windows(2).all(|pair| pair[0].offset < pair[1].offset && pair[0].end == pair[1].offset));
        assert!(!toc.name(file).is_empty() || file.size > 0);
    }
    assert!(bytes <= limits.layer_bytes);
});
