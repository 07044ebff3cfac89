//! The running firmware's variables, through Linux' efivarfs.
//!
//! What lives here: a variable as a file: four bytes of attributes, then the value, in one write. Source: the kernel's
//! `Documentation/filesystems/efivarfs.rst`: files are immutable by default, since removing the wrong one bricks machines;
//! the flag is taken off the one file that is written, and put back.

use std::path::Path;

use sealstone_store::{
    Optional,
    disk::{Access, Dir, Disk, File, FileType, Resolve},
};

use super::{EfiVariables, Variable, VariableName};
use crate::BootError;

/// The most bytes of a variable that is read: firmware's limit is lower.
const VALUE_MAX: u64 = 1 << 20;

/// efivarfs, mounted.
#[derive(Clone, Debug)]
pub struct Efivarfs {
    root: Dir,
}

impl Efivarfs {
    /// The variables in this folder, which is `/sys/firmware/efi/efivars` on a machine that booted by UEFI.
    ///
    /// # Errors
    /// When the folder is not there.
    pub fn open(disk: &std::sync::Arc<dyn Disk>, path: impl AsRef<Path>) -> Result<Self, BootError> {
        Ok(Self { root: Dir::open(disk, path)? })
    }

    /// Takes the flag off a file, if it has it.
    fn thaw(file: &File) -> Result<bool, BootError> {
        let was = file.is_immutable()?;
        if was {
            file.set_immutable(false)?;
        }
        Ok(was)
    }
}

impl EfiVariables for Efivarfs {
    fn names(&self) -> Result<Vec<VariableName>, BootError> {
        let files = self.root.read_dir()?.into_iter().filter(|file| file.kind == FileType::File);
        let mut names: Vec<VariableName> =
            files.filter_map(|file| file.name.to_str()?.parse().ok()).collect();
        names.sort_unstable();
        Ok(names)
    }

    fn read(&self, name: &VariableName) -> Result<Option<Variable>, BootError> {
        let Some(file) = self.root.open_file(name.as_str()).optional()? else { return Ok(None) };
        let bytes = file.read_all(VALUE_MAX)?;
        let Some((attributes, value)) = bytes.split_first_chunk::<4>() else {
            let what = format!("EFI variable {name}");
            return Err(BootError::Corrupt { what, reason: "it has no attributes".into() });
        };
        Ok(Some(Variable { attributes: u32::from_le_bytes(*attributes), value: value.to_vec() }))
    }

    fn write(&self, name: &VariableName, variable: &Variable) -> Result<(), BootError> {
        let bytes = [&variable.attributes.to_le_bytes()[..], &variable.value].concat();
        let Some(readable) = self.root.open_file(name.as_str()).optional()? else {
            // Not synced: the firmware has it when the write returns.
            return Ok(self.root.create_new(name.as_str(), 0o644)?.write_all_at(0, &bytes)?);
        };
        let was = Self::thaw(&readable)?;
        let open = self.root.open_file_with(name.as_str(), Access::ReadWrite, Resolve::NoSymlinks);
        let written = open.and_then(|file| file.write_all_at(0, &bytes));
        if was {
            readable.set_immutable(true)?;
        }
        Ok(written?)
    }

    fn remove(&self, name: &VariableName) -> Result<(), BootError> {
        let Some(readable) = self.root.open_file(name.as_str()).optional()? else { return Ok(()) };
        Self::thaw(&readable)?;
        drop(readable);
        Ok(self.root.remove_file(name.as_str()).optional().map(drop)?)
    }
}

#[cfg(test)]
mod tests {
    use sealstone_store::disk::{RealDisk, RecordingDisk};

    use super::*;
    use crate::efi_variables::{BOOT_ATTRIBUTES, GLOBAL_VENDOR};

    #[test]
    fn a_variable_is_attributes_and_value_in_one_write() {
        let folder = tempfile::tempdir().unwrap();
        let recording = RecordingDisk::new(RealDisk::shared());
        let disk: std::sync::Arc<dyn Disk> = recording.clone();
        let variables = Efivarfs::open(&disk, folder.path()).unwrap();
        let name = VariableName::new("BootOrder", GLOBAL_VENDOR).unwrap();
        assert_eq!(variables.read(&name).unwrap(), None);
        for value in [vec![1, 0], vec![2, 0]] {
            let variable = Variable { attributes: BOOT_ATTRIBUTES, value };
            recording.clear();
            variables.write(&name, &variable).unwrap();
            assert_eq!(recording.count("Write"), 1);
            assert_eq!(variables.read(&name).unwrap(), Some(variable));
        }
        assert_eq!(std::fs::read(folder.path().join(name.as_str())).unwrap(), [7, 0, 0, 0, 2, 0]);
        std::fs::write(folder.path().join("no variable"), "").unwrap();
        assert_eq!(variables.names().unwrap(), std::slice::from_ref(&name));
        variables.remove(&name).unwrap();
        variables.remove(&name).unwrap();
        assert_eq!(variables.names().unwrap(), []);
    }

    /// Needs root and a file system with the flag.
    #[test]
    fn a_variable_that_is_immutable_is_written_and_stays_so() {
        let folder = tempfile::tempdir_in(".").unwrap();
        let variables = Efivarfs::open(&RealDisk::shared(), folder.path()).unwrap();
        let name = VariableName::new("Boot0001", GLOBAL_VENDOR).unwrap();
        let variable = |value: u8| Variable { attributes: BOOT_ATTRIBUTES, value: vec![value] };
        variables.write(&name, &variable(1)).unwrap();
        let file = variables.root.open_file(name.as_str()).unwrap();
        if let Err(error) = file.set_immutable(true) {
            println!("skipped: no file can be made immutable here: {error}");
            return;
        }
        assert!(std::fs::write(folder.path().join(name.as_str()), "x").is_err());
        variables.write(&name, &variable(2)).unwrap();
        assert_eq!(variables.read(&name).unwrap(), Some(variable(2)));
        assert!(file.is_immutable().unwrap());
        variables.remove(&name).unwrap();
        assert_eq!(variables.read(&name).unwrap(), None);
    }
}
