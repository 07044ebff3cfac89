//! The header of a gzip member (RFC 1952 §2.3): checked, and otherwise passed over. Nothing it says is of use here.

use crc32fast::Hasher;

const FHCRC: u8 = 1 << 1;
const FEXTRA: u8 = 1 << 2;
const FNAME: u8 = 1 << 3;
const FCOMMENT: u8 = 1 << 4;
const RESERVED: u8 = 0b1110_0000;

/// Reads a header byte by byte.
pub(super) struct Header {
    part: Part,
    flags: u8,
    /// Of the bytes so far.
    checksum: Hasher,
}

#[derive(Clone, Copy)]
enum Part {
    /// So many of the ten bytes have come that every header has.
    Fixed(u8),
    /// The two bytes of the extra field's length; the first, once it has come.
    ExtraLength(Option<u8>),
    /// So many bytes of the extra field are left.
    Extra(u16),
    Name,
    Comment,
    /// The two bytes of the header's checksum; the first, once it has come.
    Checksum(Option<u8>),
    End,
}

/// Why a header is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum HeaderDamage {
    #[error("not a gzip header")]
    Magic,
    #[error("a compression method that is not deflate")]
    Method,
    #[error("header flags that do not exist")]
    Flags,
    #[error("the header's checksum is another")]
    Checksum,
}

impl Header {
    pub(super) fn new() -> Self {
        Self { part: Part::Fixed(0), flags: 0, checksum: Hasher::new() }
    }

    /// Takes the next byte. Says whether it was the last.
    pub(super) fn take(&mut self, byte: u8) -> Result<bool, HeaderDamage> {
        self.part = match (self.part, byte) {
            (Part::Fixed(0), magic) if magic != 0x1f => return Err(HeaderDamage::Magic),
            (Part::Fixed(1), magic) if magic != 0x8b => return Err(HeaderDamage::Magic),
            (Part::Fixed(2), method) if method != 8 => return Err(HeaderDamage::Method),
            (Part::Fixed(3), flags) if flags & RESERVED != 0 => return Err(HeaderDamage::Flags),
            (Part::Fixed(3), flags) => {
                self.flags = flags;
                Part::Fixed(4)
            }
            (Part::Fixed(9), _) => self.part_from(FEXTRA),
            (Part::Fixed(at), _) => Part::Fixed(at + 1),
            (Part::ExtraLength(None), low) => Part::ExtraLength(Some(low)),
            (Part::ExtraLength(Some(low)), high) => match u16::from_le_bytes([low, high]) {
                0 => self.part_from(FNAME),
                length => Part::Extra(length),
            },
            (Part::Extra(1), _) => self.part_from(FNAME),
            (Part::Extra(left), _) => Part::Extra(left - 1),
            (Part::Name, 0) => self.part_from(FCOMMENT),
            (Part::Comment, 0) => self.part_from(FHCRC),
            (part @ (Part::Name | Part::Comment | Part::End), _) => part,
            (Part::Checksum(None), low) => Part::Checksum(Some(low)),
            (Part::Checksum(Some(low)), high) => {
                // The lower half of the CRC-32 of what is before it.
                let [a, b, ..] = self.checksum.clone().finalize().to_le_bytes();
                if [low, high] != [a, b] {
                    return Err(HeaderDamage::Checksum);
                }
                Part::End
            }
        };
        if !matches!(self.part, Part::Checksum(Some(_)) | Part::End) {
            self.checksum.update(&[byte]);
        }
        Ok(matches!(self.part, Part::End))
    }

    /// The first part that the header has of those from the one with this flag on, in the order in which they come.
    fn part_from(&self, flag: u8) -> Part {
        const ORDER: [(u8, Part); 4] = [
            (FEXTRA, Part::ExtraLength(None)),
            (FNAME, Part::Name),
            (FCOMMENT, Part::Comment),
            (FHCRC, Part::Checksum(None)),
        ];
        let from = ORDER.iter().skip_while(|(first, _)| *first != flag);
        from.filter(|(flag, _)| self.flags & flag != 0).map(|(_, part)| *part).next().unwrap_or(Part::End)
    }
}
