//! A small PE image with the sections of systemd's stub, for tests without Debian's.

/// A stub with room for more sections, and this SBAT.
pub fn stub() -> Vec<u8> {
    pe(&[
        (".text", b"\xc3".as_slice(), 0x6000_0020),
        (".sbat", b"sbat,1,SBAT Version,sbat,1,url\nstub,1,Stub,stub,1,url\n".as_slice(), 0x4000_0040),
        (".sdmagic", b"#### LoaderInfo: systemd-stub 257 ####".as_slice(), 0x4000_0040),
    ])
}

/// A PE image of x86-64 with these sections: name, content, flags.
pub fn pe(sections: &[(&str, &[u8], u32)]) -> Vec<u8> {
    let mut file = vec![0; 0x1000];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"MZ");
    put(60, &0x80_u32.to_le_bytes());
    put(0x80, b"PE\0\0");
    let (coff, optional) = (0x84, 0x98);
    put(coff, &0x8664_u16.to_le_bytes());
    put(coff + 2, &u16::try_from(sections.len()).unwrap().to_le_bytes());
    put(coff + 16, &240_u16.to_le_bytes());
    put(coff + 18, &0x022e_u16.to_le_bytes());
    put(optional, &0x020b_u16.to_le_bytes());
    put(optional + 32, &0x1000_u32.to_le_bytes());
    put(optional + 36, &0x200_u32.to_le_bytes());
    put(optional + 60, &0x1000_u32.to_le_bytes());
    put(optional + 68, &10_u16.to_le_bytes());
    put(optional + 70, &0x0160_u16.to_le_bytes());
    put(optional + 108, &16_u32.to_le_bytes());
    let mut address = 0x1000_u32;
    let mut bodies = Vec::new();
    for (number, (name, content, flags)) in sections.iter().enumerate() {
        let at = optional + 240 + number * 40;
        let (size, offset) =
            (u32::try_from(content.len()).unwrap(), u32::try_from(0x1000 + bodies.len()).unwrap());
        // Room for an SBAT that grows.
        let raw = (size + u32::from(*name == ".sbat") * 0x200).next_multiple_of(0x200);
        put(at, name.as_bytes());
        for (place, value) in [(8, size), (12, address), (16, raw), (20, offset), (36, *flags)] {
            put(at + place, &value.to_le_bytes());
        }
        bodies.extend_from_slice(content);
        bodies.resize(bodies.len().next_multiple_of(0x200) + usize::from(*name == ".sbat") * 0x200, 0);
        address = (address + size).next_multiple_of(0x1000);
    }
    put(optional + 56, &address.to_le_bytes());
    file.extend(bodies);
    file
}
