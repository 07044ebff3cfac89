//! A machine in a temporary folder: a sysroot with a repository, a boot partition, and images to deploy.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use sealstone_boot::{Esp, Karg};
use sealstone_import::{ManifestDigest, streams::manifest_stream};
use sealstone_store::{
    Algorithm, Control, InitOptions, Repository,
    disk::{Dir, Disk, RealDisk},
    splitstream::SplitStreamWriter,
};

use super::{Entry, dir, file, link, read, symlink, tar_of};
use crate::{
    Applied, DeployError, DeployRequest, REPOSITORY, Sysroot, Target, apply, make_images, plan_deploy,
};

/// An image to be made.
pub(crate) struct System<'a> {
    pub version: &'a str,
    pub kernel: &'a str,
    /// What its os-release says.
    pub os_version: &'a str,
    pub more: Vec<Entry>,
}

impl<'a> System<'a> {
    pub(crate) fn new(version: &'a str) -> Self {
        Self { version, kernel: version, os_version: version, more: Vec::new() }
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        let modules = "usr/lib/modules/6.12";
        let os = format!("ID=debian\nPRETTY_NAME=\"Debian {0}\"\nVERSION_ID={0}\n", self.os_version);
        let mut entries = vec![
            dir("usr", 0o755),
            dir("boot", 0o755),
            dir("sysroot", 0o755),
            dir("etc", 0o755),
            dir("etc/private", 0o500),
            file("etc/private/key", "secret"),
            file("etc/hosts", &"127.0.0.1 localhost\n".repeat(20)),
            link("etc/hosts.bak", "etc/hosts"),
            symlink("etc/os-release", "../usr/lib/os-release"),
            file("etc/version", self.version),
            dir("var", 0o755),
            file("var/lib/seed", self.version),
            file("usr/lib/os-release", &os),
            file(&format!("{modules}/vmlinuz"), &format!("kernel {} ", self.kernel).repeat(100)),
            file(&format!("{modules}/initramfs.img"), &format!("initramfs {} ", self.kernel).repeat(200)),
        ];
        entries.extend(self.more.iter().cloned());
        entries
    }
}

/// A sysroot and a boot partition.
pub(crate) struct Machine {
    folder: tempfile::TempDir,
}

impl Machine {
    pub(crate) fn new() -> Self {
        // In memory where there is such a place: syncs cost nothing there.
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let machine = Self { folder: folder.unwrap() };
        std::fs::create_dir(machine.path("sysroot")).unwrap();
        std::fs::create_dir(machine.path("esp")).unwrap();
        let options = InitOptions { algorithm: Algorithm::Sha512, ..InitOptions::default() };
        let place = machine.path("sysroot").join(REPOSITORY);
        let _ = Repository::init(&RealDisk::shared(), place, &options).unwrap();
        machine
    }

    /// A copy of all of it.
    pub(crate) fn copy(&self) -> Self {
        let copy = Self { folder: tempfile::tempdir_in(self.folder.path().parent().unwrap()).unwrap() };
        let from = format!("{}/.", self.folder.path().display());
        let status = std::process::Command::new("cp").arg("-a").arg(from).arg(copy.folder.path()).status();
        assert!(status.unwrap().success());
        copy
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub(crate) fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// The names in a folder, sorted; none if it is not there.
    pub(crate) fn names(&self, path: &str) -> Vec<String> {
        let Ok(entries) = self.path(path).read_dir() else { return Vec::new() };
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    pub(crate) fn target(&self) -> Target {
        Self::target_on(&RealDisk::shared(), self.root()).unwrap()
    }

    /// The machine as another disk shows it, wherever that put it.
    pub(crate) fn target_on(disk: &Arc<dyn Disk>, root: &Path) -> Result<Target, DeployError> {
        let sysroot = Sysroot::open(disk, root.join("sysroot"))?;
        let repository = Repository::open(disk, root.join("sysroot").join(REPOSITORY))?;
        Ok(Target { sysroot, repository, esps: vec![Esp::new(Dir::open(disk, root.join("esp"))?)] })
    }

    /// Imports an image, and gives the request to deploy it.
    pub(crate) fn import(&self, system: &System<'_>) -> DeployRequest {
        let repository = self.target().repository;
        let transaction = repository.transaction().unwrap();
        let bytes = tar_of(&system.entries());
        let layer = read(repository.algorithm(), &bytes, |body| transaction.put(body).unwrap().id);
        let images = make_images(&transaction, &[&layer]).unwrap();
        let manifest: ManifestDigest = format!("sha256:{:0>64}", hex(system.version)).parse().unwrap();
        let mut stream = SplitStreamWriter::new(&transaction, 1).unwrap();
        stream.inline(format!("the manifest of {}", system.version).as_bytes());
        let stream = stream.finish().unwrap();
        transaction.name_stream(manifest_stream(&manifest).unwrap(), stream.id);
        let _ = transaction.commit(()).unwrap();
        let reference = format!("example.org/os:{}", system.version);
        let (config, image) = (manifest.to_string().parse().unwrap(), images.bootable.unwrap());
        DeployRequest {
            kargs: vec!["root=UUID=1".parse().unwrap(), "quiet".parse::<Karg>().unwrap()],
            ..DeployRequest::new(reference, manifest, config, image, 1_700_000_000)
        }
    }

    /// Plans and applies in one go.
    pub(crate) fn deploy(&self, request: &DeployRequest) -> Applied {
        deploy_on(&self.target(), request).unwrap()
    }
}

pub(crate) fn deploy_on(target: &Target, request: &DeployRequest) -> Result<Applied, DeployError> {
    let plan = plan_deploy(target, request)?;
    apply(target, &plan, &Control::new())
}

fn hex(text: &str) -> String {
    text.bytes().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}
