//! Sealstone: OCI images in, verified bootable systems out.
//!
//! This crate is a facade: it re-exports the four libraries, in the order of the data's way, and holds no logic.
//!
//! ```text
//! registry, OCI layout,  →  fetch, verify, decompress,  →  objects by fs-verity  →  merge layers, plan,  →  BLS entry
//! archive                   parse tar                      digest, refs, images     /etc, kargs, records    on every ESP
//!        (source)                    import                        store                  deploy               boot
//! ```
//!
//! Bring an image in, and look into it:
//!
//! ```
//! use sealstone::deploy::import_image;
//! use sealstone::import::{ImportOptions, source};
//! use sealstone::store::{Control, InitOptions, Repository, disk::RealDisk, erofs};
//! # use serde_json::json;
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path();
//! # let put = |bytes: &[u8]| {
//! #     use sha2::Digest;
//! #     let hex: String = sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
//! #     std::fs::create_dir_all(folder.join("image/blobs/sha256")).unwrap();
//! #     std::fs::write(folder.join("image/blobs/sha256").join(&hex), bytes).unwrap();
//! #     json!({ "digest": format!("sha256:{hex}"), "size": bytes.len() })
//! # };
//! # let typed = |mut descriptor: serde_json::Value, kind: &str| {
//! #     descriptor["mediaType"] = json!(format!("application/vnd.oci.image.{kind}"));
//! #     descriptor
//! # };
//! # let mut tar = tar::Builder::new(Vec::new());
//! # let mut header = tar::Header::new_gnu();
//! # header.set_size(5);
//! # header.set_mode(0o644);
//! # tar.append_data(&mut header, "usr/lib/os-release", &b"ID=x\n"[..])?;
//! # let layer = put(&tar.into_inner()?);
//! # let config = json!({ "rootfs": { "type": "layers", "diff_ids": [layer["digest"]] } });
//! # let config = typed(put(config.to_string().as_bytes()), "config.v1+json");
//! # let layers = [typed(layer, "layer.v1.tar")];
//! # let manifest = json!({ "schemaVersion": 2, "config": config, "layers": layers });
//! # let manifest = typed(put(manifest.to_string().as_bytes()), "manifest.v1+json");
//! # std::fs::write(folder.join("image/index.json"), json!({ "schemaVersion": 2, "manifests": [manifest] }).to_string())?;
//! # std::fs::write(folder.join("image/oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
//!
//! let disk = RealDisk::shared();
//! let (repository, _) = Repository::init(&disk, folder.join("repo"), &InitOptions::default())?;
//!
//! let options = ImportOptions::default();
//! let reference = format!("oci:{}", folder.join("image").display()).parse()?;
//! let source = source::open(&disk, &reference, &options.limits)?;
//! // Durable when this returns: every digest checked, one barrier, then the name.
//! let imported = import_image(&repository, &*source, "os:1", &options, &Control::new())?;
//!
//! let bytes = repository.map_object(imported.images.image.object())?;
//! let tree = erofs::Image::open(&bytes)?.to_tree()?;
//! assert!(tree.resolve(b"/usr/lib/os-release").is_ok());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What never lives here: code. What each library does, and what it never does, stands on its own front page:
//! [`store`], [`import`], [`deploy`], [`boot`]. The command `store` is a thin program over this crate.

pub use sealstone_boot as boot;
pub use sealstone_deploy as deploy;
pub use sealstone_import as import;
pub use sealstone_store as store;

/// The Rust in README.md compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
