//! `store artifact push REFERENCE FILE…`: files into a registry, several architectures and disk types under one tag.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;
use sealstone::import::Limits;
use sealstone::import::artifact::{ArtifactFile, DiskType, PushedArtifacts, push_artifacts};
use sealstone::import::oci::Platform;
use sealstone::import::registry::{RegistryReference, RegistryTarget};
use sealstone::store::Error as StoreError;
use sealstone::store::disk::{File, RealDisk};
use serde::Serialize;

use crate::args::Reporting;
use crate::context::Context;
use crate::exit::Exit;
use crate::image::short_id;
use crate::output::{Bytes, Elapsed, Table, escape, write_document};
use crate::registry::{self, RegistryArgs};

/// Push files as an artifact, or as several under one tag
///
/// A file with an architecture or a disk type is named by an index, from which `store artifact fetch`, podman machine and Ironic choose.
/// The tag moves when all files are there. What the registry has is not sent.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  store artifact push docker://registry.example/tool:1 tool.tar
  store artifact push docker://registry.example/os:1 \\
    os.raw.zst,arch=amd64,disktype=raw os.qcow2,arch=amd64,disktype=qcow2 \\
    arm.raw.zst,arch=arm64,disktype=raw")]
pub struct Args {
    // An attribute, not a comment: rustdoc would read it as a link.
    #[arg(value_name = "REFERENCE", help = "Where to: docker://HOST/REPOSITORY:TAG")]
    reference: String,
    /// A file, with ,arch=ARCH[/VARIANT] ,disktype=TYPE ,type=MEDIA-TYPE ,title=NAME as far as they apply
    #[arg(value_name = "FILE", required = true, value_parser = FileArg::parse)]
    files: Vec<FileArg>,
    /// What kind of artifact it is
    #[arg(long, value_name = "TYPE", default_value = "application/vnd.unknown.artifact.v1")]
    artifact_type: String,
    #[command(flatten)]
    registry: RegistryArgs,
    #[command(flatten)]
    reporting: Reporting,
}

/// A file and what is said of it.
#[derive(Clone)]
struct FileArg {
    path: PathBuf,
    platform: Option<Platform>,
    disk_type: Option<DiskType>,
    media_type: Option<String>,
    title: Option<String>,
}

impl FileArg {
    /// Reads `PATH[,KEY=VALUE]…`; a comma that no key follows belongs to the path.
    fn parse(text: &str) -> Result<Self, String> {
        let mut file =
            Self { path: PathBuf::new(), platform: None, disk_type: None, media_type: None, title: None };
        let mut rest = text;
        while let Some((before, last)) = rest.rsplit_once(',') {
            let Some((key, value)) = last.split_once('=') else { break };
            match key {
                "arch" => {
                    let platform = format!("linux/{value}").parse();
                    file.platform = Some(platform.map_err(|_| format!("{value:?} is no ARCH[/VARIANT]"))?);
                }
                "disktype" => file.disk_type = Some(value.parse()?),
                "type" => file.media_type = Some(value.to_owned()),
                "title" => file.title = Some(value.to_owned()),
                _ => break,
            }
            rest = before;
        }
        if rest.is_empty() {
            return Err("it names no file".to_owned());
        }
        file.path = PathBuf::from(rest);
        Ok(file)
    }

    fn open(&self) -> anyhow::Result<ArtifactFile> {
        let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
        let mut file = ArtifactFile::new(File::open(&RealDisk::shared(), &self.path)?);
        file.platform.clone_from(&self.platform);
        file.disk_type = self.disk_type;
        file.media_type.clone_from(&self.media_type);
        file.title = self.title.clone().or_else(|| name(&self.path));
        Ok(file)
    }
}

pub fn run(args: &Args, context: &Context) -> anyhow::Result<Exit> {
    let reference: RegistryReference = args.reference.parse()?;
    let Some(tag) = reference.tag().filter(|_| reference.digest().is_none()) else {
        let (value, reason) = (args.reference.clone(), "an artifact is pushed to a tag, not to a digest");
        return Err(StoreError::Invalid { what: "reference", value, reason }.into());
    };
    let files = args.files.iter().map(FileArg::open).collect::<Result<Vec<_>, _>>()?;
    let what = || format!("push to {}", escape(args.reference.as_bytes()));
    let limits = Limits::default();
    let (endpoint, settings) =
        registry::to_push(&reference, &args.registry, &limits, context).with_context(what)?;
    let target = RegistryTarget::new(endpoint, &settings, &[]);
    let start = Instant::now();
    let done =
        push_artifacts(&target, tag, &args.artifact_type, &files, context.control()?).with_context(what)?;
    let time = start.elapsed();
    context.print(|out, terminal| {
        let place = escape(reference.to_string().as_bytes());
        if args.reporting.json {
            return write_document(
                out,
                "sealstone.artifact-push/1",
                &document(&place, args, &done, time.as_secs_f64()),
            );
        }
        writeln!(out, "{} pushed in {}", terminal.bold(&place), Elapsed(time))?;
        let mut table = Table::new().left("MANIFEST").left("FILE").right("SIZE");
        for (file, (manifest, _, size)) in args.files.iter().zip(&done.files) {
            table.row([short_id(manifest, false), path_of(file), Bytes(*size).to_string()]);
        }
        table.write(out, terminal)
    })?;
    Ok(Exit::Done)
}

fn path_of(file: &FileArg) -> String {
    escape(file.path.as_os_str().as_encoded_bytes())
}

/// The answer, `sealstone.artifact-push/1`.
#[derive(Serialize)]
struct Document<'a> {
    reference: &'a str,
    named: String,
    files: Vec<FileDocument>,
    seconds: f64,
}

#[derive(Serialize)]
struct FileDocument {
    file: String,
    manifest: String,
    blob: String,
    blob_bytes: u64,
}

fn document<'a>(reference: &'a str, args: &Args, done: &PushedArtifacts, seconds: f64) -> Document<'a> {
    let files = args.files.iter().zip(&done.files);
    let files = files.map(|(file, (manifest, blob, blob_bytes))| FileDocument {
        file: path_of(file),
        manifest: manifest.to_string(),
        blob: blob.to_string(),
        blob_bytes: *blob_bytes,
    });
    Document { reference, named: done.named.to_string(), files: files.collect(), seconds }
}

#[cfg(test)]
mod tests {
    use super::FileArg;

    #[test]
    fn what_is_said_of_a_file_stands_behind_commas() {
        let file = FileArg::parse("a,b=c.raw,arch=x86_64,disktype=raw").unwrap();
        assert_eq!(file.path.to_str(), Some("a,b=c.raw"));
        assert_eq!(file.platform.unwrap().to_string(), "linux/amd64");
        assert_eq!(FileArg::parse("plain").unwrap().path.to_str(), Some("plain"));
        for bad in ["", ",arch=amd64", "x,disktype=wsl", "x,arch="] {
            assert!(FileArg::parse(bad).is_err(), "{bad}");
        }
    }
}
