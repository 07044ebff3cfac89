//! Makes the image of an imported layout again, from the store's records: what composefs-oci's driver does as `seal`.

use std::path::Path;

use anyhow::Result;
use sealstone_deploy::make_images;
use sealstone_import::{ImportOptions, import_layers, source};
use sealstone_store::{Control, Repository, disk::RealDisk};
use serde_json::json;

/// Decodes the layers' records, merges, writes the EROFS image, makes it durable, and prints its id.
pub fn make(repository: &Path, layout: &Path) -> Result<()> {
    let disk = RealDisk::shared();
    let repository = Repository::open(&disk, repository)?;
    let options = ImportOptions::default();
    let reference = format!("oci:{}", layout.display()).parse()?;
    let source = source::open(&disk, &reference, &options.limits)?;
    let transaction = repository.transaction()?;
    let imported = import_layers(&transaction, &*source, &options, &Control::new())?;
    let made = make_images(&transaction, &imported.layers())?;
    let image = transaction.commit(made.image)?;
    println!("{}", json!({ "image": image.to_string() }));
    Ok(())
}
