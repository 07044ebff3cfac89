//! Every known departure is recognised by the digest that it leads to, and else the first path that differs is named.

use std::sync::Arc;

use sealstone_store::{
    Algorithm, InitOptions,
    disk::{Disk, RealDisk},
    tree::{Content, InodeId, Metadata, Timestamp, XattrSet},
};

use super::*;

const METADATA: Metadata = Metadata { mode: 0o755, uid: 0, gid: 0, mtime: Timestamp { sec: 5, nsec: 6 } };
const CONTEXTS: &str = "/.* default_t\n/usr(/.*)? usr_t\n";

struct Fixture {
    repository: Repository,
    tree: Tree,
    _folder: tempfile::TempDir,
}

fn put(tree: &mut Tree, path: &str, content: Content<'_>, sec: i64, xattrs: &[(&[u8], &[u8])]) -> InodeId {
    let (parent, name) = path.rsplit_once('/').unwrap();
    let folder = tree.resolve(parent.as_bytes()).unwrap();
    let set = tree.intern_xattrs(xattrs).unwrap();
    let made = tree.add(Metadata { mtime: Timestamp { sec, nsec: 7 }, ..METADATA }, content, set).unwrap();
    tree.link(folder, name.as_bytes(), made).unwrap();
    made
}

/// A system in which every departure makes a difference.
fn fixture(algorithm: Algorithm) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = RealDisk::shared();
    let options = InitOptions { algorithm, ..InitOptions::default() };
    let (repository, _) = Repository::init(&disk, folder.path().join("repo"), &options).unwrap();
    let transaction = repository.transaction().unwrap();
    let object = transaction.put(&vec![9; 70_000]).unwrap().id;
    let _ = transaction.commit(()).unwrap();
    let mut tree = Tree::new(METADATA);
    for (number, path) in ["/usr", "/run", "/boot", "/sysroot", "/etc", "/etc/selinux", "/etc/selinux/t"]
        .into_iter()
        .enumerate()
    {
        put(&mut tree, path, Content::Directory, 100 + i64::try_from(number).unwrap(), &[]);
    }
    for path in ["/etc/selinux/t/contexts", "/etc/selinux/t/contexts/files"] {
        put(&mut tree, path, Content::Directory, 1, &[]);
    }
    put(&mut tree, "/etc/selinux/config", Content::Inline(b"SELINUXTYPE=t\n"), 1, &[]);
    let contexts = Content::Inline(CONTEXTS.as_bytes());
    put(&mut tree, "/etc/selinux/t/contexts/files/file_contexts", contexts, 1, &[]);
    for path in ["/run/left", "/boot/left", "/sysroot/left"] {
        put(&mut tree, path, Content::Inline(b"left"), 2, &[]);
    }
    let xattrs: [(&[u8], &[u8]); 3] =
        [(b"security.capability", b"c"), (b"trusted.z", b"t"), (b"user.x", b"u")];
    let body = put(&mut tree, "/usr/body", Content::External { object, size: 70_000 }, 3, &xattrs);
    let usr = tree.resolve(b"/usr").unwrap();
    tree.link(usr, b"second", body).unwrap();
    Fixture { repository, tree, _folder: folder }
}

fn explained(fixture: &Fixture, wanted: ObjectId, theirs: Option<&Tree>) -> Explanation {
    let basis = Basis::Tree(&fixture.tree);
    let puzzle =
        Puzzle { repository: &fixture.repository, basis, profile: Some(Profile::Bootable), wanted, theirs };
    puzzle.explain(&Control::new()).unwrap()
}

/// The image by a recipe, in the algorithm of the objects.
fn made(fixture: &Fixture, recipe: &Recipe) -> (Tree, ObjectId) {
    let read = |_: &ObjectId, _| unreachable!("the policy is in the image");
    let tree = recipe.make(Basis::Tree(&fixture.tree), &read).unwrap();
    let id =
        verity::digest(fixture.repository.algorithm(), &erofs::write_version(&tree, recipe.version).unwrap());
    (tree, id)
}

#[test]
fn every_departure_is_recognised_in_both_formats() {
    let fixture = fixture(Algorithm::Sha512);
    for version in Version::ALL {
        for departure in Departure::ALL {
            let departures = vec![departure];
            let recipe = Recipe { departures, ..Recipe::of(Profile::Bootable, version) };
            if !recipe.is_sensible() {
                continue;
            }
            let explanation = explained(&fixture, made(&fixture, &recipe).1, None);
            assert_eq!(explanation.cause, Cause::Recipe(recipe.clone()), "{explanation}");
            assert!(explanation.to_string().contains(departure.text()), "{explanation}");
        }
    }
}

#[test]
fn two_departures_at_once_another_profile_and_no_profile_are_recognised() {
    let fixture = fixture(Algorithm::Sha256);
    let both = vec![Departure::UserXattrs, Departure::RootKept];
    for recipe in [
        Recipe { departures: both, ..Recipe::of(Profile::Bootable, Version::V2) },
        Recipe::of(Profile::Oci, Version::V1),
        Recipe { profile: None, departures: Vec::new(), version: Version::V1 },
    ] {
        let explanation = explained(&fixture, made(&fixture, &recipe).1, None);
        assert_eq!(explanation.cause, Cause::Recipe(recipe));
    }
}

#[test]
fn the_image_itself_is_the_same_and_so_it_is_in_the_other_algorithm() {
    let fixture = fixture(Algorithm::Sha256);
    let own = made(&fixture, &Recipe::of(Profile::Bootable, Version::V1)).1;
    let explanation = explained(&fixture, own, None);
    assert_eq!(
        (&explanation.cause, explanation.expected_id, explanation.tried),
        (&Cause::Same, Some(own), 1)
    );

    // The same system in a repository of the other algorithm.
    let other = self::fixture(Algorithm::Sha512);
    let v2 = Recipe::of(Profile::Bootable, Version::V2);
    let explanation = explained(&fixture, made(&other, &v2).1, None);
    assert_eq!(explanation.cause, Cause::Recipe(v2));
}

#[test]
fn files_that_differ_are_named_with_what_differs() {
    let fixture = fixture(Algorithm::Sha256);
    let change = |change: &dyn Fn(&mut Tree)| {
        let (mut theirs, _) = made(&fixture, &Recipe::of(Profile::Bootable, Version::V1));
        change(&mut theirs);
        let id = verity::digest(Algorithm::Sha256, &erofs::write(&theirs).unwrap());
        match explained(&fixture, id, Some(&theirs)).cause {
            Cause::Files { nearest, paths, first } => {
                assert_eq!(nearest, Recipe::of(Profile::Bootable, Version::V1));
                (paths, first.to_string())
            }
            cause => panic!("{cause:?}"),
        }
    };
    let mode = change(&|tree| {
        let etc = tree.resolve(b"/etc").unwrap();
        tree.set_metadata(etc, Metadata { mode: 0o700, ..tree.metadata(etc) });
    });
    assert_eq!(mode, (1, "/etc: mode is 0755 here and 0700 there".to_owned()));
    let content = change(&|tree| {
        let etc = tree.resolve(b"/etc").unwrap();
        let file = tree.add(METADATA, Content::Inline(b"new"), XattrSet::EMPTY).unwrap();
        tree.link(etc, b"new", file).unwrap();
    });
    assert_eq!(content, (1, "/etc/new: presence is absent here and file there".to_owned()));
    let xattr = change(&|tree| {
        let usr = tree.resolve(b"/usr").unwrap();
        let set = tree.intern_xattrs(&[(b"security.selinux", b"other_t")]).unwrap();
        tree.set_xattrs(usr, set);
    });
    assert_eq!(xattr, (1, "/usr: xattr security.selinux is \"usr_t\" here and \"other_t\" there".to_owned()));
    let link = change(&|tree| {
        let usr = tree.resolve(b"/usr").unwrap();
        let body = tree.unlink(usr, b"second").unwrap();
        let set = tree.xattr_set(body);
        let copy = tree.add(tree.metadata(body), Content::Inline(b""), set).unwrap();
        tree.link(usr, b"second", copy).unwrap();
    });
    assert!(link.1.starts_with("/usr/second: content is 70000 bytes, object "), "{}", link.1);
}

#[test]
fn a_digest_of_other_files_alone_is_unknown_and_the_own_one_is_told() {
    let fixture = fixture(Algorithm::Sha256);
    let explanation = explained(&fixture, verity::digest(Algorithm::Sha256, b"other"), None);
    assert_eq!(explanation.cause, Cause::Unknown);
    assert!(explanation.tried > 100, "{}", explanation.tried);
    let own = made(&fixture, &Recipe::of(Profile::Bootable, Version::V1)).1;
    assert!(explanation.to_string().contains(&own.to_hex()), "{explanation}");
}
