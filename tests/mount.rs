//! `mount` and `umount`: an imported image through the kernel has what it has through `cat`, and whatever stands in the way
//! is an error of its own. Needs root and a kernel with overlayfs' data-only layers; each test says so when it skips.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test, with ordinary files"
)]

mod kit;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use kit::{Image, Layer, Outcome, Sandbox};

/// The user `nobody` of every Linux system.
const NOBODY: u32 = 65_534;

/// A repository with the image `example`, and the folder `mnt`; unmounted when dropped.
struct Fixture {
    sandbox: Sandbox,
}

impl Fixture {
    fn new() -> Self {
        let odd = Layer::new()
            .file_with_mode("usr/bin/tool", 0o4755, &kit::layer::noise(300_000, 9))
            .hardlink("usr/bin/alias", "usr/bin/tool")
            .symlink("etc/link", "../usr/bin/tool")
            .file("etc/empty", b"")
            .whiteout("etc/hostname");
        let image = Image::bootable("6.1.0").layer(odd);
        let sandbox = Sandbox::with_image(&image);
        fs::create_dir(sandbox.path("mnt")).unwrap();
        Self { sandbox }
    }

    /// One with an image that can be mounted here, or nothing, which is said.
    fn mountable(test: &str) -> Option<Self> {
        if !kit::is_root() {
            kit::skip(test, "mounting needs root");
            return None;
        }
        let fixture = Self::new();
        let doctor = fixture.sandbox.store(["doctor", "--json"]).json();
        for finding in doctor["findings"].as_array().unwrap() {
            let is_needed =
                ["mount-api", "erofs", "overlay-data-only"].iter().any(|what| finding["what"] == *what);
            if is_needed && finding["ability"] != "yes" {
                kit::skip(test, &finding.to_string());
                return None;
            }
        }
        Some(fixture)
    }

    fn store(&self, args: &[&str]) -> Outcome {
        self.sandbox.store(args)
    }

    /// Whether something is mounted on `mnt`, by what the kernel lists.
    fn is_mounted(&self) -> bool {
        let target = fs::canonicalize(self.sandbox.path("mnt")).unwrap().display().to_string();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        mounts.lines().any(|line| line.split(' ').nth(4) == Some(&target))
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        if self.is_mounted() {
            self.store(&["umount", "mnt"]);
        }
    }
}

/// Compares a mounted folder with what the command says of it, file by file; gives how many there were.
fn compare(fixture: &Fixture, files: &[serde_json::Value], mount: &Path) -> usize {
    for file in files {
        let path = file["path"].as_str().unwrap();
        let place = mount.join(path.trim_start_matches('/'));
        let metadata = fs::symlink_metadata(&place).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(format!("{:04o}", metadata.mode() & 0o7777), file["mode"].as_str().unwrap(), "{path}");
        assert_eq!((metadata.uid(), metadata.gid()), (0, 0), "{path}");
        assert_eq!(metadata.mtime(), file["mtime"]["sec"].as_i64().unwrap(), "{path}");
        match file["type"].as_str().unwrap() {
            "directory" => assert!(metadata.is_dir(), "{path}"),
            "symlink" => {
                assert_eq!(
                    fs::read_link(&place).unwrap(),
                    Path::new(file["target"].as_str().unwrap()),
                    "{path}"
                );
            }
            "file" => {
                let cat = fixture.sandbox.command(["cat", "example", path]).output().unwrap();
                assert!(cat.status.success(), "{path}");
                assert!(fs::read(&place).unwrap() == cat.stdout, "{path} differs");
            }
            other => panic!("{path} is a {other}"),
        }
    }
    files.len()
}

#[test]
fn a_mounted_image_has_the_files_that_cat_and_ls_have_and_no_others() {
    let test = "a_mounted_image_has_the_files_that_cat_and_ls_have_and_no_others";
    let Some(fixture) = Fixture::mountable(test) else { return };
    let mount = fixture.sandbox.path("mnt");
    let said = fixture.store(&["mount", "example", "mnt"]).succeeds();
    assert_eq!(said, "example is mounted on mnt\n");
    let listed = fixture.store(&["ls", "-R", "--json", "example"]).json();
    let count = compare(&fixture, listed["files"].as_array().unwrap(), &mount);
    let found = Command::new("find").arg(&mount).output().unwrap();
    assert_eq!(String::from_utf8(found.stdout).unwrap().lines().count(), count);
    let write = fs::write(mount.join("new"), "x").unwrap_err();
    assert_eq!(write.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    assert_eq!(fixture.store(&["umount", "mnt"]).succeeds(), "");
    assert!(!fixture.is_mounted());
    assert_eq!(fs::read_dir(&mount).unwrap().count(), 0);
}

#[test]
fn a_mount_in_use_is_busy_and_stays() {
    let Some(fixture) = Fixture::mountable("a_mount_in_use_is_busy_and_stays") else { return };
    fixture.store(&["mount", "example", "mnt"]).succeeds();
    let held = fs::File::open(fixture.sandbox.path("mnt/usr/bin/tool")).unwrap();
    let stderr = fixture.store(&["umount", "mnt"]).fails(6);
    assert!(stderr.contains("in use"), "{stderr}");
    assert!(fixture.is_mounted());
    drop(held);
    fixture.store(&["umount", "mnt"]).succeeds();
}

#[test]
fn what_stands_in_the_way_of_a_mount_is_named() {
    // None of these gets as far as asking the kernel: they hold without root as well.
    let fixture = Fixture::new();
    fs::write(fixture.sandbox.path("file"), "").unwrap();
    for (args, code, reason) in [
        (["mount", "example", "absent"], 5, "absent: No such file"),
        (["mount", "example", "file"], 1, "file: Not a directory"),
        (["mount", "other", "mnt"], 5, "no image \"other\""),
    ] {
        let stderr = fixture.store(&args).fails(code);
        assert!(stderr.contains(reason), "{args:?}: {stderr}");
        assert!(!fixture.is_mounted(), "{args:?}");
    }
}

#[test]
fn what_is_no_mount_of_an_image_is_never_unmounted() {
    let Some(fixture) = Fixture::mountable("what_is_no_mount_of_an_image_is_never_unmounted") else { return };
    let other = fixture.sandbox.path("other");
    fs::create_dir(&other).unwrap();
    let tmpfs =
        |args: &[&str]| Command::new(args[0]).args(&args[1..]).arg(&other).status().unwrap().success();
    assert!(tmpfs(&["mount", "-t", "tmpfs", "none"]));
    let refused = fixture.store(&["umount", "other"]);
    assert!(tmpfs(&["umount"]), "it was still there");
    assert_eq!(refused.code, 5, "{refused:?}");
    for target in ["mnt", "absent", "/", "/proc"] {
        let stderr = fixture.store(&["umount", target]).fails(5);
        assert!(stderr.contains(&format!("there is no mount of an image on {target}")), "{stderr}");
    }
    fixture.store(&["mount", "example", "mnt"]).succeeds();
    fixture.store(&["umount", "mnt/usr"]).fails(5);
    assert!(fixture.is_mounted(), "a folder inside is not the mount");
}

#[test]
fn a_damaged_image_is_not_mounted() {
    let Some(fixture) = Fixture::mountable("a_damaged_image_is_not_mounted") else { return };
    let images = fixture.store(&["images", "--json"]).json();
    let id = images["images"][0]["image"].as_str().unwrap().to_owned();
    let object = fixture.sandbox.repository().join("objects").join(&id[..2]).join(&id[2..]);
    let mut bytes = fs::read(&object).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::set_permissions(&object, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&object, bytes).unwrap();
    let stderr = fixture.store(&["mount", "example", "mnt"]).fails(1);
    assert!(stderr.contains(&id), "{stderr}");
    assert!(!fixture.is_mounted());
}

#[test]
fn without_root_the_answer_is_that_it_needs_root() {
    let fixture = Fixture::new();
    if !kit::is_root() {
        let stderr = fixture.store(&["mount", "example", "mnt"]).fails(1);
        assert!(stderr.contains("this needs root"), "{stderr}");
        return;
    }
    // As nobody, who may read all of it: the command in a place that it can be run from.
    let open = Command::new("chmod").args(["-R", "a+rX"]).arg(fixture.sandbox.path(".")).status().unwrap();
    assert!(open.success());
    let program = fixture.sandbox.path("store");
    fs::copy(env!("CARGO_BIN_EXE_store"), &program).unwrap();
    let as_nobody = |args: &[&str]| {
        let mut command = Command::new(&program);
        command.args(args).current_dir(fixture.sandbox.path(".")).stdin(Stdio::null()).env_clear();
        command.env("SEALSTONE_REPO", fixture.sandbox.repository()).uid(NOBODY).gid(NOBODY);
        let stderr = Outcome::of(&mut command).fails(1);
        assert!(stderr.contains("this needs root"), "{args:?}: {stderr}");
    };
    as_nobody(&["mount", "example", "mnt"]);
    assert!(!fixture.is_mounted());
    if fixture.store(&["mount", "example", "mnt"]).code == 0 {
        as_nobody(&["umount", "mnt"]);
        assert!(fixture.is_mounted());
    }
}
