//! Cross-checks our repository against composefs-oci's on the same images.
//!
//! Each check is one promise: the same objects, the same image id, a repository that the other program opens, finds
//! in order and collects garbage in without harm. The floor's objects are a third, independent set.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::measure::measure;
use crate::peer::{Bench, Peer};
use crate::repository::{config, names, objects};

/// Runs all checks on one image of the corpus.
pub fn check(bench: &Bench, image: &str) -> Result<()> {
    let root = bench.corpus.scratch().join("check");
    if root.exists() {
        fs::remove_dir_all(&root).with_context(|| format!("remove {}", root.display()))?;
    }
    let (ours, theirs, floor) = (root.join("ours"), root.join("theirs"), root.join("floor"));
    for (peer, target) in [(Peer::Sealstone, &ours), (Peer::ComposefsOci, &theirs), (Peer::Floor, &floor)] {
        fs::create_dir_all(target).with_context(|| format!("create {}", target.display()))?;
        if let Some(mut command) = bench.prepare(peer, target) {
            print_of(&mut command)?;
        }
        print_of(&mut bench.import(peer, image, target)?)?;
    }
    let (ours, theirs) = (ours.join("repo"), theirs.join("repo"));
    same_objects(&ours, &theirs, &floor)?;
    same_image(bench, &ours, &theirs)?;
    their_verbs_do_no_harm(bench, &ours)?;
    println!("{image}: same objects, same image id, fsck and gc of composefs-oci find nothing to do");
    fs::remove_dir_all(&root).with_context(|| format!("remove {}", root.display()))
}

/// The same file bodies, config and manifest under the same names. Splitstreams are left out: their bytes depend on
/// the zstd version; so are EROFS images, which are compared by id.
fn same_objects(ours: &Path, theirs: &Path, floor: &Path) -> Result<()> {
    let (own, other, bodies) = (contents(ours)?, contents(theirs)?, objects(floor)?);
    let difference: Vec<_> = own.symmetric_difference(&other).take(5).collect();
    ensure!(difference.is_empty(), "objects that only one of the two repositories has: {difference:?}");
    let missing: Vec<_> = bodies.difference(&own).take(5).collect();
    ensure!(missing.is_empty(), "objects of the floor that our repository lacks: {missing:?}");
    Ok(())
}

/// Both programs make the same image, and theirs makes it from our layers too.
fn same_image(bench: &Bench, ours: &Path, theirs: &Path) -> Result<()> {
    let expected = seal(bench, theirs)?;
    ensure!(names(ours, "images")?.contains_key(&expected), "our repository has no image {expected}");
    let from_ours = seal(bench, ours)?;
    ensure!(
        from_ours == expected,
        "composefs-oci makes {from_ours} from our layers, {expected} from its own"
    );
    Ok(())
}

fn their_verbs_do_no_harm(bench: &Bench, ours: &Path) -> Result<()> {
    let fsck = driver(bench, &["fsck"], ours, &[])?;
    ensure!(fsck["ok"] == true, "composefs-oci finds damage in our repository: {fsck}");
    let before = objects(ours)?;
    let gc = driver(bench, &["gc"], ours, &[])?;
    ensure!(objects(ours)? == before, "composefs-oci's gc removes objects of ours: {gc}");
    let target = ours.parent().context("a repository has a folder")?;
    print_of(bench.store(target).arg("fsck")).context("our own fsck after composefs-oci's gc")?;
    Ok(())
}

/// The image that composefs-oci makes of the one config in a repository.
fn seal(bench: &Bench, repository: &Path) -> Result<String> {
    let (config, verity) = config(repository)?;
    let report = driver(bench, &["seal"], repository, &[&config, &verity])?;
    Ok(report["image"].as_str().context("no image id")?.to_owned())
}

fn driver(bench: &Bench, verb: &[&str], repository: &Path, rest: &[&str]) -> Result<Value> {
    let text = print_of(Command::new(&bench.driver).args(verb).arg(repository).args(rest))?;
    serde_json::from_str(&text).context("parse the driver's report")
}

fn print_of(command: &mut Command) -> Result<String> {
    Ok(measure(command, || Ok(()))?.1)
}

/// The objects that are neither a splitstream nor an image.
fn contents(repository: &Path) -> Result<BTreeSet<String>> {
    let mut found = objects(repository)?;
    for folder in ["streams", "images"] {
        for object in names(repository, folder)?.values() {
            found.remove(object);
        }
    }
    Ok(found)
}
