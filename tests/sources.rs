//! Images come from anywhere that they are kept in: archives of Docker, directories of skopeo, bare tars, pipes, compressed
//! or not. The same layers give the same image, and what lies is refused wherever it comes from.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test, with ordinary files"
)]

mod kit;

use std::fs::{self, File};
use std::io::Write;
use std::process::Stdio;

use kit::layer::noise;
use kit::layout::{architecture, digest, gzip};
use kit::{Image, Layer, Outcome, Sandbox};
use serde_json::{Value, json};
use tar::{Builder, EntryType, Header};

/// The two layers that most tests use.
fn layers() -> [Vec<u8>; 2] {
    let top = Layer::new().dir("opt").file("opt/big", &noise(300_000, 21)).whiteout("etc/hostname");
    [Layer::system("6.1.0").finish(), top.finish()]
}

/// The same image in an OCI layout, imported: what every other way has to give.
fn expected(sandbox: &Sandbox) -> Value {
    let [bottom, top] = layers();
    let image = Image::new().tar(bottom, kit::Compression::Gzip).tar(top, kit::Compression::None);
    image.write(&sandbox.path("layout"));
    sandbox.store(["init", "--repo", "expected"]).succeeds();
    sandbox.store(["import", "--json", "--repo", "expected", "--name", "x", "oci:layout"]).json()
}

/// The configuration of an image of these tars.
fn config(tars: &[Vec<u8>]) -> Vec<u8> {
    let diff_ids: Vec<String> = tars.iter().map(|tar| digest(tar)).collect();
    let rootfs = json!({ "type": "layers", "diff_ids": diff_ids });
    let config = json!({ "architecture": architecture(), "os": "linux", "config": {}, "rootfs": rootfs });
    config.to_string().into_bytes()
}

/// A docker-archive under construction.
struct Archive(Builder<Vec<u8>>);

impl Archive {
    fn new() -> Self {
        Self(Builder::new(Vec::new()))
    }

    fn file(mut self, path: &str, bytes: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        self.0.append_data(&mut header, path, bytes).unwrap();
        self
    }

    fn link(mut self, kind: EntryType, path: &str, target: &str) -> Self {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(0);
        self.0.append_link(&mut header, path, target).unwrap();
        self
    }

    /// With a configuration named by its digest, and the list of images.
    fn image(self, config: &[u8], names: &Value, layers: &[&str]) -> Self {
        let name = format!("{}.json", digest(config).strip_prefix("sha256:").unwrap());
        let list = json!([{ "Config": name, "RepoTags": names, "Layers": layers }]);
        self.file(&name, config).file("manifest.json", list.to_string().as_bytes())
    }

    fn finish(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

/// Layers first and the list last, as `docker save` has it.
fn docker_archive() -> Vec<u8> {
    let tars = layers();
    Archive::new()
        .file("1/layer.tar", &tars[0])
        .file("2/layer.tar", &tars[1])
        .image(&config(&tars), &json!(["example/os:1", "example/os:latest"]), &["1/layer.tar", "2/layer.tar"])
        .finish()
}

/// Imports with `bytes` on the standard input.
fn import_from_pipe(sandbox: &Sandbox, bytes: &[u8], args: &[&str]) -> Outcome {
    let mut command = sandbox.command(["import", "--json"].iter().chain(args));
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    // A command that refuses its arguments reads nothing.
    let _ = pipe.write_all(bytes);
    drop(pipe);
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Outcome {
        code: output.status.code().unwrap_or(-1),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

#[track_caller]
fn is_same_image(found: &Value, expected: &Value) {
    for key in ["image", "bootable", "profile"] {
        assert_eq!(found[key], expected[key], "{key}");
    }
    let diff_ids = |document: &Value| {
        let layers = document["layers"].as_array().unwrap();
        layers.iter().map(|layer| layer["diff_id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(diff_ids(found), diff_ids(expected));
}

/// What is left of temporary files in the repository.
fn leftovers(sandbox: &Sandbox) -> usize {
    fs::read_dir(sandbox.repository().join("sealstone/tmp")).unwrap().count()
}

#[test]
fn a_docker_archive_gives_the_image_of_its_layers_with_a_manifest_that_is_made_for_it() {
    let sandbox = Sandbox::with_repository();
    let expected = expected(&sandbox);
    fs::write(sandbox.path("os.tar"), docker_archive()).unwrap();
    let found = sandbox.store(["import", "--json", "--name", "x", "docker-archive:os.tar"]).json();
    is_same_image(&found, &expected);
    assert_eq!(found["manifest_made"], true);
    assert_eq!(expected["manifest_made"], false);
    let shown = sandbox.store(["import", "--name", "x", "docker-archive:os.tar"]).succeeds();
    assert!(shown.contains("made here"), "{shown}");
    for (choice, code) in [
        ("example/os", 0),
        ("docker.io/example/os:1", 0),
        ("@0", 0),
        ("@1", 5),
        ("example/os:2", 5),
        ("os", 5),
    ] {
        let reference = format!("docker-archive:os.tar:{choice}");
        let outcome = sandbox.store(["import", "--name", "y", &reference]);
        assert_eq!(outcome.code, code, "{choice}: {}", outcome.stderr);
    }
    sandbox.store(["fsck"]).succeeds();
}

#[test]
fn links_between_members_compressed_layers_and_layers_in_any_order_are_read() {
    let sandbox = Sandbox::with_repository();
    let [bottom, top] = layers();
    // The top layer twice: the second time as a link, as older versions of Docker write it.
    let tars = [bottom.clone(), top.clone(), top.clone()];
    let archive = Archive::new()
        .image(&config(&tars), &Value::Null, &["c/layer.tar", "a/layer.tar", "./b/layer.tar"])
        .link(EntryType::Symlink, "b/layer.tar", "../a/layer.tar")
        .file("a/layer.tar", &gzip(&top))
        .file("blob", &zstd_of(&bottom))
        .link(EntryType::Link, "c/layer.tar", "blob");
    fs::write(sandbox.path("os.tar"), archive.finish()).unwrap();
    let found = sandbox.store(["import", "--json", "--name", "x", "docker-archive:os.tar"]).json();
    assert_eq!(found["image"], expected(&sandbox)["image"]);
    let blobs: Vec<_> = found["layers"].as_array().unwrap().iter().map(|layer| &layer["blob"]).collect();
    assert_eq!(blobs, [&json!(digest(&zstd_of(&bottom))), &json!(digest(&gzip(&top)))]);
}

/// A zstd frame with one raw block for each piece (RFC 8878): no compressor is needed to write it.
fn zstd_of(bytes: &[u8]) -> Vec<u8> {
    // Frame header: an 8-byte content size, no checksum, a single segment.
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0b1110_0000];
    frame.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    let pieces: Vec<_> = bytes.chunks(100_000).collect();
    for (number, piece) in pieces.iter().enumerate() {
        let is_last = u32::from(number + 1 == pieces.len());
        let head = u32::try_from(piece.len()).unwrap() << 3 | is_last;
        frame.extend_from_slice(&head.to_le_bytes()[..3]);
        frame.extend_from_slice(piece);
    }
    frame
}

#[test]
fn a_docker_archive_that_lies_is_refused_and_nothing_of_it_is_published() {
    let [bottom, top] = layers();
    let tars = [bottom.clone(), top.clone()];
    let names = ["1/layer.tar", "2/layer.tar"];
    let honest = |first: &[u8]| {
        Archive::new().file(names[0], first).file(names[1], &top).image(&config(&tars), &Value::Null, &names)
    };
    let mut other = bottom.clone();
    other[600] ^= 1;
    let renamed = json!([{ "Config": format!("{}.json", "a".repeat(64)), "Layers": names }]).to_string();
    let config_renamed = Archive::new()
        .file(names[0], &bottom)
        .file(names[1], &top)
        .file(&format!("{}.json", "a".repeat(64)), &config(&tars))
        .file("manifest.json", renamed.as_bytes());
    let loop_of_links = Archive::new()
        .link(EntryType::Symlink, names[0], "../3")
        .link(EntryType::Symlink, "3", names[0])
        .file(names[1], &top)
        .image(&config(&tars), &Value::Null, &names);
    let one_layer = Archive::new().file(names[0], &bottom).image(&config(&tars), &Value::Null, &names[..1]);
    let cases = [
        ("another plain layer", honest(&other), 3),
        ("another compressed layer", honest(&gzip(&other)), 3),
        ("a compressed layer cut short", honest(&gzip(&bottom)[..5000]), 3),
        ("a configuration with another digest", config_renamed, 3),
        ("links in a circle", loop_of_links, 5),
        ("a layer that is not there", Archive::new().image(&config(&tars), &Value::Null, &names), 5),
        ("one file twice", honest(&bottom).file(names[0], &other), 3),
        ("fewer layers than diff_ids", one_layer, 3),
        ("no list of images", Archive::new().file("x", b"x"), 5),
        ("Docker before 1.10", Archive::new().file("repositories", b"{}"), 7),
    ];
    for (what, archive, code) in cases {
        let sandbox = Sandbox::with_repository();
        fs::write(sandbox.path("os.tar"), archive.finish()).unwrap();
        let outcome = sandbox.store(["import", "--name", "x", "docker-archive:os.tar"]);
        assert_eq!(outcome.code, code, "{what}: {}", outcome.stderr);
        assert_eq!(sandbox.store(["images", "--json"]).json()["images"], json!([]), "{what}");
        sandbox.store(["fsck"]).succeeds();
    }
}

/// Docker from version 25 on saves an OCI layout with a `manifest.json` beside it: one archive, of both kinds.
#[test]
fn what_newer_versions_of_docker_save_is_read_as_either_kind() {
    let sandbox = Sandbox::with_repository();
    let tars = layers();
    let plain = Image::new()
        .tar(tars[0].clone(), kit::Compression::None)
        .tar(tars[1].clone(), kit::Compression::None);
    plain.write(&sandbox.path("layout"));
    let blob = |path: &Value| {
        let hex = path["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap().to_owned();
        format!("blobs/sha256/{hex}")
    };
    let read = |path: &str| -> Value {
        serde_json::from_slice(&fs::read(sandbox.path("layout").join(path)).unwrap()).unwrap()
    };
    let manifest = read(&blob(&read("index.json")["manifests"][0]));
    let layers: Vec<_> = manifest["layers"].as_array().unwrap().iter().map(blob).collect();
    let sources: serde_json::Map<_, _> = manifest["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|layer| (layer["digest"].as_str().unwrap().to_owned(), layer.clone()))
        .collect();
    let list = json!([{
        "Config": blob(&manifest["config"]),
        "RepoTags": ["example/os:1"],
        "Layers": layers,
        "LayerSources": sources,
    }]);
    let mut archive = Builder::new(Vec::new());
    archive.append_dir_all(".", sandbox.path("layout")).unwrap();
    let archive = Archive(archive).file("manifest.json", list.to_string().as_bytes()).finish();
    fs::write(sandbox.path("os.tar"), archive).unwrap();
    let expected = expected(&sandbox);
    let docker = ["import", "--json", "--name", "x", "docker-archive:os.tar:example/os:1"];
    let docker = sandbox.store(docker).json();
    is_same_image(&docker, &expected);
    let oci =
        sandbox.store(["import", "--json", "--name", "y", "--verify-existing", "oci-archive:os.tar"]).json();
    is_same_image(&oci, &expected);
    assert_eq!((&docker["manifest_made"], &oci["manifest_made"]), (&json!(true), &json!(false)));
    assert_eq!(oci["config"], docker["config"]);
}

#[test]
fn archives_of_the_other_kind_are_told_by_name() {
    let sandbox = Sandbox::with_repository();
    fs::write(sandbox.path("docker.tar"), docker_archive()).unwrap();
    let stderr = sandbox.store(["import", "oci-archive:docker.tar"]).fails(7);
    assert!(stderr.contains("docker-archive:"), "{stderr}");
    let oci = Archive::new().file("oci-layout", b"{}").finish();
    fs::write(sandbox.path("oci.tar"), oci).unwrap();
    let stderr = sandbox.store(["import", "docker-archive:oci.tar"]).fails(7);
    assert!(stderr.contains("oci-archive:"), "{stderr}");
}

#[test]
fn compressed_archives_and_archives_from_a_pipe_are_read_and_leave_nothing_behind() {
    let sandbox = Sandbox::with_repository();
    let expected = expected(&sandbox);
    let docker = docker_archive();
    let mut oci = Builder::new(Vec::new());
    oci.append_dir_all(".", sandbox.path("layout")).unwrap();
    let oci = oci.into_inner().unwrap();
    for (kind, plain) in [("docker-archive", &docker), ("oci-archive", &oci)] {
        for (packing, bytes) in [("plain", plain.clone()), ("gzip", gzip(plain)), ("zstd", zstd_of(plain))] {
            let what = format!("{kind} {packing}");
            fs::write(sandbox.path("archive"), &bytes).unwrap();
            let reference = format!("{kind}:archive");
            // Layers that are there would be believed, not read.
            let args = ["--name", "x", "--verify-existing", &reference];
            let found = sandbox.store(["import", "--json"].iter().chain(&args)).json();
            is_same_image(&found, &expected);
            let reference = format!("{kind}:-");
            let args = ["--name", "x", "--verify-existing", &reference];
            let piped = import_from_pipe(&sandbox, &bytes, &args).json();
            is_same_image(&piped, &expected);
            assert_eq!(piped["manifest"], found["manifest"], "{what}");
            assert_eq!(leftovers(&sandbox), 0, "{what}");
        }
        let cut = import_from_pipe(&sandbox, &gzip(plain)[..20_000], &["--name", "y", &format!("{kind}:-")]);
        assert_eq!(cut.code, 3, "{}", cut.stderr);
        let xz = import_from_pipe(&sandbox, b"\xfd7zXZ\0and so on", &["--name", "y", &format!("{kind}:-")]);
        assert_eq!(xz.code, 3, "{}", xz.stderr);
        assert!(xz.stderr.contains("xz"), "{}", xz.stderr);
    }
    let stderr = import_from_pipe(&sandbox, &docker, &["docker-archive:-"]).fails(2);
    assert!(stderr.contains("--name"), "{stderr}");
}

#[test]
fn a_bare_tar_is_an_image_of_one_layer_whatever_way_it_comes() {
    let sandbox = Sandbox::with_repository();
    let tar = Layer::system("6.1.0").finish();
    Image::new().tar(tar.clone(), kit::Compression::None).write(&sandbox.path("layout"));
    let expected = sandbox.store(["import", "--json", "--name", "x", "oci:layout"]).json();
    fs::write(sandbox.path("root.tar"), &tar).unwrap();
    let plain = sandbox.store(["import", "--json", "--name", "plain", "tar:root.tar"]).json();
    is_same_image(&plain, &expected);
    assert_eq!(plain["manifest_made"], true);
    fs::write(sandbox.path("root.tar.gz"), gzip(&tar)).unwrap();
    std::os::unix::fs::symlink("root.tar.gz", sandbox.path("link")).unwrap();
    let packed = sandbox.store(["import", "--json", "--name", "gzip", "tar:link"]).json();
    let piped = import_from_pipe(&sandbox, &tar, &["--name", "pipe", "tar:-"]).json();
    for other in [&packed, &piped] {
        assert_eq!(other["manifest"], plain["manifest"], "the same tar is the same image");
    }
    let arm = ["import", "--json", "--name", "arm", "--platform", "linux/arm/v7", "tar:root.tar"];
    let arm = sandbox.store(arm).json();
    assert_eq!(arm["image"], plain["image"]);
    assert_ne!(arm["manifest"], plain["manifest"]);
    let shown = sandbox.store(["inspect", "--json", "arm"]).json();
    assert_eq!(shown["platform"], "linux/arm/v7");
    import_from_pipe(&sandbox, b"", &["--name", "none", "tar:-"]).fails(3);
    import_from_pipe(&sandbox, b"this is no tar", &["--name", "none", "tar:-"]).fails(3);
    let fifo = sandbox.path("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    sandbox.store(["import", "--name", "none", "tar:fifo"]).fails(7);
    sandbox.store(["import", "--name", "none", "tar:nowhere.tar"]).fails(5);
}

#[test]
fn a_plain_archive_is_read_in_place_without_a_copy() {
    let sandbox = Sandbox::with_repository();
    fs::write(sandbox.path("os.tar"), docker_archive()).unwrap();
    let progress =
        |args: &[&str]| sandbox.store(["--progress=json", "import", "--name", "x"].iter().chain(args));
    let in_place = progress(&["docker-archive:os.tar"]);
    assert_eq!(in_place.code, 0);
    assert!(!in_place.stderr.contains("copy-archive"), "{}", in_place.stderr);
    fs::write(sandbox.path("os.tar.gz"), gzip(&docker_archive())).unwrap();
    let copied = progress(&["docker-archive:os.tar.gz"]);
    assert_eq!(copied.code, 0);
    assert!(copied.stderr.contains("copy-archive"), "{}", copied.stderr);
}

#[test]
fn what_skopeo_writes_in_any_form_gives_the_same_image() {
    if !kit::has("skopeo", "what_skopeo_writes_in_any_form_gives_the_same_image") {
        return;
    }
    let sandbox = Sandbox::with_repository();
    let expected = expected(&sandbox);
    for (number, (copy, options)) in [
        ("docker-archive:copy.tar:example/os:1", &[][..]),
        ("dir:packed", &[]),
        ("dir:plain", &["--dest-decompress"]),
        ("dir:schema2", &["--format=v2s2"]),
    ]
    .into_iter()
    .enumerate()
    {
        let args = [&["--insecure-policy", "copy", "-q"], options, &["oci:layout:latest", copy]].concat();
        kit::run(&sandbox, "skopeo", &args);
        let repository = format!("repo{number}");
        sandbox.store(["init", "--repo", &repository]).succeeds();
        let found = sandbox.store(["import", "--json", "--repo", &repository, "--name", "x", copy]).json();
        is_same_image(&found, &expected);
        assert_eq!(found["manifest_made"], copy.starts_with("docker-archive"), "{copy}");
    }
    // A directory's manifest is the one that it has: the digest is that of the file.
    let manifest = fs::read(sandbox.path("packed/manifest.json")).unwrap();
    let found = sandbox.store(["inspect", "--json", "--repo", "repo1", "x"]).json();
    assert_eq!(found["manifest"], json!(digest(&manifest)));
}

#[test]
fn a_directory_that_is_damaged_or_of_another_version_is_refused() {
    let sandbox = Sandbox::with_repository();
    Image::bootable("6.1.0").write(&sandbox.path("layout"));
    let folder = sandbox.path("image");
    fs::create_dir(&folder).unwrap();
    let blobs = sandbox.path("layout/blobs/sha256");
    let index: Value = serde_json::from_slice(&fs::read(sandbox.path("layout/index.json")).unwrap()).unwrap();
    let hex = index["manifests"][0]["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap().to_owned();
    for blob in fs::read_dir(&blobs).unwrap().map(|entry| entry.unwrap()) {
        fs::copy(blob.path(), folder.join(blob.file_name())).unwrap();
    }
    sandbox.store(["import", "dir:image"]).fails(5);
    fs::rename(folder.join(&hex), folder.join("manifest.json")).unwrap();
    fs::write(folder.join("version"), "Directory Transport Version: 2.0\n").unwrap();
    sandbox.store(["import", "dir:image"]).fails(7);
    fs::write(folder.join("version"), "Directory Transport Version: 1.1\n").unwrap();
    sandbox.store(["import", "--name", "good", "dir:image"]).succeeds();
    sandbox.store(["rm", "good"]).succeeds();
    sandbox.store(["gc"]).succeeds();
    let biggest = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let biggest = biggest.max_by_key(|path| path.metadata().unwrap().len()).unwrap();
    let mut file = File::options().append(true).open(&biggest).unwrap();
    file.write_all(b"x").unwrap();
    sandbox.store(["import", "dir:image"]).fails(3);
    fs::remove_file(&biggest).unwrap();
    sandbox.store(["import", "dir:image"]).fails(5);
}
