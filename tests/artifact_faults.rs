//! An artifact that does not come whole, or is not what it should be: no file has its name before it is right, no device
//! starts, and what is there already is not fetched again.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test, with ordinary files"
)]

mod kit;

#[path = "../crates/import/tests/registry/server.rs"]
#[allow(dead_code)]
mod server;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use kit::Sandbox;
use kit::artifact::{MANIFEST, manifest, write_layout};
use kit::layer::noise;
use kit::loop_disk::LoopDevice;
use server::{Reply, Request, Server};

const PLAIN: &str = "--tls-verify=false";
const OCTETS: &str = "application/octet-stream";

/// A registry with one artifact, which answers for its blob what `fault` says: it is told the request and how many came
/// before.
fn serve(
    body: Vec<u8>,
    kind: &str,
    fault: impl Fn(&Request, usize) -> Option<Reply> + Send + Sync + 'static,
) -> Server {
    let document = manifest(&[(&body, kind, "disk")]).to_string();
    let asked = std::sync::atomic::AtomicUsize::new(0);
    Server::start(move |request| {
        if request.path.contains("/manifests/") {
            return Reply::new(200, document.clone()).header("Content-Type", MANIFEST);
        }
        let before = asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        fault(request, before).unwrap_or_else(|| {
            let Some(range) = request.header("range") else { return Reply::new(200, body.clone()) };
            let first: usize =
                range.strip_prefix("bytes=").unwrap().split('-').next().unwrap().parse().unwrap();
            let range = format!("bytes {first}-{}/{}", body.len() - 1, body.len());
            Reply::new(206, &body[first..]).header("Content-Range", range)
        })
    })
}

fn reference(server: &Server) -> String {
    format!("docker://{}/some/disk", server.host())
}

/// The temporary files beside the output.
fn partials(sandbox: &Sandbox) -> Vec<PathBuf> {
    let entries = fs::read_dir(sandbox.path(".")).unwrap().flatten().map(|entry| entry.path());
    entries.filter(|path| path.display().to_string().ends_with(".partial")).collect()
}

#[test]
fn a_file_that_is_not_what_it_should_be_never_has_its_name() {
    let body = noise(700_000, 9);
    let mut wrong = body.clone();
    wrong[350_000] ^= 1;
    let longer = [&body[..], b"more"].concat();
    let cases: [(&str, &str, Vec<u8>, &str); 4] = [
        ("another byte", OCTETS, wrong, "is not what it should be"),
        ("more bytes", OCTETS, longer, "wrong size"),
        ("not packed as said", "application/gzip", body.clone(), "its media type says gzip"),
        ("damaged", "application/zstd", b"\x28\xb5\x2f\xfdnonsense".to_vec(), "zstd"),
    ];
    for (case, kind, sent, reason) in cases {
        let sandbox = Sandbox::new();
        fs::write(sandbox.path("out"), "before").unwrap();
        let promised = if kind == OCTETS { body.clone() } else { sent.clone() };
        let server = serve(promised, kind, move |_, _| Some(Reply::new(200, sent.clone())));
        let args = ["artifact", "fetch", PLAIN, &reference(&server), "--output", "out"];
        let told = sandbox.store(args).fails(3);
        assert!(told.contains(reason), "{case}: {told}");
        assert_eq!(fs::read(sandbox.path("out")).unwrap(), b"before", "{case}");
        assert_eq!(partials(&sandbox), Vec::<PathBuf>::new(), "{case}");
    }
}

/// Fetches until a part of the file is there, and kills.
fn killed_in_the_middle(sandbox: &Sandbox, body: &[u8], kind: &str) -> u64 {
    let cut = body.len() / 2;
    let sent = body.to_vec();
    let server = serve(body.to_vec(), kind, move |request, before| {
        let whole = sent.len();
        let Some(range) = request.header("range").filter(|_| before > 0) else {
            let reply = Reply::new(200, sent.clone()).header("Content-Length", whole.to_string());
            return Some(reply.cut_at(cut));
        };
        let first: usize = range.strip_prefix("bytes=").unwrap().trim_end_matches('-').parse().unwrap();
        let reply = Reply::new(206, "").header("Content-Length", (whole - first).to_string());
        Some(reply.header("Content-Range", format!("bytes {first}-{}/{whole}", whole - 1)).silent())
    });
    let args = ["artifact", "fetch", PLAIN, &reference(&server), "--output", "out"];
    let mut child = sandbox.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let start = Instant::now();
    let length = loop {
        let length = partials(sandbox).first().map_or(0, |path| fs::metadata(path).unwrap().len());
        if length > 0 && server.requests_of("/blobs/").len() > 1 {
            break length;
        }
        assert!(start.elapsed() < Duration::from_mins(1), "nothing was written");
        thread::sleep(Duration::from_millis(20));
    };
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!sandbox.path("out").exists());
    length
}

#[test]
fn what_a_kill_left_is_gone_on_with_and_what_a_power_cut_made_of_it_is_not_believed() {
    let body = noise(3_000_000, 11);
    for is_damaged in [false, true] {
        let sandbox = Sandbox::new();
        let length = killed_in_the_middle(&sandbox, &body, OCTETS);
        if is_damaged {
            let mut bytes = fs::read(&partials(&sandbox)[0]).unwrap();
            bytes[70_000..].fill(0);
            fs::write(&partials(&sandbox)[0], bytes).unwrap();
        }
        let server = serve(body.clone(), OCTETS, |_, _| None);
        let args = ["artifact", "fetch", "--json", PLAIN, &reference(&server), "--output", "out"];
        let done = sandbox.store(args).json();
        assert!(fs::read(sandbox.path("out")).unwrap() == body);
        assert_eq!(partials(&sandbox), Vec::<PathBuf>::new());
        let asked = server.requests_of("/blobs/");
        let ranges: Vec<_> = asked.iter().map(|request| request.header("range").map(str::to_owned)).collect();
        let first = Some(format!("bytes={length}-"));
        if is_damaged {
            assert_eq!(ranges, [first, None]);
            assert_eq!(done["resumed_bytes"], 0);
        } else {
            assert_eq!(ranges, [first]);
            assert_eq!(done["resumed_bytes"], length);
        }
    }
}

#[test]
fn what_a_kill_left_of_a_packed_file_is_begun_anew() {
    let sandbox = Sandbox::new();
    let disk = noise(3_000_000, 12);
    let body = zstd::encode_all(&disk[..], 1).unwrap();
    killed_in_the_middle(&sandbox, &body, "application/zstd");
    let server = serve(body, "application/zstd", |_, _| None);
    sandbox.store(["artifact", "fetch", PLAIN, &reference(&server), "--output", "out"]).succeeds();
    assert!(fs::read(sandbox.path("out")).unwrap() == disk);
    assert_eq!(partials(&sandbox), Vec::<PathBuf>::new());
}

#[test]
fn a_device_is_written_through_and_starts_only_when_all_of_it_is_right() {
    let sandbox = Sandbox::new();
    let test = "a_device_is_written_through_and_starts_only_when_all_of_it_is_right";
    fs::write(sandbox.path("device"), vec![0xee; 8 << 20]).unwrap();
    let Some(device) = LoopDevice::of(&sandbox.path("device"), &[], test) else { return };
    let mut disk = noise(3_000_000, 13);
    disk[1_500_000..2_000_000].fill(0);
    write_layout(
        &sandbox.path("good"),
        &[(&zstd::encode_all(&disk[..], 1).unwrap(), "application/zstd", "disk")],
    );
    sandbox.store(["artifact", "fetch", "oci:good", "--output", &device.path]).succeeds();
    let written = fs::read(sandbox.path("device")).unwrap();
    // Zeros too: what was on the device does not show through.
    assert!(written[..disk.len()] == disk && written[disk.len()..].iter().all(|byte| *byte == 0xee));

    let server = serve(disk.clone(), OCTETS, {
        let mut wrong = disk.clone();
        wrong[2_999_999] ^= 1;
        move |_, _| Some(Reply::new(200, wrong.clone()))
    });
    let args = ["artifact", "fetch", PLAIN, &reference(&server), "--output", &device.path];
    sandbox.store(args).fails(3);
    let written = fs::read(sandbox.path("device")).unwrap();
    assert!(written[..1 << 20].iter().all(|byte| *byte == 0), "it has a partition table");

    let link = sandbox.path("link");
    std::os::unix::fs::symlink(&device.path, &link).unwrap();
    sandbox.store(["artifact", "fetch", "oci:good", "--output", "link"]).succeeds();
    assert!(fs::read(sandbox.path("device")).unwrap()[..disk.len()] == disk);
    assert!(link.is_symlink());
    // One that is mounted is somebody's.
    assert!(Command::new("mkfs.ext4").args(["-q", &device.path]).status().unwrap().success());
    fs::create_dir(sandbox.path("mnt")).unwrap();
    let mount = Command::new("mount").arg(&device.path).arg(sandbox.path("mnt")).status().unwrap();
    let told = sandbox.store(["artifact", "fetch", "oci:good", "--output", &device.path]);
    let _ = Command::new("umount").arg(sandbox.path("mnt")).status();
    assert!(mount.success());
    told.fails(6);
}
