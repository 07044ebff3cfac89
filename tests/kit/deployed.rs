//! A sysroot with deployments in a sandbox, made by the command, and its files as they lie there.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use super::{Image, Layer, Outcome, Sandbox};

/// A sandbox with `sysroot/` and `esp/`.
pub struct Deployed {
    pub sandbox: Sandbox,
}

impl Deployed {
    /// An empty sysroot with a repository.
    pub fn new() -> Self {
        Self::with(&[])
    }

    /// The same with these options of `init`.
    pub fn with(options: &[&str]) -> Self {
        let sandbox = Sandbox::new();
        for folder in ["sysroot", "esp"] {
            fs::create_dir(sandbox.path(folder)).expect("a folder");
        }
        let deployed = Self { sandbox };
        deployed.store(&[&["init"], options].concat()).succeeds();
        deployed
    }

    /// Runs a verb on the sysroot's repository.
    pub fn store(&self, args: &[&str]) -> Outcome {
        let repository = self.sandbox.path("sysroot/composefs").display().to_string();
        self.sandbox.store([args, &["--repo", &repository]].concat())
    }

    /// Imports a bootable image of these additions under a name.
    pub fn import(&self, name: &str, etc: Layer) {
        let layer = Layer::system("6.1.0").file("usr/lib/name", name.as_bytes());
        Image::new().layer(layer).layer(etc).write(&self.sandbox.path(name));
        let reference = format!("oci:{}", self.sandbox.path(name).display());
        self.store(&["import", "--name", name, &reference]).succeeds();
    }

    /// Runs `deploy`.
    pub fn deploy(&self, image: &str, more: &[&str]) -> Outcome {
        let args = [&["deploy", image, "--sysroot", "sysroot", "--esp", "esp"], more].concat();
        self.store(&args)
    }

    /// The plan of a deploy.
    pub fn plan(&self, image: &str, more: &[&str]) -> Value {
        self.deploy(image, &[more, &["--dry-run", "--json"]].concat()).json()
    }

    /// The deployments, the default first.
    pub fn deployments(&self) -> Vec<Value> {
        let status = self.store(&["status", "--json", "--sysroot", "sysroot", "--esp", "esp"]).json();
        status["deployments"].as_array().expect("deployments").clone()
    }

    /// A path in the `/etc` of the deployment that boots by default.
    pub fn etc(&self, path: &str) -> PathBuf {
        let id = self.deployments()[0]["id"].as_str().expect("an id").to_owned();
        self.sandbox.path(&format!("sysroot/state/deploy/{id}/etc/{path}"))
    }

    /// What such a file says.
    pub fn read(&self, path: &str) -> String {
        let path = self.etc(path);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Writes such a file, as the machine's owner does.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.etc(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
        fs::write(path, text).expect("a file");
    }
}
