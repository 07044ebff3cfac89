//! Booting once into another deployment: what the boot loader takes at the next boot, and never again.
//!
//! What lives here: which entry a deployment has, whether this boot loader can be told, and the variable. What does not: the menu,
//! which stays as it is, and the variable's form (the boot crate). Invariants: a plan changes nothing; nothing but that one
//! variable is written. Source: systemd's "Boot Loader Interface" (`LoaderEntryOneShot`, `LoaderFeatures`).

use sealstone_boot::{EfiVariables, EntryName, LoaderVariables};

use crate::{DeployError, DeploymentId, State, Target, target::World};

/// What boots at the next boot alone.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct BootOnce {
    /// The entry's name, as the boot loader knows it.
    pub entry: String,
    /// The deployment whose entry that is; nothing of an entry that is another's, or is not there.
    pub deployment: Option<DeploymentId>,
}

/// What becomes of the next boot.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct BootOncePlan {
    /// What is queued now.
    pub before: Option<BootOnce>,
    /// What shall be; nothing takes it back.
    pub after: Option<BootOnce>,
}

impl BootOncePlan {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.before.as_ref().map(|once| &once.entry) == self.after.as_ref().map(|once| &once.entry)
    }
}

/// What the firmware has queued for the next boot.
///
/// # Errors
/// When records, boot partitions or the variable cannot be read.
pub fn boot_once(target: &Target, variables: &dyn EfiVariables) -> Result<Option<BootOnce>, DeployError> {
    let Some(entry) = LoaderVariables::new(variables).next_boot()? else { return Ok(None) };
    let world = World::of_names(target)?;
    let of_it = |id: &&DeploymentId| entry_of(&world, id).is_some_and(|name| name == entry);
    let deployment = world.records.iter().map(|record| &record.id).find(of_it).copied();
    Ok(Some(BootOnce { entry: entry.to_string(), deployment }))
}

/// Plans to boot a deployment at the next boot and never again (`None`: to take that back). The menu stays as it is, and the boot
/// after that takes what is first in it.
///
/// # Errors
/// [`DeployError::Unfit`] when the deployment has no entry to boot, or will not be known by it; or when the boot loader that
/// booted this machine takes no such wish, as GRUB does not; and those of [`boot_once`].
pub fn plan_boot_once(
    target: &Target,
    variables: &dyn EfiVariables,
    wanted: Option<&DeploymentId>,
) -> Result<BootOncePlan, DeployError> {
    let before = boot_once(target, variables)?;
    let Some(id) = wanted else { return Ok(BootOncePlan { before, after: None }) };
    let loader = LoaderVariables::new(variables);
    if !loader.takes_next_boot()? {
        let which = loader.loader()?.unwrap_or_else(|| "a boot loader that tells nothing of itself".into());
        return Err(unfit(format!(
            "this machine was booted by {which}, which cannot be told what to boot next: systemd-boot can"
        )));
    }
    let world = World::of_names(target)?;
    let Some(record) = world.record(id) else {
        return Err(sealstone_store::Error::Missing { what: format!("deployment {id}") }.into());
    };
    if let Some(reason) = &record.broken {
        return Err(unfit(format!("the deployment {id} is broken: {reason}")));
    }
    if record.state != State::Deployed {
        return Err(unfit(format!(
            "the deployment {id} has no boot entry yet: it gets one when it is finalised, and boots then"
        )));
    }
    // What is finalised gets in front, and the others other names: an entry's name would lead to another system.
    if let Some(staged) = world.records.iter().find(|other| other.state == State::Staged && !other.locked) {
        return Err(unfit(format!(
            "the deployment {} waits to be finalised at shutdown, which gives entries other names: `store finalize` does it \
             now, `store rollback` or `store prune` lets it go",
            staged.id
        )));
    }
    let Some(entry) = entry_of(&world, id) else {
        return Err(unfit(format!("the deployment {id} has no boot entry: `store reconcile` writes it")));
    };
    let after = Some(BootOnce { entry: entry.to_string(), deployment: Some(*id) });
    Ok(BootOncePlan { before, after })
}

/// Does what was planned.
///
/// # Errors
/// When the firmware refuses.
pub fn apply_boot_once(variables: &dyn EfiVariables, plan: &BootOncePlan) -> Result<(), DeployError> {
    if plan.is_empty() {
        return Ok(());
    }
    let entry = plan.after.as_ref().map(|once| EntryName::parse(&once.entry)).transpose()?;
    Ok(LoaderVariables::new(variables).set_next_boot(entry.as_ref())?)
}

/// The entry of a deployment by the name that boot loaders know: without a counter.
fn entry_of(world: &World, id: &DeploymentId) -> Option<EntryName> {
    let id = id.to_string();
    let mut entries = world.esps.iter().flat_map(|boot| &boot.ours);
    let (name, _) = entries.find(|(_, entry)| entry.sealstone_id() == Some(&id) && entry.is_bootable())?;
    name.plain().ok()
}

const fn unfit(reason: String) -> DeployError {
    DeployError::Unfit { profile: "bootable once", reason }
}

#[cfg(test)]
mod tests {
    use sealstone_boot::{LOADER_VENDOR, MemoryVariables, Variable, VariableName};
    use sealstone_store::Control;

    use super::*;
    use crate::{
        DeployRequest, Finalise, apply, plan_deploy,
        testing::{Machine, System},
    };

    fn set(variables: &MemoryVariables, name: &str, value: Vec<u8>) {
        let name = VariableName::new(name, LOADER_VENDOR).unwrap();
        variables.write(&name, &Variable { attributes: 6, value }).unwrap();
    }

    /// The variables of a machine that systemd-boot booted.
    fn of_systemd_boot() -> MemoryVariables {
        let variables = MemoryVariables::default();
        // As systemd-boot 257 has them.
        set(&variables, "LoaderFeatures", 0x1_ffff_u64.to_le_bytes().to_vec());
        variables
    }

    fn machine() -> (Machine, DeploymentId, DeploymentId) {
        let machine = Machine::new();
        let deploy = |version: &str| {
            let request = machine.import(&System::new(version));
            machine.deploy(&request);
            DeploymentId::new(request.image, 0)
        };
        let (old, new) = (deploy("1"), deploy("2"));
        (machine, old, new)
    }

    #[test]
    fn the_next_boot_alone_takes_another_deployment_and_that_is_shown_and_taken_back() {
        let (machine, old, _) = machine();
        let (target, variables) = (machine.target(), of_systemd_boot());
        assert_eq!(boot_once(&target, &variables).unwrap(), None);
        let plan = plan_boot_once(&target, &variables, Some(&old)).unwrap();
        assert_eq!(boot_once(&target, &variables).unwrap(), None, "a plan changes nothing");
        apply_boot_once(&variables, &plan).unwrap();
        let queued = boot_once(&target, &variables).unwrap();
        assert_eq!((&queued, queued.as_ref().unwrap().deployment), (&plan.after, Some(old)));
        let again = plan_boot_once(&target, &variables, Some(&old)).unwrap();
        assert!(again.is_empty() && again.before == queued);
        let back = plan_boot_once(&target, &variables, None).unwrap();
        assert!(!back.is_empty());
        apply_boot_once(&variables, &back).unwrap();
        assert_eq!(boot_once(&target, &variables).unwrap(), None);
    }

    #[test]
    fn what_cannot_boot_once_is_refused_with_the_reason() {
        let (machine, old, new) = machine();
        let target = machine.target();
        let refused = |variables: &MemoryVariables, id: &DeploymentId| {
            let error = plan_boot_once(&target, variables, Some(id)).unwrap_err();
            assert!(matches!(error, DeployError::Unfit { .. }), "{error}");
            error.to_string()
        };
        // GRUB says who it is, and nothing of what it can do.
        let grub = MemoryVariables::default();
        let text = "GRUB 2.14".encode_utf16().chain([0]).flat_map(u16::to_le_bytes);
        set(&grub, "LoaderInfo", text.collect());
        assert!(refused(&grub, &old).contains("GRUB 2.14"));
        assert!(refused(&MemoryVariables::default(), &old).contains("tells nothing of itself"));
        // What was queued by another boot loader's user can be taken back anyhow.
        assert!(plan_boot_once(&target, &grub, None).unwrap().is_empty());

        let three = machine.import(&System::new("3"));
        let staged = DeployRequest {
            finalise: Finalise::AtShutdown { locked: false },
            running: Some(new),
            ..three.clone()
        };
        let plan = plan_deploy(&target, &staged).unwrap();
        apply(&target, &plan, &Control::new()).unwrap();
        let variables = of_systemd_boot();
        assert!(refused(&variables, &DeploymentId::new(three.image, 0)).contains("finalised"));
        assert!(refused(&variables, &old).contains("other names"));
    }

    #[test]
    fn an_entry_that_is_nobodys_is_told_as_it_is() {
        let (machine, ..) = machine();
        let variables = of_systemd_boot();
        LoaderVariables::new(&variables)
            .set_next_boot(Some(&EntryName::parse("windows.conf").unwrap()))
            .unwrap();
        let queued = boot_once(&machine.target(), &variables).unwrap().unwrap();
        assert_eq!((queued.entry.as_str(), queued.deployment), ("windows.conf", None));
    }
}
