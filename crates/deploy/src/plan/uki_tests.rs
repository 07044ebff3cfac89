//! What a sealed image may be deployed as, and what not: nothing is planned that would not boot.

use super::*;
use crate::{
    DeployError, DeploymentId, Health, Record, Retention, State, apply,
    status::status,
    testing::{BootcBoots, Machine, Sealed, System, file},
};
use sealstone_boot::{BootError, FoundEntry};
use sealstone_store::Control;

const OWN: &str = "EFI/Linux/os.efi.extra.d";
const GLOBAL: &str = "loader/addons";

fn refusal(machine: &Machine, request: &DeployRequest) -> String {
    plan_deploy(&machine.target(), request).unwrap_err().to_string()
}

/// The record of the default deployment.
fn first(machine: &Machine) -> Record {
    machine.target().sysroot.records().unwrap().0.into_iter().max_by_key(|record| record.order).unwrap()
}

fn uki_file(request: &DeployRequest) -> String {
    format!("esp/EFI/Linux/bootc/bootc_composefs-{}.efi", request.image)
}

#[test]
fn a_sealed_image_boots_by_its_unified_kernel_image_named_as_bootc_names_it() {
    let machine = Machine::new();
    let (request, uki) = machine.import_sealed(&Sealed::new("1"));
    machine.deploy(&request);
    assert_eq!(std::fs::read(machine.path(&uki_file(&request))).unwrap(), uki);
    assert_eq!(machine.names("esp/EFI/Linux"), ["bootc"]);
    let record = first(&machine);
    assert_eq!((record.kernel.version.as_str(), record.kargs.len()), ("6.12", 0));
    let target = machine.target();
    let FoundEntry::Entry(name, entry) = &target.esps[0].entries().unwrap()[0] else { panic!() };
    assert_eq!(name.as_str(), "bootc_debian-1-1.conf");
    assert_eq!(entry.get("efi"), Some(uki_file(&request).trim_start_matches("esp")));
    assert_eq!((entry.get("options"), entry.get("linux")), (None, None));
    let status = status(&target, None).unwrap();
    assert_eq!(status.deployments[0].health, Health::Good);
    assert!(plan_deploy(&target, &request).unwrap().is_empty());
    let origin = machine.read(&format!("sysroot/state/deploy/{0}/{0}.origin", record.id));
    assert!(origin.contains(&format!("boot_type=uki\ndigest={}", record.kernel.sizes.digest)), "{origin}");
}

#[test]
fn a_command_line_that_names_another_image_is_refused_before_anything_is_written() {
    let machine = Machine::new();
    let other = machine.import(&System::new("9")).image;
    let sealed = Sealed { names: Some(format!("composefs=?{other}")), ..Sealed::new("1") };
    let (request, _) = machine.import_sealed(&sealed);
    let refused = plan_deploy(&machine.target(), &request).unwrap_err();
    let DeployError::Boot(BootError::WrongImage { named, image, .. }) = &refused else { panic!("{refused}") };
    assert_eq!((named[0].as_str(), image.as_str()), (&*other.to_string(), &*request.image.to_string()));
    assert!(machine.names("esp").is_empty());
}

#[test]
fn kernel_arguments_of_the_caller_are_refused_with_the_way_out() {
    let machine = Machine::new();
    let (request, _) = machine.import_sealed(&Sealed::new("1"));
    let with = DeployRequest { kargs: vec!["debug".parse().unwrap()], ..request.clone() };
    let text = refusal(&machine, &with);
    assert!(text.contains("put debug into an addon"), "{text}");
    let without = DeployRequest { karg_deletes: vec!["quiet".into()], ..request };
    assert!(refusal(&machine, &without).contains("quiet"));
}

#[test]
fn arguments_of_the_machine_that_end_with_a_sealed_image_are_told() {
    let machine = Machine::new();
    machine.deploy(&machine.import(&System::new("1")));
    let (request, _) = machine.import_sealed(&Sealed::new("2"));
    let plan = plan_deploy(&machine.target(), &request).unwrap();
    assert!(plan.warnings.iter().any(|text| text.contains("root=UUID=1 quiet")), "{:?}", plan.warnings);
}

#[test]
fn a_second_deployment_of_a_sealed_image_is_refused_and_a_rollback_leads_to_the_first() {
    let machine = Machine::new();
    let ((one, _), (two, _)) =
        (machine.import_sealed(&Sealed::new("1")), machine.import_sealed(&Sealed::new("2")));
    machine.deploy(&one);
    machine.deploy(&two);
    assert!(refusal(&machine, &one).contains("one deployment alone"));
    let target = machine.target();
    apply(&target, &plan_rollback(&target, None).unwrap(), &Control::new()).unwrap();
    assert_eq!(first(&machine).image.id, one.image);
    assert!(plan_reconcile(&target, None).unwrap().is_empty());
}

// bootc dropped addons with an upgrade, and never removed those of all images (read in its code).
#[test]
fn addons_are_taken_by_name_and_stay_with_an_update() {
    let machine = Machine::new();
    let addons = [(OWN, "console"), (GLOBAL, "debug"), (OWN, "unused")];
    let import = |version| machine.import_sealed(&Sealed { addons: &addons, ..Sealed::new(version) }).0;
    let (one, two, three) = (import("1"), import("2"), import("3"));
    let wanted = AddonChanges { add: vec!["console".into(), "debug".into()], remove: Vec::new() };
    machine.deploy(&DeployRequest { addons: wanted, ..one.clone() });
    let extra = |request: &DeployRequest| machine.names(&format!("{}.extra.d", uki_file(request)));
    assert_eq!(extra(&one), ["console.addon.efi", "debug.addon.efi"]);
    machine.deploy(&two);
    assert_eq!(extra(&two), ["console.addon.efi", "debug.addon.efi"]);
    let fewer = AddonChanges { add: Vec::new(), remove: vec!["debug".into()] };
    machine.deploy(&DeployRequest { addons: fewer, ..three.clone() });
    assert_eq!(extra(&three), ["console.addon.efi"]);
    let (four, _) = machine.import_sealed(&Sealed::new("4"));
    assert!(refusal(&machine, &four).contains("no addon console in the image"));
    machine.deploy(&DeployRequest { predecessor: Predecessor::None, ..four.clone() });
    assert!(extra(&four).is_empty());
}

#[test]
fn addons_beside_an_image_of_bootc_stay_with_the_first_update_as_far_as_the_new_image_has_them() {
    let machine = Machine::new();
    let of_bootc = machine.import_whole(&System::new("1"));
    machine.deploy(&of_bootc);
    machine.hand_to_bootc(&[&of_bootc], BootcBoots::Uki);
    let extra = |request: &DeployRequest| format!("{}.extra.d", uki_file(request));
    std::fs::create_dir(machine.path(&extra(&of_bootc))).unwrap();
    for name in ["console", "local"] {
        std::fs::write(machine.path(&format!("{}/{name}.addon.efi", extra(&of_bootc))), "an addon").unwrap();
    }
    let addons = [(OWN, "console"), (OWN, "unused")];
    let (two, _) = machine.import_sealed(&Sealed { addons: &addons, ..Sealed::new("2") });
    let plan = plan_deploy(&machine.target(), &two).unwrap();
    assert!(plan.warnings.iter().any(|text| text.ends_with("end here: local")), "{:?}", plan.warnings);
    apply(&machine.target(), &plan, &Control::new()).unwrap();
    assert_eq!(machine.names(&extra(&two)), ["console.addon.efi"]);
    assert!(plan_deploy(&machine.target(), &two).unwrap().is_empty());
}

// As above: what an image brought goes with it.
#[test]
fn an_image_goes_with_its_addons_when_its_deployment_does() {
    let machine = Machine::new();
    let addons = [(OWN, "console")];
    for version in ["1", "2", "3"] {
        let (request, _) = machine.import_sealed(&Sealed { addons: &addons, ..Sealed::new(version) });
        let wanted = AddonChanges { add: vec!["console".into()], remove: Vec::new() };
        let retention = Retention { count: Some(2), ..Retention::default() };
        machine.deploy(&DeployRequest { addons: wanted, retention, ..request });
    }
    // Two images, each with its folder.
    assert_eq!(machine.names("esp/EFI/Linux/bootc").len(), 4);
}

#[test]
fn what_is_lost_on_the_boot_partition_is_written_again() {
    let machine = Machine::new();
    let (request, uki) = machine.import_sealed(&Sealed { addons: &[(OWN, "a")], ..Sealed::new("1") });
    let addons = AddonChanges { add: vec!["a".into()], remove: Vec::new() };
    machine.deploy(&DeployRequest { addons, ..request.clone() });
    let path = machine.path(&uki_file(&request));
    for lost in [path.clone(), machine.path(&format!("{}.extra.d/a.addon.efi", uki_file(&request)))] {
        std::fs::remove_file(&lost).unwrap();
        let target = machine.target();
        assert!(!status(&target, None).unwrap().deployments[0].health.is_good());
        apply(&target, &plan_reconcile(&target, None).unwrap(), &Control::new()).unwrap();
        assert!(lost.is_file());
    }
    assert_eq!(std::fs::read(path).unwrap(), uki);
}

#[test]
fn a_staged_one_gets_its_entry_when_it_is_finalised() {
    let machine = Machine::new();
    let ((one, _), (two, uki)) =
        (machine.import_sealed(&Sealed::new("1")), machine.import_sealed(&Sealed::new("2")));
    machine.deploy(&one);
    let running = Some(DeploymentId::new(one.image, 0));
    let finalise = Finalise::AtShutdown { locked: false };
    machine.deploy(&DeployRequest { running, finalise, ..two.clone() });
    assert_eq!(first(&machine).state, State::Staged);
    let target = machine.target();
    apply(
        &target,
        &plan_finalize(&target, running.as_ref(), &StagedWish::default()).unwrap(),
        &Control::new(),
    )
    .unwrap();
    assert_eq!(std::fs::read(machine.path(&uki_file(&two))).unwrap(), uki);
    assert_eq!(machine.names("esp/loader/entries").len(), 2);
}

#[test]
fn the_kernel_arguments_of_a_sealed_deployment_cannot_be_changed() {
    let machine = Machine::new();
    machine.deploy(&machine.import_sealed(&Sealed::new("1")).0);
    let edit = crate::kargs::KargsEdit::Set(vec!["debug".parse().unwrap()]);
    let refused = plan_kargs(&machine.target(), &crate::kargs::KargsOwner::Caller, &edit, None);
    assert!(refused.unwrap_err().to_string().contains("sealed"));
}

#[test]
fn what_is_no_image_of_that_kind_is_refused_and_one_without_gets_no_addons() {
    let machine = Machine::new();
    let more = vec![file("boot/EFI/Linux/os.efi", &"no PE image ".repeat(20))];
    let request = machine
        .import_published(&System { more, ..System::new("1") }, &sealstone_import::ImportOptions::default());
    assert!(refusal(&machine, &request).contains("/boot/EFI/Linux/os.efi is no valid boot image"));
    let addons = AddonChanges { add: vec!["console".into()], remove: Vec::new() };
    let plain = DeployRequest { addons, ..machine.import(&System::new("2")) };
    assert!(refusal(&machine, &plain).contains("only those take addons"));
}
