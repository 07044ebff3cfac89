//! The merge by examples, one promise each; laws over random trees are in `laws.rs`, the disk in `disk.rs`.

mod disk;
mod laws;
mod model;

use super::*;
use model::{Entries, dir, file, flat, link, merged, symlink};

fn conflict_of(report: &EtcMerge) -> (String, ConflictKind, EtcStrategy) {
    assert_eq!(report.conflicts.len(), 1, "{report:?}");
    let EtcConflict { path, kind, resolved, .. } = report.conflicts[0].clone();
    (path, kind, resolved)
}

fn with(base: &Entries, more: &[(&str, model::Entry)]) -> Entries {
    let mut all = base.clone();
    all.extend(more.iter().map(|(path, entry)| ((*path).to_owned(), entry.clone())));
    all
}

fn without(base: &Entries, gone: &[&str]) -> Entries {
    base.iter()
        .filter(|(path, _)| !gone.contains(&path.as_str()))
        .map(|(p, e)| (p.clone(), e.clone()))
        .collect()
}

fn base() -> Entries {
    with(
        &Entries::new(),
        &[("ssh", dir()), ("ssh/sshd_config", file("Port 22")), ("hosts", file("localhost"))],
    )
}

#[test]
fn a_file_changed_on_the_machine_stays_and_new_files_of_the_image_come() {
    let local = with(&base(), &[("hosts", file("localhost me"))]);
    let image = with(&base(), &[("issue", file("welcome"))]);
    let (result, report) = merged(&base(), &local, &image, &[]);
    assert_eq!(result, with(&local, &[("issue", file("welcome"))]));
    assert_eq!(report.changes[0].path, "/etc/hosts");
    assert_eq!(report.changes[0].what, ["content"]);
    assert_eq!(report.conflicts, []);
}

// bootc#1924: an image dropped a folder of /etc in which the machine had a link of its own: the update was not finalised, and
// the old system booted.
#[test]
fn a_new_file_in_a_folder_that_the_image_dropped_brings_its_folder_along() {
    let local = with(&base(), &[("ssh/mine", file("x"))]);
    let image = without(&base(), &["ssh", "ssh/sshd_config"]);
    let (result, report) = merged(&base(), &local, &image, &[]);
    assert_eq!(result, without(&local, &["ssh/sshd_config"]));
    assert_eq!(report.conflicts, []);
}

#[test]
fn of_a_file_changed_on_both_sides_the_machines_stays_and_the_conflict_is_told() {
    let local = with(&base(), &[("hosts", file("local"))]);
    let image = with(&base(), &[("hosts", file("image"))]);
    let (result, report) = merged(&base(), &local, &image, &[]);
    assert_eq!(result, local);
    let expected = ("/etc/hosts".to_owned(), ConflictKind::BothChanged, EtcStrategy::KeepLocal);
    assert_eq!(conflict_of(&report), expected);
    assert_eq!(report.conflicts[0].reason, "both changed: content");

    let (result, report) = merged(&base(), &local, &image, &["/etc/hosts=take-image"]);
    assert_eq!(result, image);
    assert_eq!(conflict_of(&report).2, EtcStrategy::TakeImage);

    let (_, report) = merged(&base(), &local, &image, &["fail"]);
    assert_eq!(report.unresolved().count(), 1);
}

#[test]
fn the_same_change_on_both_sides_is_no_conflict() {
    let both = with(&base(), &[("hosts", file("both")), ("motd", file("hi"))]);
    let (result, report) = merged(&base(), &both, &both, &["fail"]);
    assert_eq!((result, report.conflicts), (both, vec![]));
}

#[test]
fn content_of_one_side_and_mode_of_the_other_go_together() {
    let local = with(&base(), &[("hosts", file("local"))]);
    let image = with(&base(), &[("hosts", file("localhost").mode(0o600))]);
    let (result, report) = merged(&base(), &local, &image, &["fail"]);
    assert_eq!(result["hosts"], file("local").mode(0o600));
    assert_eq!(report.conflicts, []);
}

#[test]
fn an_access_list_set_on_the_machine_survives_a_new_content() {
    let acl = "system.posix_acl_access";
    let local = with(&base(), &[("hosts", file("localhost").xattr(acl, "list"))]);
    let image = with(&base(), &[("hosts", file("new"))]);
    let (result, _) = merged(&base(), &local, &image, &["fail"]);
    assert_eq!(result["hosts"], file("new").xattr(acl, "list"));
}

#[test]
fn a_capability_goes_with_its_content() {
    let capability = "security.capability";
    let old = with(&base(), &[("tool", file("v1"))]);
    let local = with(&base(), &[("tool", file("v1").xattr(capability, "raw"))]);
    let image = with(&base(), &[("tool", file("v2"))]);
    let (result, report) = merged(&old, &local, &image, &["take-image"]);
    assert_eq!(result["tool"], file("v2"));
    assert_eq!(report.conflicts[0].reason, "both changed: content");
}

#[test]
fn a_missing_label_is_no_local_change_and_a_changed_one_is() {
    let label = "security.selinux";
    let old = with(&base(), &[("hosts", file("localhost").xattr(label, "etc_t"))]);
    let image = with(&base(), &[("hosts", file("localhost").xattr(label, "net_conf_t"))]);
    let (result, report) = merged(&old, &base(), &image, &["fail"]);
    assert_eq!((result, report.changes), (image.clone(), vec![]));
    let local = with(&base(), &[("hosts", file("localhost").xattr(label, "mine_t"))]);
    let (result, report) = merged(&old, &local, &image, &[]);
    assert_eq!(result, local);
    assert_eq!(report.changes[0].what, ["xattr security.selinux"]);
}

#[test]
fn what_was_removed_here_and_changed_there_stays_away_unless_asked_for() {
    let local = without(&base(), &["hosts"]);
    let image = with(&base(), &[("hosts", file("new"))]);
    let (result, report) = merged(&base(), &local, &image, &[]);
    assert_eq!(result, local);
    assert_eq!(conflict_of(&report).1, ConflictKind::RemovedLocally);
    assert_eq!(merged(&base(), &local, &image, &["take-image"]).0, image);
}

#[test]
fn what_was_changed_here_and_removed_there_stays_unless_asked_otherwise() {
    let local = with(&base(), &[("ssh/sshd_config", file("Port 2222"))]);
    let image = without(&base(), &["ssh", "ssh/sshd_config"]);
    let (result, report) = merged(&base(), &local, &image, &[]);
    assert_eq!(result, local);
    let expected = ("/etc/ssh/sshd_config".to_owned(), ConflictKind::RemovedByImage, EtcStrategy::KeepLocal);
    assert_eq!(conflict_of(&report), expected);
    assert_eq!(merged(&base(), &local, &image, &["/etc/ssh=take-image"]).0, image);
}

#[test]
fn a_removed_folder_is_told_once_and_gone() {
    let local = without(&base(), &["ssh", "ssh/sshd_config"]);
    let (result, report) = merged(&base(), &local, &base(), &[]);
    assert_eq!(result, local);
    assert_eq!(report.changes.len(), 1, "{report:?}");
    assert_eq!((report.changes[0].path.as_str(), report.changes[0].change), ("/etc/ssh", Changed::Removed));
}

#[test]
fn what_the_image_adds_to_a_folder_removed_here_comes_with_the_folder() {
    let local = without(&base(), &["ssh", "ssh/sshd_config"]);
    let image = with(&base(), &[("ssh/new", file("new"))]);
    let (result, report) = merged(&base(), &local, &image, &["fail"]);
    assert_eq!(result, without(&image, &["ssh/sshd_config"]));
    assert_eq!(report.conflicts, []);
}

// composefs-rs#335: a folder of /etc is a link in the new image (/etc/ssl/certs was one): the update was never finalised.
#[test]
fn a_folder_that_became_a_link_is_one_unless_the_machine_changed_what_is_in_it() {
    let more = [("ssl", dir()), ("ssl/certs", dir()), ("ssl/certs/ca.pem", file("ca"))];
    let old = with(&base(), &more);
    let image = without(&old, &["ssl/certs/ca.pem"]);
    let image = with(&image, &[("ssl/certs", symlink("../pki/ca-trust/extracted/pem/directory-hash"))]);
    let (result, report) = merged(&old, &old, &image, &["fail"]);
    assert_eq!((result, report.conflicts), (image.clone(), vec![]));
    let local = with(&old, &[("ssl/certs/own.pem", file("own"))]);
    let (_, report) = merged(&old, &local, &image, &[]);
    let expected = ("/etc/ssl/certs".to_owned(), ConflictKind::Type, EtcStrategy::Fail);
    assert_eq!(conflict_of(&report), expected);
    assert_eq!(merged(&old, &local, &image, &["/etc/ssl/certs=keep-local"]).0, local);
    assert_eq!(merged(&old, &local, &image, &["/etc/ssl/certs=take-image"]).0, image);
}

// bootc#2278: a link that the machine had removed, and that leads out of /etc, stopped the finalisation.
#[test]
fn a_link_that_was_removed_here_stays_away_wherever_it_leads() {
    let wants = "units/multi-user.target.wants";
    let unit = format!("{wants}/a.service");
    let more = [("units", dir()), (wants, dir()), (&*unit, symlink("/usr/lib/systemd/system/a.service"))];
    let old = with(&base(), &more);
    let local = without(&old, &[&unit]);
    let image = with(&old, &[("issue", file("new"))]);
    let (result, report) = merged(&old, &local, &image, &["fail"]);
    assert_eq!((result, report.conflicts), (with(&local, &[("issue", file("new"))]), vec![]));
}

// bootc#2285, #2286: what is a folder on one side and a file on the other could not be merged, and nobody could say who wins.
#[test]
fn a_folder_that_meets_a_file_fails_and_each_side_can_be_chosen_whole() {
    let local = with(&base(), &[("net", dir()), ("net/eth0", file("dhcp"))]);
    let image = with(&base(), &[("net", file("none"))]);
    let (_, report) = merged(&base(), &local, &image, &[]);
    assert_eq!(conflict_of(&report), ("/etc/net".to_owned(), ConflictKind::Type, EtcStrategy::Fail));
    assert_eq!(report.changes.len(), 1, "a conflict is told by its top: {report:?}");
    assert_eq!(merged(&base(), &local, &image, &["keep-local"]).0, local);
    assert_eq!(merged(&base(), &local, &image, &["take-image"]).0, image);
    // And the other way round.
    let (_, report) = merged(&base(), &image, &local, &[]);
    assert_eq!(conflict_of(&report).1, ConflictKind::Type);
}

#[test]
fn an_untouched_folder_may_become_a_file_and_an_untouched_file_a_folder() {
    let image = with(&without(&base(), &["ssh", "ssh/sshd_config"]), &[("ssh", symlink("../usr/ssh"))]);
    let (result, report) = merged(&base(), &base(), &image, &["fail"]);
    assert_eq!((result, report.conflicts), (image.clone(), vec![]));
    let (result, _) = merged(&image, &image, &base(), &["fail"]);
    assert_eq!(result, base());
}

#[test]
fn hardlinks_stay_hardlinks_on_the_side_that_has_them() {
    let local = with(&base(), &[("a", file("linked and long ".repeat(9).as_str())), ("b", link("a"))]);
    let trees = model::trees(&base(), &local, &base());
    let strategies = EtcPolicy::default();
    let merged = merge(&model::sides(&trees, &strategies)).unwrap();
    let root = merged.tree.root();
    assert_eq!(merged.tree.lookup(root, b"a"), merged.tree.lookup(root, b"b"));
    assert_eq!(merged.local.len(), 1, "one file to copy");
}

#[test]
fn a_stamp_of_updates_is_never_carried_over() {
    let local = with(&base(), &[(".updated", file("then"))]);
    let (result, report) = merged(&base(), &local, &base(), &["fail"]);
    assert_eq!((result, report.changes), (base(), vec![]));
}

#[test]
fn an_overlay_that_is_asked_for_now_wins_over_a_local_file() {
    let local = with(&base(), &[("hostname", file("old"))]);
    let image = with(&base(), &[("hostname", file("new"))]);
    let trees = model::trees(&base(), &local, &image);
    let (strategies, asked) = (EtcPolicy::default(), [b"/etc/hostname".to_vec()].into());
    let merged = merge(&Sides { asked: &asked, ..model::sides(&trees, &strategies) }).unwrap();
    assert_eq!(flat(&merged.tree), image);
    assert_eq!(conflict_of(&merged.report).2, EtcStrategy::TakeImage);
}

#[test]
fn without_root_owners_of_the_machine_say_nothing() {
    let local = base().into_iter().map(|(path, entry)| (path, entry.owner(1000))).collect();
    let image = with(&base(), &[("hosts", file("new"))]);
    let trees = model::trees(&base(), &local, &image);
    let strategies = "fail".parse().map(|rule| EtcPolicy { rules: vec![rule] }).unwrap();
    let merged = merge(&Sides { is_root: false, ..model::sides(&trees, &strategies) }).unwrap();
    assert_eq!(flat(&merged.tree), image);
    assert_eq!(merged.report, EtcMerge::default());
}
