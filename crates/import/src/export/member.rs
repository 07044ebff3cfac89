//! The header of a member of a tar that we write: POSIX ustar, with nothing of this machine in it.

/// Bytes of a block.
pub(super) const BLOCK: u64 = 512;

/// The largest size that twelve octal places hold.
const OCTAL_MAX: u64 = 0o777_7777_7777;

/// The header of a file or, with a slash at the end of its name, of a folder. Names are ours: shorter than 100 bytes.
pub(super) fn header(name: &str, size: u64) -> Vec<u8> {
    let is_dir = name.ends_with('/');
    let mut block = Vec::with_capacity(512);
    field(&mut block, name.as_bytes(), 100);
    field(&mut block, if is_dir { b"0000755" } else { b"0000644" }, 8);
    field(&mut block, b"0000000", 8); // uid
    field(&mut block, b"0000000", 8); // gid
    if size <= OCTAL_MAX {
        field(&mut block, format!("{size:011o}").as_bytes(), 12);
    } else {
        // GNU's base-256, which everybody reads (tar(5)).
        block.extend_from_slice(&[0x80, 0, 0, 0]);
        block.extend_from_slice(&size.to_be_bytes());
    }
    field(&mut block, b"00000000000", 12); // mtime
    field(&mut block, b"        ", 8); // the checksum counts as blanks
    block.push(if is_dir { b'5' } else { b'0' });
    field(&mut block, b"", 100);
    block.extend_from_slice(b"ustar\x0000");
    block.resize(512, 0);
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    for (place, byte) in block.iter_mut().skip(148).zip(format!("{sum:06o}\0 ").bytes()) {
        *place = byte;
    }
    block
}

fn field(block: &mut Vec<u8>, value: &[u8], len: usize) {
    let end = block.len() + len;
    block.extend_from_slice(value);
    block.resize(end, 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_reader_understands_the_headers() {
        for (name, size) in [("blobs/", 0), ("index.json", 77), ("blobs/sha256/ab", (9 << 30) + 1)] {
            let block = header(name, size);
            let header = tar::Header::from_byte_slice(&block);
            assert_eq!(header.path_bytes().as_ref(), name.as_bytes());
            assert_eq!(header.size().unwrap(), size);
            assert_eq!(header.mtime().unwrap(), 0);
            let sum: u32 = block
                .iter()
                .enumerate()
                .map(|(at, byte)| u32::from(if (148..156).contains(&at) { b' ' } else { *byte }))
                .sum();
            assert_eq!(header.cksum().unwrap(), sum);
        }
    }
}
