//! Device nodes, pipes, extended attributes.

use sealstone_import::tar::{Device, Kind, Reason, Warning};

use crate::kit::{Header, Tar, build, read, refusal, tree, warnings};

fn xattrs(records: &[(&str, &[u8])]) -> Vec<(String, Vec<u8>)> {
    let seen = read(&Tar::new().pax(records).file("a", b"").end());
    let xattrs = seen[0].entry.xattrs();
    xattrs.iter().map(|(name, value)| (crate::kit::text(name), value.to_vec())).collect()
}

#[test]
fn devices_and_pipes_are_kept() {
    let tar = Tar::new()
        .entry(Header::new(b'3', "char").device(1, 3), b"")
        .entry(Header::new(b'4', "block").device(259, 0x1_2345), b"")
        .entry(Header::new(b'6', "pipe"), b"")
        .end();
    assert_eq!(read(&tar)[0].entry.kind(), Kind::CharDevice(Device::new(1, 3).unwrap()));
    assert_eq!(tree(&tar), ["block block 0x12310345", "char char 0x103", "pipe fifo"]);
}

#[test]
fn device_numbers_that_linux_cannot_have_are_refused() {
    let device = |major, minor| Tar::new().entry(Header::new(b'3', "a").device(major, minor), b"").end();
    assert_eq!(
        read(&device(0xfff, 0xf_ffff))[0].entry.kind(),
        Kind::CharDevice(Device::new(0xfff, 0xf_ffff).unwrap())
    );
    assert_eq!(refusal(&device(0x1000, 0)), Reason::Number("device number"));
    assert_eq!(refusal(&device(0, 0x10_0000)), Reason::Number("device number"));
    let negative = Header::new(b'4', "a").field(329..337, &[0xff; 8]);
    assert_eq!(refusal(&Tar::new().entry(negative, b"").end()), Reason::Number("device number"));
}

#[test]
fn device_numbers_survive_linuxs_encoding() {
    for (major, minor) in [(0, 0), (1, 3), (0xfff, 0xf_ffff), (8, 0x100), (259, 0x1_2345)] {
        let device = Device::new(major, minor).unwrap();
        assert_eq!(Device::from_number(device.number()), device);
    }
}

#[test]
fn a_character_device_0_0_stays_a_device() {
    // To overlayfs it is a whiteout: the EROFS writer escapes it, and no layer can hide anything with it.
    assert_eq!(tree(&Tar::new().entry(Header::new(b'3', "a").device(0, 0), b"").end()), ["a char 0x0"]);
}

#[test]
fn attributes_are_kept_as_they_are_and_sorted() {
    let found = xattrs(&[
        ("SCHILY.xattr.user.b", b"\0bin\n=\xff"),
        ("SCHILY.xattr.user.a", b""),
        ("SCHILY.xattr.user.c", b"1"),
    ]);
    let expected: [(String, Vec<u8>); 3] = [
        ("user.a".into(), vec![]),
        ("user.b".into(), b"\0bin\n=\xff".to_vec()),
        ("user.c".into(), b"1".to_vec()),
    ];
    assert_eq!(found, expected);
}

#[test]
fn an_attributes_key_ends_at_the_first_equals_sign() {
    assert_eq!(xattrs(&[("SCHILY.xattr.user.a", b"b=c")]), [("user.a".to_owned(), b"b=c".to_vec())]);
}

#[test]
fn attributes_belong_to_one_entry() {
    let tar = Tar::new().pax(&[("SCHILY.xattr.user.a", b"1")]).file("a", b"").file("b", b"").end();
    let seen = read(&tar);
    assert_eq!((seen[0].entry.xattrs().len(), seen[1].entry.xattrs().is_empty()), (1, true));
}

#[test]
fn libarchives_attributes_are_decoded_unless_there_is_a_twin() {
    let found = xattrs(&[
        ("LIBARCHIVE.xattr.user.a%3Db", b"Zm9v"),
        ("LIBARCHIVE.xattr.user.c", b"b2xk"),
        ("SCHILY.xattr.user.c", b"new"),
    ]);
    assert_eq!(found, [("user.a=b".to_owned(), b"foo".to_vec()), ("user.c".to_owned(), b"new".to_vec())]);
    let tar = Tar::new().pax(&[("LIBARCHIVE.xattr.user.a", b"!")]).file("a", b"").end();
    assert!(matches!(refusal(&tar), Reason::ExtendedHeader(_)));
}

#[test]
fn attributes_that_act_on_overlayfs_are_kept_for_the_image_to_escape() {
    let records: &[(&str, &[u8])] = &[
        ("SCHILY.xattr.security.selinux", b"label"),
        ("SCHILY.xattr.trusted.overlay.opaque", b"y"),
        ("SCHILY.xattr.user.overlay.opaque", b"y"),
    ];
    assert_eq!(xattrs(records).len(), 3);
    let (tree, _) =
        build(&Tar::new().pax(records).dir("d").end(), sealstone_import::tar::Strictness::Normal).unwrap();
    let directory = tree.root().children().next().unwrap();
    assert!(!directory.is_opaque(), "an attribute is no whiteout");
    assert_eq!(directory.inode().unwrap().xattrs().count(), 3);
}

#[test]
fn acl_and_label_records_of_other_tars_are_told_and_not_kept() {
    let tar = Tar::new().pax(&[
        ("SCHILY.acl.access", b"user::rwx"),
        ("RHT.security.selinux", b"x"),
        ("SCHILY.fflags", b"nodump"),
    ]);
    let tar = tar.file("a", b"").end();
    assert!(read(&tar)[0].entry.xattrs().is_empty());
    assert_eq!(warnings(&tar).len(), 3);
    assert!(warnings(&tar).iter().all(|warning| matches!(warning, Warning::IgnoredRecord { .. })));
}

#[test]
fn attributes_are_bounded() {
    let refuse = |records: &[(&str, &[u8])]| refusal(&Tar::new().pax(records).file("a", b"").end());
    let long = format!("SCHILY.xattr.{}", "n".repeat(256));
    assert!(matches!(refuse(&[(&long, b"")]), Reason::TooBig { limit: 255, .. }));
    assert!(matches!(
        refuse(&[("SCHILY.xattr.user.a", &vec![1; 65537])]),
        Reason::TooBig { limit: 65536, .. }
    ));
    let half = vec![1; 40_000];
    let two: &[(&str, &[u8])] = &[("SCHILY.xattr.user.a", &half), ("SCHILY.xattr.user.b", &half)];
    assert!(matches!(refuse(two), Reason::TooBig { limit: 65536, .. }));
    assert!(matches!(refuse(&[("SCHILY.xattr.", b"x")]), Reason::Name { .. }));
    let longest = format!("SCHILY.xattr.{}", "n".repeat(255));
    assert_eq!(xattrs(&[(&longest, b"x")]).len(), 1);
}
