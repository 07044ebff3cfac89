//! EFI variables: the narrow interface to the firmware's memory, so that tests need no firmware.
//!
//! What lives here: names, values and the interface. What does not: the real one ([`Efivarfs`]), what the values mean
//! ([`LoaderVariables`], [`BootOption`]). Invariant: nothing in this crate writes a variable unless its caller asked for just
//! that: an installation leaves the firmware alone by default.

mod boot_option;
mod efivarfs;
mod loader_variables;
mod memory;
mod order;

use std::{fmt, str::FromStr};

pub use boot_option::{BootOption, BootPartitionId};
pub use efivarfs::Efivarfs;
pub use loader_variables::LoaderVariables;
pub use memory::MemoryVariables;
pub use order::{BootEntryChange, register_boot_entry};

use crate::BootError;

/// The firmware's own variables (UEFI 2.10 §3.3, `EFI_GLOBAL_VARIABLE`).
pub const GLOBAL_VENDOR: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";

/// The variables of systemd's Boot Loader Interface.
pub const LOADER_VENDOR: &str = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";

/// Kept over a reset, and readable by boot loader and system: what boot variables have.
pub const BOOT_ATTRIBUTES: u32 = 7;

/// A variable's name and vendor, as efivarfs has it: `BootOrder-8be4df61-93ca-11d2-aa0d-00e098032b8c`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct VariableName(String);

impl VariableName {
    /// The length of a vendor, which is a GUID.
    const VENDOR: usize = 36;

    /// A variable of a vendor.
    ///
    /// # Errors
    /// [`BootError::Invalid`] when it makes no file name.
    pub fn new(name: &str, vendor: &str) -> Result<Self, BootError> {
        format!("{name}-{vendor}").parse()
    }

    /// As efivarfs has it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name without the vendor.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.get(..self.0.len().saturating_sub(Self::VENDOR + 1)).unwrap_or_default()
    }

    /// The vendor.
    #[must_use]
    pub fn vendor(&self) -> &str {
        self.0.get(self.0.len().saturating_sub(Self::VENDOR)..).unwrap_or_default()
    }
}

impl FromStr for VariableName {
    type Err = BootError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = |reason: &str| Err(BootError::invalid("EFI variable name", text, reason));
        let split = text.len().checked_sub(Self::VENDOR).filter(|at| text.is_char_boundary(*at));
        let Some((name, vendor)) = split.map(|at| text.split_at(at)) else {
            return refuse("it has no vendor");
        };
        let dashes = |(at, c): (usize, char)| matches!(at, 8 | 13 | 18 | 23) == (c == '-');
        let is_guid =
            vendor.char_indices().all(|(at, c)| (c.is_ascii_hexdigit() || c == '-') && dashes((at, c)));
        if !is_guid || name.len() < 2 || !name.ends_with('-') {
            return refuse("it is no name with a vendor's GUID");
        }
        if text.len() > 255 || text.contains(['/', '\0']) || text.starts_with('.') {
            return refuse("it makes no file name");
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for VariableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A variable's attributes and value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// UEFI's attributes: [`BOOT_ATTRIBUTES`].
    pub attributes: u32,
    /// The bytes.
    pub value: Vec<u8>,
}

/// The firmware's variables.
pub trait EfiVariables {
    /// The names of all that there are.
    ///
    /// # Errors
    /// When they cannot be listed.
    fn names(&self) -> Result<Vec<VariableName>, BootError>;

    /// A variable; `None` when it is not there.
    ///
    /// # Errors
    /// When it cannot be read.
    fn read(&self, name: &VariableName) -> Result<Option<Variable>, BootError>;

    /// Makes or changes a variable.
    ///
    /// # Errors
    /// When the firmware refuses.
    fn write(&self, name: &VariableName, variable: &Variable) -> Result<(), BootError>;

    /// Removes a variable, if it is there.
    ///
    /// # Errors
    /// When the firmware refuses.
    fn remove(&self, name: &VariableName) -> Result<(), BootError>;
}

/// Text as firmware has it: UTF-16, little endian, with an end.
pub(crate) fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
}

/// Text up to its end; what is no UTF-16 is replaced.
pub(crate) fn text_of(bytes: &[u8]) -> String {
    let units = bytes.as_chunks::<2>().0.iter().map(|unit| u16::from_le_bytes(*unit));
    char::decode_utf16(units.take_while(|unit| *unit != 0))
        .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_a_vendor_and_makes_a_file_name() {
        let name: VariableName = format!("Boot0001-{GLOBAL_VENDOR}").parse().unwrap();
        assert_eq!((name.name(), name.vendor()), ("Boot0001", GLOBAL_VENDOR));
        for bad in [
            "",
            "BootOrder",
            GLOBAL_VENDOR,
            &format!("-{GLOBAL_VENDOR}"),
            &format!("a/b-{GLOBAL_VENDOR}"),
            "Boot-8be4df61x93ca-11d2-aa0d-00e098032b8c",
        ] {
            assert!(bad.parse::<VariableName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn text_goes_there_and_back() {
        assert_eq!(utf16("ä\\a"), [0xe4, 0, 0x5c, 0, 0x61, 0, 0, 0]);
        assert_eq!(text_of(&utf16("bootc_debian-13-1.conf")), "bootc_debian-13-1.conf");
        assert_eq!(text_of(&[0x61, 0, 0, 0xd8, 0x62]), "a\u{fffd}");
    }
}
