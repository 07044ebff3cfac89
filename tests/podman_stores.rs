//! Debian's podman reads the image store of a deployment, and runs containers from it.
//!
//! The registry is Debian's `docker-registry`; each test says so when one of them is not installed.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test, with ordinary files"
)]

mod kit;

use std::process::Command;

use kit::bound::{PLAIN, app, deploy, image_stores, machine, push, setup, store, system};
use kit::registry::{Protection, Registry};
use kit::{Layer, Sandbox, has, is_root, skip};

/// podman, with a storage of its own and a deployment's image store.
fn podman(sandbox: &Sandbox, image_store: &std::path::Path) -> Command {
    let mut command = Command::new("podman");
    for (option, folder) in [("--root", "podman"), ("--runroot", "podman-run"), ("--tmpdir", "podman-tmp")] {
        command.arg(option).arg(sandbox.path(folder));
    }
    let option = format!("additionalimagestore={}", image_store.display());
    command.args(["--storage-driver", "overlay", "--storage-opt", &option]);
    command.current_dir(sandbox.path(".")).env("HOME", sandbox.path("."));
    command
}

/// Standard output of a run that must succeed.
#[track_caller]
fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn podman_lists_and_mounts_the_images_of_a_deployment() {
    let test = "podman_lists_and_mounts_the_images_of_a_deployment";
    if !has("podman", test) {
        return;
    }
    if !is_root() {
        return skip(test, "podman mounts overlays of another storage as root alone");
    }
    let Some((sandbox, registry, digests)) = setup(test) else { return };
    deploy(&sandbox, "m", "os", &[PLAIN]).succeeds();
    let [image_store] = image_stores(&sandbox).try_into().unwrap();
    let host = registry.host();
    drop(registry);
    let list = said(podman(&sandbox, &image_store).args([
        "images",
        "--format",
        "{{.Repository}}:{{.Tag}} {{.Digest}} {{.ReadOnly}}",
    ]));
    for (line, digest) in
        [(format!("{host}/apps/one:1"), &digests[0]), (format!("{host}/apps/two:"), &digests[1])]
    {
        assert!(
            list.lines()
                .any(|found| found.starts_with(&line) && found.contains(digest) && found.ends_with("true")),
            "{list}"
        );
    }
    // By name and by digest, as quadlets name them; nothing is pulled.
    for (image, seed) in [(format!("{host}/apps/one:1"), 1), (format!("{host}/apps/two@{}", digests[1]), 2)] {
        let create = ["create", "--pull=never", &image, "/bin/tool"];
        let container = said(podman(&sandbox, &image_store).args(create)).trim().to_owned();
        let mounted = podman(&sandbox, &image_store).args(["mount", &container]).output().unwrap();
        if !mounted.status.success() {
            return skip(
                test,
                &format!("no overlay can be mounted: {}", String::from_utf8_lossy(&mounted.stderr)),
            );
        }
        let root = std::path::PathBuf::from(String::from_utf8(mounted.stdout).unwrap().trim());
        let look = || -> std::io::Result<()> {
            assert_eq!(std::fs::read_to_string(root.join("etc/app"))?, format!("app {seed}\n"));
            assert_eq!(std::fs::read(root.join("bin/tool"))?, kit::layer::noise(30_000, 99));
            assert!(!root.join("etc/gone").exists(), "the whiteout works");
            Ok(())
        };
        let looked = std::panic::catch_unwind(look);
        said(podman(&sandbox, &image_store).args(["umount", &container]));
        said(podman(&sandbox, &image_store).args(["rm", &container]));
        looked.unwrap().unwrap();
    }
    let _ = Command::new("umount").arg("-q").arg(sandbox.path("podman/overlay")).status();
}

/// The ways to run a container without a network that a machine may know: options of podman, and of its `run`.
const WAYS: [(&[&str], &[&str]); 2] = [
    (&["--runtime", "crun"], &["--cgroups=disabled"]),
    (&["--runtime", "runc", "--cgroup-manager", "cgroupfs"], &[]),
];

/// Runs busybox in an image, in one of the ways; limits are no higher than any machine lets us.
fn run_in(podman: &mut Command, way: usize, image: &str, script: &str) -> Result<String, String> {
    let (global, own) = WAYS[way];
    podman.args(global).args(["run", "--rm", "--pull=never", "--network", "none"]).args(own);
    podman.args(["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000"]);
    let output = podman.args([image, "/bin/busybox", "sh", "-c", script]).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

#[test]
fn podman_runs_a_container_from_the_images_of_a_deployment() {
    let test = "podman_runs_a_container_from_the_images_of_a_deployment";
    if !has("podman", test) {
        return;
    }
    let Ok(busybox) = std::fs::read("/bin/busybox") else {
        return skip(test, "there is no /bin/busybox (busybox-static)");
    };
    if !is_root() {
        return skip(test, "podman mounts overlays of another storage as root alone");
    }
    let sandbox = Sandbox::new();
    let Some(registry) = Registry::start(&sandbox, Protection::default(), test) else { return };
    let program = Layer::new().dir("bin").file_with_mode("bin/busybox", 0o755, &busybox);
    push(&sandbox, &registry, &app(1).layer(program), "apps/one:1");
    let image = format!("{}/apps/one:1", registry.host());
    system("6.1.0", &[("one.container", &image)]).write(&sandbox.path("os"));
    machine(&sandbox, "m");
    store(&sandbox, "m", &["import", "--name", "os", "oci:os"]).succeeds();
    deploy(&sandbox, "m", "os", &[PLAIN]).succeeds();
    let [image_store] = image_stores(&sandbox).try_into().unwrap();
    drop(registry);
    // How this machine runs containers at all: tried with an image of podman's own.
    std::fs::create_dir_all(sandbox.path("own/bin")).unwrap();
    std::fs::copy("/bin/busybox", sandbox.path("own/bin/busybox")).unwrap();
    kit::run(&sandbox, "tar", &["-cf", "own.tar", "-C", "own", "."]);
    said(podman(&sandbox, &image_store).args(["import", "own.tar", "localhost/own:1"]));
    let tried: Vec<_> = (0..WAYS.len())
        .map(|way| run_in(&mut podman(&sandbox, &image_store), way, "localhost/own:1", "echo runs"))
        .collect();
    let ran = tried.iter().position(|answer| answer.as_deref() == Ok("runs\n"));
    let script = "cat /etc/app; test -e /etc/gone || echo hidden; echo new > /etc/base && cat /etc/base";
    let answer = ran.map(|way| run_in(&mut podman(&sandbox, &image_store), way, &image, script));
    let _ = Command::new("umount").arg("-q").arg(sandbox.path("podman/overlay")).status();
    match answer {
        // What a container writes goes to podman's own storage.
        Some(answer) => assert_eq!(answer.as_deref(), Ok("app 1\nhidden\nnew\n")),
        None => return skip(test, &format!("podman runs no container here at all: {tried:?}")),
    }
    let changed =
        std::process::Command::new("grep").args(["-rlx", "new"]).arg(&image_store).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&changed.stdout), "", "the image store is as it was");
}
