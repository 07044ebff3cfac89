//! The same tars through the crates `tar` and `tar-core`: independent readers must see the same entries.
//!
//! Where they differ from us on purpose, the hand-made tests say why; what is generated here is what honest builders
//! write: no duplicate extended headers, no sizes on entries without a body, no negative times, one end.

use proptest::prelude::*;

use crate::kit::{Header, Seen, Tar, read};
use sealstone_import::tar::Kind;

#[derive(Clone, Debug)]
struct Honest {
    path: Vec<String>,
    typeflag: u8,
    body: Vec<u8>,
    target: String,
    mode: u64,
    owner: u32,
    mtime: u32,
    /// Whether names and owner come by PAX, by GNU long names, or in the header.
    style: u8,
    xattr: Option<Vec<u8>>,
}

fn honest() -> impl Strategy<Value = Honest> {
    let name = "[a-z0-9_ .é-]{1,60}".prop_filter("dots", |name| !matches!(name.as_str(), "." | ".."));
    (
        prop::collection::vec(name, 1..5),
        prop::sample::select(vec![b'0', 0, b'7', b'1', b'2', b'5', b'6']),
        prop::collection::vec(any::<u8>(), 0..1500),
        "[a-z/.]{1,150}[a-z]",
        (0..0o10_000_u64, 0..0x1f_ffff_u32, any::<u32>(), 0..3_u8),
        // The crate `tar` ends a record at the first newline, not where its length says.
        prop::option::of(prop::collection::vec(11..=255_u8, 1..100)),
    )
        .prop_map(|(path, typeflag, body, target, (mode, owner, mtime, style), xattr)| Honest {
            path,
            typeflag,
            body: if matches!(typeflag, b'0' | 0 | b'7') { body } else { Vec::new() },
            target: target
                .split('/')
                .filter(|part| !matches!(*part, "" | "." | ".."))
                .collect::<Vec<_>>()
                .join("/"),
            mode,
            owner,
            mtime,
            style,
            xattr,
        })
        .prop_filter("a target", |entry| !entry.target.is_empty())
}

fn write(tar: Tar, entry: &Honest) -> Tar {
    let path = entry.path.join("/");
    let size = entry.body.len() as u64;
    let header = |name: &str, target: &str| {
        let target = if matches!(entry.typeflag, b'1' | b'2') { target } else { "" };
        let header = Header::new(entry.typeflag, name).link(target).size(size).mode(entry.mode);
        header.mtime(u64::from(entry.mtime)).octal(108..116, u64::from(entry.owner)).octal(116..124, 5)
    };
    let fits = path.len() <= 100 && entry.target.len() <= 100;
    match entry.style {
        0 if fits && entry.xattr.is_none() => tar.entry(header(&path, &entry.target), &entry.body),
        1 if entry.xattr.is_none() => {
            let tar = tar.extended(b'L', format!("{path}\0").as_bytes());
            let tar = if matches!(entry.typeflag, b'1' | b'2') {
                tar.extended(b'K', format!("{}\0", entry.target).as_bytes())
            } else {
                tar
            };
            tar.entry(header("truncated", "truncated"), &entry.body)
        }
        _ => {
            let owner = entry.owner.to_string();
            let size = size.to_string();
            let mut records: Vec<(&str, &[u8])> =
                vec![("path", path.as_bytes()), ("uid", owner.as_bytes()), ("size", size.as_bytes())];
            if matches!(entry.typeflag, b'1' | b'2') {
                records.push(("linkpath", entry.target.as_bytes()));
            }
            if let Some(value) = &entry.xattr {
                records.push(("SCHILY.xattr.user.test", value));
            }
            tar.pax(&records).entry(header("short", "short"), &entry.body)
        }
    }
}

/// What is compared: path, kind, target, mode, owner, time, body.
type Row = (Vec<u8>, u8, Vec<u8>, u32, u64, u64, Vec<u8>);

fn ours(seen: &Seen) -> Row {
    let (entry, metadata) = (&seen.entry, seen.entry.metadata());
    let kind = match entry.kind() {
        Kind::File => b'0',
        Kind::Hardlink => b'1',
        Kind::Symlink => b'2',
        Kind::Directory => b'5',
        Kind::Fifo => b'6',
        other => panic!("{other:?}"),
    };
    let mtime = u64::try_from(metadata.mtime.sec).unwrap();
    let target = entry.link_target().to_vec();
    (entry.path().to_vec(), kind, target, metadata.mode.into(), metadata.uid.into(), mtime, seen.body.clone())
}

/// Types that both crates tell apart, and we do not.
fn plain(typeflag: u8) -> u8 {
    if matches!(typeflag, 0 | b'7') { b'0' } else { typeflag }
}

fn crate_tar(bytes: &[u8]) -> Vec<Row> {
    let mut archive = tar::Archive::new(bytes);
    let mut rows = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut body = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut body).unwrap();
        let header = entry.header();
        let mut uid = header.uid().unwrap();
        let (path, target) =
            (entry.path_bytes().into_owned(), entry.link_name_bytes().unwrap_or_default().into_owned());
        let (kind, mode, mtime) =
            (header.entry_type().as_byte(), header.mode().unwrap(), header.mtime().unwrap());
        // The crate gives the header's owner; records have to be asked for.
        for record in entry.pax_extensions().unwrap().into_iter().flatten() {
            let record = record.unwrap();
            if record.key_bytes() == b"uid" {
                uid = record.value().unwrap().parse().unwrap();
            }
        }
        rows.push((path, plain(kind), target, mode, uid, mtime, body));
    }
    rows
}

fn crate_tar_core(bytes: &[u8]) -> Vec<Row> {
    use tar_core::parse::{ParseEvent, Parser};
    let mut parser = Parser::with_defaults();
    let (mut rest, mut rows) = (bytes, Vec::new());
    loop {
        match parser.parse(rest).unwrap() {
            ParseEvent::Entry { consumed, entry } => {
                let size = usize::try_from(entry.size).unwrap();
                let body = &rest[consumed..consumed + size];
                let target = entry.link_target.as_deref().unwrap_or_default().to_vec();
                let kind = plain(entry.entry_type.as_byte());
                rows.push((
                    entry.path.to_vec(),
                    kind,
                    target,
                    entry.mode,
                    entry.uid,
                    entry.mtime,
                    body.to_vec(),
                ));
                rest = &rest[consumed + size.next_multiple_of(512)..];
            }
            ParseEvent::End { .. } => return rows,
            other => panic!("{other:?}"),
        }
    }
}

proptest! {
    #[test]
    fn three_readers_see_the_same_entries(entries in prop::collection::vec(honest(), 0..12)) {
        let bytes = entries.iter().fold(Tar::new(), write).end();
        let seen = read(&bytes);
        let rows: Vec<Row> = seen.iter().map(ours).collect();
        prop_assert_eq!(&rows, &crate_tar(&bytes));
        prop_assert_eq!(&rows, &crate_tar_core(&bytes));
        for (entry, seen) in entries.iter().zip(&seen) {
            prop_assert_eq!(seen.entry.xattrs().get(b"user.test"), entry.xattr.as_deref());
        }
    }

    #[test]
    fn what_the_crate_tar_writes_is_read_back(
        files in prop::collection::vec(("[a-z/]{1,200}[a-z]", prop::collection::vec(any::<u8>(), 0..600)), 0..8),
    ) {
        let mut builder = tar::Builder::new(Vec::new());
        let files: Vec<_> = files.into_iter().map(|(path, body)| (path.replace("//", "/"), body)).collect();
        for (path, body) in &files {
            let mut header = tar::Header::new_gnu();
            header.set_size(body.len() as u64);
            header.set_mode(0o600);
            builder.append_data(&mut header, path.trim_start_matches('/'), &body[..]).unwrap();
        }
        let bytes = builder.into_inner().unwrap();
        let seen: Vec<_> = read(&bytes).into_iter().map(|seen| (crate::kit::text(seen.entry.path()), seen.body)).collect();
        let parts = |path: &str| path.split('/').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
        let expected: Vec<_> = files.iter().map(|(path, body)| (parts(path), body.clone())).collect();
        prop_assert_eq!(seen, expected);
    }
}
