//! The order of versions against systemd's own comparison, where it is installed.

use std::{cmp::Ordering, process::Command};

use super::compare_versions;

/// What `systemd-analyze compare-versions` says; `None` where there is none.
fn of_systemd(a: &str, b: &str) -> Option<Ordering> {
    let run = Command::new("systemd-analyze").args(["compare-versions", a, b]).output().ok()?;
    match run.status.code() {
        Some(0) => Some(Ordering::Equal),
        Some(11) => Some(Ordering::Greater),
        Some(12) => Some(Ordering::Less),
        _ => None,
    }
}

/// Versions of a few parts each, the same ones every time.
fn versions() -> Vec<String> {
    let parts = ["1", "10", "2", "01", "a", "b", ".", "-", "~", "^", "_", "rc", "+"];
    let mut state = 7_usize;
    let mut next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    (0..240).map(|_| (0..=next() % 4).map(|_| parts[next() % parts.len()]).collect()).collect()
}

#[test]
fn versions_are_ordered_as_systemd_orders_them() {
    if of_systemd("1", "2") != Some(Ordering::Less) {
        println!("skipped: no systemd-analyze that compares versions");
        return;
    }
    for pair in versions().chunks(2) {
        let [a, b] = pair else { continue };
        // An option to the program, or nothing that it takes.
        if a.starts_with('-') || b.starts_with('-') {
            continue;
        }
        assert_eq!(Some(compare_versions(a, b)), of_systemd(a, b), "{a} {b}");
    }
}
