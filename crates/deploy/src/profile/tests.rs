//! The profiles' images are byte for byte those of the crates `composefs` and `composefs-boot`.

use composefs::{
    erofs::writer::{ValidatedFileSystem, mkfs_erofs_versioned},
    fsverity::Sha256HashValue,
    repository::{Repository, RepositoryConfig},
    tree::FileSystem,
};
use composefs_boot::BootOps;
use proptest::prelude::*;
use sealstone_store::{
    erofs::{self, Version},
    tree::Content,
};

use super::*;
use crate::trees::{self, oracle};

const CONTEXTS: &str =
    "/.* default_t\n/[a-m].* -- early_t\n/.*/[n-z][^/]* late_t\n/usr(/.*)? usr_t\n/run -d run_t\n";

/// The tree with the folders that a system has, and a policy if asked for.
fn system(mut tree: Tree, usr: Metadata, with_policy: bool) -> Tree {
    let root = tree.root();
    let mut folders = vec!["usr", "run", "boot", "sysroot"];
    if with_policy {
        folders.push("etc");
    }
    for name in folders {
        tree.unlink(root, name.as_bytes());
        let folder = tree.add(usr, Content::Directory, XattrSet::EMPTY).unwrap();
        tree.link(root, name.as_bytes(), folder).unwrap();
        let capability = tree.intern_xattrs(&[(KEPT_XATTR, b"c"), (b"user.x", b"y")]).unwrap();
        tree.set_xattrs(folder, capability);
        let inside = tree.add(usr, Content::Inline(b"hidden"), capability).unwrap();
        tree.link(folder, b"inside", inside).unwrap();
        // A name elsewhere keeps the file even where its folder is emptied.
        tree.unlink(root, format!("kept {name}").as_bytes());
        tree.link(root, format!("kept {name}").as_bytes(), inside).unwrap();
    }
    if with_policy {
        put(&mut tree, usr, "etc/selinux/config", b"SELINUXTYPE=t\n");
        put(&mut tree, usr, "etc/selinux/t/contexts/files/file_contexts", CONTEXTS.as_bytes());
        put(&mut tree, usr, "etc/selinux/t/contexts/files/file_contexts.subs_dist", b"/run /usr\n");
    }
    tree
}

fn put(tree: &mut Tree, metadata: Metadata, path: &str, content: &[u8]) {
    let (parent, name) = path.rsplit_once('/').unwrap();
    let mut folder = tree.root();
    for part in parent.split('/') {
        folder = tree.lookup(folder, part.as_bytes()).unwrap_or_else(|| {
            let made = tree.add(metadata, Content::Directory, XattrSet::EMPTY).unwrap();
            tree.link(folder, part.as_bytes(), made).unwrap();
            made
        });
    }
    let file = tree.add(metadata, Content::Inline(content), XattrSet::EMPTY).unwrap();
    tree.link(folder, name.as_bytes(), file).unwrap();
}

/// What the merge does: of the extended attributes only the capabilities stay.
fn filtered(mut tree: Tree) -> Tree {
    let mut inodes = vec![tree.root()];
    let mut next = 0;
    while let Some(inode) = inodes.get(next).copied() {
        next += 1;
        inodes.extend(tree.entries(inode).map(|(_, child)| child));
        let kept = tree.xattrs(inode).get(KEPT_XATTR).map(<[u8]>::to_vec);
        let set = kept.map_or(XattrSet::EMPTY, |value| tree.intern_xattrs(&[(KEPT_XATTR, &value)]).unwrap());
        tree.set_xattrs(inode, set);
    }
    tree
}

fn ours(tree: &Tree, profile: Profile, version: Version) -> Vec<u8> {
    let mut tree = filtered(tree.clone());
    profile.apply(&mut tree, &|_, _| unreachable!("the policy is in the image")).unwrap();
    erofs::write_version(&tree, version).unwrap()
}

fn theirs(tree: &Tree, profile: Profile, version: Version) -> Vec<u8> {
    let mut files: FileSystem<Sha256HashValue> = oracle::file_system(tree);
    files.transform_for_oci(&composefs::generic_tree::OciTransformOptions::default()).unwrap();
    if profile == Profile::Bootable {
        let folder = tempfile::tempdir().unwrap();
        let config = RepositoryConfig::new(composefs::fsverity::Algorithm::SHA256).set_insecure();
        let path = folder.path().join("repo");
        let (repository, _) =
            Repository::<Sha256HashValue>::init_path(rustix::fs::CWD, &path, config).unwrap();
        files.transform_for_boot(&repository).unwrap();
    }
    mkfs_erofs_versioned(&ValidatedFileSystem::new(files).unwrap(), oracle::version(version)).into_vec()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn images_of_both_profiles_are_those_of_the_peer(
        tree in trees::trees(trees::Limits { inline_max: 200, ..trees::IN_V2 }),
        mode in 0..0o7777_u16,
        uid in any::<u32>(),
        sec in -1_000_000_000..4_000_000_000_i64,
        nsec in 0..1_000_000_000_u32,
        with_policy in any::<bool>(),
    ) {
        let usr = Metadata { mode, uid, gid: 7, mtime: Timestamp { sec, nsec } };
        let tree = system(tree, usr, with_policy);
        for profile in [Profile::Oci, Profile::Bootable] {
            for version in Version::ALL {
                let is_same = ours(&tree, profile, version) == theirs(&tree, profile, version);
                prop_assert!(is_same, "{profile} {version} differs");
            }
        }
    }
}

#[test]
fn an_image_without_usr_is_plain_and_one_that_lacks_a_mount_point_cannot_boot() {
    let metadata = Metadata { mode: 0o700, uid: 3, gid: 3, mtime: Timestamp { sec: 9, nsec: 9 } };
    let mut tree = Tree::new(metadata);
    assert_eq!(Profile::of(&tree), Profile::OciPlain);
    Profile::OciPlain.apply(&mut tree, &|_, _| unreachable!()).unwrap();
    assert_eq!(
        tree.metadata(tree.root()),
        Metadata { mode: 0o755, uid: 0, gid: 0, mtime: Timestamp::default() }
    );
    let unfit = |tree: &mut Tree, profile: Profile| {
        profile.apply(tree, &|_, _| unreachable!()).unwrap_err().to_string()
    };
    assert!(unfit(&mut tree, Profile::Oci).contains("/usr"));
    put(&mut tree, metadata, "usr/x", b"");
    put(&mut tree, metadata, "boot/x", b"");
    assert_eq!(Profile::of(&tree), Profile::Oci);
    assert!(unfit(&mut tree, Profile::Bootable).contains("/sysroot"));
}

#[test]
fn the_bootable_profile_after_the_plain_one_is_the_bootable_profile() {
    let metadata = Metadata { mode: 0o755, uid: 0, gid: 0, mtime: Timestamp { sec: 5, nsec: 6 } };
    let tree = system(Tree::new(metadata), metadata, true);
    let mut twice = filtered(tree.clone());
    for profile in [Profile::Oci, Profile::Bootable] {
        profile.apply(&mut twice, &|_, _| unreachable!()).unwrap();
    }
    assert_eq!(erofs::write(&twice).unwrap(), ours(&tree, Profile::Bootable, Version::V1));
}

#[test]
fn a_profile_reads_back_from_its_name() {
    for profile in [Profile::Oci, Profile::Bootable, Profile::OciPlain] {
        assert_eq!(profile.name().parse::<Profile>().unwrap(), profile);
    }
    assert!("other".parse::<Profile>().is_err());
}
