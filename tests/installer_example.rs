//! `examples/installer.rs`, the installer that uses nothing but the library, installs, and says what went wrong by its kind.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test, with ordinary files"
)]

mod kit;

#[path = "../examples/installer.rs"]
#[allow(dead_code)]
mod installer;

use std::fs;
use std::sync::Arc;

use installer::{Outcome as Sorted, Request, install, outcome};
use kit::{Image, Sandbox};
use sealstone::store::Control;
use sealstone::store::control::Event;

const KEYS: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExample me\n";

fn request(sandbox: &Sandbox) -> Request {
    Image::bootable("6.1.0").write(&sandbox.path("image"));
    fs::create_dir_all(sandbox.path("root/boot")).unwrap();
    Request {
        image: format!("oci:{}", sandbox.path("image").display()),
        root: sandbox.path("root"),
        esp: sandbox.path("root/boot"),
        keys: Some(KEYS.to_owned()),
        kargs: vec!["quiet".to_owned()],
        secret: None,
    }
}

#[test]
fn the_example_installs_a_system_that_the_command_finds_good_and_goes_on_where_it_was_cut_off() {
    let sandbox = Sandbox::new();
    let request = request(&sandbox);
    let control = Control::new();
    control.cancel_token().cancel();
    assert_eq!(outcome(&install(&request, &control).unwrap_err()), Sorted::Cancelled);
    let events = Arc::new(std::sync::Mutex::new(0));
    let counted = Arc::clone(&events);
    let control = Control::new().with_progress(Arc::new(move |event| {
        *counted.lock().unwrap() += u32::from(matches!(event, Event::Started { .. }));
    }));
    let installed = install(&request, &control).unwrap();
    assert!(installed.applied.steps > 0 && *events.lock().unwrap() > 0);
    let status = sandbox.store(["status", "--json", "--sysroot", "root", "--esp", "root/boot"]).json();
    let deployment = &status["deployments"][0];
    assert_eq!(deployment["health"]["is"], "good");
    assert_eq!(deployment["overlays"][0]["name"], "authorized-keys");
    let id = deployment["id"].as_str().unwrap();
    let rule = format!("root/state/deploy/{id}/etc/tmpfiles.d/bootc-root-ssh.conf");
    assert!(fs::read_to_string(sandbox.path(&rule)).unwrap().starts_with("f~ "));
}

#[test]
fn the_example_sorts_what_goes_wrong_as_an_agent_has_to() {
    let sandbox = Sandbox::new();
    let good = request(&sandbox);
    let fails = |request: &Request| outcome(&install(request, &Control::new()).unwrap_err());
    assert_eq!(fails(&Request { image: "bare".to_owned(), ..good.clone() }), Sorted::Request);
    assert_eq!(fails(&Request { image: "oci:/nonexistent".to_owned(), ..good.clone() }), Sorted::Disk);
    let image = "docker://127.0.0.1:9/os:1".to_owned();
    assert_eq!(fails(&Request { image, ..good.clone() }), Sorted::Download);
    assert_eq!(fails(&Request { kargs: vec!["a\nb".to_owned()], ..good.clone() }), Sorted::Disk);
    for entry in fs::read_dir(sandbox.path("image/blobs/sha256")).unwrap() {
        let path = entry.unwrap().path();
        if fs::metadata(&path).unwrap().len() > 1000 {
            let mut bytes = fs::read(&path).unwrap();
            let at = bytes.len() - 30;
            bytes[at] ^= 1;
            fs::write(&path, bytes).unwrap();
        }
    }
    let root = sandbox.path("other");
    fs::create_dir_all(root.join("boot")).unwrap();
    assert_eq!(fails(&Request { esp: root.join("boot"), root, ..good }), Sorted::Untrusted);
}
