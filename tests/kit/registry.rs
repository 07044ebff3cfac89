//! Debian's `docker-registry` on the loopback interface, as long as a test lasts.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use super::{Sandbox, skip};

/// The password of `alice`, where there is one.
pub const PASSWORD: &str = "s3cret";

/// bcrypt of it, in the form of Apache's htpasswd.
const HTPASSWD: &str = "alice:$2y$05$abcdefghijklmnopqrstuuLK7U1u6pVRmL7L1BBM2aS35PSZnDXlK\n";

/// For whom tokens are, and who says so.
pub const SERVICE: &str = "here";
pub const ISSUER: &str = "test-issuer";

/// A name of this machine that only a proxy knows.
pub const OTHER_NAME: &str = "registry.example";

/// How a registry is protected.
#[derive(Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "switches of a configuration")]
pub struct Protection {
    /// TLS with an authority of its own, whose certificate is in `certs/ca.crt` of the sandbox.
    pub tls: bool,
    /// A user, `alice`.
    pub user: bool,
    /// Clients have to show a certificate: `certs/client.cert` of the sandbox.
    pub clients: bool,
    /// Tokens are wanted, of the token server at this port of this machine.
    pub tokens: Option<u16>,
    /// Nothing can be pushed.
    pub read_only: bool,
}

/// A running registry.
pub struct Registry {
    child: Child,
    port: u16,
    protection: Protection,
    certificates: PathBuf,
}

impl Registry {
    /// Starts one in the sandbox; `None`, and a line that says so, when a program is missing.
    pub fn start(sandbox: &Sandbox, protection: Protection, test: &str) -> Option<Self> {
        for program in ["docker-registry", "skopeo", "openssl"] {
            let argument = if program == "openssl" { "version" } else { "--version" };
            let found =
                Command::new(program).arg(argument).stdout(Stdio::null()).stderr(Stdio::null()).status();
            if !found.is_ok_and(|status| status.success()) {
                skip(test, &format!("{program} is not installed"));
                return None;
            }
        }
        let certificates = sandbox.path("certs");
        let is_first = fs::create_dir(&certificates).is_ok();
        if is_first && (protection.tls || protection.tokens.is_some()) {
            make_certificates(&certificates);
        }
        fs::write(sandbox.path("htpasswd"), HTPASSWD).expect("a file");
        let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
        let path = sandbox.path("registry.yml");
        fs::write(&path, configuration(sandbox, protection, port)).expect("a file");
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(&path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let registry = Self { child, port, protection, certificates };
        for _ in 0..600 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(registry);
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("docker-registry does not listen");
    }

    /// Its name, with the port.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Pushes `from`, a reference of skopeo's, as `name`, with more options.
    #[track_caller]
    pub fn push(&self, sandbox: &Sandbox, from: &str, name: &str, options: &[&str]) {
        let mut command = Command::new("skopeo");
        command.args(["--insecure-policy", "copy", "-q"]).args(options);
        if self.protection.tls {
            command.arg("--dest-cert-dir").arg(&self.certificates);
        } else {
            command.arg("--dest-tls-verify=false");
        }
        if self.protection.user || self.protection.tokens.is_some() {
            command.args(["--dest-creds", &format!("alice:{PASSWORD}")]);
        }
        command.args([from, &format!("docker://{}/{name}", self.host())]);
        command.current_dir(sandbox.path(".")).env("HOME", sandbox.path("."));
        let output = command.output().expect("it starts");
        assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It takes its time over SIGTERM.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn configuration(sandbox: &Sandbox, protection: Protection, port: u16) -> String {
    let folder = sandbox.path(".");
    let folder = folder.display();
    let tls = format!("  tls: {{certificate: {folder}/certs/server.pem, key: {folder}/certs/server.secret");
    let tls = match protection {
        Protection { clients: true, .. } => format!("{tls}, clientcas: [{folder}/certs/ca.crt]}}\n"),
        Protection { tls: true, .. } => format!("{tls}}}\n"),
        _ => String::new(),
    };
    let auth = if let Some(port) = protection.tokens {
        format!(
            "auth: {{token: {{realm: 'http://127.0.0.1:{port}/token', service: {SERVICE}, issuer: {ISSUER}, \
             rootcertbundle: {folder}/certs/ca.crt}}}}\n"
        )
    } else if protection.user {
        format!("auth: {{htpasswd: {{realm: here, path: {folder}/htpasswd}}}}\n")
    } else {
        String::new()
    };
    let read_only = if protection.read_only { ", maintenance: {readonly: {enabled: true}}" } else { "" };
    format!(
        "version: 0.1\n\
         log: {{level: error, accesslog: {{disabled: true}}}}\n\
         storage: {{filesystem: {{rootdirectory: {folder}/registry}}{read_only}}}\n\
         {auth}http:\n  addr: 127.0.0.1:{port}\n  relativeurls: true\n{tls}"
    )
}

/// An authority, a server's certificate and a client's. The server's are named so that `--cert-dir` leaves them alone.
fn make_certificates(folder: &std::path::Path) {
    fs::write(folder.join("san"), format!("subjectAltName=IP:127.0.0.1,DNS:{OTHER_NAME}\n")).expect("a file");
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    let run = |args: &[&str]| {
        let output = Command::new("openssl").args(args).current_dir(folder).output().expect("it starts");
        assert!(output.status.success(), "{args:?}\n{}", String::from_utf8_lossy(&output.stderr));
    };
    let authority =
        ["-x509", "-subj", "/CN=test authority", "-days", "2", "-keyout", "ca.secret", "-out", "ca.crt"];
    run(&[&["req"], &key[..], &authority].concat());
    for (name, certificate, secret) in
        [("server", "server.pem", "server.secret"), ("client", "client.cert", "client.key")]
    {
        let subject = format!("/CN={name}");
        run(&[&["req"], &key[..], &["-subj", &subject, "-keyout", secret, "-out", "request"]].concat());
        run(&[
            "x509",
            "-req",
            "-in",
            "request",
            "-CA",
            "ca.crt",
            "-CAkey",
            "ca.secret",
            "-CAcreateserial",
            "-days",
            "2",
            "-extfile",
            "san",
            "-out",
            certificate,
        ]);
    }
}
