//! Laws of the merge over random trees.

use proptest::{collection::vec, prelude::*, sample::select};

use super::{
    super::{Changed, ConflictKind, EtcStrategy as Chosen},
    model::{Entries, What, dir, file, flat, merged, model, sides, symlink, trees},
};
use crate::EtcPolicy;

/// One change of a map: a path, and what comes there, or nothing.
type Edit = (Vec<usize>, Option<(usize, u16, u32, Option<u8>)>);

fn edits(most: usize) -> impl Strategy<Value = Vec<Edit>> {
    let attributes = (0..8_usize, select(vec![0o644, 0o600, 0o4755]), 0..2_u32, prop::option::of(0..2_u8));
    vec((vec(0..3_usize, 1..4), prop::option::weighted(0.75, attributes)), 0..most)
}

/// Applies changes. With `typed`, a name says whether it is a folder, so that types never differ between trees.
fn edited(base: &Entries, edits: &[Edit], typed: bool) -> Entries {
    let mut entries = base.clone();
    for (names, entry) in edits {
        let last = names.len() - 1;
        let name = |at: usize| match (typed, at == last) {
            (true, false) => format!("d{}", names[at]),
            (true, true) => format!("{}{}", if names[at] == 2 { "d" } else { "f" }, names[at]),
            (false, _) => ["a", "b", "c"][names[at]].to_owned(),
        };
        let path: Vec<String> = (0..names.len()).map(name).collect();
        let full = path.join("/");
        let below = format!("{full}/");
        let Some((kind, mode, uid, value)) = entry else {
            entries.retain(|other, _| *other != full && !other.starts_with(&below));
            continue;
        };
        let is_dir = if typed { names[last] == 2 } else { *kind < 2 };
        for depth in 1..path.len() {
            let parent = path[..depth].join("/");
            if entries.get(&parent).is_none_or(|parent| parent.what != What::Dir) {
                entries.insert(parent, dir());
            }
        }
        let mut new = match kind {
            _ if is_dir => dir(),
            2 if !typed => symlink("target"),
            kind => file(&format!("content {kind}")),
        };
        if !matches!(new.what, What::Symlink(_)) {
            new = new.mode(*mode);
        }
        new = new.owner(*uid);
        if let Some(value) = value {
            new = new.xattr("user.note", &value.to_string());
        }
        if new.what != What::Dir {
            entries.retain(|other, _| !other.starts_with(&below));
        }
        entries.insert(full, new);
    }
    entries
}

fn three(typed: bool) -> impl Strategy<Value = (Entries, Entries, Entries)> {
    (edits(25), edits(8), edits(8)).prop_map(move |(old, local, image)| {
        let old = edited(&Entries::new(), &old, typed);
        let (local, image) = (edited(&old, &local, typed), edited(&old, &image, typed));
        (old, local, image)
    })
}

const STRATEGIES: [&str; 3] = ["fail", "keep-local", "take-image"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn without_a_local_change_the_result_is_the_new_tree((old, _, image) in three(false), rule in select(&STRATEGIES)) {
        let (result, report) = merged(&old, &old, &image, &[rule]);
        prop_assert_eq!(result, image);
        prop_assert!(report.conflicts.is_empty() && report.changes.is_empty());
    }

    #[test]
    fn without_a_change_of_the_image_the_result_is_the_current_tree((old, local, _) in three(false), rule in select(&STRATEGIES)) {
        let (result, report) = merged(&old, &local, &old, &[rule]);
        prop_assert_eq!(&result, &local);
        prop_assert!(report.conflicts.is_empty());
        prop_assert_eq!(report.changes.is_empty(), old == local);
    }

    #[test]
    fn equal_changes_are_no_conflict((old, local, _) in three(false)) {
        let (result, report) = merged(&old, &local, &local, &["fail"]);
        prop_assert_eq!(result, local);
        prop_assert!(report.conflicts.is_empty());
    }

    #[test]
    fn merging_again_changes_nothing((old, local, image) in three(false), rule in select(&STRATEGIES)) {
        let (once, _) = merged(&old, &local, &image, &[rule]);
        let (twice, report) = merged(&image, &once, &image, &["fail"]);
        prop_assert_eq!(twice, once);
        prop_assert!(report.conflicts.is_empty());
    }

    #[test]
    fn the_result_is_that_of_the_model((old, local, image) in three(true)) {
        let (result, report) = merged(&old, &local, &image, &["keep-local"]);
        prop_assert_eq!(result, model(&old, &local, &image));
        prop_assert!(report.conflicts.iter().all(|conflict| conflict.kind != ConflictKind::Type));
    }

    #[test]
    fn disjoint_changes_are_both_there((old, local, _) in three(false), add in edits(6)) {
        // What the image adds lies in a folder of its own.
        let mut image = old.clone();
        image.insert("own".to_owned(), dir());
        for (path, entry) in edited(&Entries::new(), &add, false) {
            image.insert(format!("own/{path}"), entry);
        }
        let (result, report) = merged(&old, &local, &image, &["fail"]);
        let (own, rest): (Entries, Entries) = result.into_iter().partition(|(path, _)| path.starts_with("own"));
        prop_assert_eq!(rest, local);
        prop_assert!(own.iter().all(|(path, entry)| image.get(path) == Some(entry)));
        prop_assert!(report.conflicts.is_empty());
    }

    #[test]
    fn every_path_of_the_result_is_of_one_of_the_sides((old, local, image) in three(false), rule in select(&STRATEGIES)) {
        let (result, report) = merged(&old, &local, &image, &[rule]);
        for path in result.keys() {
            prop_assert!(local.contains_key(path) || image.contains_key(path), "{}", path);
        }
        let resolved = if rule == "fail" { Chosen::Fail } else { rule.parse().unwrap() };
        prop_assert!(report.conflicts.iter().all(|conflict| conflict.resolved == resolved));
        for change in &report.changes {
            let path = change.path.strip_prefix("/etc/").unwrap_or_default();
            let (was, is) = (old.get(path), local.get(path));
            let holds = match change.change {
                Changed::Added => was.is_none() && is.is_some(),
                Changed::Removed => was.is_some() && is.is_none(),
                Changed::Modified => was != is,
            };
            prop_assert!(holds, "{:?}", change);
        }
    }

    #[test]
    fn each_change_is_told((old, local, image) in three(true)) {
        let (_, report) = merged(&old, &local, &image, &[]);
        let told: Vec<_> = report.changes.iter().map(|change| change.path.as_str()).collect();
        for path in old.keys().chain(local.keys()).filter(|path| old.get(*path) != local.get(*path)) {
            let mut way = path.match_indices('/').map(|(at, _)| &path[..at]).chain([path.as_str()]);
            prop_assert!(way.any(|top| told.contains(&format!("/etc/{top}").as_str())), "{}: {:?}", path, told);
        }
        let trees = trees(&old, &local, &image);
        let strategies = EtcPolicy::default();
        let since = super::changes(&sides(&trees, &strategies)).unwrap();
        prop_assert_eq!(since, report.changes);
        prop_assert_eq!(flat(&trees.local), local);
    }
}
