//! A PE image (Microsoft's "PE Format", which UEFI boots): its headers and its sections as ranges of a file.
//!
//! What lives here: reading headers, bounded. What does not: what sections mean (`Uki`), writing (`build.rs`), signatures
//! (`authenticode.rs`).
//! Invariants: hostile input gives an error, never a panic; no more than [`HEADERS_MAX`] bytes are read; each section's
//! bytes are inside the file, and no two sections share an address in memory, so that what is read here is what runs.

use std::fmt;

use super::read_at::ReadAt;
use crate::BootError;

/// The most bytes of headers that are read.
pub const HEADERS_MAX: u64 = 128 << 10;

/// The most sections: firmware takes fewer, unified kernel images with many profiles have some dozens.
const SECTIONS_MAX: u16 = 512;

/// The size of a section's header in the file.
pub(super) const SECTION_HEADER: usize = 40;

const DOS_HEADER: usize = 64;
const COFF_HEADER: usize = 24;
const PE32: u16 = 0x10b;
const PE32_PLUS: u16 = 0x20b;
const NX_COMPAT: u16 = 0x100;

/// The number of the entry of the data directory that says where signatures are.
const SECURITY: u32 = 4;

/// The headers of a PE image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pe {
    machine: u16,
    dll_characteristics: u16,
    sections: Vec<Section>,
    pub(super) layout: Layout,
}

/// Where things are in the file, in bytes from its start, and what the headers say of sizes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub file_size: u64,
    /// The COFF header, after the signature `PE\0\0`.
    pub coff: usize,
    /// The optional header.
    pub optional: usize,
    pub section_table: usize,
    pub section_alignment: u32,
    pub file_alignment: u32,
    pub initialized_data: u32,
    pub headers: u32,
    pub symbols: u32,
    /// The entry of the data directory about signatures, if there is one.
    #[cfg_attr(
        not(feature = "authenticode"),
        allow(dead_code, reason = "only checking signatures asks for it")
    )]
    pub security_entry: Option<usize>,
    /// What it says: offset and size.
    pub security: (u32, u32),
}

/// A section: a name and a range of the file, and where it is in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    name: [u8; 8],
    pub(super) virtual_size: u32,
    pub(super) address: u32,
    pub(super) raw_size: u32,
    pub(super) raw_offset: u32,
    pub(super) flags: u32,
}

impl Section {
    /// The name, such as `.linux`; what is no text in it is shown as escapes.
    #[must_use]
    pub fn name(&self) -> String {
        self.name_bytes().escape_ascii().to_string()
    }

    /// Whether this is its name.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        self.name_bytes() == name.as_bytes()
    }

    fn name_bytes(&self) -> &[u8] {
        let end = self.name.iter().position(|byte| *byte == 0).unwrap_or(self.name.len());
        self.name.get(..end).unwrap_or_default()
    }

    /// Where its bytes begin in the file.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.raw_offset as u64
    }

    /// How many bytes it has, without what pads it to the file's alignment.
    #[must_use]
    pub fn size(&self) -> u64 {
        u64::from(self.virtual_size.min(self.raw_size))
    }

    /// Its flags, as PE has them: what it holds and how its memory may be used.
    #[must_use]
    pub const fn flags(&self) -> u32 {
        self.flags
    }

    /// A section that is to be written: address and size in memory, offset and size in the file.
    pub(super) const fn new(
        name: [u8; 8],
        (address, virtual_size): (u32, u32),
        (raw_offset, raw_size): (u32, u32),
        flags: u32,
    ) -> Self {
        Self { name, virtual_size, address, raw_size, raw_offset, flags }
    }

    /// Its header, as it is in the file. Relocations and line numbers, which images have none of, are 0.
    pub(super) fn header(&self) -> [u8; SECTION_HEADER] {
        let mut header = [0; SECTION_HEADER];
        let words = [self.virtual_size, self.address, self.raw_size, self.raw_offset, 0, 0, 0, self.flags];
        let bytes = self.name.into_iter().chain(words.into_iter().flat_map(u32::to_le_bytes));
        for (place, byte) in header.iter_mut().zip(bytes) {
            *place = byte;
        }
        header
    }

    /// Its bytes, of which there may be so many.
    ///
    /// # Errors
    /// [`BootError::TooBig`], and the disk's errors.
    pub fn read(&self, file: &dyn ReadAt, limit: u64) -> Result<Vec<u8>, BootError> {
        let size = self.size();
        let too_big = || BootError::TooBig { what: format!("section {}", self.name()), size, limit };
        if size > limit {
            return Err(too_big());
        }
        let mut bytes = vec![0; usize::try_from(size).map_err(|_| too_big())?];
        file.read_exact_at(self.offset(), &mut bytes)?;
        Ok(bytes)
    }
}

impl Pe {
    /// Reads the headers of a file; `name` is for messages.
    ///
    /// # Errors
    /// [`BootError::Malformed`] when it is no PE image, and the disk's errors.
    pub fn read(file: &dyn ReadAt, name: &str) -> Result<Self, BootError> {
        let file_size = file.size()?;
        let malformed = |reason: &str| BootError::malformed(name, reason);
        let headers = read_headers(file, file_size, name)?;
        let coff = usize::try_from(headers.u32(60)?).unwrap_or(usize::MAX);
        let coff = coff.checked_add(4).ok_or_else(|| malformed("its header is out of bounds"))?;
        if headers.get(coff.saturating_sub(4), 4)? != b"PE\0\0" {
            return Err(malformed("it has no PE header"));
        }
        let optional = coff + COFF_HEADER - 4;
        let (count, optional_size) = (headers.u16(coff + 2)?, usize::from(headers.u16(coff + 16)?));
        if count > SECTIONS_MAX {
            return Err(malformed("it has too many sections"));
        }
        let (directories, first) = match headers.u16(optional)? {
            PE32 => (92, 96),
            PE32_PLUS => (108, 112),
            _ => return Err(malformed("its optional header is of no known kind")),
        };
        if optional_size < first {
            return Err(malformed("its optional header is too short"));
        }
        let entry = first + SECURITY as usize * 8;
        let has_security = headers.u32(optional + directories)? > SECURITY && optional_size >= entry + 8;
        let security_entry = has_security.then_some(optional + entry);
        let security = match security_entry {
            Some(entry) => (headers.u32(entry)?, headers.u32(entry + 4)?),
            None => (0, 0),
        };
        let section_table = optional + optional_size;
        let sections = (0..usize::from(count))
            .map(|number| headers.section(section_table + number * SECTION_HEADER))
            .collect::<Result<Vec<_>, _>>()?;
        check_sections(&sections, file_size, name)?;
        let layout = Layout {
            file_size,
            coff,
            optional,
            section_table,
            section_alignment: headers.u32(optional + 32)?,
            file_alignment: headers.u32(optional + 36)?,
            initialized_data: headers.u32(optional + 8)?,
            headers: headers.u32(optional + 60)?,
            symbols: headers.u32(coff + 8)?,
            security_entry,
            security,
        };
        let dll_characteristics = headers.u16(optional + 70)?;
        Ok(Self { machine: headers.u16(coff)?, dll_characteristics, sections, layout })
    }

    /// The sections, in the order of their headers.
    #[must_use]
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// The architecture by the name that UEFI has for it in file names, such as `x64`; `None` for others.
    #[must_use]
    pub const fn architecture(&self) -> Option<&'static str> {
        Some(match self.machine {
            0x8664 => "x64",
            0xaa64 => "aa64",
            0x014c => "ia32",
            0x01c2 | 0x01c4 => "arm",
            0x5064 => "riscv64",
            0x6264 => "loongarch64",
            _ => return None,
        })
    }

    /// Whether its memory may be writable or executable only, never both.
    #[must_use]
    pub const fn is_nx_compatible(&self) -> bool {
        self.dll_characteristics & NX_COMPAT != 0
    }

    /// Whether it says that it has signatures; whether they are any good is another question.
    #[must_use]
    pub const fn has_signatures(&self) -> bool {
        self.layout.security.1 > 0
    }
}

/// The flag of [`Pe::is_nx_compatible`] taken out of DLL characteristics.
pub(super) const fn without_nx(dll_characteristics: u16) -> u16 {
    dll_characteristics & !NX_COMPAT
}

/// The beginning of a file, with checked access.
struct Headers<'a> {
    bytes: Vec<u8>,
    name: &'a str,
}

impl Headers<'_> {
    fn get(&self, offset: usize, size: usize) -> Result<&[u8], BootError> {
        let found = offset.checked_add(size).and_then(|end| self.bytes.get(offset..end));
        found.ok_or_else(|| BootError::malformed(self.name, "its headers are out of bounds"))
    }

    fn array<const N: usize>(&self, offset: usize) -> Result<[u8; N], BootError> {
        let mut array = [0; N];
        array.copy_from_slice(self.get(offset, N)?);
        Ok(array)
    }

    fn u16(&self, offset: usize) -> Result<u16, BootError> {
        self.array(offset).map(u16::from_le_bytes)
    }

    fn u32(&self, offset: usize) -> Result<u32, BootError> {
        self.array(offset).map(u32::from_le_bytes)
    }

    fn section(&self, at: usize) -> Result<Section, BootError> {
        Ok(Section {
            name: self.array(at)?,
            virtual_size: self.u32(at + 8)?,
            address: self.u32(at + 12)?,
            raw_size: self.u32(at + 16)?,
            raw_offset: self.u32(at + 20)?,
            flags: self.u32(at + 36)?,
        })
    }
}

fn read_headers<'a>(file: &dyn ReadAt, size: u64, name: &'a str) -> Result<Headers<'a>, BootError> {
    if size < DOS_HEADER as u64 {
        return Err(BootError::malformed(name, "it is too short for a PE image"));
    }
    let mut bytes = vec![0; usize::try_from(size.min(HEADERS_MAX)).unwrap_or_default()];
    file.read_exact_at(0, &mut bytes)?;
    if !bytes.starts_with(b"MZ") {
        return Err(BootError::malformed(name, "it is no PE image"));
    }
    Ok(Headers { bytes, name })
}

fn check_sections(sections: &[Section], file_size: u64, name: &str) -> Result<(), BootError> {
    for section in sections {
        if u64::from(section.raw_offset) + u64::from(section.raw_size) > file_size && section.raw_size > 0 {
            let reason = format!("its section {} is beyond its end", section.name());
            return Err(BootError::malformed(name, reason));
        }
    }
    let mut placed: Vec<&Section> = sections.iter().collect();
    placed.sort_by_key(|section| section.address);
    for pair in placed.windows(2) {
        let [one, two] = pair else { continue };
        // Firmware loads all bytes of a section that says no size.
        let size = if one.virtual_size == 0 { one.raw_size } else { one.virtual_size };
        if u64::from(one.address) + u64::from(size) > u64::from(two.address) {
            let reason = format!("its sections {} and {} overlap in memory", one.name(), two.name());
            return Err(BootError::malformed(name, reason));
        }
    }
    Ok(())
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes at {})", self.name(), self.size(), self.offset())
    }
}
