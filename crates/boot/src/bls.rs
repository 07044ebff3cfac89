//! A Boot Loader Specification type 1 entry: parse, print, and the keys that we read and write.
//!
//! What lives here: the text format (UAPI.1: lines of a key, white space and a value; `#` comments). What does not: file
//! names ([`EntryName`](crate::EntryName)), order among entries ([`menu_order`](crate::menu_order)), writing (the ESP).
//! Invariants: unknown keys of a foreign entry survive in order; what we print has its loader key (`linux`, `efi`,
//! `uki`) on the last line, so that a torn file is one that the boot loader ignores (rule D9).

use std::{fmt, str::FromStr};

use crate::{BootError, Kargs};

/// The key by which we know our own entries: the id of the deployment.
pub const SEALSTONE_ID_KEY: &str = "x-sealstone-id";

/// The largest entry that we read, in bytes; ours are below one FAT cluster.
pub const ENTRY_MAX: usize = 64 * 1024;

/// The keys that make an entry bootable, of which a file without one is ignored by boot loaders.
const LOADER_KEYS: [&str; 3] = ["linux", "efi", "uki"];

/// The keys in the order in which ours are printed; others follow, and the loader keys come last.
const KEY_ORDER: [&str; 8] =
    ["title", "version", "machine-id", "sort-key", "architecture", SEALSTONE_ID_KEY, "initrd", "options"];

/// A boot entry: keys with values, in order.
///
/// ```
/// use sealstone_boot::BlsEntry;
///
/// let entry: BlsEntry = "title Debian\nlinux /vmlinuz\noptions quiet\noptions ro\n".parse()?;
/// assert_eq!(entry.linux(), Some("/vmlinuz"));
/// assert_eq!(entry.options()?.to_string(), "quiet ro");
/// assert!(entry.to_string().ends_with("linux /vmlinuz\n"));
/// # Ok::<(), sealstone_boot::BootError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlsEntry {
    lines: Vec<(String, String)>,
}

impl BlsEntry {
    /// An entry without any key.
    #[must_use]
    pub const fn new() -> Self {
        Self { lines: Vec::new() }
    }

    /// The first value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.lines.iter().find(|(k, _)| k == key).map(|(_, value)| value.as_str())
    }

    /// Every value of a key, in order (`initrd` and `options` may occur several times).
    pub fn get_all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.lines.iter().filter(move |(k, _)| k == key).map(|(_, value)| value.as_str())
    }

    /// Sets a key to one value, in the place of all that it had.
    ///
    /// # Errors
    /// [`BootError::Invalid`] when key or value cannot be written on one line.
    pub fn set(&mut self, key: &str, value: &str) -> Result<&mut Self, BootError> {
        self.lines.retain(|(k, _)| k != key);
        self.add(key, value)
    }

    /// Adds a value to a key.
    ///
    /// # Errors
    /// [`BootError::Invalid`] when key or value cannot be written on one line.
    pub fn add(&mut self, key: &str, value: &str) -> Result<&mut Self, BootError> {
        let is_key = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if key.is_empty() || !key.chars().all(is_key) {
            return Err(BootError::invalid("boot entry key", key, "letters, digits, '-', '_' and '.' only"));
        }
        if value.is_empty() || value.contains(['\n', '\r', '\0']) || value.trim() != value {
            return Err(BootError::invalid(
                "boot entry value",
                value,
                "one line, not empty, without space around it",
            ));
        }
        self.lines.push((key.to_owned(), value.to_owned()));
        Ok(self)
    }

    /// What the menu shows.
    #[must_use]
    pub fn title(&self) -> Option<&str> {
        self.get("title")
    }

    /// The version, by which entries of one sort key are ordered, newest first.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.get("version")
    }

    /// The key by which boot loaders order entries, ascending.
    #[must_use]
    pub fn sort_key(&self) -> Option<&str> {
        self.get("sort-key")
    }

    /// The kernel's path on the boot partition.
    #[must_use]
    pub fn linux(&self) -> Option<&str> {
        self.get("linux")
    }

    /// The id of our deployment; an entry without one is foreign.
    #[must_use]
    pub fn sealstone_id(&self) -> Option<&str> {
        self.get(SEALSTONE_ID_KEY)
    }

    /// The kernel command line: all `options` joined.
    ///
    /// # Errors
    /// [`BootError::Invalid`] or [`BootError::TooBig`] when the kernel would not read it as arguments.
    pub fn options(&self) -> Result<Kargs, BootError> {
        let mut line = String::new();
        for options in self.get_all("options") {
            line.push_str(options);
            line.push(' ');
        }
        line.trim_end().parse()
    }

    /// The files on the boot partition that this entry needs, as it names them.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        let named = |key: &str| LOADER_KEYS.contains(&key) || key == "initrd";
        self.lines.iter().filter(move |(key, _)| named(key)).map(|(_, value)| value.as_str())
    }

    /// Whether a boot loader takes this for something to boot.
    #[must_use]
    pub fn is_bootable(&self) -> bool {
        self.lines.iter().any(|(key, _)| LOADER_KEYS.contains(&key.as_str()))
    }
}

impl FromStr for BlsEntry {
    type Err = BootError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > ENTRY_MAX {
            return Err(BootError::TooBig {
                what: "boot entry".into(),
                size: text.len() as u64,
                limit: ENTRY_MAX as u64,
            });
        }
        let mut entry = Self::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            // A key alone says nothing; boot loaders skip such a line, so a torn last line does not make us fail.
            if let Some((key, value)) = line.split_once([' ', '\t']) {
                entry.add(key, value.trim())?;
            }
        }
        Ok(entry)
    }
}

impl fmt::Display for BlsEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let loader = |key: &str| LOADER_KEYS.contains(&key);
        for key in KEY_ORDER {
            for value in self.get_all(key) {
                writeln!(f, "{key} {value}")?;
            }
        }
        let others = self.lines.iter().filter(|(key, _)| !loader(key) && !KEY_ORDER.contains(&key.as_str()));
        // D9: the loader key goes last.
        let last = self.lines.iter().filter(|(key, _)| loader(key));
        for (key, value) in others.chain(last) {
            writeln!(f, "{key} {value}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_proper_prefix_of_a_printed_entry_is_not_bootable() {
        let mut entry = BlsEntry::new();
        entry.set("linux", "/EFI/Linux/a/vmlinuz").unwrap().set("title", "Debian GNU/Linux").unwrap();
        entry.set("options", "quiet composefs=00").unwrap().set("initrd", "/EFI/Linux/a/initrd").unwrap();
        let text = entry.to_string();
        let loader_line = text.find("linux /").unwrap();
        for end in 0..=loader_line + "linux ".len() {
            // A torn entry may even fail to parse; what it must not do is boot.
            assert!(
                !text[..end].parse::<BlsEntry>().is_ok_and(|torn| torn.is_bootable()),
                "{:?}",
                &text[..end]
            );
        }
        assert!(text.parse::<BlsEntry>().unwrap().is_bootable());
    }

    #[test]
    fn a_foreign_entry_keeps_its_unknown_keys() {
        let text = "# comment\ntitle\tWindows\n\ngrub_users $x\nefi /EFI/a.efi\nx-options-source-a b\n";
        let entry: BlsEntry = text.parse().unwrap();
        assert_eq!(entry.sealstone_id(), None);
        assert_eq!(entry.to_string(), "title Windows\ngrub_users $x\nx-options-source-a b\nefi /EFI/a.efi\n");
    }

    #[test]
    fn a_value_that_would_make_another_line_is_refused() {
        assert!(BlsEntry::new().set("title", "a\nlinux /evil").is_err());
        assert!(BlsEntry::new().set("ti tle", "a").is_err());
        assert!(BlsEntry::new().set("title", "").is_err());
    }

    proptest! {
        #[test]
        fn a_printed_entry_reads_back(pairs in proptest::collection::vec(("[a-z-]{1,6}", "[!-~]{1,8}( [!-~]{1,8})?"), 0..8)) {
            let mut entry = BlsEntry::new();
            for (key, value) in &pairs {
                entry.add(key, value).unwrap();
            }
            let printed = entry.to_string();
            prop_assert_eq!(printed.parse::<BlsEntry>().unwrap().to_string(), printed);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,80}") {
            let _ = text.parse::<BlsEntry>();
        }
    }
}
