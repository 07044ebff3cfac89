//! The digest that a unified kernel image names may be that of either format; where it is of no image, it is said why.

use super::*;
use crate::{
    Basis, Departure, Health, ImageId, Profile, Recipe, apply,
    image_tree::image_tree,
    status::status,
    testing::{Machine, Sealed, System},
};
use sealstone_boot::BootError;
use sealstone_import::ImportOptions;
use sealstone_store::{
    Algorithm, Control, FsckDepth, GcOptions, ObjectId,
    erofs::{self, Version},
    verity,
};

/// The digest of a system without a unified kernel image, made by this recipe.
fn digest(machine: &Machine, version: &str, recipe: &Recipe, algorithm: Algorithm) -> ObjectId {
    let repository = machine.target().repository;
    let image = machine.import(&System::new(version)).image;
    let tree = image_tree(&repository, &image).unwrap();
    let read = |object: &ObjectId, limit| Ok(repository.read_object(object, limit)?);
    let tree = recipe.make(Basis::Tree(&tree), &read).unwrap();
    verity::digest(algorithm, &erofs::write_version(&tree, recipe.version).unwrap())
}

fn v2(machine: &Machine, version: &str) -> ObjectId {
    digest(machine, version, &Recipe::of(Profile::Bootable, Version::V2), Algorithm::Sha512)
}

fn sealed<'a>(version: &'a str, names: &str) -> Sealed<'a> {
    Sealed { names: Some(names.to_owned()), ..Sealed::new(version) }
}

fn refusal(machine: &Machine, request: &DeployRequest) -> (Vec<String>, String) {
    let error = plan_deploy(&machine.target(), request).unwrap_err();
    let crate::DeployError::Boot(BootError::WrongImage { named, why, .. }) = &error else {
        panic!("{error}")
    };
    assert!(error.to_string().contains(why.as_ref().unwrap()), "{error}");
    (named.clone(), why.clone().unwrap())
}

// bootc#2334, fedora-atomic-desktops-sealed#41: a newer version of the tool made images in another format, and refused each
// update whose command line named the digest of the old one.
#[test]
fn an_image_whose_command_line_names_its_v2_digest_is_made_deployed_and_kept_in_that_format() {
    let machine = Machine::new();
    for version in ["1", "2"] {
        let wanted = v2(&machine, version);
        for names in [format!("composefs=?{wanted}"), format!("composefs.digest=?v2-sha512-12:{wanted}")] {
            let (request, _) = machine.import_sealed(&sealed(version, &names));
            assert_eq!(request.image, ImageId::new(wanted));
        }
        let (request, uki) = machine.import_sealed(&sealed(version, &format!("composefs=?{wanted}")));
        machine.deploy(&request);
        let file = format!("esp/EFI/Linux/bootc/bootc_composefs-{wanted}.efi");
        assert_eq!(std::fs::read(machine.path(&file)).unwrap(), uki);
    }
    let target = machine.target();
    let control = Control::new();
    target.repository.gc(&GcOptions::default(), &control).unwrap();
    let report = target.repository.fsck(FsckDepth::Everything, &control).unwrap();
    assert!(report.damage.is_empty(), "{report:?}");
    let status = status(&target, None).unwrap();
    assert!(status.deployments.iter().all(|deployment| deployment.health == Health::Good));
    assert_eq!(status.deployments.len(), 2);
    apply(&target, &plan_rollback(&target, None).unwrap(), &control).unwrap();
    assert!(plan_reconcile(&target, None).unwrap().is_empty());
}

#[test]
fn a_second_import_finds_what_the_first_made_in_format_v2_and_makes_it_again_when_it_is_lost() {
    let machine = Machine::new();
    let names = format!("composefs=?{}", v2(&machine, "1"));
    let (first, _) = machine.import_sealed(&sealed("1", &names));
    let (again, _) = machine.import_sealed(&sealed("1", &names));
    assert_eq!(again, first);
    let repository = machine.target().repository;
    let hex = first.image.to_string();
    let object =
        machine.path("sysroot").join(crate::REPOSITORY).join("objects").join(&hex[..2]).join(&hex[2..]);
    std::fs::remove_file(&object).unwrap();
    let (mended, _) = machine.import_sealed(&sealed("1", &names));
    assert_eq!(mended, first);
    assert!(image_tree(&repository, &mended.image).is_ok());
}

#[test]
fn a_command_line_with_digests_of_both_formats_boots_the_default_one() {
    let machine = Machine::new();
    let (one, two) = (machine.import(&System::new("1")).image, v2(&machine, "1"));
    let both = format!("composefs.digest=?v2-sha512-12:{two} composefs.digest=?v1-sha512-12:{one}");
    let (request, _) = machine.import_sealed(&sealed("1", &both));
    assert_eq!(request.image, one);
    machine.deploy(&request);
}

// bootc#2194: the digest that was sealed came of files on a disk, whose folders had other times than the layers say; it was
// refused, and nobody could see why.
#[test]
fn a_digest_of_the_same_files_made_otherwise_is_refused_with_what_was_made_otherwise() {
    let machine = Machine::new();
    let recipe =
        Recipe { departures: vec![Departure::NoTimes], ..Recipe::of(Profile::Bootable, Version::V1) };
    let wanted = digest(&machine, "1", &recipe, Algorithm::Sha512);
    let (request, _) = machine.import_sealed(&sealed("1", &format!("composefs=?{wanted}")));
    let (named, why) = refusal(&machine, &request);
    assert_eq!(named, [wanted.to_hex()]);
    for part in ["made otherwise", "all times 0", &format!("`store diff --explain {wanted} sha256:")] {
        assert!(why.contains(part), "{why}");
    }
    assert!(machine.names("esp").is_empty());
}

#[test]
fn a_digest_of_other_files_is_refused_as_that() {
    let machine = Machine::new();
    let other = machine.import(&System::new("9")).image;
    let (request, _) = machine.import_sealed(&sealed("1", &format!("composefs=?{other}")));
    let (_, why) = refusal(&machine, &request);
    assert!(why.contains("the files are others") && why.contains("store diff --explain"), "{why}");
}

// composefs-rs#197: one tool sealed with SHA-256, the other had repositories of SHA-512; the installation ended in "Invalid
// string length".
#[test]
fn a_digest_of_another_hash_than_the_repositorys_is_refused_as_that() {
    let machine = Machine::new();
    let wanted = digest(&machine, "1", &Recipe::of(Profile::Bootable, Version::V1), Algorithm::Sha256);
    let names = format!("composefs.digest=?v1-sha256-12:{wanted}");
    let (request, _) = machine.import_sealed(&sealed("1", &names));
    let (_, why) = refusal(&machine, &request);
    assert!(why.contains("sealed for a repository of fsverity-sha256-12"), "{why}");
}

#[test]
fn what_an_earlier_version_imported_in_another_format_is_mended_by_the_import_that_is_named() {
    let machine = Machine::new();
    let wanted = v2(&machine, "1");
    let (request, _) = machine.import_sealed(&sealed("1", &format!("composefs=?{wanted}")));
    let earlier = DeployRequest { image: machine.import(&System::new("1")).image, ..request.clone() };
    let (_, why) = refusal(&machine, &earlier);
    assert!(why.contains("--verify-existing"), "{why}");
    let mut options = ImportOptions::default();
    options.verify_existing = true;
    let (again, _) = machine.import_sealed_with(&sealed("1", &format!("composefs=?{wanted}")), &options);
    assert_eq!(again.image, ImageId::new(wanted));
}
