//! The Boot Loader Interface: what the boot loader tells the system, and the system the boot loader.
//!
//! What lives here: the variables that we read and write, by meaning. Source: systemd's "Boot Loader Interface". Texts are
//! UTF-16; paths have backslashes and are relative to the partition that the entry is on.

use super::{BOOT_ATTRIBUTES, EfiVariables, LOADER_VENDOR, Variable, VariableName, text_of, utf16};
use crate::{BootError, EntryName};

/// `EFI_LOADER_FEATURE_ENTRY_ONESHOT`
const ONE_SHOT: u8 = 1 << 3;

/// The boot loader's variables.
#[derive(Clone, Copy)]
pub struct LoaderVariables<'a>(&'a dyn EfiVariables);

impl<'a> LoaderVariables<'a> {
    /// Those among all variables.
    #[must_use]
    pub const fn new(variables: &'a dyn EfiVariables) -> Self {
        Self(variables)
    }

    fn text(&self, name: &str) -> Result<Option<String>, BootError> {
        let found = self.0.read(&VariableName::new(name, LOADER_VENDOR)?)?;
        Ok(found.map(|variable| text_of(&variable.value)).filter(|text| !text.is_empty()))
    }

    /// The boot loader that booted this system and its version, such as `systemd-boot 257.9-1`.
    ///
    /// # Errors
    /// When the variable cannot be read.
    pub fn loader(&self) -> Result<Option<String>, BootError> {
        self.text("LoaderInfo")
    }

    /// The entry that booted, if it is counted: its file's name after it was counted down.
    ///
    /// # Errors
    /// When the variable cannot be read.
    pub fn counted_entry(&self) -> Result<Option<EntryName>, BootError> {
        let path = self.text("LoaderBootCountPath")?;
        let name = path.as_deref().and_then(|path| path.rsplit(['\\', '/']).next());
        Ok(name.and_then(|name| EntryName::parse(name).ok()))
    }

    /// The entry that booted: its name without a counter.
    ///
    /// # Errors
    /// When the variable cannot be read.
    pub fn booted_entry(&self) -> Result<Option<EntryName>, BootError> {
        Ok(self.text("LoaderEntrySelected")?.and_then(|name| EntryName::parse(&name).ok()))
    }

    /// The path of the unified kernel image that booted, on its partition, with backslashes; from systemd 254 on.
    ///
    /// # Errors
    /// When the variable cannot be read.
    pub fn booted_uki(&self) -> Result<Option<String>, BootError> {
        self.text("StubImageIdentifier")
    }

    /// Whether the boot loader that booted this system takes an entry for the next boot alone (bit 3 of `LoaderFeatures`,
    /// little endian). GRUB has no such variable.
    ///
    /// # Errors
    /// When the variable cannot be read.
    pub fn takes_next_boot(&self) -> Result<bool, BootError> {
        let found = self.0.read(&VariableName::new("LoaderFeatures", LOADER_VENDOR)?)?;
        Ok(found.and_then(|variable| variable.value.first().copied()).is_some_and(|low| low & ONE_SHOT != 0))
    }

    /// Lets an entry boot at the next boot alone; `None` takes that back.
    ///
    /// # Errors
    /// When the firmware refuses.
    pub fn set_next_boot(&self, entry: Option<&EntryName>) -> Result<(), BootError> {
        let name = VariableName::new("LoaderEntryOneShot", LOADER_VENDOR)?;
        let Some(entry) = entry else { return self.0.remove(&name) };
        // The boot loader knows an entry by its name without the counter.
        let value = utf16(entry.plain()?.as_str());
        self.0.write(&name, &Variable { attributes: BOOT_ATTRIBUTES, value })
    }

    /// The entry that boots at the next boot alone.
    ///
    /// # Errors
    /// When the variable cannot be read.
    pub fn next_boot(&self) -> Result<Option<EntryName>, BootError> {
        Ok(self.text("LoaderEntryOneShot")?.and_then(|name| EntryName::parse(&name).ok()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryVariables;

    fn set(variables: &MemoryVariables, name: &str, text: &str) {
        let name = VariableName::new(name, LOADER_VENDOR).unwrap();
        variables.write(&name, &Variable { attributes: 6, value: utf16(text) }).unwrap();
    }

    #[test]
    fn what_the_boot_loader_tells_is_read() {
        let variables = MemoryVariables::default();
        let loader = LoaderVariables::new(&variables);
        assert_eq!(loader.counted_entry().unwrap(), None);
        // As systemd-boot 257 left them in a virtual machine.
        set(&variables, "LoaderInfo", "systemd-boot 257.9-1~deb13u1");
        set(&variables, "LoaderBootCountPath", "\\loader\\entries\\cfs-1+2-1.conf");
        set(&variables, "LoaderEntrySelected", "cfs-1.conf");
        assert_eq!(loader.loader().unwrap().as_deref(), Some("systemd-boot 257.9-1~deb13u1"));
        let counted = loader.counted_entry().unwrap().unwrap();
        assert_eq!((counted.as_str(), counted.tries().unwrap().left), ("cfs-1+2-1.conf", 2));
        assert_eq!(loader.booted_entry().unwrap(), Some(counted.plain().unwrap()));
    }

    #[test]
    fn the_next_boot_is_named_without_a_counter_and_taken_back() {
        let variables = MemoryVariables::default();
        let loader = LoaderVariables::new(&variables);
        loader.set_next_boot(Some(&EntryName::parse("a-1+2-1.conf").unwrap())).unwrap();
        assert_eq!(loader.next_boot().unwrap().unwrap().as_str(), "a-1.conf");
        loader.set_next_boot(None).unwrap();
        assert_eq!(loader.next_boot().unwrap(), None);
        assert!(variables.names().unwrap().is_empty());
    }
}
