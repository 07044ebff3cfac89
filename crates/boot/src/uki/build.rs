//! Building a unified kernel image, or an addon: a stub of systemd with sections added behind its own.
//!
//! What lives here: the layout, and writing it as a stream. What does not: where the parts come from, signatures.
//! Source: UAPI.5, and systemd's `ukify`, whose order of sections, flags, sizes and alignment these are: of the same parts
//! both make the same bytes. Invariants: the same parts make the same bytes; nothing but the stub is held whole; a stub that
//! is signed is refused, since its signature would be of something else.

use super::{
    pe::{Pe, SECTION_HEADER, Section, without_nx},
    read_at::{ReadAt, read_range},
    sbat,
};
use crate::BootError;

/// The most bytes of a stub.
const STUB_MAX: u64 = 16 << 20;

/// The most bytes of one section, and of the whole file: offsets have 32 bits.
const SIZE_MAX: u64 = u32::MAX as u64;

const CODE: u32 = 0x20;
const INITIALIZED_DATA: u32 = 0x40;
const MEMORY_READ: u32 = 0x4000_0000;

const LOCAL_SYMBOLS_STRIPPED: u16 = 0x0008;

/// Bytes for a section.
#[derive(Clone, Copy)]
pub enum SectionContent<'a> {
    /// In memory.
    Bytes(&'a [u8]),
    /// In files, which are put behind each other, each but the last filled up to four bytes, as the kernel takes several
    /// initramfs.
    Files(&'a [&'a dyn ReadAt]),
}

/// A section to add.
#[derive(Clone, Copy)]
pub struct NewSection<'a> {
    /// The name, such as `.cmdline`: at most eight bytes.
    pub name: &'a str,
    /// What is in it.
    pub content: SectionContent<'a>,
}

/// What a unified kernel image is made of.
#[derive(Clone, Copy, Default)]
pub struct UkiParts<'a> {
    /// What the system is: the text of its os-release.
    pub os_release: Option<&'a str>,
    /// The command line.
    pub cmdline: Option<&'a str>,
    /// The kernel's version.
    pub uname: Option<&'a str>,
    /// The kernel; an addon has none.
    pub linux: Option<&'a dyn ReadAt>,
    /// The initramfs, in order.
    pub initrds: &'a [&'a dyn ReadAt],
    /// Sections of other names (`.splash`, `.dtb`, `.pcrpkey`, `.ucode`), which come after all those above.
    pub others: &'a [NewSection<'a>],
}

/// Writes a unified kernel image, or without a kernel an addon, of a stub and parts: `take` gets the file from its beginning
/// to its end. Returns its size in bytes.
///
/// # Errors
/// [`BootError::Malformed`] when the stub is none or has no room for more sections, [`BootError::TooBig`] for what a PE image
/// cannot hold, what reading the parts brings, and what `take` returns.
pub fn build_uki(
    stub: &dyn ReadAt,
    parts: &UkiParts<'_>,
    mut take: impl FnMut(&[u8]) -> Result<(), BootError>,
) -> Result<u64, BootError> {
    let mut image = Image::of(stub)?;
    let sbat = sbat::merged(&image.stub, parts.linux)?;
    let mut sections = Vec::new();
    let mut add = |name, content| sections.push(NewSection { name, content });
    for (name, text) in [(".osrel", parts.os_release), (".cmdline", parts.cmdline), (".uname", parts.uname)] {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            add(name, SectionContent::Bytes(text.as_bytes()));
        }
    }
    let linux: Vec<&dyn ReadAt> = parts.linux.into_iter().collect();
    if !linux.is_empty() {
        add(".linux", SectionContent::Files(&linux));
    }
    if !parts.initrds.is_empty() {
        add(".initrd", SectionContent::Files(parts.initrds));
    }
    for other in parts.others {
        add(other.name, other.content);
    }
    add(".sbat", SectionContent::Bytes(sbat.as_bytes()));
    if let Some(linux) = parts.linux {
        image.follow_nx(linux)?;
    }
    let placed = sections.iter().map(|section| image.place(*section)).collect::<Result<Vec<_>, _>>()?;
    image.finish()?;
    take(&image.stub)?;
    let mut at = image.stub.len() as u64;
    for Placed { section, offset, end } in placed.into_iter().flatten() {
        fill(at, offset, &mut take)?;
        let size = write_content(section.content, &mut take)?;
        fill(offset + size, end, &mut take)?;
        at = end;
    }
    Ok(at)
}

/// A section with its place in the file, and where the next one may be.
struct Placed<'a> {
    section: NewSection<'a>,
    offset: u64,
    end: u64,
}

/// The stub's bytes as they will be, and the headers as they grow.
struct Image {
    stub: Vec<u8>,
    pe: Pe,
    sections: Vec<Section>,
    own: usize,
    end: u64,
    initialized_data: u64,
}

impl Image {
    fn of(stub: &dyn ReadAt) -> Result<Self, BootError> {
        let size = stub.size()?;
        if size > STUB_MAX {
            return Err(BootError::TooBig { what: "stub".into(), size, limit: STUB_MAX });
        }
        let mut bytes = vec![0; usize::try_from(size).unwrap_or_default()];
        stub.read_exact_at(0, &mut bytes)?;
        let pe = Pe::read(&bytes, "the stub")?;
        if pe.has_signatures() {
            return Err(malformed("it is signed, and would not be any more with a kernel in it"));
        }
        let aligned = |value: u32| value.is_power_of_two();
        if !aligned(pe.layout.file_alignment) || !aligned(pe.layout.section_alignment) {
            return Err(malformed("its alignment is none"));
        }
        if u64::from(pe.layout.headers) > size {
            return Err(malformed("its headers are longer than it is"));
        }
        let unaligned = |section: &&Section| {
            !section.raw_offset.is_multiple_of(pe.layout.file_alignment)
                || !section.raw_size.is_multiple_of(pe.layout.file_alignment)
        };
        if let Some(section) = pe.sections().iter().find(unaligned) {
            return Err(malformed(&format!("its section {} is not aligned", section.name())));
        }
        let sections = pe.sections().to_vec();
        let initialized_data = u64::from(pe.layout.initialized_data);
        let mut image = Self { end: size, own: sections.len(), stub: bytes, pe, sections, initialized_data };
        image.strip_symbols()?;
        Ok(image)
    }

    /// Old stubs have a table of symbols at their end, which an image file should not have.
    fn strip_symbols(&mut self) -> Result<(), BootError> {
        let (symbols, coff) = (self.pe.layout.symbols as usize, self.pe.layout.coff);
        let count = self.u32(coff + 12)? as usize;
        let strings = symbols.saturating_add(count.saturating_mul(18));
        if symbols == 0 || strings.saturating_add(4) > self.stub.len() {
            return Ok(());
        }
        if strings.saturating_add(self.u32(strings)? as usize) == self.stub.len() {
            self.stub.truncate(symbols);
            self.end = symbols as u64;
            self.put(coff + 8, &[0; 8])?;
            let flags = self.u16(coff + 18)? | LOCAL_SYMBOLS_STRIPPED;
            self.put(coff + 18, &flags.to_le_bytes())?;
        }
        Ok(())
    }

    /// The kernel runs in the image's memory: the image may say no more of it than the kernel does.
    fn follow_nx(&mut self, linux: &dyn ReadAt) -> Result<(), BootError> {
        let Ok(linux) = Pe::read(linux, "the kernel") else { return Ok(()) };
        if !linux.is_nx_compatible() {
            let place = self.pe.layout.optional + 70;
            let flags = without_nx(self.u16(place)?);
            self.put(place, &flags.to_le_bytes())?;
        }
        Ok(())
    }

    /// Finds the place of a section; one of a name that the stub has is put there, and comes back as `None`.
    fn place<'a>(&mut self, section: NewSection<'a>) -> Result<Option<Placed<'a>>, BootError> {
        let size = size_of(section.content)?;
        let own = self.sections.get(..self.own).unwrap_or_default().iter();
        if let Some(number) = own.clone().position(|own| own.is_called(section.name)) {
            self.replace(number, section, size)?;
            return Ok(None);
        }
        let too_big =
            |size| BootError::TooBig { what: format!("section {}", section.name), size, limit: SIZE_MAX };
        let layout = &self.pe.layout;
        let (file_alignment, alignment) =
            (u64::from(layout.file_alignment), u64::from(layout.section_alignment));
        let offset = self.end.next_multiple_of(file_alignment);
        let last = self.sections.last().ok_or_else(|| malformed("it has no section"))?;
        let address = (u64::from(last.address) + u64::from(last.virtual_size)).next_multiple_of(alignment);
        let raw_size = size.next_multiple_of(file_alignment);
        let narrow = |value: u64| u32::try_from(value).map_err(|_| too_big(value));
        narrow(offset + raw_size)?;
        narrow(address + size)?;
        let mut name = [0; 8];
        let place = name.get_mut(..section.name.len()).filter(|_| section.name.starts_with('.'));
        let long = || BootError::invalid("section name", section.name, "a dot and at most seven letters");
        place.ok_or_else(long)?.copy_from_slice(section.name.as_bytes());
        let kind = if section.name == ".linux" { CODE } else { INITIALIZED_DATA };
        self.sections.push(Section::new(
            name,
            (narrow(address)?, narrow(size)?),
            (narrow(offset)?, narrow(raw_size)?),
            kind | MEMORY_READ,
        ));
        self.initialized_data += size;
        self.end = offset + raw_size;
        Ok(Some(Placed { section, offset, end: self.end }))
    }

    /// Puts a section in the place of one of the stub's.
    fn replace(&mut self, number: usize, section: NewSection<'_>, size: u64) -> Result<(), BootError> {
        let missing = || malformed("its sections are not there");
        let own = self.sections.get_mut(number).ok_or_else(missing)?;
        if size > u64::from(own.raw_size) {
            let limit = u64::from(own.raw_size);
            return Err(BootError::TooBig {
                what: format!("section {} of the stub", section.name),
                size,
                limit,
            });
        }
        own.virtual_size = u32::try_from(size).unwrap_or(own.virtual_size);
        let start = own.raw_offset as usize;
        let place = self.stub.get_mut(start..start + own.raw_size as usize).ok_or_else(missing)?;
        place.fill(0);
        let mut at = 0;
        write_content(section.content, &mut |piece| {
            if let Some(place) = place.get_mut(at..at + piece.len()) {
                place.copy_from_slice(piece);
            }
            at += piece.len();
            Ok(())
        })?;
        Ok(())
    }

    /// Writes the headers.
    fn finish(&mut self) -> Result<(), BootError> {
        let layout = self.pe.layout.clone();
        let table = layout.section_table;
        let end = table + self.sections.len() * SECTION_HEADER;
        let headers = layout.headers.next_multiple_of(layout.file_alignment) as usize;
        let first =
            self.sections.iter().filter(|section| section.raw_size > 0).map(|section| section.raw_offset);
        if end > headers || first.min().is_some_and(|first| end > first as usize) {
            return Err(malformed("it has no room for so many sections"));
        }
        let sections: Vec<u8> = self.sections.iter().flat_map(Section::header).collect();
        self.put(table, &sections)?;
        let count = u16::try_from(self.sections.len()).map_err(|_| malformed("it has too many sections"))?;
        self.put(layout.coff + 2, &count.to_le_bytes())?;
        let data = u32::try_from(self.initialized_data).unwrap_or(u32::MAX);
        self.put(layout.optional + 8, &data.to_le_bytes())?;
        let last =
            self.sections.last().map_or(0, |last| u64::from(last.address) + u64::from(last.virtual_size));
        let image = last.next_multiple_of(u64::from(layout.section_alignment));
        let too_big =
            |_| BootError::TooBig { what: "unified kernel image".into(), size: image, limit: SIZE_MAX };
        self.put(layout.optional + 56, &u32::try_from(image).map_err(too_big)?.to_le_bytes())?;
        self.put(layout.optional + 60, &(u32::try_from(headers).unwrap_or(u32::MAX)).to_le_bytes())?;
        // No sum: firmware does not look at it, and a signature is not over it.
        self.put(layout.optional + 64, &[0; 4])
    }

    fn put(&mut self, offset: usize, bytes: &[u8]) -> Result<(), BootError> {
        let place = self.stub.get_mut(offset..offset + bytes.len());
        place.ok_or_else(|| malformed("its headers are out of bounds"))?.copy_from_slice(bytes);
        Ok(())
    }

    fn u32(&self, offset: usize) -> Result<u32, BootError> {
        let mut bytes = [0; 4];
        self.stub.read_exact_at(offset as u64, &mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn u16(&self, offset: usize) -> Result<u16, BootError> {
        let mut bytes = [0; 2];
        self.stub.read_exact_at(offset as u64, &mut bytes)?;
        Ok(u16::from_le_bytes(bytes))
    }
}

fn malformed(reason: &str) -> BootError {
    BootError::malformed("the stub", reason)
}

fn size_of(content: SectionContent<'_>) -> Result<u64, BootError> {
    match content {
        SectionContent::Bytes(bytes) => Ok(bytes.len() as u64),
        SectionContent::Files(files) => {
            let mut size: u64 = 0;
            for file in files {
                size += padded(file.size()?, files.len());
            }
            Ok(size)
        }
    }
}

fn write_content(
    content: SectionContent<'_>,
    take: &mut impl FnMut(&[u8]) -> Result<(), BootError>,
) -> Result<u64, BootError> {
    match content {
        SectionContent::Bytes(bytes) => take(bytes).map(|()| bytes.len() as u64),
        SectionContent::Files(files) => {
            let mut at: u64 = 0;
            for file in files {
                let size = file.size()?;
                read_range(*file, (0, size), &mut *take)?;
                fill(size, padded(size, files.len()), take)?;
                at += padded(size, files.len());
            }
            Ok(at)
        }
    }
}

/// The size that a file takes among so many of a section: each of several ends at a multiple of four, a single one as it is.
const fn padded(size: u64, files: usize) -> u64 {
    if files > 1 { size.next_multiple_of(4) } else { size }
}

/// Zeros from one offset to another.
fn fill(from: u64, to: u64, take: &mut impl FnMut(&[u8]) -> Result<(), BootError>) -> Result<(), BootError> {
    const ZEROS: [u8; 4096] = [0; 4096];
    let mut left = to.saturating_sub(from);
    while left > 0 {
        let count = usize::try_from(left).unwrap_or(ZEROS.len()).min(ZEROS.len());
        take(ZEROS.get(..count).unwrap_or_default())?;
        left -= count as u64;
    }
    Ok(())
}
