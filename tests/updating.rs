//! `store update` and `store switch`, from a registry in this process that keeps what it was asked: what nothing new costs,
//! what a check reads and writes, what an update fetches, and what stays.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test, with ordinary files"
)]

mod kit;

use kit::machine::Machine;
use kit::registry::{Protection, Registry};
use kit::web_registry::WebRegistry;
use kit::{Image, Layer};

/// A system whose lower layer is every version's.
fn system(version: &str) -> Image {
    let release = format!("ID=example\nVERSION_ID={version}\nPRETTY_NAME=\"Example {version}\"\n");
    let top =
        Layer::new().file("usr/lib/os-release", release.as_bytes()).file("etc/version", version.as_bytes());
    Image::new().layer(Layer::system("6.1.0")).layer(top)
}

/// A machine with version 1 from a registry, which follows the tag `stable` there.
fn installed() -> (Machine, WebRegistry) {
    let (machine, registry) = (Machine::new(), WebRegistry::start());
    push(&machine, &registry, "1", "stable");
    machine.install(&registry.reference("stable"), &["--karg", "console=ttyS0"]);
    machine.store(["update"]).succeeds();
    registry.asked();
    (machine, registry)
}

fn push(machine: &Machine, registry: &WebRegistry, version: &str, tag: &str) -> String {
    let folder = machine.sandbox.path(&format!("layout-{version}"));
    system(version).write(&folder);
    registry.push(&folder, tag)
}

fn titles(machine: &Machine) -> Vec<String> {
    let status = machine.store(["status", "--json"]).json();
    let titles = status["deployments"].as_array().unwrap().iter();
    titles.map(|deployment| deployment["os"]["title"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn an_update_without_anything_new_is_one_head_and_writes_nothing() {
    let (machine, registry) = installed();
    let before = machine.snapshot();
    for arguments in [&["update"][..], &["update", "--check"], &["update", "--dry-run"]] {
        machine.store(arguments).succeeds();
        assert_eq!(registry.asked(), ["HEAD /v2/some/image/manifests/stable"], "{arguments:?}");
        assert_eq!(machine.snapshot(), before, "{arguments:?}");
    }
    let check = machine.store(["update", "--check", "--json"]).json();
    assert_eq!((&check["verdict"], &check["changed"]), (&"current".into(), &false.into()));
    // Where HEAD is refused, a GET of the manifest tells.
    registry.asked();
    registry.refuse_head();
    machine.store(["update"]).succeeds();
    let asked = registry.asked();
    assert!(asked.contains(&"GET /v2/some/image/manifests/stable".to_owned()), "{asked:?}");
    assert!(asked.iter().all(|line| !line.contains("/blobs/")), "{asked:?}");
    assert_eq!(machine.snapshot(), before);
}

#[test]
fn a_check_reads_documents_alone_and_changes_nothing_even_when_the_image_is_there() {
    let (machine, registry) = installed();
    push(&machine, &registry, "2", "stable");
    let before = machine.snapshot();
    let check = machine.store(["update", "--check", "--json"]).json();
    assert_eq!((&check["verdict"], &check["changed"]), (&"available".into(), &true.into()));
    assert_eq!(check["layers"].as_array().unwrap().len(), 2);
    let to_fetch = check["bytes_to_fetch"].as_u64().unwrap();
    assert_eq!(check["layers"][0]["bytes_to_fetch"], 0);
    assert_eq!(check["layers"][1]["bytes_to_fetch"], to_fetch);
    let asked = registry.asked();
    let config = check["available"]["config"].as_str().unwrap();
    let documents = [
        "HEAD /v2/some/image/manifests/stable".to_owned(),
        "GET /v2/some/image/manifests/stable".to_owned(),
        format!("GET /v2/some/image/blobs/{config}"),
    ];
    assert_eq!(asked, documents);
    assert_eq!(machine.snapshot(), before);

    // bootc staged an update here: the image is in the store, and not deployed.
    machine.import(&registry.reference("stable"), "other:name").succeeds();
    let before = machine.snapshot();
    let check = machine.store(["update", "--check", "--json"]).json();
    assert_eq!((&check["verdict"], &check["bytes_to_fetch"]), (&"available".into(), &0.into()));
    assert_eq!(machine.snapshot(), before);
    let plan = machine.store(["update", "--dry-run", "--json"]).json();
    assert!(!plan["steps"].as_array().unwrap().is_empty());
    assert_eq!(machine.snapshot(), before);
    assert_eq!(titles(&machine), ["Example 1"]);
}

// `bootc upgrade --check` staged what was in the repository already, and discarded what was staged (read in bootc's code).
#[test]
fn a_check_stages_nothing_and_removes_nothing_that_is_staged() {
    let (machine, registry) = installed();
    push(&machine, &registry, "2", "stable");
    machine.store(["update", "--download-only"]).succeeds();
    push(&machine, &registry, "3", "stable");
    machine.import(&registry.reference("stable"), "three").succeeds();
    // The tag names what is only in the repository, what is staged, what boots.
    for (version, verdict) in [("3", "available"), ("2", "queued"), ("1", "available")] {
        registry.push(&machine.sandbox.path(&format!("layout-{version}")), "stable");
        let before = machine.snapshot();
        let check = machine.store(["update", "--check", "--json"]).json();
        assert_eq!(check["verdict"], verdict, "{version}");
        machine.store(["update", "--check"]).succeeds();
        assert_eq!(machine.snapshot(), before, "{version}");
    }
    let status = machine.store(["status", "--json"]).json();
    let staged = status["deployments"].as_array().unwrap().iter().filter(|one| one["state"] == "staged");
    assert_eq!(staged.map(|one| &one["os"]["version"]).collect::<Vec<_>>(), ["2"]);
}

// bcvk#307: the digest in status was not the registry's, since the image had gone through a container storage.
#[test]
fn an_update_fetches_what_is_missing_and_keeps_what_is_this_machines() {
    let (machine, registry) = installed();
    let manifest = push(&machine, &registry, "2", "stable");
    let done = machine.store(["update", "--json"]).json();
    assert_eq!((&done["outcome"], &done["manifest"]), (&"deployed".into(), &manifest.as_str().into()));
    assert_eq!(done["fetched_layers"], 1);
    assert_eq!(done["reboots"], false);
    assert_eq!(titles(&machine), ["Example 2", "Example 1"]);
    let status = machine.store(["status", "--json"]).json();
    assert_eq!(status["deployments"][0]["image"]["manifest"], manifest.as_str());
    for deployment in status["deployments"].as_array().unwrap() {
        assert_eq!(deployment["health"]["is"], "good");
        assert!(deployment["kargs"].to_string().contains("console=ttyS0"), "{}", deployment["kargs"]);
    }
    // Again: nothing is new, and that is known by the digest that the update recorded.
    registry.asked();
    let before = machine.snapshot();
    let again = machine.store(["update", "--json"]).json();
    assert_eq!(again["outcome"], "current");
    assert_eq!(registry.asked().len(), 1);
    assert_eq!(machine.snapshot(), before);
    machine.store(["rollback"]).succeeds();
    assert_eq!(titles(&machine), ["Example 1", "Example 2"]);
    // Older ones go as the flags say; the one that a rollback would boot stays.
    push(&machine, &registry, "3", "stable");
    machine.store(["update", "--keep", "1"]).succeeds();
    assert_eq!(titles(&machine), ["Example 3", "Example 1"]);
}

// A rebuild with the same content was an error for bootc (read in its code).
#[test]
fn the_same_content_under_another_manifest_is_noted_and_boots_nothing_anew() {
    let (machine, registry) = installed();
    let entries = machine.entries();
    // A reproducible rebuild: an index above it, and then other bytes of the same layers.
    let index = registry.wrap("stable", "rebuilt");
    let done = machine.store(["update", "--json"]).json();
    assert_eq!(done["outcome"], "current");
    let folder = machine.sandbox.path("rebuilt");
    let rebuilt = system("1").with_label("build", "2");
    rebuilt.write(&folder);
    let manifest = registry.push(&folder, "stable");
    assert_ne!(index, manifest);
    let done = machine.store(["update", "--json"]).json();
    assert_eq!((&done["outcome"], &done["manifest"]), (&"same-content".into(), &manifest.as_str().into()));
    assert_eq!(machine.entries(), entries);
    assert_eq!(titles(&machine), ["Example 1"]);
    registry.asked();
    assert_eq!(machine.store(["update", "--json"]).json()["outcome"], "current");
    assert_eq!(registry.asked(), ["HEAD /v2/some/image/manifests/stable"]);
    // What the old manifest kept goes with it, and all that the deployment needs stays.
    machine.repository(["gc"]).succeeds();
    machine.repository(["fsck"]).succeeds();
    let status = machine.store(["status", "--json"]).json();
    assert_eq!(status["deployments"][0]["health"]["is"], "good");
    assert_eq!(status["deployments"][0]["image"]["manifest"], manifest.as_str());
}

#[test]
fn a_switch_changes_what_updates_follow_and_keeps_the_rest() {
    let (machine, registry) = installed();
    push(&machine, &registry, "3", "next");
    let next = registry.reference("next");
    let before = machine.snapshot();
    let check = machine.store(["switch", "--check", "--json", &next]).json();
    assert_eq!(check["reference"], next.as_str());
    assert_eq!(machine.snapshot(), before);
    let done = machine.store(["switch", "--json", &next]).json();
    assert_eq!((&done["outcome"], &done["reference"]), (&"deployed".into(), &next.as_str().into()));
    assert_eq!(titles(&machine), ["Example 3", "Example 1"]);
    push(&machine, &registry, "4", "next");
    machine.store(["update"]).succeeds();
    assert_eq!(titles(&machine)[0], "Example 4");
    // To a reference with the same content: it is followed from now on, and nothing has to boot.
    let entries = machine.entries();
    registry.push(&machine.sandbox.path("layout-4"), "other");
    let other = registry.reference("other");
    let done = machine.store(["switch", "--json", &other]).json();
    assert_eq!((&done["outcome"], &done["reference"]), (&"same-content".into(), &other.as_str().into()));
    assert_eq!(machine.entries(), entries);
    // A layout on this machine, named from a folder of it.
    system("5").write(&machine.sandbox.path("local"));
    let done = machine.store(["switch", "--json", "oci:local"]).json();
    let expected = format!("oci:{}", machine.sandbox.path("local").display());
    assert_eq!((&done["outcome"], &done["reference"]), (&"deployed".into(), &expected.as_str().into()));
}

#[test]
fn what_was_downloaded_is_taken_without_a_network() {
    let (machine, registry) = installed();
    push(&machine, &registry, "2", "stable");
    let entries = machine.entries();
    let done = machine.store(["update", "--download-only", "--json"]).json();
    assert_eq!(done["outcome"], "downloaded");
    assert_eq!(machine.entries(), entries);
    registry.asked();
    // What waits is not fetched again.
    assert_eq!(machine.store(["update", "--json"]).json()["outcome"], "queued");
    assert_eq!(registry.asked().len(), 1);
    let done = machine.store(["update", "--from-downloaded", "--json"]).json();
    assert_eq!(done["outcome"], "deployed");
    assert!(registry.asked().is_empty());
    assert_eq!(titles(&machine), ["Example 2", "Example 1"]);
    let refused = machine.store(["update", "--from-downloaded"]).fails(1);
    assert!(refused.contains("--download-only"), "{refused}");
}

#[test]
fn a_tag_that_is_moved_back_withdraws_what_waits() {
    let (machine, registry) = installed();
    push(&machine, &registry, "2", "stable");
    machine.store(["update", "--download-only"]).succeeds();
    push(&machine, &registry, "3", "stable");
    // Something newer takes the place of what waits.
    let done = machine.store(["update", "--download-only", "--json"]).json();
    assert_eq!(done["outcome"], "downloaded");
    assert_eq!(titles(&machine).len(), 2);
}

#[test]
fn from_debians_registry_a_system_is_updated_and_rolled_back() {
    let machine = Machine::new();
    let test = "from_debians_registry_a_system_is_updated_and_rolled_back";
    let Some(registry) = Registry::start(&machine.sandbox, Protection::default(), test) else { return };
    let push = |version: &str| {
        system(version).write(&machine.sandbox.path(&format!("layout-{version}")));
        let layout = format!("oci:layout-{version}:latest");
        registry.push(&machine.sandbox, &layout, "some/image:stable", &["--preserve-digests"]);
    };
    push("1");
    machine.install(&format!("docker://{}/some/image:stable", registry.host()), &[]);
    assert_eq!(machine.store(["update", "--json"]).json()["outcome"], "current");
    push("2");
    let check = machine.store(["update", "--check", "--json"]).json();
    assert_eq!((&check["verdict"], &check["layers"][0]["present"]), (&"available".into(), &true.into()));
    assert_eq!(machine.store(["update", "--json"]).json()["outcome"], "deployed");
    assert_eq!(titles(&machine), ["Example 2", "Example 1"]);
    assert_eq!(machine.store(["update", "--check", "--json"]).json()["verdict"], "current");
    machine.store(["rollback"]).succeeds();
    assert_eq!(titles(&machine), ["Example 1", "Example 2"]);
    machine.repository(["fsck"]).succeeds();
}

/// Pushes a version of the bound image; gives its manifest.
fn push_app(machine: &Machine, registry: &WebRegistry, version: u64) -> String {
    let folder = machine.sandbox.path(&format!("app-{version}"));
    kit::bound::app(version).write(&folder);
    registry.push(&folder, "app")
}

/// Installs a system that binds an image by its tag.
fn install_with_app(machine: &Machine, registry: &WebRegistry) {
    push_app(machine, registry, 1);
    let os = kit::bound::system("6.1.0", &[("app.image", &registry.name("app"))]);
    os.write(&machine.sandbox.path("os"));
    registry.push(&machine.sandbox.path("os"), "stable");
    machine.install(&registry.reference("stable"), &["--tls-verify=false"]);
}

#[test]
fn a_bound_image_by_tag_costs_one_head_more_and_is_an_update_when_its_tag_moves() {
    let (machine, registry) = (Machine::new(), WebRegistry::start());
    install_with_app(&machine, &registry);
    machine.store(["update"]).succeeds();
    registry.asked();
    let nothing_new = ["HEAD /v2/some/image/manifests/stable", "HEAD /v2/some/image/manifests/app"];
    assert_eq!(machine.store(["update", "--json"]).json()["outcome"], "current");
    assert_eq!(registry.asked(), nothing_new);

    let app = push_app(&machine, &registry, 2);
    let before = machine.snapshot();
    let check = machine.store(["update", "--check", "--json"]).json();
    assert_eq!((&check["verdict"], &check["changed"]), (&"available".into(), &true.into()));
    assert_eq!(check["bound"][0]["manifest"], app.as_str());
    assert!(check["bytes_to_fetch"].as_u64().unwrap() > 0);
    assert_eq!(machine.snapshot(), before);
    assert_eq!(machine.store(["update", "--json"]).json()["outcome"], "deployed");
    let status = machine.store(["status", "--json"]).json();
    assert_eq!(status["deployments"][0]["bound"][0]["manifest"], app.as_str());
    registry.asked();
    assert_eq!(machine.store(["update", "--json"]).json()["outcome"], "current");
    assert_eq!(registry.asked(), nothing_new);
}

#[test]
fn what_was_imported_under_a_name_of_its_own_is_updated_from_where_it_came_from() {
    let (machine, registry) = (Machine::new(), WebRegistry::start());
    push(&machine, &registry, "1", "stable");
    machine.import(&registry.reference("stable"), "os:1").succeeds();
    machine.store(["deploy", "os:1"]).succeeds();
    registry.asked();
    machine.store(["update"]).succeeds();
    assert_eq!(registry.asked(), ["HEAD /v2/some/image/manifests/stable"], "what the tag named is known");
    push(&machine, &registry, "2", "stable");
    machine.store(["update"]).succeeds();
    assert_eq!(titles(&machine), ["Example 2", "Example 1"]);

    // A place on this machine is remembered whole: the next call may be made in another folder.
    machine.import("oci:layout-1", "os:folder").succeeds();
    machine.store(["deploy", "os:folder"]).succeeds();
    let status = machine.store(["status", "--json"]).json();
    let folder = format!("oci:{}", machine.sandbox.path("layout-1").display());
    assert_eq!(status["deployments"][0]["image"]["reference"], folder);
    std::fs::remove_dir_all(machine.sandbox.path("layout-1")).unwrap();
    system("3").write(&machine.sandbox.path("layout-1"));
    machine.store(["update"]).succeeds();
    assert_eq!(titles(&machine)[0], "Example 3");

    // gc forgets the place with the name.
    let places =
        || std::fs::read_dir(machine.sandbox.path("sysroot/composefs/sealstone/origins")).unwrap().count();
    assert_eq!(places(), 2);
    machine.repository(["rm", "os:folder"]).succeeds();
    machine.repository(["gc"]).succeeds();
    assert_eq!(places(), 1);
}

#[test]
fn a_name_that_says_of_no_place_is_refused_with_what_to_do() {
    let machine = Machine::new();
    machine.store(["update"]).fails(1);
    system("1").write(&machine.sandbox.path("layout"));
    machine.import("oci:layout", "os:1").succeeds();
    // As an import from the standard input leaves it, or one by a version that remembered no places.
    std::fs::remove_dir_all(machine.sandbox.path("sysroot/composefs/sealstone/origins")).unwrap();
    machine.store(["deploy", "os:1"]).succeeds();
    let refused = machine.store(["update"]).fails(2);
    assert!(refused.contains("store switch"), "{refused}");
}

/// How many objects the repository has.
fn objects(machine: &Machine) -> u64 {
    machine.repository(["gc", "--dry-run", "--json"]).json()["live_objects"].as_u64().unwrap()
        + machine.repository(["gc", "--dry-run", "--json"]).json()["objects"].as_u64().unwrap()
}

// bootc#2364: an upgrade waited for ever for a lock of its own when it came to remove what nobody needs.
#[test]
fn a_machine_that_updates_itself_for_years_does_not_fill_its_disk() {
    let (machine, registry) = installed();
    // As the unit does it.
    let update = ["update", "--keep=3", "--gc", "--json"];
    let mut counts = Vec::new();
    for version in 2..9 {
        push(&machine, &registry, &version.to_string(), "stable");
        let done = machine.store(update).json();
        assert_eq!((&done["outcome"], &done["warnings"]), (&"deployed".into(), &serde_json::json!([])));
        let removed = done["removed"].as_array().unwrap().len();
        assert_eq!(
            (removed, done["freed"]["objects"].as_u64().unwrap_or(0) > 0),
            match version {
                2 | 3 => (0, false),
                _ => (1, true),
            }
        );
        counts.push(objects(&machine));
    }
    assert_eq!(counts[2..], [counts[1]; 5], "{counts:?}");
    assert_eq!(titles(&machine), ["Example 8", "Example 7", "Example 6"]);
    machine.repository(["fsck"]).succeeds();
    // What is staged is needed, also when gc comes in between.
    push(&machine, &registry, "9", "stable");
    machine.store(["update", "--download-only", "--keep=2", "--gc"]).succeeds();
    machine.repository(["gc"]).succeeds();
    assert_eq!(machine.store(["update", "--from-downloaded", "--json"]).json()["outcome"], "deployed");
    let status = machine.store(["status", "--json"]).json();
    assert_eq!(status["deployments"][0]["os"]["version"], "9");
    assert!(status["deployments"].as_array().unwrap().iter().all(|one| one["health"]["is"] == "good"));
}

#[test]
fn a_prune_frees_the_disk_with_gc_and_says_what_does_without() {
    let (machine, registry) = installed();
    for version in 2..6 {
        push(&machine, &registry, &version.to_string(), "stable");
        machine.store(["update"]).succeeds();
    }
    let before = objects(&machine);
    let told = machine.store(["prune", "--keep", "4"]).succeeds();
    assert!(told.contains("store gc") && told.contains("--gc"), "{told}");
    assert_eq!(objects(&machine), before);
    let done = machine.store(["prune", "--keep", "2", "--gc", "--json"]).json();
    let freed = done["freed"]["objects"].as_u64().unwrap();
    assert!(freed > 0 && objects(&machine) == before - freed, "{done}");
    // Nothing went: nothing is looked for.
    assert!(machine.store(["prune", "--keep", "2", "--gc", "--json"]).json()["freed"].is_null());
}

#[test]
fn an_update_tells_conflicts_and_what_it_removed() {
    let (machine, registry) = installed();
    push(&machine, &registry, "2", "stable");
    machine.store(["update"]).succeeds();
    let status = machine.store(["status", "--json"]).json();
    let id = status["deployments"][0]["id"].as_str().unwrap();
    let etc = machine.sandbox.path(&format!("sysroot/state/deploy/{id}/etc/version"));
    std::fs::write(etc, "the machine's").unwrap();
    push(&machine, &registry, "3", "stable");
    let dry = machine.store(["update", "--dry-run"]).succeeds();
    assert!(dry.contains("--download-only brings it"), "{dry}");
    let told = machine.store(["update", "--keep", "1", "--download-only"]).succeeds();
    assert!(told.contains("is downloaded"), "{told}");
    // The way that the hint names leads to the plan.
    for verb in [vec!["update"], vec!["switch", &registry.reference("stable")]] {
        let shown = machine.store([&verb[..], &["--dry-run"]].concat()).succeeds();
        assert!(shown.contains("conflict /etc/version") && shown.contains("  1  keep"), "{shown}");
    }
    let again = machine.store(["update"]).succeeds();
    assert!(again.contains("is downloaded already: `store update --from-downloaded`"), "{again}");
    let before = machine.snapshot();
    machine.store(["update", "--from-downloaded", "--dry-run"]).succeeds();
    assert_eq!(machine.snapshot(), before, "a dry run");
    let told = machine.store(["update", "--from-downloaded"]).succeeds();
    assert!(told.contains("conflict /etc/version: ") && told.contains("keep-local"), "{told}");
    push(&machine, &registry, "4", "stable");
    let done = machine.store(["update", "--keep", "1", "--json"]).json();
    assert_eq!(done["conflicts"][0]["path"], "/etc/version");
    let removed = done["removed"][0]["reason"].as_str().unwrap();
    assert!(removed.contains("more than 1"), "{done}");
}

#[test]
fn a_bound_image_that_cannot_be_asked_for_is_told_and_one_that_moved_is_named() {
    let (machine, registry) = (Machine::new(), WebRegistry::start());
    install_with_app(&machine, &registry);
    let manifest = push_app(&machine, &registry, 2);
    let told = machine.store(["update", "--check"]).succeeds();
    assert!(told.contains("has an update of 1 bound image"), "{told}");
    assert!(told.contains(&format!("moved to {}", &manifest[7..19])), "{told}");
    assert!(!told.contains("there") && !told.contains("0 layers"), "the system itself is the same: {told}");
    let check = machine.store(["update", "--check", "--json"]).json();
    assert_eq!(check["bound"][0]["moved"], true);
    machine.store(["update"]).succeeds();
    registry.forget("app");
    let done = machine.store(["update", "--json"]).json();
    assert_eq!(done["outcome"], "current");
    assert!(done["warnings"][0].as_str().unwrap().contains("bound images"), "{done}");
}
