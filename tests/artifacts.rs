//! OCI artifacts by Ironic's rules, out of a real registry, Debian's `docker-registry`: what counts as one, which is meant,
//! how it is unpacked. What goes wrong on the way is in `tests/artifact_faults.rs`.
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
use std::os::unix::fs::MetadataExt;

use kit::artifact::{INDEX, MANIFEST, TYPE, manifest, push, write_layout};
use kit::http::{push_manifest, sha256};
use kit::registry::{Protection, Registry};
use kit::{Image, Outcome, Sandbox, gzip};
use serde_json::{Value, json};

const PLAIN: &str = "--tls-verify=false";
const OCTETS: &str = "application/octet-stream";

/// A disk of a few megabytes, nearly all zeros.
fn disk(seed: u8) -> Vec<u8> {
    let mut disk = vec![0; 5_000_123];
    for at in [0, 1_048_576, 2_600_001, 5_000_100] {
        disk[at..at + 20].fill(seed);
    }
    disk
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap()
}

struct Place {
    sandbox: Sandbox,
    registry: Registry,
}

impl Place {
    fn new(test: &str) -> Option<Self> {
        let sandbox = Sandbox::new();
        let registry = Registry::start(&sandbox, Protection::default(), test)?;
        Some(Self { sandbox, registry })
    }

    fn reference(&self, name: &str) -> String {
        format!("docker://{}/some/{name}", self.registry.host())
    }

    fn push(&self, tag: &str, files: &[(&[u8], &str, &str)]) -> String {
        push(&self.registry.host(), "some/disk", tag, files)
    }

    /// Fetches into `out`.
    fn fetch(&self, name: &str, more: &[&str]) -> Outcome {
        let reference = self.reference(name);
        self.sandbox.store([&["artifact", "fetch", PLAIN, &reference, "--output", "out"], more].concat())
    }

    fn out(&self) -> Vec<u8> {
        fs::read(self.sandbox.path("out")).unwrap()
    }
}

#[test]
fn a_file_is_unpacked_by_its_media_type_and_has_holes_for_zeros() {
    let Some(place) = Place::new("a_file_is_unpacked_by_its_media_type_and_has_holes_for_zeros") else {
        return;
    };
    let disk = disk(7);
    let (gz, zst) = (gzip(&disk), zstd(&disk));
    place.push("plain", &[(&disk, OCTETS, "disk.raw")]);
    place.push("gzip", &[(&gz, "application/gzip", "disk.raw.gz")]);
    place.push("zstd", &[(&zst, "application/vnd.example.disk+zstd", "disk.raw.zst")]);
    // It is the type that counts, by Ironic's rule: this is a file that happens to be packed.
    place.push("octets", &[(&gz, OCTETS, "disk.raw.gz")]);
    for (tag, read, expected) in
        [("plain", &disk, &disk), ("gzip", &gz, &disk), ("zstd", &zst, &disk), ("octets", &gz, &gz)]
    {
        fs::write(place.sandbox.path("out"), "what was there before").unwrap();
        let done = place.fetch(&format!("disk:{tag}"), &["--json"]).json();
        assert!(place.out() == *expected, "{tag}");
        assert_eq!(done["read_bytes"], read.len());
        assert_eq!(done["file_bytes"], expected.len());
        assert_eq!(done["artifact_type"], TYPE);
        let blocks = fs::metadata(place.sandbox.path("out")).unwrap().blocks();
        assert!(tag == "octets" || blocks * 512 < 200_000, "{tag}: {blocks} blocks");
    }
    place.fetch("disk:gzip", &["--keep-packed"]).succeeds();
    assert!(place.out() == gz);
    let piped = place
        .sandbox
        .command(["artifact", "fetch", PLAIN, &place.reference("disk:zstd"), "--output", "-"])
        .output();
    let piped = piped.unwrap();
    assert!(piped.status.success() && piped.stdout == disk, "{}", String::from_utf8_lossy(&piped.stderr));
    // Nothing but the files, and no litter.
    let left = fs::read_dir(place.sandbox.path(".")).unwrap().flatten().map(|entry| entry.file_name());
    assert!(!left.into_iter().any(|name| name.to_string_lossy().ends_with(".partial")));
}

/// An index as podman's machine-os has: by architecture and disk type. The files tell which they are.
fn push_index(place: &Place) -> (String, Vec<Value>) {
    let mut entries = Vec::new();
    for (number, (architecture, disk_type)) in [
        (Some("x86_64"), Some("hyperv")),
        (Some("x86_64"), None),
        (Some("x86_64"), Some("qemu")),
        (Some("aarch64"), Some("raw")),
        (Some("x86_64"), Some("applehv")),
        (Some("x86_64"), Some("raw")),
        (None, Some("qcow2")),
        (Some("x86_64"), Some("raw")),
    ]
    .into_iter()
    .enumerate()
    {
        let body = format!("{number} {} {}", architecture.unwrap_or("any"), disk_type.unwrap_or("none"));
        let files: &[(&[u8], &str, &str)] = &[(body.as_bytes(), OCTETS, "disk")];
        let digest = place.push("parts", files);
        let mut entry =
            json!({"mediaType": MANIFEST, "digest": digest, "size": manifest(files).to_string().len()});
        if let Some(architecture) = architecture {
            entry["platform"] = json!({"os": "linux", "architecture": architecture});
        }
        if let Some(disk_type) = disk_type {
            entry["annotations"] = json!({"disktype": disk_type});
        }
        entries.push(entry);
    }
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).to_string();
    let digest = push_manifest(&place.registry.host(), "some/disk", "all", INDEX, index.as_bytes());
    (digest, entries)
}

#[test]
fn of_an_index_the_best_disk_type_for_the_architecture_is_taken() {
    let Some(place) = Place::new("of_an_index_the_best_disk_type_for_the_architecture_is_taken") else {
        return;
    };
    let (index, entries) = push_index(&place);
    let fetched = |name: &str, more: &[&str]| {
        place.fetch(name, more).succeeds();
        String::from_utf8(place.out()).unwrap()
    };
    for (more, expected) in [
        // Of equals the first; the other disk types after it.
        (&["--arch", "amd64"][..], "5 x86_64 raw"),
        (&["--arch", "x86_64", "--prefer", "qcow2"], "6 any qcow2"),
        (&["--arch", "x86_64", "--disktype", "applehv"], "4 x86_64 applehv"),
        (&["--arch", "x86_64", "--disktype", "qemu"], "2 x86_64 qemu"),
        (&["--arch", "arm64"], "3 aarch64 raw"),
        (&["--arch", "aarch64", "--prefer", "qcow2"], "6 any qcow2"),
        // What names no architecture fits all.
        (&["--arch", "riscv64"], "6 any qcow2"),
    ] {
        assert_eq!(fetched("disk:all", more), expected, "{more:?}");
    }
    let told = place.fetch("disk:all", &["--arch", "riscv64", "--disktype", "raw"]).fails(5);
    assert!(told.contains("riscv64, raw") && told.contains("any architecture qcow2"), "{told}");
    assert_eq!(
        fetched(&format!("disk@{index}"), &["--arch", "amd64", "--require-digest", &index]),
        "5 x86_64 raw"
    );
    let ironic = format!("oci://{}/some/disk:@{index}", place.registry.host());
    let args = ["artifact", "fetch", PLAIN, "--arch", "aarch64", &ironic, "--output", "out"];
    place.sandbox.store(args).succeeds();
    assert_eq!(place.out(), b"3 aarch64 raw");
    let one = entries[4]["digest"].as_str().unwrap();
    assert_eq!(fetched(&format!("disk@{one}"), &[]), "4 x86_64 applehv");
    place.fetch("disk:all", &["--arch", "amd64", "--require-digest", one]).fails(3);

    let reference = place.reference("disk:all");
    let offers =
        place.sandbox.store(["artifact", "inspect", "--json", PLAIN, "--arch", "arm64", &reference]).json();
    let chosen: Vec<_> = offers["offers"].as_array().unwrap().iter().map(|offer| &offer["chosen"]).collect();
    assert_eq!(chosen.iter().position(|chosen| **chosen == true), Some(3));
    assert_eq!(offers["chosen"]["blob"], sha256(b"3 aarch64 raw"));
}

#[test]
fn what_is_no_artifact_or_has_several_files_is_passed_over_and_told() {
    let Some(place) = Place::new("what_is_no_artifact_or_has_several_files_is_passed_over_and_told") else {
        return;
    };
    Image::bootable("6.1.0").write(&place.sandbox.path("layout"));
    place.registry.push(&place.sandbox, "oci:layout:latest", "some/disk:image", &[]);
    let told = place.fetch("disk:image", &[]).fails(7);
    assert!(told.contains("a container image, not an artifact"), "{told}");
    let two: &[(&[u8], &str, &str)] = &[(b"a", OCTETS, "a"), (b"b", OCTETS, "b")];
    let digest = place.push("two", two);
    let told = place.fetch("disk:two", &[]).fails(7);
    assert!(told.contains("it has 2 files"), "{told}");
    let one: &[(&[u8], &str, &str)] = &[(b"the file", OCTETS, "../../etc/passwd")];
    let good = place.push("one", one);
    let entry = |digest: &str, files| json!({"mediaType": MANIFEST, "digest": digest, "size": manifest(files).to_string().len()});
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry(&digest, two), entry(&good, one)]});
    push_manifest(&place.registry.host(), "some/disk", "mixed", INDEX, index.to_string().as_bytes());
    let done = place.fetch("disk:mixed", &["--json"]).json();
    assert_eq!(place.out(), b"the file");
    // A title is text, and no path.
    assert_eq!(done["title"], "../../etc/passwd");
    place.fetch("disk:none", &[]).fails(5);
    fs::create_dir(place.sandbox.path("folder")).unwrap();
    let reference = place.reference("disk:one");
    let told = place.sandbox.store(["artifact", "fetch", PLAIN, &reference, "--output", "folder"]).fails(7);
    assert!(told.contains("it is a folder"), "{told}");
    place.sandbox.store(["artifact", "fetch", "--json", PLAIN, &reference, "--output", "-"]).fails(2);
}

#[test]
fn an_artifact_in_a_layout_is_one_too() {
    let sandbox = Sandbox::new();
    let disk = disk(3);
    write_layout(&sandbox.path("layout"), &[(&zstd(&disk), "application/zstd", "disk")]);
    sandbox.store(["artifact", "fetch", "oci:layout", "--output", "out"]).succeeds();
    assert!(fs::read(sandbox.path("out")).unwrap() == disk);
    sandbox.store(["artifact", "fetch", "dir:layout", "--output", "out"]).fails(7);
}

#[test]
fn what_is_pushed_under_one_tag_is_chosen_from_by_architecture_and_disk_type() {
    let test = "what_is_pushed_under_one_tag_is_chosen_from_by_architecture_and_disk_type";
    let Some(place) = Place::new(test) else { return };
    let disks = [disk(1), disk(2)];
    fs::write(place.sandbox.path("amd.raw.zst"), zstd(&disks[0])).unwrap();
    fs::write(place.sandbox.path("arm.raw.gz"), gzip(&disks[1])).unwrap();
    fs::write(place.sandbox.path("amd.qcow2"), "QFI").unwrap();
    let reference = place.reference("pushed:1");
    let files = [
        "amd.raw.zst,arch=x86_64,disktype=raw",
        "arm.raw.gz,arch=aarch64,disktype=raw",
        "amd.qcow2,arch=amd64,disktype=qcow2",
    ];
    let push = |files: &[&str]| {
        place.sandbox.store([&["artifact", "push", "--json", PLAIN, &reference], files].concat())
    };
    let done = push(&files).json();
    assert_eq!(done["schema"], "sealstone.artifact-push/1");
    assert_eq!(push(&files).json()["named"], done["named"], "the same files have the same digests");
    for (more, expected) in [
        (&["--arch", "amd64"][..], &disks[0][..]),
        (&["--arch", "arm64"], &disks[1]),
        (&["--arch", "amd64", "--prefer", "qcow2"], b"QFI"),
    ] {
        place.fetch("pushed:1", more).succeeds();
        assert!(place.out() == expected, "{more:?}");
    }
    let named = done["named"].as_str().unwrap();
    place.fetch("pushed:1", &["--arch", "arm64", "--require-digest", named]).succeeds();
    // skopeo reads the index, and one of its manifests: what we make is what others know.
    let manifest = done["files"][0]["manifest"].as_str().unwrap();
    for name in ["pushed:1".to_owned(), format!("pushed@{manifest}")] {
        let output = std::process::Command::new("skopeo")
            .args(["inspect", "--raw", "--tls-verify=false", &place.reference(&name)])
            .output()
            .unwrap();
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(document["schemaVersion"], 2, "{name}");
    }
    // One file of which nothing is said is an artifact without an index, as ORAS makes it.
    let done = push(&["amd.qcow2,title=disk"]).json();
    assert_eq!(done["named"], done["files"][0]["manifest"]);
    let fetched = place.fetch("pushed:1", &["--json"]).json();
    assert_eq!((&fetched["title"], place.out()), (&json!("disk"), b"QFI".to_vec()));

    let told = push(&["amd.raw.zst,arch=amd64", "amd.qcow2,arch=x86_64"]).fails(2);
    assert!(told.contains("several"), "{told}");
    push(&["none.raw"]).fails(5);
    push(&["amd.qcow2,disktype=wsl"]).fails(2);
    let by_digest = format!("{}@{named}", place.reference("pushed"));
    place.sandbox.store(["artifact", "push", PLAIN, &by_digest, "amd.qcow2"]).fails(2);
}
