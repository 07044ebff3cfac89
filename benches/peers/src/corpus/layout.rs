//! Writes an OCI image layout: blobs, one manifest, one index entry.
//!
//! Lives here: digests, descriptors, the config and the compressors' processes. Not here: what a layer contains
//! (the other files of this folder). Invariant: a layout folder appears under its name only when it is whole.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::thread;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// How a layer's tar stream is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// `pigz -6 -n`: one gzip member.
    Gzip,
    /// `zstd -3`: one frame.
    Zstd,
}

impl Compression {
    fn command(self) -> Command {
        let (program, arguments): (_, &[&str]) = match self {
            Self::Gzip => ("pigz", &["-6", "-n", "-c"]),
            Self::Zstd => ("zstd", &["-3", "-q", "-c"]),
        };
        let mut command = Command::new(program);
        command.args(arguments);
        command
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
            Self::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
        }
    }
}

/// A layout that is being written, in a folder beside its final place.
pub struct LayoutWriter {
    staging: PathBuf,
    destination: PathBuf,
    layers: Vec<Value>,
    diff_ids: Vec<String>,
}

impl LayoutWriter {
    /// Starts a layout that [`finish`](Self::finish) will move to `destination`.
    pub fn create(destination: &Path) -> Result<Self> {
        let staging = destination.with_extension("partial");
        if staging.exists() {
            fs::remove_dir_all(&staging).with_context(|| format!("remove {}", staging.display()))?;
        }
        let blobs = staging.join("blobs/sha256");
        fs::create_dir_all(&blobs).with_context(|| format!("create {}", blobs.display()))?;
        Ok(Self { staging, destination: destination.to_owned(), layers: Vec::new(), diff_ids: Vec::new() })
    }

    /// Adds a layer: `produce` writes its tar stream.
    pub fn add_layer(
        &mut self,
        compression: Compression,
        produce: impl FnOnce(&mut LayerStream) -> Result<()>,
    ) -> Result<()> {
        let mut child = compression
            .command()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {}", compression.command().get_program().display()))?;
        let packed = child.stdout.take().context("the compressor has no output pipe")?;
        let to = child.stdin.take().context("the compressor has no input pipe")?;
        let part = self.staging.join("blobs/sha256/part");
        let drain = thread::spawn({
            let part = part.clone();
            move || drain(packed, &part)
        });
        let mut stream = LayerStream { to: BufWriter::with_capacity(1 << 20, to), hash: Sha256::new() };
        let produced = produce(&mut stream);
        let diff_id = stream.finish()?;
        ensure!(child.wait()?.success(), "the compressor failed");
        let (digest, size) = drain.join().map_err(|_| anyhow::anyhow!("the drain thread died"))??;
        produced?;
        fs::rename(&part, self.staging.join("blobs/sha256").join(&digest)).context("name a layer")?;
        self.layers.push(descriptor(compression.media_type(), &digest, size));
        self.diff_ids.push(diff_id);
        Ok(())
    }

    /// Takes a layer of another layout as it is.
    pub fn reuse_layer(&mut self, from: &Layout, index: usize) -> Result<()> {
        let layer = &from.layers[index];
        let name = layer.path.file_name().context("a blob has a name")?;
        let to = self.staging.join("blobs/sha256").join(name);
        fs::hard_link(&layer.path, &to).with_context(|| format!("link {}", to.display()))?;
        self.layers.push(layer.descriptor.clone());
        self.diff_ids.push(layer.diff_id.clone());
        Ok(())
    }

    /// Writes config, manifest and index, and moves the layout to its place.
    pub fn finish(self) -> Result<()> {
        let config = json!({
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": { "type": "layers", "diff_ids": self.diff_ids },
            "history": self.diff_ids.iter().map(|_| json!({ "created_by": "sealstone-peers" })).collect::<Vec<_>>(),
        });
        let config = self.add_json("application/vnd.oci.image.config.v1+json", &config)?;
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": config,
            "layers": self.layers,
        });
        let mut manifest = self.add_json("application/vnd.oci.image.manifest.v1+json", &manifest)?;
        manifest["annotations"] = json!({ "org.opencontainers.image.ref.name": "latest" });
        manifest["platform"] = json!({ "architecture": "amd64", "os": "linux" });
        let index = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [manifest],
        });
        fs::write(self.staging.join("index.json"), index.to_string()).context("write index.json")?;
        fs::write(self.staging.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)
            .context("write oci-layout")?;
        fs::rename(&self.staging, &self.destination)
            .with_context(|| format!("move a layout to {}", self.destination.display()))
    }

    fn add_json(&self, media_type: &str, value: &Value) -> Result<Value> {
        let text = value.to_string();
        let digest = hex(&Sha256::digest(text.as_bytes()));
        let path = self.staging.join("blobs/sha256").join(&digest);
        fs::write(&path, &text).with_context(|| format!("write {}", path.display()))?;
        Ok(descriptor(media_type, &digest, text.len() as u64))
    }
}

/// A layer's tar stream on its way to the compressor: hashed for the diff_id as it passes.
pub struct LayerStream {
    to: BufWriter<ChildStdin>,
    hash: Sha256,
}

impl LayerStream {
    fn finish(self) -> Result<String> {
        let to = self.to.into_inner().map_err(io::IntoInnerError::into_error).context("flush a layer")?;
        drop(to);
        Ok(format!("sha256:{}", hex(&self.hash.finalize())))
    }
}

impl Write for LayerStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// One layer of a layout on disk.
#[derive(Clone, Debug)]
pub struct Layer {
    /// The blob.
    pub path: PathBuf,
    /// `sha256:` and the digest of the tar stream.
    pub diff_id: String,
    /// Its packing.
    pub compression: Compression,
    descriptor: Value,
}

impl Layer {
    /// The packed size in bytes.
    pub fn size(&self) -> Result<u64> {
        self.descriptor["size"].as_u64().context("a layer's descriptor has no size")
    }

    /// The blob's digest, in hex.
    pub fn digest(&self) -> Result<&str> {
        let digest = self.descriptor["digest"].as_str().context("a layer's descriptor has no digest")?;
        digest.strip_prefix("sha256:").context("a layer's digest is not sha256")
    }
}

/// A layout on disk, read for the floor and for peers that take single layers.
#[derive(Debug)]
pub struct Layout {
    /// The layers, lowest first.
    pub layers: Vec<Layer>,
}

impl Layout {
    /// Reads index, manifest and config of a layout that [`LayoutWriter`] wrote.
    pub fn open(root: &Path) -> Result<Self> {
        let index = read_json(&root.join("index.json"))?;
        let blob = |digest: &Value| -> Result<PathBuf> {
            let digest = digest.as_str().and_then(|text| text.strip_prefix("sha256:"));
            Ok(root.join("blobs/sha256").join(digest.context("a descriptor without a sha256 digest")?))
        };
        let manifest = read_json(&blob(&index["manifests"][0]["digest"])?)?;
        let config = read_json(&blob(&manifest["config"]["digest"])?)?;
        let descriptors = manifest["layers"].as_array().context("a manifest without layers")?;
        let mut layers = Vec::with_capacity(descriptors.len());
        for (index, descriptor) in descriptors.iter().enumerate() {
            let zstd = descriptor["mediaType"] == Compression::Zstd.media_type();
            layers.push(Layer {
                path: blob(&descriptor["digest"])?,
                diff_id: config["rootfs"]["diff_ids"][index].as_str().context("no diff_id")?.to_owned(),
                compression: if zstd { Compression::Zstd } else { Compression::Gzip },
                descriptor: descriptor.clone(),
            });
        }
        Ok(Self { layers })
    }
}

/// Bytes as lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn descriptor(media_type: &str, digest: &str, size: u64) -> Value {
    json!({ "mediaType": media_type, "digest": format!("sha256:{digest}"), "size": size })
}

fn read_json(path: &Path) -> Result<Value> {
    let text = fs::read(path).with_context(|| format!("read {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("parse {}", path.display()))
}

fn drain(mut from: impl Read, path: &Path) -> Result<(String, u64)> {
    let mut file = File::create(path).with_context(|| format!("create {}", path.display()))?;
    let (mut hash, mut size, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 20]);
    loop {
        let length = from.read(&mut buffer).context("read from a compressor")?;
        if length == 0 {
            return Ok((hex(&hash.finalize()), size));
        }
        hash.update(&buffer[..length]);
        file.write_all(&buffer[..length]).with_context(|| format!("write {}", path.display()))?;
        size += length as u64;
    }
}
