//! The boot loader in plans: installed, updated, never replaced by an older one, the same on each boot partition.

use std::sync::Arc;

use rustix::io::Errno;
use sealstone_boot::{BootRole, Esp};
use sealstone_store::{
    Control,
    disk::{Call, Dir, Disk, FailingDisk, RealDisk, Reply},
};

use crate::{
    DeployError, DeployRequest, StagedWish, Target, apply,
    kargs::Bootloader,
    plan_deploy, plan_finalize, plan_reconcile, status,
    testing::{Machine, System, deploy_on, file},
};

const OWN: &str = "EFI/systemd/systemd-bootx64.efi";
const FALLBACK: &str = "EFI/BOOT/BOOTX64.EFI";

fn program(version: &str) -> String {
    format!("MZ {} #### LoaderInfo: systemd-boot {version} ####", version.repeat(50))
}

fn system<'a>(version: &'a str, loader: &str) -> System<'a> {
    let mut system = System::new(version);
    system.more = vec![file("usr/lib/systemd/boot/efi/systemd-bootx64.efi", &program(loader))];
    system
}

/// The target with these boot partitions.
fn target(machine: &Machine, disk: &Arc<dyn Disk>, list: &[(&str, BootRole)]) -> Target {
    let mut target = Machine::target_on(disk, machine.root()).unwrap();
    let open = |(name, role): &(&str, BootRole)| {
        std::fs::create_dir_all(machine.path(name)).unwrap();
        Esp::new(Dir::open(disk, machine.path(name)).unwrap()).with_role(*role)
    };
    target.esps = list.iter().map(open).collect();
    target
}

fn has(machine: &Machine, path: &str) -> bool {
    machine.path(path).exists()
}

#[test]
fn a_deployment_brings_its_boot_loader_and_a_newer_one_replaces_it() {
    let machine = Machine::new();
    let plan = plan_deploy(&machine.target(), &machine.import(&system("1", "256"))).unwrap();
    let section = plan.loader.as_ref().unwrap();
    assert_eq!((section.version.as_deref(), section.written.len()), (Some("256"), 4));
    apply(&machine.target(), &plan, &Control::new()).unwrap();
    for path in [OWN, FALLBACK] {
        assert_eq!(machine.read(&format!("esp/{path}")), program("256"));
    }
    assert_eq!(machine.read("esp/loader/loader.conf"), "timeout 5\n");
    assert_eq!(machine.read("esp/loader/entries.srel"), "type1\n");
    // The administrator's word on the menu stays.
    std::fs::write(machine.path("esp/loader/loader.conf"), "timeout 0\n").unwrap();
    machine.deploy(&machine.import(&system("2", "257")));
    assert_eq!(machine.read(&format!("esp/{FALLBACK}")), program("257"));
    assert_eq!(machine.read("esp/loader/loader.conf"), "timeout 0\n");
    // An image with an older one does not take it back, and says so.
    let plan = plan_deploy(&machine.target(), &machine.import(&system("3", "255"))).unwrap();
    assert!(plan.warnings.iter().any(|text| text.contains("257 is newer")), "{:?}", plan.warnings);
    apply(&machine.target(), &plan, &Control::new()).unwrap();
    assert_eq!(machine.read(&format!("esp/{OWN}")), program("257"));
}

#[test]
fn what_was_asked_for_is_kept_to_by_updates() {
    let machine = Machine::new();
    let none = DeployRequest { boot_loader: Some(Bootloader::None), ..machine.import(&system("1", "257")) };
    machine.deploy(&none);
    machine.deploy(&machine.import(&system("2", "257")));
    assert!(!has(&machine, "esp/EFI/BOOT") && !has(&machine, "esp/loader/loader.conf"));
    let wanted =
        DeployRequest { boot_loader: Some(Bootloader::Systemd), ..machine.import(&system("2", "257")) };
    machine.deploy(&wanted);
    assert_eq!(machine.read(&format!("esp/{FALLBACK}")), program("257"));
    let lacking =
        DeployRequest { boot_loader: Some(Bootloader::Systemd), ..machine.import(&System::new("3")) };
    assert!(matches!(plan_deploy(&machine.target(), &lacking), Err(DeployError::Unfit { .. })));
}

#[test]
fn anothers_boot_loader_stays_unless_it_is_asked_for() {
    let machine = Machine::new();
    std::fs::create_dir_all(machine.path("esp/EFI/BOOT")).unwrap();
    std::fs::write(machine.path(&format!("esp/{FALLBACK}")), "GRUB").unwrap();
    let request = machine.import(&system("1", "257"));
    machine.deploy(&request);
    assert_eq!(machine.read(&format!("esp/{FALLBACK}")), "GRUB");
    assert!(!has(&machine, &format!("esp/{OWN}")) && !has(&machine, "esp/loader/loader.conf"));
    machine.deploy(&DeployRequest { boot_loader: Some(Bootloader::Systemd), ..request });
    assert_eq!(machine.read(&format!("esp/{FALLBACK}")), program("257"));
}

#[test]
fn what_is_staged_brings_its_boot_loader_when_it_is_finalised() {
    let machine = Machine::new();
    machine.deploy(&machine.import(&system("1", "256")));
    let staged = DeployRequest {
        finalise: crate::Finalise::AtShutdown { locked: false },
        ..machine.import(&system("2", "257"))
    };
    machine.deploy(&staged);
    assert_eq!(machine.read(&format!("esp/{OWN}")), program("256"));
    let target = machine.target();
    apply(&target, &plan_finalize(&target, None, &StagedWish::default()).unwrap(), &Control::new()).unwrap();
    assert_eq!(machine.read(&format!("esp/{OWN}")), program("257"));
}

// bootc#2399: a boot partition of its own was not looked at. What is read in its place is in `tests/peer_installs.rs`.
#[test]
fn an_xbootldr_gets_the_entries_and_the_esp_the_boot_loader() {
    let machine = Machine::new();
    let roles = [("esp", BootRole::Loader), ("xbootldr", BootRole::Xbootldr)];
    let target = target(&machine, &RealDisk::shared(), &roles);
    deploy_on(&target, &machine.import(&system("1", "257"))).unwrap();
    assert!(has(&machine, &format!("esp/{FALLBACK}")) && !has(&machine, "esp/loader/entries"));
    assert!(!has(&machine, "esp/EFI/Linux") && has(&machine, "xbootldr/EFI/Linux"));
    assert_eq!(machine.names("xbootldr/loader/entries"), ["bootc_debian-1-1.conf"]);
    assert!(has(&machine, "esp/loader/loader.conf") && has(&machine, "xbootldr/loader/entries.srel"));
    assert!(!has(&machine, "xbootldr/EFI/BOOT") && !has(&machine, "xbootldr/loader/loader.conf"));
    let report = status(&target, None).unwrap();
    assert!(report.deployments[0].health.is_good(), "{:?}", report.deployments[0].health);
    assert!(plan_reconcile(&target, None).unwrap().is_empty());
}

// Kernels and entries went to the first ESP of a machine alone (read in bootc's code): the others do not boot.
#[test]
fn a_boot_partition_that_drifted_is_told_and_mended() {
    let machine = Machine::new();
    let both = target(&machine, &RealDisk::shared(), &[("esp", BootRole::Esp), ("esp2", BootRole::Esp)]);
    deploy_on(&both, &machine.import(&system("1", "256"))).unwrap();
    // A new disk took the place of a failed one.
    std::fs::remove_dir_all(machine.path("esp2")).unwrap();
    std::fs::create_dir(machine.path("esp2")).unwrap();
    let both = target(&machine, &RealDisk::shared(), &[("esp", BootRole::Esp), ("esp2", BootRole::Esp)]);
    let report = status(&both, None).unwrap();
    assert!(report.esps[0].drift.is_empty());
    // Two programs, a kernel, an entry.
    assert_eq!(report.esps[1].drift.len(), 4, "{:?}", report.esps[1].drift);
    apply(&both, &plan_reconcile(&both, None).unwrap(), &Control::new()).unwrap();
    assert!(status(&both, None).unwrap().esps[1].drift.is_empty());
    assert!(has(&machine, &format!("esp2/{FALLBACK}")));
}

/// A disk whose second boot partition fails from some call on.
struct Failing {
    place: std::path::PathBuf,
}

impl Disk for Failing {
    fn call(&self, call: &mut Call<'_>) -> Result<Reply, Errno> {
        if call.path().starts_with(&self.place) && !matches!(call, Call::OpenAmbient { .. }) {
            return Err(Errno::IO);
        }
        RealDisk::shared().call(call)
    }
}

// The same, when one of several is gone for a while.
#[test]
fn a_boot_partition_that_fails_is_told_and_stops_nothing_while_another_works() {
    let machine = Machine::new();
    let roles = [("esp", BootRole::Esp), ("esp2", BootRole::Esp)];
    let both = target(&machine, &RealDisk::shared(), &roles);
    deploy_on(&both, &machine.import(&system("1", "256"))).unwrap();
    let disk: Arc<dyn Disk> = Arc::new(Failing { place: machine.path("esp2") });
    let degraded = target(&machine, &disk, &roles);
    let plan = plan_deploy(&degraded, &machine.import(&system("2", "257"))).unwrap();
    assert!(plan.warnings.iter().any(|text| text.contains("esp2 is left out")), "{:?}", plan.warnings);
    assert!(plan.steps.iter().all(|step| step.boot_partition() != Some(1)));
    apply(&degraded, &plan, &Control::new()).unwrap();
    let report = status(&degraded, None).unwrap();
    assert!(report.esps[1].failed.is_some() && report.esps[0].failed.is_none());
    assert!(report.deployments.iter().all(|deployment| deployment.health.is_good()));
    // It is back: what it missed is told, and mended.
    let both = target(&machine, &RealDisk::shared(), &roles);
    assert!(!status(&both, None).unwrap().esps[1].drift.is_empty());
    apply(&both, &plan_reconcile(&both, None).unwrap(), &Control::new()).unwrap();
    assert_eq!(machine.names("esp/loader/entries"), machine.names("esp2/loader/entries"));
    // Where no other works, nothing is done.
    let disk: Arc<dyn Disk> = Arc::new(Failing { place: machine.path("esp2") });
    let alone = target(&machine, &disk, &[("esp2", BootRole::Esp)]);
    assert!(plan_deploy(&alone, &machine.import(&system("3", "257"))).is_err());
}

#[test]
fn one_that_fails_on_the_way_gets_no_more_and_the_other_gets_all() {
    let machine = Machine::new();
    let roles = [("esp", BootRole::Esp), ("esp2", BootRole::Esp)];
    let both = target(&machine, &RealDisk::shared(), &roles);
    deploy_on(&both, &machine.import(&system("1", "256"))).unwrap();
    let request = machine.import(&system("2", "257"));
    for nth in [0, 3, 9, 14] {
        let machine = machine.copy();
        let failing = FailingDisk::new(RealDisk::shared(), nth, true, Errno::IO, |call| {
            let path = call.path();
            let writes = matches!(
                call,
                Call::CreateNew { .. }
                    | Call::Write { .. }
                    | Call::CopyRange { .. }
                    | Call::Rename { .. }
                    | Call::SyncFile { .. }
            );
            writes && path.to_string_lossy().contains("/esp/")
        });
        let disk: Arc<dyn Disk> = failing.clone();
        let done = deploy_on(&target(&machine, &disk, &roles), &request).unwrap();
        assert!(failing.has_failed());
        assert_eq!(done.failed.len(), 1, "{:?}", done.failed);
        assert_eq!(machine.names("esp2/loader/entries").len(), 2);
        let both = target(&machine, &RealDisk::shared(), &roles);
        apply(&both, &plan_reconcile(&both, None).unwrap(), &Control::new()).unwrap();
        assert_eq!(machine.names("esp/loader/entries"), machine.names("esp2/loader/entries"), "{nth}");
        assert!(plan_reconcile(&both, None).unwrap().is_empty());
    }
}
