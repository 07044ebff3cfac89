//! Overlays from their sources to an image's tree.

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt};

use sealstone_import::layer_tree::LayerTree;
use sealstone_store::{
    Control, Repository,
    disk::{Dir, RealDisk},
    tree::{Content, Tree},
};

use super::{lay::lay, *};
use crate::{ImageTrees, etc::carve};
use crate::{
    merge,
    testing::{Entry, Machine, dir, file, layer, link, listing, symlink, whiteout},
};

fn name(text: &str) -> OverlayName {
    text.parse().unwrap()
}

fn import(repository: &Repository, source: &OverlaySource) -> Result<Overlay, DeployError> {
    let disk = RealDisk::shared();
    import_overlay(repository, &disk, name("test"), source, &Control::new()).map(|done| done.overlay)
}

fn overlay() -> Overlay {
    Overlay { name: name("test"), diff_id: format!("sha256:{}", "0".repeat(64)).parse().unwrap() }
}

fn image() -> Tree {
    merge(&[&layer(&[
        dir("usr", 0o755),
        dir("etc", 0o755),
        dir("etc/ssh", 0o755),
        file("etc/ssh/sshd_config", "Port 22"),
        file("etc/motd", "hello"),
        symlink("root", "var/roothome"),
        dir("var", 0o755),
    ])])
    .unwrap()
}

fn laid(entries: &[Entry]) -> (Vec<String>, BTreeSet<Vec<u8>>) {
    let mut tree = image();
    let paths = lay(&mut tree, &layer(entries), &overlay()).unwrap();
    (listing(&tree), paths)
}

fn furnished(repository: &Repository, overlay: &Overlay) -> Tree {
    furnish(repository, carve(&image()).unwrap(), std::slice::from_ref(overlay), &ImageTrees::default())
        .unwrap()
        .tree
}

/// Inline content of a file.
fn text(tree: &Tree, path: &str) -> String {
    match tree.content(tree.resolve_no_follow(path.as_bytes()).unwrap()) {
        Content::Inline(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
        other => format!("{other:?}"),
    }
}

#[test]
fn a_file_replaces_a_folder_keeps_the_images_attributes_and_a_whiteout_removes() {
    let entries = [
        dir("etc", 0o700),
        dir("etc/ssh", 0o700),
        file("etc/ssh/sshd_config", "Port 2222"),
        dir("etc/new", 0o750),
        whiteout("etc/.wh.motd"),
    ];
    let (lines, paths) = laid(&entries);
    let has = |start: &str| lines.iter().any(|line| line.starts_with(start));
    assert!(has("/etc dir 755") && has("/etc/ssh dir 755") && has("/etc/new dir 750"), "{lines:?}");
    assert!(has("/etc/ssh/sshd_config file Port 2222") && !has("/etc/motd"), "{lines:?}");
    let expected = ["/etc/motd", "/etc/new", "/etc/ssh/sshd_config"].map(|path| path.as_bytes().to_vec());
    assert_eq!(paths, expected.into());
}

#[test]
fn a_file_may_take_a_folders_place_and_an_opaque_folder_hides_what_was_there() {
    let (lines, _) = laid(&[file("etc/ssh", "none")]);
    assert!(lines.iter().any(|line| line.starts_with("/etc/ssh file none")), "{lines:?}");
    let (lines, _) = laid(&[whiteout("etc/ssh/.wh..wh..opq"), file("etc/ssh/mine", "x")]);
    let below: Vec<_> = lines.iter().filter(|line| line.starts_with("/etc/ssh/")).collect();
    assert_eq!(below, ["/etc/ssh/mine file x"]);
}

#[test]
fn a_hardlink_to_a_file_of_the_image_is_one() {
    let (lines, _) = laid(&[link("etc/issue", "etc/motd")]);
    assert!(lines.iter().any(|line| line == "/etc/issue file hello #0"), "{lines:?}");
    let mut tree = image();
    let error = lay(&mut tree, &layer(&[link("etc/issue", "etc/none")]), &overlay()).unwrap_err();
    assert!(matches!(error, DeployError::Overlay { .. }), "{error}");
}

#[test]
fn the_same_folder_twice_is_the_same_layer_whenever_it_was_written() {
    let machine = Machine::new();
    let repository = machine.target().repository;
    for (at, time) in [("one", 5), ("two", 7_000_000)] {
        fs::create_dir_all(machine.path(&format!("{at}/etc/deep"))).unwrap();
        fs::write(machine.path(&format!("{at}/etc/deep/file")), "content ".repeat(50)).unwrap();
        fs::write(machine.path(&format!("{at}/etc/secret")), "s").unwrap();
        let folder = Dir::open(&RealDisk::shared(), machine.path(at)).unwrap();
        folder.set_mode("etc/secret", 0o600).unwrap();
        folder.set_mtime("etc/secret", sealstone_store::disk::Timestamp { sec: time, nsec: 1 }).unwrap();
    }
    let first = import(&repository, &OverlaySource::Folder(machine.path("one"))).unwrap();
    assert_eq!(first, import(&repository, &OverlaySource::Folder(machine.path("two"))).unwrap());
    assert_eq!(first, import(&repository, &OverlaySource::Etc(machine.path("two/etc"))).unwrap());
    let tree = furnished(&repository, &first);
    let secret = tree.resolve(b"/etc/secret").unwrap();
    assert_eq!(tree.metadata(secret).mode, 0o600, "a secret stays one");
    assert_eq!(tree.metadata(secret).uid, 0);
    assert_eq!(text(&tree, "/etc/motd"), "hello");
}

#[test]
fn hostile_names_long_paths_links_and_attributes_come_through() {
    use std::os::unix::ffi::OsStrExt;
    let machine = Machine::new();
    let repository = machine.target().repository;
    let etc = machine.path("etc");
    let long = etc.join("d".repeat(90)).join("e".repeat(90)).join("f".repeat(90));
    fs::create_dir_all(&long).unwrap();
    for name in [&b"\xff\xfe"[..], b"new\nline", b" ", b"-rf", b"a=b", &[0xc3; 200]] {
        fs::write(long.join(std::ffi::OsStr::from_bytes(name)), name).unwrap();
    }
    fs::write(etc.join("a"), "linked").unwrap();
    fs::hard_link(etc.join("a"), etc.join("b")).unwrap();
    std::os::unix::fs::symlink("x".repeat(300), etc.join("link")).unwrap();
    let folder = Dir::open(&RealDisk::shared(), &etc).unwrap();
    let has_xattrs = folder.set_xattr("a", b"user.note", b"with\0nul and = sign\n").is_ok();
    let overlay = import(&repository, &OverlaySource::Etc(etc)).unwrap();
    let tree = furnished(&repository, &overlay);
    let below =
        tree.resolve(format!("/etc/{}/{}/{}", "d".repeat(90), "e".repeat(90), "f".repeat(90)).as_bytes());
    let entries: Vec<_> = tree.entries(below.unwrap()).collect();
    assert_eq!(entries.len(), 6);
    assert!(entries.iter().all(|(name, inode)| {
        matches!(tree.content(*inode), Content::Inline(bytes) if bytes == *name) || name.len() == 200
    }));
    let [a, b] = [b"/etc/a", b"/etc/b"].map(|path| tree.resolve(path).unwrap());
    assert_eq!(a, b);
    if has_xattrs {
        assert_eq!(tree.xattrs(a).get(b"user.note"), Some(&b"with\0nul and = sign\n"[..]));
    }
    let link = tree.resolve_no_follow(b"/etc/link").unwrap();
    assert_eq!(tree.content(link), Content::Symlink("x".repeat(300).as_bytes()));
}

#[test]
fn sockets_are_left_out_and_said() {
    let machine = Machine::new();
    fs::create_dir(machine.path("etc")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(machine.path("etc/socket")).unwrap();
    let (repository, disk) = (machine.target().repository, RealDisk::shared());
    let source = OverlaySource::Etc(machine.path("etc"));
    fs::write(machine.path("etc/file"), "").unwrap();
    let done = import_overlay(&repository, &disk, name("test"), &source, &Control::new()).unwrap();
    assert_eq!(done.skipped, ["/etc/socket"]);
}

#[test]
fn what_lies_outside_etc_and_var_is_refused_and_nothing_is_published() {
    let machine = Machine::new();
    let repository = machine.target().repository;
    for (number, path) in ["usr/bin/x", "boot/x", "root/.ssh/x", "etcetera/x"].iter().enumerate() {
        let folder = machine.path(&number.to_string());
        fs::create_dir_all(folder.join(path).parent().unwrap()).unwrap();
        fs::write(folder.join(path), "x").unwrap();
        let error = import(&repository, &OverlaySource::Folder(folder)).unwrap_err();
        assert!(
            matches!(&error, DeployError::Overlay { reason, .. } if reason.contains("outside")),
            "{error}"
        );
    }
    assert_eq!(
        machine.names("sysroot/composefs/streams").iter().filter(|name| name.contains("oci-layer")).count(),
        0
    );
}

#[test]
fn a_tar_that_would_replace_or_remove_etc_or_link_out_of_it_is_refused() {
    let machine = Machine::new();
    let repository = machine.target().repository;
    let tars: [&[Entry]; 6] = [
        &[symlink("etc", "usr/etc")],
        &[whiteout(".wh.etc")],
        &[whiteout("etc/.wh..wh..opq")],
        &[whiteout(".wh..wh..opq")],
        &[link("etc/shadow", "usr/secret")],
        &[file("etc/x", ""), dir("usr", 0o755)],
    ];
    for (number, entries) in tars.iter().enumerate() {
        let path = machine.path(&format!("{number}.tar"));
        fs::write(&path, crate::testing::tar_of(entries)).unwrap();
        let error = import(&repository, &OverlaySource::Tar(path)).unwrap_err();
        assert!(matches!(error, DeployError::Overlay { .. }), "{entries:?}: {error}");
    }
}

#[test]
fn a_tar_of_etc_and_var_is_taken_as_it_is() {
    let machine = Machine::new();
    let repository = machine.target().repository;
    let entries = [file("etc/motd", "tar"), file("var/lib/x", "y")];
    fs::write(machine.path("o.tar"), crate::testing::tar_of(&entries)).unwrap();
    let overlay = import(&repository, &OverlaySource::Tar(machine.path("o.tar"))).unwrap();
    let tree = furnished(&repository, &overlay);
    assert_eq!([text(&tree, "/etc/motd"), text(&tree, "/var/lib/x")], ["tar", "y"]);
    let layer: LayerTree = sealstone_import::stored_layer(
        &repository,
        &overlay.diff_id,
        &sealstone_import::ImportOptions::default(),
    )
    .unwrap()
    .unwrap();
    assert_eq!(layer.root().children().count(), 2);
}

#[test]
fn files_keep_the_mode_of_their_source() {
    let machine = Machine::new();
    let repository = machine.target().repository;
    fs::write(machine.path("source"), "secret ".repeat(30)).unwrap();
    fs::set_permissions(machine.path("source"), fs::Permissions::from_mode(0o400)).unwrap();
    let body = FileBody::File(machine.path("source"));
    let files = vec![
        OverlayFile::at("/etc/app/deep/key", body).unwrap(),
        OverlayFile::at("/etc/app/note", FileBody::Bytes(b"n".to_vec())).unwrap(),
    ];
    let overlay = import(&repository, &OverlaySource::Files(files)).unwrap();
    let tree = furnished(&repository, &overlay);
    let mode = |path: &str| tree.metadata(tree.resolve(path.as_bytes()).unwrap()).mode;
    assert_eq!(
        (mode("/etc/app/deep/key"), mode("/etc/app/note"), mode("/etc/app/deep")),
        (0o400, 0o644, 0o755)
    );
}

#[test]
fn keys_of_root_are_written_as_bootc_writes_them() {
    let file = OverlayFile::root_keys(&image(), "ssh-ed25519 AAAA me\n").unwrap();
    assert_eq!(file.path, "etc/tmpfiles.d/bootc-root-ssh.conf");
    let rule = "f~ /var/roothome/.ssh/authorized_keys 600 root root - c3NoLWVkMjU1MTkgQUFBQSBtZQo=\n";
    assert_eq!(file.body, FileBody::Bytes(rule.as_bytes().to_vec()));
    let plain = merge(&[&layer(&[dir("usr", 0o755), dir("root", 0o700)])]).unwrap();
    let FileBody::Bytes(rule) = OverlayFile::root_keys(&plain, "k").unwrap().body else { panic!() };
    assert!(rule.starts_with(b"f~ /root/.ssh/authorized_keys 600 root root - "));
    let odd = merge(&[&layer(&[dir("usr", 0o755), symlink("root", "var/%h\n")])]).unwrap();
    assert!(OverlayFile::root_keys(&odd, "k").is_err());
    assert!(OverlayFile::root_keys(&image(), "# none\n\n").is_err());
}

#[test]
fn a_host_name_is_one_that_a_host_can_have() {
    for good in ["a", "web-1.example.org", "X9", &"a".repeat(64)] {
        assert!(OverlayFile::hostname(good).is_ok(), "{good}");
    }
    for bad in ["", "-a", "a-", "a..b", ".a", "a.", "a b", "a\n", "ü", "a_b", &"a".repeat(65)] {
        assert!(OverlayFile::hostname(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn a_file_of_an_overlay_lies_below_etc() {
    for bad in
        ["/etc", "/etc/", "/etc//x", "/etc/../x", "/var/x", "etc/x", "/etc/x/", "/etc/.wh.x", "/etc/a\0b"]
    {
        assert!(OverlayFile::at(bad, FileBody::Bytes(vec![])).is_err(), "{bad:?}");
    }
}

#[test]
fn overlays_are_carried_over_replaced_in_their_place_and_removed_by_name() {
    let of = |text: &str, byte: u8| Overlay {
        name: name(text),
        diff_id: format!("sha256:{}", format!("{byte:02x}").repeat(32)).parse().unwrap(),
    };
    let carried = [of("a", 1), of("b", 2), of("c", 3)];
    let changes = OverlayChanges { add: vec![of("b", 9), of("d", 4)], remove: vec![name("a")] };
    assert_eq!(changes.apply(&carried).unwrap(), [of("b", 9), of("c", 3), of("d", 4)]);
    let missing = OverlayChanges { remove: vec![name("x")], ..OverlayChanges::default() };
    assert!(missing.apply(&carried).is_err());
}

#[test]
fn a_lost_or_damaged_record_of_an_overlays_layer_is_made_again_of_its_tar() {
    let machine = Machine::new();
    let repository = machine.target().repository;
    let body = FileBody::Bytes("of the machine ".repeat(100).into_bytes());
    let source = OverlaySource::Files(vec![OverlayFile::at("/etc/motd", body).unwrap()]);
    let overlay = import(&repository, &source).unwrap();
    let expected = listing(&furnished(&repository, &overlay));
    let record = machine.path(&format!("sysroot/composefs/sealstone/layers/{}", overlay.diff_id));
    let whole = fs::read(&record).unwrap();
    for damaged in [None, Some(&b"garbage"[..]), Some(&whole[..whole.len() / 2])] {
        match damaged {
            Some(bytes) => fs::write(&record, bytes).unwrap(),
            None => fs::remove_file(&record).unwrap(),
        }
        assert_eq!(listing(&furnished(&repository, &overlay)), expected);
        assert_eq!(fs::read(&record).unwrap(), whole, "the record is there again");
    }
    // Without the tar it cannot be.
    let stream = machine.path(&format!("sysroot/composefs/streams/oci-layer-{}", overlay.diff_id));
    fs::remove_file(stream).unwrap();
    let image = image();
    let error =
        furnish(&repository, carve(&image).unwrap(), std::slice::from_ref(&overlay), &ImageTrees::default())
            .err()
            .unwrap();
    assert!(error.to_string().contains("of the overlay test"), "{error}");
}
