//! What a kernel with fs-verity holds us to: its digests are ours, and what is sealed cannot be changed unseen.
//!
//! Runs in the guest of `make test-vm` (which sets `SEALSTONE_VM`, so that nothing is skipped there), and anywhere else
//! where the temporary folder is on a file system with fs-verity.
#![allow(clippy::disallowed_methods, reason = "the files under test are ordinary files")]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test"
)]

mod kit;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use kit::{Image, Sandbox};
use sealstone::store::disk::{Dir, RealDisk};
use sealstone::store::{Ability, Algorithm, BLOCK_SIZE, Finding, ObjectId, doctor, verity};

/// What reading through a mount says of bytes that are not those of their digest.
const EIO: i32 = 5;

const BOTH: [Algorithm; 2] = [Algorithm::Sha256, Algorithm::Sha512];

/// A folder on a file system with fs-verity, or `None` with a word about it. In the guest there has to be one.
fn folder_with_verity(test: &str) -> Option<tempfile::TempDir> {
    let folder = tempfile::tempdir().unwrap();
    let probe = folder.path().join("probe");
    fs::write(&probe, b"probe").unwrap();
    match verity::enable(File::open(&probe).unwrap(), Algorithm::Sha256) {
        Ok(()) => Some(folder),
        Err(why) if std::env::var_os("SEALSTONE_VM").is_some() => panic!("the guest has no fs-verity: {why}"),
        Err(why) => {
            kit::skip(test, &why.to_string());
            None
        }
    }
}

/// Bytes without a pattern that a mistake in the tree could hide behind.
fn bytes(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    });
    words.flat_map(u64::to_le_bytes).take(size).collect()
}

#[test]
fn the_kernel_measures_the_digest_that_we_compute() {
    let Some(folder) = folder_with_verity("the_kernel_measures_the_digest_that_we_compute") else { return };
    let mut compared = 0;
    for algorithm in BOTH {
        let fan_out = BLOCK_SIZE / algorithm.digest_len();
        let edges = [64, 128, 256, BLOCK_SIZE, 2 * BLOCK_SIZE, 16 * BLOCK_SIZE, fan_out * BLOCK_SIZE];
        let around = edges.into_iter().flat_map(|edge| [edge - 1, edge, edge + 1]);
        // From here on the tree has three levels.
        let three_levels = fan_out * fan_out * BLOCK_SIZE + 1;
        // And many of no particular size, small ones mostly.
        let random = bytes(1_000)
            .chunks_exact(2)
            .map(|pair| usize::from(pair[0]) * usize::from(pair[1]))
            .collect::<Vec<_>>();
        let sizes: Vec<usize> =
            [0, 1].into_iter().chain(around).chain(random).chain([three_levels]).collect();
        let data = bytes(sizes.iter().copied().max().unwrap());
        for size in sizes {
            let path = folder.path().join("file");
            fs::write(&path, &data[..size]).unwrap();
            let file = File::open(&path).unwrap();
            verity::enable(&file, algorithm).unwrap();
            let ours = verity::digest(algorithm, &data[..size]);
            assert_eq!(verity::measure(&file), Ok(ours), "{algorithm}, {size} bytes");
            fs::remove_file(&path).unwrap();
            compared += 1;
        }
    }
    println!("{compared} files measured by the kernel");
}

#[test]
fn a_sealed_file_is_sealed_once_and_refuses_writers() {
    let Some(folder) = folder_with_verity("a_sealed_file_is_sealed_once_and_refuses_writers") else { return };
    let path = folder.path().join("file");
    fs::write(&path, b"body").unwrap();
    let file = File::open(&path).unwrap();
    assert_eq!(verity::measure(&file), Err(verity::VerityError::NotSealed));
    let writer = File::options().write(true).open(&path).unwrap();
    assert_eq!(verity::enable(&file, Algorithm::Sha256), Err(verity::VerityError::OpenForWriting));
    drop(writer);
    assert_eq!(verity::enable(&file, Algorithm::Sha256), Ok(()));
    assert_eq!(verity::enable(&file, Algorithm::Sha256), Err(verity::VerityError::AlreadySealed));
    assert!(File::options().write(true).open(&path).is_err());
}

/// A repository whose objects the kernel guards, with one image in it, `example`.
fn sealed_repository(algorithm: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.store(["init", "--algorithm", algorithm, "--verity", "required"]).succeeds();
    sandbox.import("layout", &Image::bootable("6.1.0"), "example").succeeds();
    sandbox
}

/// Every object of a repository, with the id that its name says.
fn objects(repository: &Path) -> Vec<(PathBuf, ObjectId)> {
    let folders = fs::read_dir(repository.join("objects")).unwrap().map(|entry| entry.unwrap().path());
    let files = folders.flat_map(|folder| fs::read_dir(folder).unwrap()).map(|entry| entry.unwrap().path());
    files
        .map(|path| {
            let digits = path.iter().rev().take(2).map(|part| part.to_str().unwrap()).collect::<Vec<_>>();
            let id = format!("{}{}", digits[1], digits[0]).parse().unwrap();
            (path, id)
        })
        .collect()
}

#[test]
fn an_import_seals_every_object_with_the_digest_that_names_it() {
    let Some(_) = folder_with_verity("an_import_seals_every_object_with_the_digest_that_names_it") else {
        return;
    };
    for algorithm in ["sha256", "sha512"] {
        let sandbox = sealed_repository(algorithm);
        let objects = objects(&sandbox.repository());
        assert!(objects.len() > 8, "{objects:?}");
        for (path, id) in objects {
            assert_eq!(verity::measure(File::open(&path).unwrap()), Ok(id));
            assert!(
                File::options().write(true).open(&path).is_err(),
                "nobody can write to {}",
                path.display()
            );
        }
        let meta = File::open(sandbox.repository().join("meta.json")).unwrap();
        assert!(verity::measure(&meta).is_ok(), "by which composefs knows that the repository is sealed");
        sandbox.store(["ls", "example", "/usr/bin"]).succeeds();
        assert!(fs::read_dir(sandbox.repository().join("sealstone/tmp")).unwrap().next().is_none());
    }
}

#[test]
fn a_mounted_image_reads_back_and_a_changed_object_is_an_error_not_other_bytes() {
    let test = "a_mounted_image_reads_back_and_a_changed_object_is_an_error_not_other_bytes";
    let Some(_) = folder_with_verity(test) else { return };
    if !kit::is_root() {
        return kit::skip(test, "mounting needs root");
    }
    let sandbox = sealed_repository("sha256");
    let hello = kit::layer::noise(9_000, 3);
    let mount = sandbox.path("mnt");
    fs::create_dir(&mount).unwrap();
    let target = mount.to_str().unwrap();
    let read = || {
        sandbox.store(["mount", "example", target]).succeeds();
        let result = fs::read(mount.join("usr/bin/hello"));
        let small = fs::read(mount.join("etc/hostname")).unwrap();
        sandbox.store(["umount", target]).succeeds();
        assert_eq!(small, b"example\n", "what is in the image itself");
        result.map_err(|error| error.raw_os_error())
    };
    assert_eq!(read().as_deref(), Ok(hello.as_slice()));

    let object =
        sandbox.repository().join("objects").join(verity::digest(Algorithm::Sha256, &hello).object_path());
    // The right bytes, but nobody guards them.
    fs::remove_file(&object).unwrap();
    fs::write(&object, &hello).unwrap();
    assert_eq!(read(), Err(Some(EIO)));
    assert_eq!(sandbox.store(["cat", "example", "/usr/bin/hello"]).stdout, "");
    // Other bytes of the same size, guarded.
    fs::remove_file(&object).unwrap();
    fs::write(&object, kit::layer::noise(9_000, 4)).unwrap();
    verity::enable(File::open(&object).unwrap(), Algorithm::Sha256).unwrap();
    assert_eq!(read(), Err(Some(EIO)));
    assert_eq!(sandbox.store(["cat", "example", "/usr/bin/hello"]).stdout, "");

    // A repair finds it, and seals the copy that it takes from elsewhere.
    sandbox.store(["fsck"]).fails(1);
    let other = Sandbox::new();
    other.store(["init", "--algorithm", "sha256", "--verity", "computed"]).succeeds();
    other.import("layout", &Image::bootable("6.1.0"), "example").succeeds();
    sandbox.store(["fsck", "--repair", "--from", other.repository().to_str().unwrap()]).succeeds();
    assert_eq!(read().as_deref(), Ok(hello.as_slice()));
    assert!(verity::measure(File::open(&object).unwrap()).is_ok());
    sandbox.store(["fsck"]).succeeds();
}

#[test]
fn the_doctor_finds_what_this_kernel_has() {
    let Some(folder) = folder_with_verity("the_doctor_finds_what_this_kernel_has") else { return };
    let report = doctor(&Dir::open(&RealDisk::shared(), folder.path()).unwrap()).unwrap();
    for algorithm in ["fs-verity-sha256", "fs-verity-sha512"] {
        let finding = report.findings.iter().find(|finding| finding.what == algorithm).unwrap();
        assert_eq!(finding.ability, Ability::Yes, "{finding:?}");
    }
    // The guest's kernel, as root, on ext4, which shares no blocks.
    if std::env::var_os("SEALSTONE_VM").is_some() {
        let lacking = |finding: &&Finding| finding.what != "reflink" && finding.ability != Ability::Yes;
        assert_eq!(report.findings.iter().find(lacking), None);
    }
}
