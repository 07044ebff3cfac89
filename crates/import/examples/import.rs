//! Imports an image from a local OCI layout or archive into a repository: `import REPOSITORY REFERENCE [NAME]`.

#![allow(clippy::print_stdout, reason = "an example talks to its user")]

use std::time::Instant;

use sealstone_import::{ImportOptions, import, source};
use sealstone_store::{Control, InitOptions, Repository, disk::RealDisk};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (Some(path), Some(reference)) = (arguments.first(), arguments.get(1)) else {
        return Err("usage: import REPOSITORY REFERENCE [NAME]".into());
    };
    let disk = RealDisk::shared();
    let (repository, _) = Repository::init(&disk, path, &InitOptions::default())?;
    let options = ImportOptions::default();
    let source = source::open(&disk, &reference.parse()?, &options.limits)?;
    let start = Instant::now();
    let name = arguments.get(2).map(String::as_str);
    let report = import(&repository, &*source, name, &options, &Control::new())?;
    for layer in &report.layers {
        println!(
            "{} {:?} {:?} tar {} new {}/{} shared {}/{} warnings {} {:.3} s",
            layer.diff_id,
            layer.origin,
            layer.compression,
            layer.tar_bytes,
            layer.new_objects,
            layer.new_bytes,
            layer.shared_objects,
            layer.shared_bytes,
            layer.findings.list().len(),
            layer.time.as_secs_f64()
        );
    }
    println!("layers {:.3} s, all {:.3} s", report.time.as_secs_f64(), start.elapsed().as_secs_f64());
    Ok(())
}
