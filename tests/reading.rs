//! What went in through `import` comes out through `ls`, `cat`, `dump`, `diff` and `du`.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test, with ordinary files"
)]

mod kit;

use kit::layer::noise;
use kit::{Image, Layer, Sandbox};
use serde_json::{Value, json};

/// Three layers with whiteouts, hardlinks, a symlinked parent, extended attributes and odd names.
fn sample() -> Image {
    Image::new()
        .layer(
            Layer::system("6.1.0")
                .file("etc/gone", b"whited out later")
                .file("usr/bin/tool", &noise(5_000, 9))
                .hardlink("usr/bin/alias", "usr/bin/tool")
                .file_with_mode("usr/bin/sudo", 0o4755, &noise(300, 4))
                .symlink("etc/link", "../usr/lib/os-release"),
        )
        .layer(Layer::new().whiteout("etc/gone").file("etc/hostname", b"changed\n"))
        .layer(
            Layer::new()
                .dir("opt")
                .file_with_xattr("opt/with-xattr", b"x", "security.capability", b"\x01\0\0\x02")
                .file("opt/\u{1b}[2Jname", b"odd"),
        )
}

fn find<'a>(files: &'a Value, path: &str) -> Option<&'a Value> {
    files.as_array().expect("files").iter().find(|file| file["path"] == path)
}

#[test]
fn ls_lists_a_folder_by_default_the_root() {
    let sandbox = Sandbox::with_image(&sample());
    let root = sandbox.store(["ls", "example"]).succeeds();
    assert_eq!(root, "boot/\netc/\nopt/\nproc/\nrun/\nsys/\nsysroot/\ntmp/\nusr/\nvar/\n");
    let etc = sandbox.store(["ls", "example", "/etc"]).succeeds();
    assert_eq!(etc, "hostname\nlink -> ../usr/lib/os-release\nos-release -> ../usr/lib/os-release\n");
    let file = sandbox.store(["ls", "example", "etc/hostname"]).succeeds();
    assert_eq!(file, "etc/hostname\n");
}

#[test]
fn ls_long_shows_mode_owner_size_and_time() {
    let sandbox = Sandbox::with_image(&sample());
    let long = sandbox.store(["ls", "-l", "example", "/usr/bin/sudo"]).succeeds();
    for part in ["-rwsr-xr-x", "0:0", "300 B", "2023-11-14 22:13", "/usr/bin/sudo"] {
        assert!(long.contains(part), "{part} is not in {long}");
    }
}

#[test]
fn ls_shows_a_link_itself_when_asked_for_its_attributes_or_when_it_leads_nowhere() {
    let links = Layer::new()
        .symlink("lib", "usr/lib")
        .symlink("usr/lib/alias", "os-release")
        .symlink("dangling", "no/such/file")
        .symlink("loop", "loop");
    let sandbox = Sandbox::with_image(&Image::new().layer(Layer::system("6.1.0")).layer(links));
    let ls = |args: &[&str]| sandbox.store([&["ls", "example"], args].concat());
    let folder = ls(&["/lib"]).succeeds();
    assert_eq!(folder, "alias -> os-release\nmodules/\nos-release\n", "a link to a folder lists the folder");
    for follows in [&["/lib/"][..], &["-l", "/lib/"]] {
        assert!(ls(follows).succeeds().contains("modules/"), "a slash follows the link");
    }
    for (path, shown) in [
        ("/lib", "/lib -> usr/lib"),
        ("dangling", "dangling -> no/such/file"),
        ("/loop", "/loop -> loop"),
        ("/usr/lib/alias", "/usr/lib/alias -> os-release"),
    ] {
        let long = ls(&["-l", path]).succeeds();
        let line = long.lines().nth(1).expect("a heading and one line");
        assert!(line.starts_with("lrwxrwxrwx") && line.ends_with(shown), "{long}");
        assert_eq!(long.lines().count(), 2, "{long}");
        if path != "/lib" {
            assert_eq!(ls(&[path]).succeeds(), format!("{shown}\n"));
            assert_eq!(ls(&["--json", path]).json()["files"][0]["type"], "symlink");
        }
    }
    assert!(ls(&["dangling/"]).fails(5).contains("no such file"), "a slash asks for what it leads to");
    assert!(ls(&["-l", "absent"]).fails(5).contains("no such file"));
}

#[test]
fn names_from_an_image_cannot_drive_a_terminal() {
    let sandbox = Sandbox::with_image(&sample());
    let listed = sandbox.store(["ls", "-R", "example", "/opt"]).succeeds();
    assert!(!listed.contains('\u{1b}'), "{listed:?}");
    assert!(listed.contains("\\x1b[2Jname"), "{listed}");
}

#[test]
fn json_listing_has_every_attribute() {
    let sandbox = Sandbox::with_image(&sample());
    let document = sandbox.store(["ls", "-R", "--json", "example"]).json();
    let files = &document["files"];
    let tool = find(files, "/usr/bin/tool").expect("a tool");
    assert_eq!(tool["size"], 5_000);
    assert_eq!(tool["object"], find(files, "/usr/bin/alias").expect("its hardlink")["object"]);
    assert_eq!(find(files, "/usr/bin/sudo").expect("sudo")["mode"], "4755");
    assert_eq!(find(files, "/etc/gone"), None, "the whiteout had no effect");
    let expected = json!([{ "name": "security.capability", "value": "\\x01\\x00\\x00\\x02" }]);
    assert_eq!(find(files, "/opt/with-xattr").expect("a file")["xattrs"], expected);
    assert_eq!(find(files, "/etc/link").expect("a link")["target"], "../usr/lib/os-release");
    assert_eq!(
        find(files, "/etc/hostname").expect("a file")["mtime"],
        json!({ "sec": 1_700_000_000, "nsec": 0 })
    );
}

#[test]
fn cat_gives_the_bytes_of_small_and_large_files_and_follows_links() {
    let sandbox = Sandbox::with_image(&sample());
    assert_eq!(sandbox.store(["cat", "example", "/etc/hostname"]).succeeds(), "changed\n");
    assert!(sandbox.store(["cat", "example", "/etc/link"]).succeeds().starts_with("ID=example\n"));
    let output = sandbox.command(["cat", "example", "/usr/bin/alias"]).output().expect("runs");
    assert_eq!(output.stdout, noise(5_000, 9));
}

#[test]
fn cat_refuses_what_has_no_bytes() {
    let sandbox = Sandbox::with_image(&sample());
    let stderr = sandbox.store(["cat", "example", "/etc"]).fails(1);
    assert!(stderr.contains("directory"), "{stderr}");
}

#[test]
fn dump_is_composefs_dump() {
    let sandbox = Sandbox::with_image(&sample());
    let dump = sandbox.store(["dump", "example"]).succeeds();
    assert!(dump.starts_with("/ "), "{dump}");
    let line = dump.lines().find(|line| line.starts_with("/etc/hostname ")).expect("a line");
    // PATH SIZE MODE NLINK UID GID RDEV MTIME PAYLOAD CONTENT DIGEST, composefs-dump(5).
    assert_eq!(line, "/etc/hostname 8 100644 1 0 0 0 1700000000.0 - changed\\n -");
    assert!(
        dump.lines().any(|line| line.starts_with("/usr/bin/tool ") || line.starts_with("/usr/bin/alias @"))
    );
}

#[test]
fn an_image_answers_to_its_name_its_digests_and_their_prefixes() {
    let sandbox = Sandbox::with_image(&sample());
    let images = sandbox.store(["images", "--json"]).json();
    let image = &images["images"][0];
    assert_eq!(image["name"], "example");
    let (manifest, id) = (image["manifest"].as_str().expect("digest"), image["image"].as_str().expect("id"));
    for name in ["example", manifest, &manifest[..19], id, &id[..12]] {
        assert_eq!(sandbox.store(["cat", name, "/etc/hostname"]).succeeds(), "changed\n", "{name}");
    }
}

#[test]
fn a_prefix_of_fewer_than_four_digits_names_nothing() {
    let sandbox = Sandbox::with_image(&sample());
    let id =
        sandbox.store(["images", "--json"]).json()["images"][0]["image"].as_str().expect("id").to_owned();
    for text in ["sha256:", &id[..3]] {
        sandbox.store(["ls", text]).fails(5);
    }
}

#[test]
fn diff_names_paths_and_reasons() {
    let sandbox = Sandbox::with_image(&sample());
    let changed = Image::new().layer(Layer::system("6.1.0").file_with_mode("usr/bin/hello", 0o755, b"new"));
    sandbox.import("changed", &changed, "changed").succeeds();
    let text = sandbox.store(["diff", "example", "changed"]).succeeds();
    assert!(text.contains("D  /opt"), "{text}");
    assert!(
        text.lines().any(|line| line.starts_with("M  /usr/bin/hello") && line.contains("mode 0644 to 0755")),
        "{text}"
    );
    let document = sandbox.store(["diff", "--json", "example", "changed"]).json();
    let hello = find(&document["differences"], "/usr/bin/hello").expect("a difference");
    assert_eq!(hello["change"], "changed");
    assert_eq!(hello["attributes"], json!(["content", "mode"]));
    assert_eq!(sandbox.store(["diff", "--exit-code", "example", "changed"]).code, 1);
    assert_eq!(sandbox.store(["diff", "--exit-code", "example", "example"]).succeeds(), "");
}

#[test]
fn du_counts_as_own_exactly_what_rm_and_gc_free() {
    let sandbox = Sandbox::with_image(&sample());
    let other =
        Image::new().layer(Layer::system("6.1.0")).layer(Layer::new().file("usr/own", &noise(70_000, 77)));
    sandbox.import("other", &other, "other").succeeds();
    let before = sandbox.store(["du", "--json"]).json();
    let own = before["images"].as_array().expect("images").iter().find(|image| image["name"] == "other");
    let own = own.expect("the image")["own_bytes"].as_u64().expect("bytes");
    assert!(own >= 70_000, "{own}");
    sandbox.store(["rm", "other"]).succeeds();
    let gc = sandbox.store(["gc", "--json"]).json();
    assert_eq!(gc["bytes"].as_u64(), Some(own));
    let after = sandbox.store(["du", "--json"]).json();
    assert_eq!(
        after["total_bytes"].as_u64().expect("bytes") + own,
        before["total_bytes"].as_u64().expect("bytes")
    );
}

#[test]
fn du_counts_an_image_once_however_many_names_and_deployments_keep_it() {
    let sandbox = Sandbox::new();
    Image::bootable("6.1.0").write(&sandbox.path("layout"));
    std::fs::create_dir_all(sandbox.path("sysroot")).unwrap();
    std::fs::create_dir_all(sandbox.path("esp")).unwrap();
    let repository = sandbox.path("sysroot/composefs").display().to_string();
    let store = |args: &[&str]| sandbox.store([args, &["--repo", &repository]].concat());
    store(&["init"]).succeeds();
    store(&["import", "--name", "one", "oci:layout"]).succeeds();
    let alone = store(&["du", "--json"]).json();
    let image = &alone["images"][0];
    assert_eq!((&image["other_names"], &image["deployed"]), (&json!([]), &json!(false)));
    assert_eq!((&image["own_bytes"], &image["shared_bytes"]), (&alone["total_bytes"], &json!(0)));
    store(&["import", "--name", "two", "oci:layout"]).succeeds();
    store(&["deploy", "one", "--sysroot", "sysroot", "--esp", "esp"]).succeeds();
    let deployed = store(&["du", "--json"]).json();
    let images = deployed["images"].as_array().unwrap();
    assert_eq!(images.len(), 1, "{deployed:#}");
    assert_eq!((&images[0]["name"], &images[0]["other_names"]), (&json!("one"), &json!(["two"])));
    assert_eq!(images[0]["deployed"], true);
    assert_eq!(images[0]["own_bytes"], image["own_bytes"], "deploying it makes it share nothing");
    let table = store(&["du"]).succeeds();
    assert!(table.lines().any(|line| line.starts_with("one, two  deployed ")), "{table}");
    store(&["rm", "one", "two"]).succeeds();
    let kept = store(&["du", "--json"]).json();
    let name = kept["images"][0]["name"].as_str().unwrap();
    assert!(name.starts_with("localhost/bootc-sha256:"), "{name}");
    assert_eq!(kept["images"][0]["own_bytes"], image["own_bytes"]);
    assert_eq!(store(&["du", "--json", name]).json()["images"], kept["images"]);
}
