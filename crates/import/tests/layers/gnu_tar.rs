//! What GNU tar and bsdtar write, read back: the programs that honest sparse files and attributes come from.

use std::path::Path;
use std::process::Command;

use sealstone_import::tar::{Kind, Piece};

use crate::kit::{Seen, read};

/// Runs a program and gives what it prints; `None`, and a line that says so, where it is not installed.
fn output(program: &str, arguments: &[&str], directory: &Path) -> Option<Vec<u8>> {
    match Command::new(program).args(arguments).current_dir(directory).output() {
        Ok(output) if output.status.success() => Some(output.stdout),
        Ok(output) => panic!("{program}: {}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => {
            println!("skipped: {program} cannot be run ({error})");
            None
        }
    }
}

/// A file of 3 MiB with 40 islands of data, the rest holes.
fn make_sparse_file(path: &Path) -> Vec<u8> {
    use std::io::{Seek, SeekFrom, Write};
    let mut expected = vec![0; 3 << 20];
    let mut file = std::fs::File::create(path).unwrap();
    for index in 0..40_usize {
        let at = index * 70_000;
        let data = vec![u8::try_from(index).unwrap() + 1; 4096];
        expected[at..at + 4096].copy_from_slice(&data);
        file.seek(SeekFrom::Start(at as u64)).unwrap();
        file.write_all(&data).unwrap();
    }
    file.set_len(3 << 20).unwrap();
    expected
}

fn expand(seen: &Seen) -> Vec<u8> {
    let Some(map) = seen.entry.sparse() else { return seen.body.clone() };
    let (mut out, mut packed) = (Vec::new(), &seen.body[..]);
    for piece in map.pieces() {
        match piece {
            Piece::Zeros(len) => out.resize(out.len() + usize::try_from(len).unwrap(), 0),
            Piece::Data(len) => {
                let (data, rest) = packed.split_at(usize::try_from(len).unwrap());
                out.extend_from_slice(data);
                packed = rest;
            }
        }
    }
    out
}

#[test]
fn sparse_files_of_gnu_tar_expand_to_what_they_were() {
    let directory = tempfile::tempdir().unwrap();
    let expected = make_sparse_file(&directory.path().join("sparse"));
    for format in [
        &["--format=gnu"][..],
        &["--format=posix", "--sparse-version=0.0"],
        &["--format=posix", "--sparse-version=0.1"],
        &["--format=posix", "--sparse-version=1.0"],
    ] {
        let arguments = [&["--create", "--sparse", "--hole-detection=raw"], format, &["sparse"]].concat();
        let Some(tar) = output("tar", &arguments, directory.path()) else { return };
        let seen = read(&tar);
        assert!(seen[0].entry.sparse().is_some(), "{format:?}");
        assert_eq!((seen.len(), seen[0].entry.path(), seen[0].entry.size()), (1, &b"sparse"[..], 3 << 20));
        assert!(expand(&seen[0]) == expected, "{format:?}");
    }
}

#[test]
fn every_format_of_gnu_tar_gives_the_same_entries() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let deep = root.join("d".repeat(90)).join("e".repeat(90));
    std::fs::create_dir_all(&deep).unwrap();
    // The first in the tar, so that the long name is the link and the short one its target: ustar has no more room.
    std::fs::write(root.join("a"), b"body").unwrap();
    std::fs::hard_link(root.join("a"), deep.join("file")).unwrap();
    std::os::unix::fs::symlink("t".repeat(90), root.join("symlink")).unwrap();
    let read_as = |format: &str| {
        let arguments = ["--create", "--sort=name", "--mtime=@1700000000.5", format, "."];
        let tar = output("tar", &arguments, root)?;
        let rows = read(&tar).into_iter().map(|seen| {
            let (path, target) = (seen.entry.path().to_vec(), seen.entry.link_target().to_vec());
            (path, seen.entry.kind(), target, seen.entry.metadata().mode, seen.body)
        });
        Some(rows.collect::<Vec<_>>())
    };
    let (Some(gnu), Some(ustar), Some(pax)) =
        (read_as("--format=gnu"), read_as("--format=ustar"), read_as("--format=posix"))
    else {
        return;
    };
    assert_eq!(gnu, ustar);
    assert_eq!(gnu, pax);
    assert!(gnu.iter().any(|row| row.1 == Kind::Hardlink));
}

#[test]
fn attributes_of_bsdtar_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, b"").unwrap();
    let set = Command::new("setfattr").args(["-n", "user.test", "-v", "value"]).arg(&file).status();
    if !set.is_ok_and(|status| status.success()) {
        println!("skipped: setfattr cannot be run, or the file system has no user attributes");
        return;
    }
    let Some(tar) = output("bsdtar", &["-c", "-f", "-", "--format=pax", "file"], directory.path()) else {
        return;
    };
    assert_eq!(read(&tar)[0].entry.xattrs().get(b"user.test"), Some(&b"value"[..]));
}
