//! Updates of the system that runs: staged, finalised, told to the journal. The command is run where `/sysroot` is a machine's,
//! and the kernel's command line names its deployment: in mount namespaces of its own, which needs root.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test, with ordinary files"
)]

mod kit;

use kit::running::Running;
use serde_json::Value;

const BOUND_MISSING: &str = "184fcfe6e11f4e9ba614802d6524d18d";
const FELL_BACK: &str = "8945a9d2825847aea86fe26831ca380e";
const STAGED: &str = "c78672ca73b84a2e91194084dd535683";
const DOWNLOADED: &str = "89d8c41783494d1e8d8c72b20fdcb848";
const DEPLOYED: &str = "b3e886883cff4e21af6be5e02d33e734";
const ROLLED_BACK: &str = "26f3b1eb24464d12aa5e7b544a6b5468";
const PRUNED: &str = "6bd087d1a79c4262814282be9d826213";

#[test]
fn an_update_of_the_running_system_waits_for_the_shutdown_and_the_journal_tells_of_it() {
    let test = "an_update_of_the_running_system_waits_for_the_shutdown_and_the_journal_tells_of_it";
    let Some(running) = Running::new(test) else { return };
    let (one, entries) = (running.command_line(), running.machine.entries());
    running.push("2");
    let update = ["update", "--json", "--tls-verify=false"];
    let done = running.store(&one, &update).json();
    assert_eq!((&done["outcome"], &done["reboots"]), (&"staged".into(), &false.into()));
    assert_eq!(running.machine.entries(), entries);
    let told = running.told();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["MESSAGE_ID"], STAGED);
    assert_eq!(told[0]["MESSAGE"], "Example 2 is staged, and boots after the next shutdown");
    assert_eq!(told[0]["SEALSTONE_REFERENCE"], running.registry.reference("stable"));
    assert_eq!(told[0]["SEALSTONE_DEPLOYMENT"], done["deployment"].as_str().unwrap());
    assert_eq!((told[0]["SEALSTONE_VERSION"].as_str(), told[0]["PRIORITY"].as_str()), ("2", "5"));
    assert_eq!(running.store(&one, &update).json()["outcome"], "queued");

    let id = |line: &str| line.split("composefs=").nth(1).unwrap().trim_start_matches('?')[..128].to_owned();
    let etc = |line: &str| running.machine.sandbox.path(&format!("sysroot/state/deploy/{}/etc", id(line)));
    std::fs::write(etc(&one).join("late.conf"), "changed after the update").unwrap();
    running.store(&one, &["finalize"]).succeeds();
    assert_eq!(running.told_ids(), [DEPLOYED]);
    let two = running.command_line();
    assert_ne!(id(&one), id(&two));
    assert_eq!(std::fs::read_to_string(etc(&two).join("late.conf")).unwrap(), "changed after the update");
    assert_eq!(running.store(&two, &update).json()["outcome"], "current");

    running.store(&two, &["rollback"]).succeeds();
    assert_eq!(running.told_ids(), [ROLLED_BACK]);
    assert_eq!(id(&running.command_line()), id(&one));
}

#[test]
fn an_argument_that_is_set_while_an_update_waits_for_its_boot_is_that_updates_and_the_next_ones() {
    let test = "an_argument_that_is_set_while_an_update_waits_for_its_boot_is_that_updates_and_the_next_ones";
    let Some(running) = Running::new(test) else { return };
    let one = running.command_line();
    let update = ["update", "--json", "--tls-verify=false"];
    running.push("2");
    running.store(&one, &update).succeeds();
    running.store(&one, &["finalize"]).succeeds();
    let told = running.store(&one, &["kargs", "set", "late=1"]).succeeds();
    assert!(told.contains("late=1") && told.contains("which boots next"), "{told}");
    let two = running.command_line();
    assert!(two.contains("quiet late=1") && !one.contains("late=1"), "{two}");
    let runs = running.machine.entries().into_values().find(|text| text.contains("Example 1")).unwrap();
    assert!(runs.contains(&one), "the entry of what runs is as it was: {runs}");
    // Nothing is new: what waits is just that, and is not made another time.
    assert_eq!(running.store(&one, &update).json()["outcome"], "queued");
    assert_eq!(running.machine.entries().len(), 2);
    // An update that comes in between takes it along, by either way.
    running.push("3");
    running.store(&one, &update).succeeds();
    let listed = running.store(&one, &["kargs"]).succeeds();
    assert!(listed.contains("late=1") && listed.contains("which is staged"), "{listed}");
    running.store(&one, &["finalize"]).succeeds();
    assert!(running.command_line().contains("quiet late=1"), "{}", running.command_line());
    running.push("4");
    running.store(&one, &[&update[..], &["--apply", "--no-reboot"]].concat()).succeeds();
    let four = running.command_line();
    assert!(four.contains("quiet late=1"), "{four}");
    let status = running.store(&one, &["status", "--json"]).json();
    assert_eq!(status["deployments"][0]["os"]["version"], "4");
}

#[test]
fn each_deployment_that_is_removed_is_told_to_the_journal_with_what_it_was() {
    let Some(running) =
        Running::new("each_deployment_that_is_removed_is_told_to_the_journal_with_what_it_was")
    else {
        return;
    };
    let update = ["update", "--json", "--tls-verify=false", "--apply", "--no-reboot"];
    let one = running.command_line();
    let of = |version: &str| {
        let status = running.store(&running.command_line(), &["status", "--json"]).json();
        let found = status["deployments"].as_array().unwrap().iter();
        let found = found.filter(|one| one["os"]["version"] == version).collect::<Vec<_>>();
        (
            found[0]["id"].as_str().unwrap().to_owned(),
            found[0]["image"]["manifest"].as_str().unwrap().to_owned(),
        )
    };
    let removed = [of("1"), {
        running.push("2");
        running.store(&one, &update).succeeds();
        of("2")
    }];
    let two = running.command_line();
    running.push("3");
    running.told();
    // What an update removes of itself, and what somebody removes by its name.
    running.store(&two, &[&update[..], &["--keep", "2"]].concat()).succeeds();
    let mut told = running.told();
    assert_eq!(told.remove(0)["MESSAGE_ID"], DEPLOYED);
    running.store(&running.command_line(), &["prune", &removed[1].0]).succeeds();
    told.extend(running.told());
    assert_eq!(told.len(), 2, "{told:?}");
    for (number, (entry, (id, manifest))) in (1..).zip(told.iter().zip(&removed)) {
        let field = |name: &str| entry[name].as_str();
        assert_eq!(
            (field("MESSAGE_ID"), field("PRIORITY"), field("SYSLOG_IDENTIFIER")),
            (PRUNED, "6", "store")
        );
        assert!(field("MESSAGE").starts_with(&format!("the deployment {id} was removed: ")), "{entry:?}");
        assert_eq!((field("SEALSTONE_DEPLOYMENT"), field("SEALSTONE_MANIFEST")), (&**id, &**manifest));
        assert_eq!(field("SEALSTONE_VERSION"), number.to_string());
        assert_eq!(field("SEALSTONE_REFERENCE"), running.registry.reference("stable"));
    }
    // A dry run tells nothing.
    running.store(&running.command_line(), &["prune", "--keep", "1", "--dry-run"]).succeeds();
    assert!(running.told().is_empty());
}

#[test]
fn a_system_that_fell_back_says_so_in_its_status_and_to_the_journal() {
    let Some(running) = Running::new("a_system_that_fell_back_says_so_in_its_status_and_to_the_journal")
    else {
        return;
    };
    let one = running.command_line();
    assert!(!running.store(&one, &["status"]).succeeds().contains("fell back"));
    running.push("2");
    running.store(&one, &["update", "--tls-verify=false", "--apply", "--no-reboot"]).succeeds();
    running.told();
    // A boot loader counts the tries of an entry in its name, and gives it up when none is left.
    let (name, text) =
        running.machine.entries().into_iter().find(|(_, text)| text.contains("Example 2")).unwrap();
    let counted = name.replace(".conf", "+0-3.conf");
    let entry = |name: &str| running.machine.sandbox.path(&format!("esp/loader/entries/{name}"));
    std::fs::rename(entry(&name), entry(&counted)).unwrap();
    let told = running.store(&one, &["status"]).stdout;
    let line = told.lines().find(|line| line.contains("fell back from")).unwrap_or_else(|| panic!("{told}"));
    assert!(line.contains("the boot loader gave it up after 3 tries"), "{line}");
    let status: Value = serde_json::from_str(&running.store(&one, &["status", "--json"]).stdout).unwrap();
    let id = text.lines().find_map(|line| line.strip_prefix("x-sealstone-id ")).unwrap();
    assert_eq!(status["fallback"]["deployment"], id);
    assert!(running.told().is_empty(), "looking tells nothing");
    running.store(&one, &["update", "--check", "--tls-verify=false"]).succeeds();
    let told = running.told();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((told[0]["MESSAGE_ID"].as_str(), told[0]["PRIORITY"].as_str()), (FELL_BACK, "3"));
    assert_eq!((told[0]["SEALSTONE_DEPLOYMENT"].as_str(), told[0]["SEALSTONE_VERSION"].as_str()), (id, "2"));
}

#[test]
fn a_bound_image_that_is_missing_is_told_to_the_journal_until_it_is_back() {
    let test = "a_bound_image_that_is_missing_is_told_to_the_journal_until_it_is_back";
    let Some(running) = Running::new(test) else { return };
    let folder = running.machine.sandbox.path("app");
    kit::bound::app(1).write(&folder);
    running.registry.push(&folder, "app");
    let name = running.registry.name("app");
    let folder = running.machine.sandbox.path("binding");
    kit::bound::system("6.2.0", &[("app.image", &name)]).write(&folder);
    running.registry.push(&folder, "binding");
    let reference = running.registry.reference("binding");
    running.machine.install(&reference, &["--tls-verify=false"]);
    let line = running.command_line();
    let update = ["update", "--check", "--tls-verify=false"];
    running.store(&line, &update).succeeds();
    assert!(running.told().is_empty());

    let id = line.split("composefs=").nth(1).unwrap().trim_start_matches('?')[..128].to_owned();
    let images = running.machine.sandbox.path(&format!("sysroot/state/deploy/{id}/bound"));
    std::fs::remove_dir_all(images).unwrap();
    for _ in 0..2 {
        running.store(&line, &update).succeeds();
        let told = running.told();
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!((told[0]["MESSAGE_ID"].as_str(), told[0]["PRIORITY"].as_str()), (BOUND_MISSING, "4"));
        assert!(told[0]["MESSAGE"].contains("it has no image store"), "{told:?}");
        assert_eq!(told[0]["SEALSTONE_DEPLOYMENT"], id);
    }
    running.store(&line, &["bound", "sync", "--tls-verify=false"]).succeeds();
    running.store(&line, &update).succeeds();
    assert!(running.told().is_empty());
}

#[test]
fn a_download_waits_for_its_window_and_is_applied_without_a_network() {
    let Some(running) = Running::new("a_download_waits_for_its_window_and_is_applied_without_a_network")
    else {
        return;
    };
    let (one, entries) = (running.command_line(), running.machine.entries());
    running.push("2");
    let done = running.store(&one, &["update", "--json", "--tls-verify=false", "--download-only"]).json();
    assert_eq!(done["outcome"], "downloaded");
    assert_eq!(running.told_ids(), [DOWNLOADED]);
    running.store(&one, &["finalize"]).succeeds();
    assert_eq!(running.machine.entries(), entries, "what is locked was finalised");
    running.registry.asked();
    let apply = ["update", "--json", "--from-downloaded", "--apply", "--no-reboot"];
    let done = running.store(&one, &apply).json();
    assert_eq!((&done["outcome"], &done["reboots"]), (&"deployed".into(), &false.into()));
    assert!(running.registry.asked().is_empty());
    assert_eq!(running.told_ids(), [DEPLOYED]);
    assert_ne!(running.machine.entries(), entries);
}
