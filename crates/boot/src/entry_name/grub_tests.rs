//! GRUB's reading of the names of entries, by its rule: a file's name is an rpm's name, version and release, each compared as
//! rpm compares versions, and the highest comes first. Sort keys count for nothing.
//!
//! Source: `blscfg` of the GRUB that Fedora and its kin ship. Debian's has no such command, so the rule is written down here,
//! apart from the code that it judges.

use std::cmp::Ordering;

use proptest::prelude::*;

use super::*;

/// rpm's comparison of versions.
fn rpm(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    let skip = |text: &mut &[u8]| {
        while text.first().is_some_and(|c| !c.is_ascii_alphanumeric() && !b"~^".contains(c)) {
            *text = &text[1..];
        }
    };
    loop {
        skip(&mut a);
        skip(&mut b);
        for mark in *b"~^" {
            match (a.first() == Some(&mark), b.first() == Some(&mark)) {
                (true, true) => (a, b) = (&a[1..], &b[1..]),
                (true, false) if mark == b'~' || !b.is_empty() => return Ordering::Less,
                (true, false) => return Ordering::Greater,
                (false, true) if mark == b'~' || !a.is_empty() => return Ordering::Greater,
                (false, true) => return Ordering::Less,
                (false, false) => continue,
            }
            return rpm(std::str::from_utf8(a).unwrap(), std::str::from_utf8(b).unwrap());
        }
        if a.is_empty() || b.is_empty() {
            return a.len().cmp(&b.len());
        }
        let digits = a[0].is_ascii_digit();
        let run = |text: &[u8]| {
            text.iter()
                .take_while(|c| if digits { c.is_ascii_digit() } else { c.is_ascii_alphabetic() })
                .count()
        };
        let (x, y) = (run(a), run(b));
        if y == 0 {
            // A number is newer than letters.
            return if digits { Ordering::Greater } else { Ordering::Less };
        }
        let number = |text: &[u8]| -> Vec<u8> { text.iter().copied().skip_while(|c| *c == b'0').collect() };
        let order = if digits {
            let (x, y) = (number(&a[..x]), number(&b[..y]));
            x.len().cmp(&y.len()).then(x.cmp(&y))
        } else {
            a[..x].cmp(&b[..y])
        };
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (&a[x..], &b[y..]);
    }
}

/// GRUB's order of two names: what is less comes first.
fn grub(a: &EntryName, b: &EntryName) -> Ordering {
    fn parts(name: &EntryName) -> [&str; 3] {
        let (rest, release) = name.as_str().rsplit_once('-').unwrap_or((name.as_str(), ""));
        let (name, version) = rest.rsplit_once('-').unwrap_or((rest, ""));
        [name, version, release]
    }
    parts(b)
        .into_iter()
        .zip(parts(a))
        .map(|(b, a)| rpm(b, a))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

fn name(version: &str, rank: Rank) -> EntryName {
    EntryName::new(&OsRelease::parse("ID=opensuse-leap"), version, rank).unwrap()
}

#[test]
fn the_rule_is_rpms() {
    for (a, b, order) in [
        ("1.0", "1.0", Ordering::Equal),
        ("1.0", "2.0", Ordering::Less),
        ("2.0.1", "2.0", Ordering::Greater),
        ("10xyz", "10.1xyz", Ordering::Less),
        ("1.0~rc1", "1.0", Ordering::Less),
        ("1.0^git1", "1.0", Ordering::Greater),
        ("1.0^git1", "1.01", Ordering::Less),
        ("xyz10", "xyz10.1", Ordering::Less),
        ("2_0", "2.0", Ordering::Equal),
    ] {
        assert_eq!(rpm(a, b), order, "{a} {b}");
        assert_eq!(rpm(b, a), order.reverse(), "{b} {a}");
    }
}

#[test]
fn after_a_rollback_to_another_version_grub_goes_by_the_version() {
    // bootc's scheme has the version before the rank: what GRUB boots by default is the higher one. systemd-boot is told by
    // the sort key. docs/boot-targets.md says so.
    let (first, second) = (name("13", Rank::Primary), name("14", Rank::Secondary));
    assert_eq!(grub(&first, &second), Ordering::Greater);
    assert!(Rank::Primary.sort_key("debian") < Rank::Secondary.sort_key("debian"));
}

proptest! {
    #[test]
    fn of_one_version_grub_lists_the_ranks_in_their_order(version in "[0-9][0-9a-z.~^+_-]{0,8}", serial in 1..1000_u64) {
        let ranks = [Rank::Primary, Rank::Secondary, Rank::Archived(serial + 1), Rank::Archived(serial)];
        for pair in ranks.windows(2) {
            let (first, second) = (name(&version, pair[0]), name(&version, pair[1]));
            prop_assert_eq!(grub(&first, &second), Ordering::Less, "{} {}", first, second);
        }
    }

    #[test]
    fn what_is_first_or_second_comes_before_what_is_archived(a in "[0-9][0-9a-z.]{0,6}", b in "[0-9][0-9a-z.]{0,6}") {
        for rank in [Rank::Primary, Rank::Secondary] {
            prop_assert_eq!(grub(&name(&a, rank), &name(&b, Rank::Archived(7))), Ordering::Less);
        }
    }
}
