//! Signatures of boot images: those of sbsign hold here as they hold for sbverify, and what was changed does not.
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

use kit::{Sandbox, run, skip, stub};

/// A sandbox with an image, `db` and `other`, two keys with their certificates, and `leaf`, whose certificate `ca` signed.
/// `None` where sbsign or openssl is missing.
fn signing(test: &str) -> Option<Sandbox> {
    for program in ["sbsign", "sbverify", "openssl"] {
        let found = std::process::Command::new(program).arg("version").output();
        if found.is_err() {
            skip(test, &format!("{program} is not installed"));
            return None;
        }
    }
    let sandbox = Sandbox::new();
    for name in ["db", "other", "ca"] {
        let (key, cert) = (format!("{name}.key"), format!("{name}.pem"));
        let subject = format!("/CN={name}/");
        let args = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", &subject];
        run(&sandbox, "openssl", &[&args[..], &["-keyout", &key, "-out", &cert]].concat());
    }
    let request = ["req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=leaf/"];
    run(&sandbox, "openssl", &[&request[..], &["-keyout", "leaf.key", "-out", "leaf.csr"]].concat());
    let issue = ["x509", "-req", "-in", "leaf.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"];
    run(&sandbox, "openssl", &[&issue[..], &["-days", "2", "-out", "leaf.pem"]].concat());
    fs::write(sandbox.path("stub"), stub::stub()).unwrap();
    fs::write(sandbox.path("linux"), kit::layer::noise(30_000, 1)).unwrap();
    let build =
        ["uki", "build", "--stub", "stub", "--linux", "linux", "--cmdline", "quiet", "--output", "u.efi"];
    sandbox.store(build).succeeds();
    Some(sandbox)
}

fn sign(sandbox: &Sandbox, from: &str, key: &str, to: &str) -> kit::Outcome {
    let (key, cert) = (format!("{key}.key"), format!("{key}.pem"));
    sandbox.store(["uki", "sign", from, "--key", &key, "--cert", &cert, "--output", to])
}

/// Whether the file is believed by a certificate, which sbverify must see alike.
fn holds(sandbox: &Sandbox, file: &str, cert: &str) -> bool {
    let ours = sandbox.store(["uki", "verify", file, "--cert", cert]);
    assert!([0, 3].contains(&ours.code), "{ours:?}");
    let mut sbverify = std::process::Command::new("sbverify");
    sbverify.args(["--cert", cert, file]).current_dir(sandbox.path("."));
    let mut theirs = sbverify.output().unwrap().status.success();
    // sbverify looks at a file's signatures alone, not at what is behind them.
    if file.starts_with("trailing") {
        theirs = false;
    }
    assert_eq!(ours.code == 0, theirs, "{file} by {cert}: {ours:?}");
    theirs
}

#[test]
fn a_signature_holds_by_its_certificate_alone() {
    let Some(sandbox) = signing("a_signature_holds_by_its_certificate_alone") else { return };
    assert!(!holds(&sandbox, "u.efi", "db.pem"));
    sign(&sandbox, "u.efi", "db", "signed.efi").succeeds();
    assert!(holds(&sandbox, "signed.efi", "db.pem"));
    assert!(!holds(&sandbox, "signed.efi", "other.pem"));
    let shown = sandbox.store(["uki", "inspect", "signed.efi", "--json"]).json();
    assert_eq!((&shown["signed"], &shown["cmdline"]), (&true.into(), &"quiet".into()));
    // A second signature leaves the first.
    sign(&sandbox, "signed.efi", "other", "twice.efi").succeeds();
    let told = sandbox.store(["uki", "verify", "twice.efi", "--cert", "db.pem", "--json"]).json();
    assert_eq!((&told["signed_by"], &told["signatures"]), (&"CN=db".into(), &2.into()));
    assert!(holds(&sandbox, "twice.efi", "other.pem"));
}

#[test]
fn a_certificate_that_a_trusted_one_signed_is_believed() {
    let Some(sandbox) = signing("a_certificate_that_a_trusted_one_signed_is_believed") else { return };
    sign(&sandbox, "u.efi", "leaf", "leaf.efi").succeeds();
    assert!(holds(&sandbox, "leaf.efi", "ca.pem"));
    assert!(!holds(&sandbox, "leaf.efi", "db.pem"));
}

#[test]
fn a_changed_byte_and_what_is_behind_the_signatures_are_refused() {
    let Some(sandbox) = signing("a_changed_byte_and_what_is_behind_the_signatures_are_refused") else {
        return;
    };
    sign(&sandbox, "u.efi", "db", "signed.efi").succeeds();
    let signed = fs::read(sandbox.path("signed.efi")).unwrap();
    let unsigned = fs::read(sandbox.path("u.efi")).unwrap().len();
    // In the headers, in sections, at the end of what is signed, and in the signature itself.
    for at in [0x3f, 0x99, 0x1000, 0x2000, unsigned - 1, unsigned + 0x60, signed.len() - 0x30] {
        let mut changed = signed.clone();
        changed[at] ^= 1;
        fs::write(sandbox.path("changed.efi"), changed).unwrap();
        let told = sandbox.store(["uki", "verify", "changed.efi", "--cert", "db.pem"]);
        assert_eq!(told.code, 3, "{at:#x}: {told:?}");
    }
    fs::write(sandbox.path("trailing.efi"), [&signed[..], b"12345678"].concat()).unwrap();
    assert!(!holds(&sandbox, "trailing.efi", "db.pem"));
    // Behind the signature, in the table that is not signed itself.
    let mut longer = signed.clone();
    longer.extend([0; 8]);
    fs::write(sandbox.path("trailing-zeros.efi"), longer).unwrap();
    assert!(!holds(&sandbox, "trailing-zeros.efi", "db.pem"));
}

#[test]
fn what_a_signer_made_of_the_file_is_checked_before_it_is_believed() {
    let Some(sandbox) = signing("what_a_signer_made_of_the_file_is_checked_before_it_is_believed") else {
        return;
    };
    // A signer that writes something else than it was given, and one that does nothing.
    let other = "#!/bin/sh\ncp stub \"$6\"\n";
    for (name, text) in [("cheat", other), ("idle", "#!/bin/sh\nexit 0\n"), ("fail", "#!/bin/sh\nexit 3\n")] {
        fs::write(sandbox.path(name), text).unwrap();
        run(&sandbox, "chmod", &["+x", name]);
        let program = format!("./{name}");
        let args = ["uki", "sign", "u.efi", "--key", "db.key", "--cert", "db.pem", "--output", "out.efi"];
        let told = sandbox.store([&args[..], &["--program", &program]].concat());
        assert_ne!(told.code, 0, "{name}: {told:?}");
        assert!(!sandbox.path("out.efi").exists(), "{name}");
    }
    // The wrong certificate for the key.
    let args = ["uki", "sign", "u.efi", "--key", "db.key", "--cert", "other.pem", "--output", "out.efi"];
    assert_ne!(sandbox.store(args).code, 0);
    assert!(!sandbox.path("out.efi").exists());
}
