//! Tests of the law: examples, properties, and bootc's own formula as a second opinion.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::kargs::InstallConfig;

fn karg(text: &str) -> Karg {
    text.parse().unwrap()
}

fn list(texts: &[&str]) -> Vec<Karg> {
    texts.iter().map(|text| karg(text)).collect()
}

fn recorded(texts: &[&str], origin: &KargOrigin) -> Vec<RecordedKarg> {
    texts.iter().map(|text| RecordedKarg { karg: karg(text), origin: origin.clone() }).collect()
}

fn of_image() -> KargOrigin {
    KargOrigin::Image { file: "/usr/lib/bootc/kargs.d/a.toml".into() }
}

fn image(kargs: &[&str]) -> ImageKargs {
    ImageKargs { kargs: recorded(kargs, &of_image()), ..ImageKargs::default() }
}

fn line(kargs: &[RecordedKarg]) -> String {
    kargs.iter().map(|recorded| recorded.karg.as_str()).collect::<Vec<_>>().join(" ")
}

/// An update of what came out before.
fn update(image: &ImageKargs, from: &Derived, kargs: &[&str], deletes: &[&str]) -> Derived {
    let base = KargsBase { kargs: &from.kargs, deletes: &from.deletes };
    let (kargs, deletes) = (list(kargs), list(deletes));
    derive(image, Some(base), KargsWish { kargs: &kargs, deletes: &deletes }).unwrap()
}

fn install(image: &ImageKargs, kargs: &[&str], deletes: &[&str]) -> Derived {
    let (kargs, deletes) = (list(kargs), list(deletes));
    derive(image, None, KargsWish { kargs: &kargs, deletes: &deletes }).unwrap()
}

#[test]
fn the_order_at_install_is_that_of_bootc() {
    let mut image = image(&["console=tty0", "quiet", "rhgb"]);
    let origin = KargOrigin::Install { file: "/usr/lib/bootc/install/a.toml".into() };
    image.install = InstallConfig {
        kargs: recorded(&["systemd.show_status", "audit=0"], &origin),
        karg_deletes: list(&["rhgb"]),
        ..InstallConfig::default()
    };
    let first = install(&image, &["root=UUID=1", "quiet"], &["console", "audit=1"]);
    assert_eq!(line(&first.kargs), "systemd.show_status audit=0 quiet root=UUID=1 quiet");
    assert_eq!(first.deletes, list(&["rhgb", "console", "audit=1"]));
    assert_eq!(first.kargs[0].origin, origin);
    assert_eq!(first.kargs[3].origin, KargOrigin::Caller);
}

#[test]
fn an_update_replaces_the_images_and_keeps_the_machines_own() {
    let mut first = install(&image(&["console=tty0", "quiet"]), &["root=UUID=1"], &[]);
    first.kargs.extend(recorded(&["mitigations=off"], &KargOrigin::Source { name: "tuned".into() }));
    let second = update(&image(&["console=ttyS0", "console=tty0"]), &first, &[], &[]);
    assert_eq!(line(&second.kargs), "console=ttyS0 console=tty0 root=UUID=1 mitigations=off");
    // An image that wants nothing any more, and one that wants something again.
    let third = update(&image(&[]), &second, &[], &[]);
    assert_eq!(line(&third.kargs), "root=UUID=1 mitigations=off");
    assert_eq!(line(&update(&image(&["ro"]), &third, &[], &[]).kargs), "ro root=UUID=1 mitigations=off");
}

// bootc#1229: an argument of the image could not be taken away.
#[test]
fn what_was_deleted_of_an_image_stays_deleted_until_the_caller_sets_it() {
    let first = install(&image(&["quiet", "rhgb"]), &[], &["quiet"]);
    let second = update(&image(&["quiet", "rhgb", "ro"]), &first, &[], &[]);
    assert_eq!(line(&second.kargs), "rhgb ro");
    let third = update(&image(&["quiet"]), &second, &["quiet"], &[]);
    assert_eq!(line(&third.kargs), "quiet");
    assert_eq!(line(&update(&image(&["quiet"]), &third, &[], &[]).kargs), "quiet");
}

#[test]
fn a_local_argument_survives_an_image_that_drops_an_equal_one() {
    let first = install(&image(&["quiet"]), &["quiet"], &[]);
    assert_eq!(line(&update(&image(&[]), &first, &[], &[]).kargs), "quiet");
}

#[test]
fn a_deletion_of_today_takes_local_ones_too_and_a_new_one_goes_before_those_of_init() {
    let first = install(&image(&[]), &["a=1", "a=2", "--", "single"], &[]);
    let second = update(&image(&[]), &first, &["b"], &["a=1"]);
    assert_eq!(line(&second.kargs), "a=2 b -- single");
    assert_eq!(line(&update(&image(&[]), &second, &[], &["a"]).kargs), "b -- single");
}

#[test]
fn nobody_sets_or_deletes_the_arguments_that_name_the_image() {
    for text in ["composefs=ab", "composefs.digest=v1-sha256-12:ab", "composefs.state=x"] {
        let text = list(&[text]);
        let set = KargsWish { kargs: &text, deletes: &[] };
        let delete = KargsWish { kargs: &[], deletes: &text };
        for wish in [set, delete] {
            assert!(matches!(derive(&image(&[]), None, wish), Err(DeployError::Invalid { .. })));
        }
    }
}

/// Arguments of a few keys and values, so that they meet.
fn arguments(prefix: &'static str) -> impl Strategy<Value = Vec<Karg>> {
    let one = (0..4u8, proptest::option::of(0..3u8)).prop_map(move |(key, value)| match value {
        Some(value) => karg(&format!("{prefix}{key}={value}")),
        None => karg(&format!("{prefix}{key}")),
    });
    proptest::collection::vec(one, 0..6)
}

fn wanted(kargs: &[Karg]) -> ImageKargs {
    let record = |karg: &Karg| RecordedKarg { karg: karg.clone(), origin: of_image() };
    ImageKargs { kargs: kargs.iter().map(record).collect(), ..ImageKargs::default() }
}

fn is_local(recorded: &RecordedKarg) -> bool {
    !matches!(recorded.origin, KargOrigin::Image { .. })
}

proptest! {
    #[test]
    fn an_update_keeps_all_local_ones_in_order_and_takes_the_images_as_they_are(
        old in arguments("k"), new in arguments("k"), local in arguments("k"), deletes in arguments("k"),
    ) {
        let first = derive(&wanted(&old), None, KargsWish { kargs: &local, deletes: &deletes }).unwrap();
        let second = update(&wanted(&new), &first, &[], &[]);
        let locals = |derived: &Derived| derived.kargs.iter().filter(|one| is_local(one)).cloned().collect::<Vec<_>>();
        prop_assert_eq!(locals(&second), locals(&first));
        let images: Vec<Karg> =
            second.kargs.iter().filter(|one| !is_local(one)).map(|one| one.karg.clone()).collect();
        let expected: Vec<Karg> =
            new.iter().filter(|one| !deletes.iter().any(|delete| names(delete, one))).cloned().collect();
        prop_assert_eq!(images, expected);
    }

    #[test]
    fn an_update_to_what_is_there_changes_nothing(
        wants in arguments("k"), local in arguments("k"), deletes in arguments("k"),
    ) {
        let first = derive(&wanted(&wants), None, KargsWish { kargs: &local, deletes: &deletes }).unwrap();
        prop_assert_eq!(&update(&wanted(&wants), &first, &[], &[]), &first);
        // Nor does asking for the same once more.
        let again = KargsBase { kargs: &first.kargs, deletes: &first.deletes };
        let wish = KargsWish { kargs: &local, deletes: &[] };
        prop_assert_eq!(derive(&wanted(&wants), Some(again), wish).unwrap(), first);
    }

    #[test]
    fn the_way_over_other_images_does_not_matter(
        a in arguments("k"), b in arguments("k"), c in arguments("k"), local in arguments("k"),
    ) {
        let first = derive(&wanted(&a), None, KargsWish { kargs: &local, deletes: &[] }).unwrap();
        let direct = update(&wanted(&c), &first, &[], &[]);
        let over = update(&wanted(&c), &update(&wanted(&b), &first, &[], &[]), &[], &[]);
        prop_assert_eq!(direct, over);
    }

    /// `current - (old - new) + (new - old)`, of sets of texts: bootc's formula.
    #[test]
    fn as_sets_the_result_is_bootcs_wherever_nothing_local_equals_an_images(
        old in arguments("image"), new in arguments("image"), local in arguments("local"),
        deleted in proptest::collection::vec(any::<proptest::sample::Index>(), 0..3),
    ) {
        // Exact deletions of what the image wanted then: bootc has no memory of others.
        let with_value: Vec<&Karg> = old.iter().filter(|karg| karg.value().is_some()).collect();
        let deletes: Vec<Karg> = if with_value.is_empty() { Vec::new() } else {
            deleted.iter().map(|index| (*index.get(&with_value)).clone()).collect()
        };
        let first = derive(&wanted(&old), None, KargsWish { kargs: &local, deletes: &deletes }).unwrap();
        let second = update(&wanted(&new), &first, &[], &[]);
        let set = |kargs: &[Karg]| kargs.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
        let texts = |derived: &Derived| {
            derived.kargs.iter().map(|one| one.karg.to_string()).collect::<BTreeSet<_>>()
        };
        let (old, new) = (set(&old), set(&new));
        let gone: BTreeSet<_> = old.difference(&new).cloned().collect();
        let kept: BTreeSet<_> = texts(&first).difference(&gone).cloned().collect();
        let expected: BTreeSet<_> = kept.into_iter().chain(new.difference(&old).cloned()).collect();
        prop_assert_eq!(texts(&second), expected);
    }
}
