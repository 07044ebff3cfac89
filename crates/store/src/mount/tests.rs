//! Real mounts, in each of the ways that kernels may need. They need root; without, it is checked that we say so.

use std::{fs, path::PathBuf};

use super::*;
use crate::{
    Algorithm, InitOptions,
    disk::RealDisk,
    erofs,
    tree::{Content, InodeId, Metadata, Timestamp, Tree, XattrSet},
};

/// A repository with an image in it, and a place to mount it.
struct Fixture {
    folder: tempfile::TempDir,
    repository: Repository,
    image: ObjectId,
}

impl Fixture {
    fn new(algorithm: Algorithm) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = InitOptions { algorithm, ..InitOptions::default() };
        let place = folder.path().join("repo");
        let (repository, _) = Repository::init(&RealDisk::shared(), place, &options).unwrap();
        let transaction = repository.transaction().unwrap();
        let metadata = Metadata { mode: 0o750, uid: 7, gid: 8, mtime: Timestamp { sec: 9, nsec: 0 } };
        let mut tree = Tree::new(metadata);
        let add = |tree: &mut Tree, folder: InodeId, name: &str, content: Content<'_>| {
            let inode = tree.add(metadata, content, XattrSet::EMPTY).unwrap();
            tree.link(folder, name.as_bytes(), inode).unwrap();
            inode
        };
        let root = tree.root();
        let usr = add(&mut tree, root, "usr", Content::Directory);
        add(&mut tree, usr, "inline", Content::Inline(b"in the image"));
        let large = large();
        let object = transaction.put(large.as_bytes()).unwrap().id;
        let external = add(&mut tree, usr, "object", Content::External { object, size: large.len() as u64 });
        tree.link(usr, b"same", external).unwrap();
        add(&mut tree, usr, "link", Content::Symlink(b"object"));
        let image = transaction.put(&erofs::write(&tree).unwrap()).unwrap().id;
        transaction.name_image(image);
        let _ = transaction.commit(()).unwrap();
        fs::create_dir(folder.path().join("mnt")).unwrap();
        Self { folder, repository, image }
    }

    fn target(&self) -> PathBuf {
        self.folder.path().join("mnt")
    }

    /// What is mounted on the target: the source of the topmost mount.
    fn source(&self) -> Option<String> {
        let target = self.target().display().to_string();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let of_target = |line: &str| {
            let fields: Vec<&str> = line.split(' ').collect();
            let dash = fields.iter().position(|field| *field == "-")?;
            (fields[4] == target).then(|| fields[dash + 2].to_owned())
        };
        mounts.lines().rev().find_map(of_target)
    }

    fn check_content(&self) {
        let usr = self.target().join("usr");
        assert_eq!(fs::read_to_string(usr.join("inline")).unwrap(), "in the image");
        for name in ["object", "same", "link"] {
            assert_eq!(fs::read_to_string(usr.join(name)).unwrap(), large(), "{name}");
        }
        assert_eq!(fs::read_link(usr.join("link")).unwrap(), PathBuf::from("object"));
        let write = fs::write(usr.join("new"), "x").unwrap_err();
        assert_eq!(write.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
        assert_eq!(self.source(), Some(format!("composefs:{}", self.image)));
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        // Whatever a failed test left mounted must not outlive it.
        while self.source().is_some() && unmount_image(&self.target()).is_ok() {}
    }
}

fn large() -> String {
    "the content of an object ".repeat(1000)
}

/// Whether mounts can be tested here; says so when not.
fn can_mount(fixture: &Fixture) -> bool {
    if rustix::process::geteuid().is_root() {
        return true;
    }
    let refused = mount_image(&fixture.repository, &fixture.image, &fixture.target()).unwrap_err();
    assert!(matches!(refused, Error::NotPermitted { .. }), "{refused}");
    println!("skipped: mounting needs root");
    false
}

#[test]
fn a_mounted_image_shows_its_tree_and_the_content_of_its_objects() {
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let fixture = Fixture::new(algorithm);
        if !can_mount(&fixture) {
            return;
        }
        mount_image(&fixture.repository, &fixture.image, &fixture.target()).unwrap();
        fixture.check_content();
        unmount_image(&fixture.target()).unwrap();
        assert_eq!(fixture.source(), None);
        assert!(matches!(unmount_image(&fixture.target()), Err(Error::Missing { .. })));
    }
}

#[test]
fn every_way_that_an_older_kernel_needs_shows_the_same() {
    let fixture = Fixture::new(Algorithm::Sha256);
    if !can_mount(&fixture) {
        return;
    }
    for way in Layers::ALL {
        match mount_with(&fixture.repository, &fixture.image, &fixture.target(), &[way]) {
            Ok(()) => {}
            // Kernels from 6.5 to 6.12 take the last way only.
            Err(error) if way != Layers::AttachedPaths => {
                println!("skipped: this kernel does not take {way:?}: {error}");
                continue;
            }
            Err(error) => panic!("{way:?}: {error}"),
        }
        fixture.check_content();
        unmount_image(&fixture.target()).unwrap();
        assert_eq!(fixture.source(), None, "{way:?} leaves nothing mounted");
    }
}

#[test]
fn a_loop_device_serves_where_a_file_does_not() {
    let fixture = Fixture::new(Algorithm::Sha256);
    if !can_mount(&fixture) {
        return;
    }
    let image = ImageMount {
        id: &fixture.image,
        file: &fixture.repository.open_object(&fixture.image).unwrap(),
        objects: &fixture.repository.objects_dir().unwrap(),
        require_verity: false,
        through_loop: true,
    };
    match image.mount_on(&fixture.target()) {
        Ok(()) => {}
        Err(error) if error.is_missing() => {
            println!("skipped: this machine has no loop devices: {error}");
            return;
        }
        Err(error) => panic!("{error}"),
    }
    fixture.check_content();
}

#[test]
fn only_a_named_and_undamaged_image_is_mounted() {
    let fixture = Fixture::new(Algorithm::Sha256);
    let other = crate::verity::digest(Algorithm::Sha256, b"other");
    let missing = mount_image(&fixture.repository, &other, &fixture.target()).unwrap_err();
    assert!(matches!(missing, Error::Missing { .. }), "{missing}");
    let place = fixture.folder.path().join("repo/objects").join(fixture.image.object_path());
    let mut bytes = fs::read(&place).unwrap();
    bytes[2000] ^= 1;
    fs::remove_file(&place).unwrap();
    fs::write(&place, bytes).unwrap();
    let corrupt = mount_image(&fixture.repository, &fixture.image, &fixture.target()).unwrap_err();
    assert!(matches!(corrupt, Error::Corrupt { .. }), "{corrupt}");
}
