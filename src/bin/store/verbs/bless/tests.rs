//! What the boot loader adds to the kernel's word on what booted.

use sealstone::boot::{
    BlsEntry, Esp, LOADER_VENDOR, MemoryVariables, SEALSTONE_ID_KEY, Variable, VariableName,
};
use sealstone::deploy::{REPOSITORY, Sysroot};
use sealstone::store::disk::Dir;
use sealstone::store::{InitOptions, Repository};

use super::*;

/// A machine with two deployments of one image, that boot by unified kernel images, and one of another image by a kernel.
struct Booted {
    _folder: tempfile::TempDir,
    target: Target,
    variables: MemoryVariables,
}

fn id(text: &str) -> DeploymentId {
    let (image, copy) = text.split_at(2);
    format!("{}{copy}", image.repeat(64)).parse().unwrap()
}

impl Booted {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let disk = RealDisk::shared();
        let path = |name: &str| folder.path().join(name);
        for name in ["sysroot", "esp", "esp/loader", "esp/loader/entries"] {
            std::fs::create_dir(path(name)).unwrap();
        }
        for (name, of, key) in
            [("os-1", "ab.1", "efi"), ("os-0", "ab", "efi"), ("archived-1+0-3", "cd", "linux")]
        {
            let mut entry = BlsEntry::new();
            entry.set(SEALSTONE_ID_KEY, &id(of).to_string()).unwrap().set(key, "/file").unwrap();
            std::fs::write(path(&format!("esp/loader/entries/{name}.conf")), entry.to_string()).unwrap();
        }
        let place = path("sysroot").join(REPOSITORY);
        let (repository, _) = Repository::init(&disk, place, &InitOptions::default()).unwrap();
        let sysroot = Sysroot::open(&disk, path("sysroot")).unwrap();
        let esps = vec![Esp::new(Dir::open(&disk, path("esp")).unwrap())];
        Self {
            target: Target { sysroot, repository, esps },
            _folder: folder,
            variables: MemoryVariables::default(),
        }
    }

    fn tell(&self, name: &str, text: &str) {
        use sealstone::boot::EfiVariables;
        let value = text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
        let name = VariableName::new(name, LOADER_VENDOR).unwrap();
        self.variables.write(&name, &Variable { attributes: 6, value }).unwrap();
    }

    fn running(&self, by_kernel: Option<&str>) -> Option<DeploymentId> {
        of_loader(&self.target, by_kernel.map(id), LoaderVariables::new(&self.variables)).unwrap()
    }
}

#[test]
fn of_two_deployments_of_one_image_the_entry_tells_where_the_stub_does_not() {
    let booted = Booted::new();
    assert_eq!(booted.running(Some("ab")), Some(id("ab")), "nobody says anything else");
    booted.tell("LoaderEntrySelected", "os-1.conf");
    assert_eq!(booted.running(Some("ab")), Some(id("ab.1")));
    booted.tell("StubImageIdentifier", "\\EFI\\Linux\\file.efi");
    assert_eq!(booted.running(Some("ab")), Some(id("ab")), "the stub has told the kernel's reader which");
}

#[test]
fn an_entry_of_another_image_or_of_a_kernel_says_nothing_against_the_command_line() {
    let booted = Booted::new();
    booted.tell("LoaderEntrySelected", "archived-1.conf");
    assert_eq!(booted.running(Some("ab")), Some(id("ab")));
    assert_eq!(booted.running(Some("cd")), Some(id("cd")));
    assert_eq!(booted.running(None), Some(id("cd")), "where the kernel says nothing, the entry does");
    booted.tell("LoaderEntrySelected", "gone.conf");
    assert_eq!(booted.running(None), None);
}
