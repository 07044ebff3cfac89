//! Archives of layouts: tars that are read in place, by offset.

use std::fs;

use super::attack::{Attack, Expect::Refused, Expect::Tree, archive};
use super::layout::{GOOD_TREE, Layout, good_tar};
use crate::kit::layout::digest;
use crate::kit::{RawHeader, RawTar};

/// The files of a layout, in the order of their names; with another name, or none.
fn pack(layout: &Layout, rename: impl Fn(&str) -> Option<String>) -> RawTar {
    let blobs = fs::read_dir(layout.folder.join("blobs/sha256")).expect("blobs");
    let mut names: Vec<String> =
        blobs.map(|blob| format!("blobs/sha256/{}", blob.expect("a blob").file_name().display())).collect();
    names.extend(["index.json", "oci-layout"].map(str::to_owned));
    names.sort();
    names.iter().fold(RawTar::new(), |tar, name| match rename(name) {
        Some(new) => tar.file(new, &fs::read(layout.folder.join(name)).expect("a file")),
        None => tar,
    })
}

#[expect(clippy::unnecessary_wraps, reason = "others leave files out")]
fn all(name: &str) -> Option<String> {
    Some(name.to_owned())
}

/// All but this one.
fn without(left_out: String) -> impl Fn(&str) -> Option<String> {
    move |name| (name != left_out).then(|| name.to_owned())
}

fn layer() -> String {
    digest(&good_tar()).replace("sha256:", "blobs/sha256/")
}

fn index(layout: &Layout) -> Vec<u8> {
    fs::read(layout.folder.join("index.json")).expect("an index")
}

pub const ATTACKS: &[Attack] = &[
    archive("an archive that is compressed", Tree(GOOD_TREE), |layout| {
        super::compression::gzip(&pack(layout, all).end())
    }),
    archive("an archive that is empty", Refused("missing"), |_| Vec::new()),
    archive("an archive of zeros", Refused("missing"), |_| vec![0; 1 << 20]),
    archive("an archive of noise", Refused("malformed"), |_| crate::kit::layer::noise(10_000, 7)),
    archive("two indexes in an archive", Refused("malformed"), |layout| {
        pack(layout, all).file("index.json", b"{}").end()
    }),
    archive("two indexes in an archive, one with dots", Refused("malformed"), |layout| {
        pack(layout, all).file("././/index.json", b"{}").end()
    }),
    archive("one blob twice", Refused("malformed"), |layout| pack(layout, all).file(layer(), b"evil").end()),
    archive("an index that climbs", Refused("malformed"), |layout| {
        pack(layout, without("index.json".to_owned())).file("x/../index.json", &index(layout)).end()
    }),
    archive("an index that is a symlink to a file of the host", Refused("missing"), |layout| {
        pack(layout, without("index.json".to_owned())).symlink("index.json", "/etc/passwd").end()
    }),
    archive("a blob that is a hardlink", Tree(GOOD_TREE), |layout| {
        pack(layout, without(layer())).file("elsewhere", &good_tar()).hardlink(layer(), "elsewhere").end()
    }),
    archive("a blob that is sparse", Refused("missing"), |layout| {
        let tar = good_tar();
        let map = format!("0,{}", tar.len());
        let size = (1_u64 << 30).to_string();
        let name = layer();
        let fields =
            [("GNU.sparse.name", name.as_str()), ("GNU.sparse.size", &size), ("GNU.sparse.map", &map)];
        pack(layout, without(layer())).records(&fields).file("x", &tar).end()
    }),
    archive("a blob past the end of the archive", Refused("malformed"), |layout| {
        let header = RawHeader::new(b'0', "").size(1 << 32);
        pack(layout, without(layer())).records(&[("path", layer())]).entry(header, b"short").cut()
    }),
    archive("a blob whose end overflows", Refused("malformed"), |layout| {
        let tar = pack(layout, without(layer()))
            .records(&[("path", layer()), ("size", "9223372036854775807".to_owned())]);
        tar.file("x", b"short").cut()
    }),
    archive("an archive cut in a header", Refused("malformed"), |layout| {
        let mut tar = pack(layout, without("oci-layout".to_owned())).file("oci-layout", b"{}").cut();
        tar.truncate(tar.len() - 700);
        tar
    }),
    archive("65,537 files in an archive", Refused("too-big"), |layout| {
        (0..65_537).fold(pack(layout, all), |tar, number| tar.file(format!("f{number}"), b"")).end()
    }),
    archive("20,000 names of 4,000 bytes in an archive", Tree(GOOD_TREE), |layout| {
        let add = |tar: RawTar, number| {
            let path = format!("{}{number:05}", "n/".repeat(1000));
            tar.records(&[("path", path + &"x".repeat(200))]).file("x", b"")
        };
        (0..20_000).fold(pack(layout, all), add).end()
    }),
    archive("a blob of another layer in the place of one", Refused("digest"), |layout| {
        pack(layout, without(layer())).file(layer(), &vec![0; good_tar().len()]).end()
    }),
    archive("an archive with absolute names", Tree(GOOD_TREE), |layout| {
        pack(layout, |name| Some(format!("/{name}"))).end()
    }),
    archive("an archive with files of the host among its own", Tree(GOOD_TREE), |layout| {
        pack(layout, all).symlink("root", "/").file("/etc/passwd", b"root::0:0::/:/bin/sh\n").end()
    }),
];
