//! What a note of a kernel is good for, and what it never does.

use sealstone_boot::BootDigest;
use sealstone_store::{Algorithm, Control, GcOptions, verity};

use super::*;
use crate::{
    DeployRequest, ImageTrees, REPOSITORY, plan_deploy,
    testing::{Machine, System},
};

/// The path of an image's note in the repository.
fn path(image: &ImageId) -> String {
    format!("{}/{}/{image}", layout::OWN, layout::KERNELS)
}

fn note() -> KernelNote {
    let id = |text: &str| verity::digest(Algorithm::Sha512, text.as_bytes());
    let digest: BootDigest = "ab".repeat(32).parse().unwrap();
    KernelNote {
        plain: ImageId::new(id("plain")),
        vmlinuz: id("vmlinuz"),
        initramfs: id("initramfs"),
        sizes: KernelSizes { digest, vmlinuz: 12 << 20, initramfs: 40 << 20 },
    }
}

#[test]
fn a_note_reads_back_and_a_torn_or_changed_one_says_nothing() {
    let text = note().to_text();
    assert_eq!(KernelNote::parse(&text), Some(note()));
    for end in 0..text.len() {
        assert_eq!(KernelNote::parse(&text[..end]), None, "{end}");
    }
    for at in 0..text.len() {
        let mut changed = text.clone().into_bytes();
        changed[at] ^= 1;
        assert_eq!(String::from_utf8(changed).ok().and_then(|text| KernelNote::parse(&text)), None, "{at}");
    }
    let later = text.replace("kernel 1", "kernel 2");
    assert_eq!(KernelNote::parse(&later), None);
}

#[test]
fn a_deployment_is_the_same_with_the_note_without_it_and_with_one_of_another_kernel() {
    let machine = Machine::new();
    let request = machine.import(&System::new("1"));
    let (target, image) = (machine.target(), request.image);
    let repository = &target.repository;
    let left = KernelNote::of(repository, &image).expect("an import leaves one");
    // Each plan reads for itself.
    let plan = || {
        let request = DeployRequest { trees: ImageTrees::default(), ..request.clone() };
        plan_deploy(&target, &request).unwrap().deployment.unwrap().kernel
    };
    let with = plan();
    assert_eq!(with.sizes, left.sizes);
    // Of other objects: the kernel is read.
    let other = KernelNote { vmlinuz: left.initramfs, sizes: note().sizes, ..left };
    let write = |text: &str| {
        let transaction = repository.transaction().unwrap();
        transaction.note_kernel(image.object(), text.as_bytes()).unwrap();
        let _ = transaction.commit(()).unwrap();
    };
    write(&other.to_text());
    assert_eq!(KernelNote::of(repository, &image), Some(other));
    assert_eq!(plan(), with);
    write("nonsense\n");
    assert_eq!(plan(), with);
    repository.dir().remove_file(path(&image)).unwrap();
    assert_eq!(plan(), with);
}

#[test]
fn with_the_note_neither_the_kernel_nor_the_image_as_it_came_is_read_for_a_plan() {
    let machine = Machine::new();
    let image = machine.import(&System::new("1")).image;
    let repository = machine.target().repository;
    let left = KernelNote::of(&repository, &image).unwrap();
    for object in [left.plain.object(), &left.vmlinuz, &left.initramfs] {
        let path = format!("sysroot/{REPOSITORY}/objects/{}", object.object_path());
        std::fs::write(machine.path(&path), "damaged").unwrap();
    }
    let trees = ImageTrees::default();
    assert!(trees.ukis(&repository, (&image, &left.plain)).unwrap().is_empty());
    let pair = trees.boot_pair(&repository, &image).unwrap().unwrap();
    assert_eq!(*pair.sizes(), left.sizes);
    let another = trees.ukis(&repository, (&left.plain, &left.plain));
    assert!(another.is_err(), "of an image without a note the files are looked for");
    // Of a kernel that is lost nothing is believed.
    repository.dir().remove_file(format!("objects/{}", left.vmlinuz.object_path())).unwrap();
    assert!(ImageTrees::default().boot_pair(&repository, &image).is_err());
}

#[test]
fn garbage_collection_takes_the_note_with_its_image_and_no_other() {
    let machine = Machine::new();
    let [kept, gone] = ["1", "2"].map(|version| machine.import(&System::new(version)));
    machine.deploy(&kept);
    let repository = machine.target().repository;
    let report = repository.gc(&GcOptions::default(), &Control::new()).unwrap();
    assert!(report.removed_images.contains(&gone.image.to_string()));
    assert!(KernelNote::of(&repository, &kept.image).is_some());
    assert!(!repository.dir().exists(path(&gone.image)).unwrap());
}
