//! Drives the crate composefs-oci on a sha256 repository without kernel verity.
//!
//! Lives here: one verb for each thing that is measured or cross-checked, each printing one JSON object. Nothing of
//! Sealstone is linked: what this program says about a repository is an independent opinion.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use composefs::fsverity::{Algorithm, FsVerityHashValue, Sha256HashValue};
use composefs::repository::{Repository, RepositoryConfig};
use composefs_oci::oci_layout::{OciLayoutKind, import_oci_layout};
use composefs_oci::{NullReporter, OciDigest, OciTransformOptions, PullOptions};
use containers_image_proxy::ImageProxyConfig;
use rustix::fs::CWD;
use serde_json::{Value, json};

type Repo = Repository<Sha256HashValue>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Runtime::new().context("start tokio")?;
    let report = match arguments.as_slice() {
        ["import", repository, layout] => runtime.block_on(import(repository, layout))?,
        ["pull", repository, reference] => runtime.block_on(pull(repository, reference))?,
        ["seal", repository, config, verity] => seal(repository, config, verity)?,
        ["fsck", repository] => runtime.block_on(fsck(repository))?,
        ["gc", repository] => gc(repository)?,
        _ => bail!(
            "usage: import REPO LAYOUT | pull REPO REFERENCE | seal REPO CONFIG VERITY | fsck REPO | gc REPO"
        ),
    };
    println!("{report}");
    Ok(())
}

fn open(path: &str) -> Result<Repo> {
    Repo::open_path(CWD, path).with_context(|| format!("open {path}"))
}

fn create(path: &str) -> Result<Arc<Repo>> {
    let config = RepositoryConfig::new(Algorithm::SHA256).set_insecure();
    let (repository, _) = Repo::init_path(CWD, path, config)?;
    Ok(Arc::new(repository))
}

async fn import(path: &str, layout: &str) -> Result<Value> {
    let repository = create(path)?;
    let reporter = Arc::new(NullReporter);
    let kind = OciLayoutKind::Directory;
    let (pulled, stats) = import_oci_layout(&repository, kind, Path::new(layout), None, reporter).await?;
    composefs_oci::tag_image(&repository, &pulled.manifest_digest, "peers")?;
    Ok(json!({
        "manifest": pulled.manifest_digest.to_string(),
        "config": pulled.config_digest.to_string(),
        "config_verity": pulled.config_verity.to_hex(),
        "new_objects": stats.new_objects(),
        "total_objects": stats.total_objects(),
        "new_bytes": stats.new_bytes(),
    }))
}

/// Pulls from a registry that speaks plain http, through the skopeo of the path.
async fn pull(path: &str, reference: &str) -> Result<Value> {
    let repository = create(path)?;
    let mut proxy = ImageProxyConfig::default();
    proxy.insecure_skip_tls_verification = Some(true);
    proxy.insecure_policy = Some(true);
    let mut options = PullOptions::default();
    options.img_proxy_config = Some(proxy);
    let pulled = composefs_oci::pull(&repository, reference, Some("peers"), options).await?;
    Ok(json!({ "manifest": pulled.manifest_digest.to_string(), "config": pulled.config_digest.to_string() }))
}

/// The image of an imported config: merge, then EROFS.
fn seal(path: &str, config: &str, verity: &str) -> Result<Value> {
    let repository = open(path)?;
    let config: OciDigest = config.parse().context("parse the config's digest")?;
    let verity = Sha256HashValue::from_hex(verity).context("parse the config's verity digest")?;
    let options = OciTransformOptions::default();
    let start = Instant::now();
    let tree = composefs_oci::image::create_filesystem(&repository, &config, Some(&verity), &options)?;
    let merged = start.elapsed();
    let start = Instant::now();
    let image = tree.commit_image(&repository, None)?;
    let written = start.elapsed();
    Ok(json!({
        "image": image.to_hex(),
        "merge_ms": merged.as_secs_f64() * 1e3,
        "write_ms": written.as_secs_f64() * 1e3,
    }))
}

async fn fsck(path: &str) -> Result<Value> {
    let repository = open(path)?;
    let result = composefs_oci::oci_image::oci_fsck(&repository).await?;
    let errors: Vec<String> = result.errors().iter().map(ToString::to_string).collect();
    let damage: Vec<String> = result.repo_result().errors().iter().map(ToString::to_string).collect();
    Ok(json!({
        "ok": result.is_ok(),
        "objects": result.repo_result().objects_checked(),
        "streams": result.repo_result().streams_checked(),
        "images": result.repo_result().images_checked(),
        "oci_images": result.images_checked(),
        "errors": errors,
        "damage": damage,
    }))
}

fn gc(path: &str) -> Result<Value> {
    let result = open(path)?.gc(&[])?;
    Ok(json!({
        "objects_removed": result.objects_removed,
        "images_pruned": result.images_pruned,
        "streams_pruned": result.streams_pruned,
    }))
}
