//! Resolving and fetching: what is asked for, and what is not.

use std::sync::Mutex;

use sealstone_import::{ImportError, ImportOptions};
use sealstone_store::{Control, GcOptions};

use super::{
    testing::{Shelf, fetched},
    *,
};
use crate::testing::{Machine, file};

fn refs(references: &[&str]) -> Vec<BoundRef> {
    let one = |(number, reference): (usize, &&str)| BoundRef {
        unit: format!("{number}.image"),
        reference: (*reference).to_owned(),
        through: None,
    };
    references.iter().enumerate().map(one).collect()
}

#[test]
fn each_reference_is_asked_for_once_and_its_digest_goes_into_every_unit() {
    let (machine, mut shelf) = (Machine::new(), Shelf::new());
    let digest = shelf.put("q.io/a:1", &[vec![file("a", "a")]]);
    shelf.put("q.io/b:1", &[vec![file("b", "b")]]);
    let asked = Mutex::new(Vec::new());
    let open = |reference: &BoundReference| {
        asked.lock().unwrap().push(reference.storage_name());
        shelf.open(reference)
    };
    let refs = refs(&["q.io/a:1", "q.io/b:1", "docker://q.io/a:1"]);
    let repository = machine.target().repository;
    let (options, control) = (ImportOptions::default(), Control::new());
    let found = resolve_bound(&repository, &refs, &[], &open, &options, &control).unwrap();
    let units: Vec<_> = found.iter().map(|one| one.image.unit.as_str()).collect();
    assert_eq!(units, ["0.image", "1.image", "2.image"]);
    assert_eq!(found[0].image.manifest, found[2].image.manifest);
    assert_eq!(found[0].image.manifest.to_string(), digest);
    assert!(!found[0].is_stored && found[0].bytes_to_fetch > 0);
    let mut asked = asked.into_inner().unwrap();
    asked.sort();
    assert_eq!(asked, ["q.io/a:1", "q.io/b:1"]);
}

#[test]
fn an_image_by_digest_that_is_here_is_not_asked_for() {
    let (machine, mut shelf) = (Machine::new(), Shelf::new());
    let digest = shelf.put("q.io/a:1", &[vec![file("a", "a")]]);
    let repository = machine.target().repository;
    let images = fetched(&repository, &shelf, &["q.io/a:1"]);
    let never = |_: &BoundReference| -> Result<_, ImportError> { panic!("asked") };
    let (options, control) = (ImportOptions::default(), Control::new());
    let pinned = refs(&[&format!("q.io/a@{digest}")]);
    let found = resolve_bound(&repository, &pinned, &[], &never, &options, &control).unwrap();
    assert_eq!(found[0].image.manifest, images[0].manifest);
    assert!(found[0].is_stored && found[0].bytes_to_fetch == 0);
    assert_eq!(found[0].image.bytes, images[0].bytes);
    let none = fetch_bound(&repository, vec![found[0].image.clone()], &never, &options, &control).unwrap();
    assert!(none.reports.is_empty());
}

#[test]
fn an_image_by_the_digest_of_an_index_is_known_from_an_earlier_record() {
    let (machine, mut shelf) = (Machine::new(), Shelf::new());
    shelf.put("q.io/a:1", &[vec![file("a", "a")]]);
    let repository = machine.target().repository;
    let mut known = fetched(&repository, &shelf, &["q.io/a:1"]);
    let index = format!("sha256:{}", "ab".repeat(32));
    known[0].resolved = index.parse().unwrap();
    let never = |_: &BoundReference| -> Result<_, ImportError> { panic!("asked") };
    let (options, control) = (ImportOptions::default(), Control::new());
    let pinned = refs(&[&format!("q.io/a@{index}")]);
    let found = resolve_bound(&repository, &pinned, &known, &never, &options, &control).unwrap();
    assert_eq!(found[0].image.manifest, known[0].manifest);
}

#[test]
fn a_tag_that_moves_after_it_was_resolved_is_refused() {
    let (machine, mut shelf) = (Machine::new(), Shelf::new());
    shelf.put("q.io/a:1", &[vec![file("a", "old")]]);
    let mut moved = Shelf::new();
    moved.put("q.io/a:1", &[vec![file("a", "new")]]);
    let repository = machine.target().repository;
    let (options, control) = (ImportOptions::default(), Control::new());
    let open = |reference: &BoundReference| shelf.open(reference);
    let found = resolve_bound(&repository, &refs(&["q.io/a:1"]), &[], &open, &options, &control).unwrap();
    let images = found.into_iter().map(|one| one.image).collect();
    let open = |reference: &BoundReference| moved.open(reference);
    let error = fetch_bound(&repository, images, &open, &options, &control).unwrap_err();
    assert!(matches!(error, crate::DeployError::Import(ImportError::Digest { .. })), "{error}");
}

#[test]
fn what_was_fetched_is_safe_from_gc_while_it_is_held_and_goes_afterwards() {
    let (machine, mut shelf) = (Machine::new(), Shelf::new());
    shelf.put("q.io/a:1", &[vec![file("a", &"content ".repeat(50))]]);
    let repository = machine.target().repository;
    let images = fetched(&repository, &shelf, &["q.io/a:1"]);
    let (options, control) = (ImportOptions::default(), Control::new());
    let never = |_: &BoundReference| -> Result<_, ImportError> { panic!("asked") };
    let held = fetch_bound(&repository, images.clone(), &never, &options, &control).unwrap();
    let gc = GcOptions { patience: std::time::Duration::from_millis(50), ..GcOptions::default() };
    assert!(matches!(repository.gc(&gc, &control), Err(sealstone_store::Error::Busy { .. })));
    drop(held);
    repository.gc(&gc, &control).unwrap();
    assert!(!images[0].is_stored(&repository).unwrap());
}

#[test]
fn a_bound_image_that_lost_a_file_is_told_and_read_again() {
    let (machine, mut shelf) = (Machine::new(), Shelf::new());
    shelf.put("q.io/a:1", &[vec![file("a", &"content ".repeat(50)), file("b", &"other ".repeat(50))]]);
    let repository = machine.target().repository;
    let images = fetched(&repository, &shelf, &["q.io/a:1"]);
    let (options, control) = (ImportOptions::default(), Control::new());
    assert_eq!(images[0].lost_objects(&repository, &control).unwrap(), 0);
    let object = layer_objects(&repository, &images[0].manifest).unwrap()[0].to_hex();
    let (head, tail) = object.split_at(2);
    std::fs::remove_file(machine.path(&format!("sysroot/composefs/objects/{head}/{tail}"))).unwrap();
    assert_eq!(images[0].lost_objects(&repository, &control).unwrap(), 1);
    let record = crate::Record { bound: images.clone(), ..crate::testing::record() };
    let condition =
        checked_bound_condition(&machine.target().sysroot, &repository, &record, &control).unwrap();
    let Some(BoundCondition::Missing(reasons)) = condition else { panic!("{condition:?}") };
    assert!(reasons.iter().any(|reason| reason.contains("lost files in the repository: 1")), "{reasons:?}");
    let open = |reference: &BoundReference| shelf.open(reference);
    let healed = heal_bound(&repository, images.clone(), &open, &options, &control).unwrap();
    assert_eq!(healed.reports.len(), 1);
    assert_eq!(images[0].lost_objects(&repository, &control).unwrap(), 0);
    let again = heal_bound(&repository, images, &open, &options, &control).unwrap();
    assert!(again.reports.is_empty(), "what is whole is not read");
}

// bootc#128 asks for it: images were pulled one after the other.
#[test]
fn bound_images_are_fetched_side_by_side() {
    let (machine, mut shelf) = (Machine::new(), Shelf::new());
    let names = ["q.io/a:1", "q.io/b:1"];
    for name in names {
        shelf.put(name, &[vec![file("app", name)]]);
    }
    let repository = machine.target().repository;
    let (options, control) = (ImportOptions::default(), Control::new());
    let open = |reference: &BoundReference| shelf.open(reference);
    let resolved = resolve_bound(&repository, &refs(&names), &[], &open, &options, &control).unwrap();
    // Each waits until the other is being fetched, too.
    let (begun, told) = (std::sync::Mutex::new(0), std::sync::Condvar::new());
    let open = |reference: &BoundReference| {
        let mut count = begun.lock().unwrap();
        *count += 1;
        told.notify_all();
        let limit = std::time::Duration::from_mins(1);
        let (count, ended) = told.wait_timeout_while(count, limit, |count| *count < names.len()).unwrap();
        drop(count);
        assert!(!ended.timed_out(), "one waits for the other");
        shelf.open(reference)
    };
    let images = resolved.into_iter().map(|one| one.image).collect();
    let fetched = fetch_bound(&repository, images, &open, &options, &control).unwrap();
    assert_eq!(fetched.reports.len(), 2);
}

#[test]
fn a_lint_tells_of_every_unit() {
    use BoundFindingKind::{FloatingTag, Unit, Unresolvable};
    let (machine, mut shelf) = (Machine::new(), Shelf::new());
    let digest = shelf.put("q.io/a:1", &[vec![file("a", "a")]]);
    let mut units: Vec<_> = refs(&["q.io/a:1", "q.io/gone:1", "short"]).into_iter().map(Ok).collect();
    units.push(Err(UnitFault { unit: "x.kube".into(), reason: "no".into() }));
    units.push(Ok(BoundRef {
        unit: "ok.image".into(),
        reference: format!("q.io/a:1@{digest}"),
        through: None,
    }));
    let open = |reference: &BoundReference| shelf.open(reference);
    let (options, control) = (ImportOptions::default(), Control::new());
    let found = lint_bound(&machine.target().repository, &units, &open, &options, &control).unwrap();
    let kinds: Vec<_> = found.iter().map(|finding| (finding.unit.as_str(), finding.kind)).collect();
    assert_eq!(
        kinds,
        [
            ("0.image", FloatingTag),
            ("1.image", FloatingTag),
            ("1.image", Unresolvable),
            ("2.image", Unit),
            ("x.kube", Unit),
        ]
    );
    assert!(found[0].message.contains(&format!("write q.io/a:1@{digest}")), "{}", found[0].message);
    let through = Some("app.image".to_owned());
    let unit = Ok(BoundRef { unit: "app.container".into(), reference: "q.io/a:1".into(), through });
    let found = lint_bound(&machine.target().repository, &[unit], &open, &options, &control).unwrap();
    assert!(found[0].message.ends_with("in app.image"), "where it is written: {}", found[0].message);
}

#[test]
fn only_tags_that_lead_elsewhere_have_moved() {
    let (machine, mut shelf) = (Machine::new(), Shelf::new());
    let digest = shelf.put("q.io/a:1", &[vec![file("a", "a")]]);
    shelf.put("q.io/b:1", &[vec![file("b", "old")]]);
    let repository = machine.target().repository;
    let pinned = format!("q.io/a:1@{digest}");
    let known = fetched(&repository, &shelf, &["q.io/a:1", "q.io/b:1", &pinned]);
    let (options, control) = (ImportOptions::default(), Control::new());
    shelf.put("q.io/b:1", &[vec![file("b", "new")]]);
    let asked = Mutex::new(0);
    let open = |reference: &BoundReference| {
        *asked.lock().unwrap() += 1;
        shelf.open(reference)
    };
    let moved = moved_bound(&known, &open, &options, &control).unwrap();
    assert_eq!(moved.iter().map(|image| image.reference.as_str()).collect::<Vec<_>>(), ["q.io/b:1"]);
    assert_eq!(*asked.lock().unwrap(), 2, "what is named by digest is not asked for");
}
