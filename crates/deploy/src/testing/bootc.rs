//! A machine as bootc leaves it: what we deployed, put where bootc puts it, without anything that says of us.
//!
//! Layout: bootc's composefs backend; `tests/kit/system.rs` at the root makes the same from nothing.

use sealstone_boot::Esp;
use sealstone_import::ImportOptions;
use sealstone_store::{Control, Place};

use super::{Machine, Published, System};
use crate::{DeployRequest, DeploymentId, Finalise, import_image, update_request};

/// How bootc boots a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BootcBoots {
    Kernel,
    Uki,
}

impl Machine {
    /// Imports an image with documents that can be read, and gives the request to deploy it.
    pub(crate) fn import_whole(&self, system: &System<'_>) -> DeployRequest {
        let reference = format!("docker://example.org/os:{}", system.version);
        let (place, options, control) = (Published::of(system), ImportOptions::default(), Control::new());
        let repository = self.target().repository;
        let imported = import_image(&repository, &place, &reference, &options, &control).unwrap();
        update_request(&reference, &imported, None, Finalise::Now, 1_700_000_000).unwrap()
    }

    /// Makes a machine on which we deployed these, the last of which boots by default, one on which bootc did.
    pub(crate) fn hand_to_bootc(&self, deployed: &[&DeployRequest], boots: BootcBoots) {
        let records = self.target().sysroot.records().unwrap().0;
        std::fs::remove_dir_all(self.path("esp/loader/entries")).unwrap();
        std::fs::create_dir(self.path("esp/loader/entries")).unwrap();
        for (place, request) in deployed.iter().enumerate() {
            let id = DeploymentId::new(request.image, 0);
            let record = records.iter().find(|record| record.id == id).unwrap();
            let (vmlinuz, _) = Esp::kernel_paths(&record.kernel.sizes.digest);
            let ours = self.path("esp").join(vmlinuz.trim_start_matches('/'));
            let ours = ours.parent().unwrap();
            let boots = match boots {
                BootcBoots::Kernel => {
                    let name = format!("EFI/Linux/bootc_composefs-{id}");
                    std::fs::rename(ours, self.path("esp").join(&name)).unwrap();
                    format!("linux /{name}/vmlinuz\ninitrd /{name}/initrd\noptions quiet composefs=?{id}\n")
                }
                BootcBoots::Uki => {
                    std::fs::remove_dir_all(ours).unwrap();
                    std::fs::create_dir_all(self.path("esp/EFI/Linux/bootc")).unwrap();
                    let name = format!("EFI/Linux/bootc/bootc_composefs-{id}.efi");
                    std::fs::write(self.path("esp").join(&name), "a unified kernel image").unwrap();
                    format!("uki /{name}\n")
                }
            };
            let key = deployed.len() - 1 - place;
            let text = format!("title of bootc\nversion {place}\n{boots}sort-key bootc-debian-{key}\n");
            std::fs::write(self.path(&format!("esp/loader/entries/bootc_debian-{place}-{place}.conf")), text)
                .unwrap();
        }
        std::fs::remove_dir_all(self.path("sysroot/state/sealstone")).unwrap();
        let repository = self.target().repository;
        for (name, _) in repository.refs(Place::Images).unwrap() {
            let _ = repository.remove_ref(Place::Images, &name).unwrap();
        }
    }
}
