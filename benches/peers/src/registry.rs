//! A registry on the loopback interface that serves one image of the corpus over plain http.
//!
//! Lives here: Debian's docker-registry as a child, and the first push. Not here: who pulls. Invariants: the blobs are
//! pushed once and kept beside the corpus; the registry is gone when the value is dropped.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::peer::Bench;

/// How often the registry's port is tried, and the pause between.
const TRIES: usize = 200;
const PAUSE: Duration = Duration::from_millis(50);

/// A running registry.
pub struct Registry {
    child: Child,
    port: u16,
}

impl Registry {
    /// Serves `image`, which is pushed if the registry has never seen it.
    pub fn serve(bench: &Bench, image: &str) -> Result<Self> {
        let folder = bench.corpus.registry();
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        let port = TcpListener::bind("127.0.0.1:0").context("find a port")?.local_addr()?.port();
        let configuration = folder.join("registry.yml");
        fs::write(&configuration, settings(&folder, port)).context("write the registry's settings")?;
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(&configuration).stdout(Stdio::null()).stderr(Stdio::null());
        let registry = Self { child: command.spawn().context("start docker-registry")?, port };
        registry.wait()?;
        if !folder.join("docker/registry/v2/repositories").join(image).exists() {
            println!("pushing {image} to the registry");
            crate::corpus::debian::run(&mut bench.push(image, &registry.name(image)))?;
        }
        Ok(registry)
    }

    /// The image's name in it: `docker://127.0.0.1:PORT/IMAGE:latest`.
    pub fn name(&self, image: &str) -> String {
        format!("docker://127.0.0.1:{}/{image}:latest", self.port)
    }

    fn wait(&self) -> Result<()> {
        for _ in 0..TRIES {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return Ok(());
            }
            thread::sleep(PAUSE);
        }
        bail!("docker-registry does not listen")
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It takes its time over SIGTERM.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn settings(folder: &Path, port: u16) -> String {
    format!(
        "version: 0.1\n\
         log: {{level: error, accesslog: {{disabled: true}}}}\n\
         storage: {{filesystem: {{rootdirectory: {}}}}}\n\
         http:\n  addr: 127.0.0.1:{port}\n  relativeurls: true\n",
        folder.display()
    )
}
