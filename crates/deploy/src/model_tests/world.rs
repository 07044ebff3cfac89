//! A machine and its model side by side: steps on both, and the comparison.

use std::{collections::BTreeMap, sync::Arc};

use rustix::io::Errno;
use sealstone_boot::{FoundEntry, Karg};
use sealstone_store::{
    Control, GcOptions,
    disk::{Disk, FailingDisk, RealDisk},
    erofs,
};

use super::model::{Deployed, Model, Step};
use crate::{
    DeployError, DeployRequest, DeploymentId, Finalise, Plan, Record, Retention, StagedWish, State, Target,
    apply,
    entries::menu,
    kargs::{KargsEdit, KargsOwner},
    plan_deploy, plan_finalize, plan_kargs, plan_pin, plan_prune, plan_reconcile, plan_remove, plan_rollback,
    plan_update, status,
    testing::{Machine, System, changes, file},
};

/// The systems that there are.
const VERSIONS: [&str; 4] = ["1", "2", "3", "4"];

/// Files in `/etc`: two that no image has, one of them in a folder of its own, and two that each image has, all the same.
const FILES: [&str; 4] = ["mine", "own/mine", "motd", "issue"];

/// What each of them says; `None` where it is not there.
type Etc = [Option<String>; 4];

fn pristine() -> Etc {
    [None, None, Some("motd".into()), Some("issue".into())]
}

/// The system of a version.
fn system(version: &str) -> System<'_> {
    let more = FILES[2..].iter().map(|name| file(&format!("etc/{name}"), name)).collect();
    System { more, ..System::new(version) }
}

/// A machine, and what it should be.
pub(super) struct World {
    machine: Machine,
    systems: Vec<DeployRequest>,
    model: Model,
    /// What is in the `/etc` of each deployment of the menu.
    etc: BTreeMap<DeploymentId, Etc>,
}

impl World {
    pub fn new() -> Self {
        let machine = Machine::new();
        let import = |version: &str| {
            let request = machine.import(&system(version));
            DeployRequest { kargs: Vec::new(), ..request }
        };
        let systems: Vec<DeployRequest> = VERSIONS.into_iter().map(import).collect();
        let mut world = Self { machine, systems, model: Model::default(), etc: BTreeMap::new() };
        world.run(&Step::Deploy { system: 0, karg: 0 }, None);
        world.run(&Step::Reboot, None);
        world
    }

    /// Runs a step; with a crash at a call, after which either the step is run again or all is reconciled.
    pub fn run(&mut self, step: &Step, crash: Option<usize>) {
        let Some(nth) = crash.filter(|_| !matches!(step, Step::Edit { .. } | Step::Reboot)) else {
            return self.whole(step);
        };
        let failing = FailingDisk::new(RealDisk::shared(), nth, true, Errno::IO, changes);
        let disk: Arc<dyn Disk> = failing.clone();
        let before = self.model.clone();
        let target = Machine::target_on(&disk, self.machine.root());
        let plan = target.and_then(|target| self.on_disk(step, &target));
        drop(disk);
        if !failing.has_failed() {
            let id = plan.unwrap_or_else(|error| panic!("{step:?}: {error}"));
            self.on_model(step, id);
            return self.carry_over(&before);
        }
        self.check_boots(step);
        // What was begun is ended, one way or the other; the model takes over which.
        let target = self.machine.target();
        let running = self.model.running;
        apply(&target, &plan_reconcile(&target, running.as_ref()).unwrap(), &Control::new()).unwrap();
        self.adopt(&before, step);
        self.carry_over(&before);
    }

    fn whole(&mut self, step: &Step) {
        let id =
            self.on_disk(step, &self.machine.target()).unwrap_or_else(|error| panic!("{step:?}: {error}"));
        let before = self.model.clone();
        self.on_model(step, id);
        self.carry_over(&before);
    }

    /// What comes into the menu has the `/etc` of what ran, or else was first.
    fn carry_over(&mut self, before: &Model) {
        let first = || before.menu.first().map(|first| first.id);
        let from = before.running.or_else(first).and_then(|from| self.etc.get(&from).cloned());
        for id in self.model.ids().into_iter().filter(|id| !before.ids().contains(id)) {
            self.etc.insert(id, from.clone().unwrap_or_else(pristine));
        }
    }

    /// The step on the machine; gives the deployment that it makes.
    fn on_disk(&self, step: &Step, target: &Target) -> Result<Option<DeploymentId>, DeployError> {
        let running = self.model.running;
        let running = running.as_ref();
        let plan = match step {
            Step::Deploy { system, karg } => plan_deploy(target, &self.request(*system, *karg))?,
            Step::Stage { system, locked } => {
                let finalise = Finalise::AtShutdown { locked: *locked };
                plan_deploy(target, &DeployRequest { finalise, ..self.request(*system, 0) })?
            }
            Step::Switch { system, place } => {
                let request = self.request(*system, 0);
                let (reference, resolved) = (place_name(*place), Some(request.manifest.to_string()));
                let finalise = Finalise::AtShutdown { locked: false };
                plan_update(target, &DeployRequest { reference, resolved, finalise, ..request })?
            }
            Step::Level(level) => {
                let level = level.map(|level| KargsEdit::Set(vec![karg(&format!("level={level}"))]));
                let edit = level.unwrap_or_else(|| KargsEdit::Unset(vec![karg("level")]));
                plan_kargs(target, &KargsOwner::Caller, &edit, running)?
            }
            Step::Finalize { unlock } => {
                plan_finalize(target, running, &StagedWish { unlock: *unlock, ..StagedWish::default() })?
            }
            Step::Rollback if self.model.menu.len() > 1 => plan_rollback(target, running)?,
            Step::Pin { place, pinned } => match self.model.menu.get(*place) {
                Some(deployed) => plan_pin(target, &deployed.id, *pinned, running)?,
                None => return Ok(None),
            },
            Step::Prune { count } => {
                let retention = Retention { count: Some(*count), ..Retention::default() };
                plan_prune(target, &retention, running, 1_700_000_000)?
            }
            Step::Remove { place } => match self.model.menu.get(*place) {
                Some(deployed) => match plan_remove(target, &deployed.id, running) {
                    Err(DeployError::Needed { .. }) => return Ok(None),
                    plan => plan?,
                },
                None => return Ok(None),
            },
            Step::Gc => {
                target.repository.gc(&GcOptions::default(), &Control::new())?;
                return Ok(None);
            }
            Step::Edit { file, value } => {
                let path = self.etc_path(running.unwrap(), FILES[*file]);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                match value {
                    Some(value) => std::fs::write(path, value.to_string()).unwrap(),
                    None => drop(std::fs::remove_file(path)),
                }
                return Ok(None);
            }
            Step::Rollback | Step::Reboot => return Ok(None),
        };
        apply(target, &plan, &Control::new())?;
        Ok(made(&plan))
    }

    fn on_model(&mut self, step: &Step, made: Option<DeploymentId>) {
        let model = &mut self.model;
        match step {
            Step::Deploy { system, karg } => {
                let kargs = model.kargs(&["debug"][..usize::from(*karg)]);
                model.deploy(*system, kargs, made.unwrap());
            }
            Step::Stage { system, locked } => {
                let kargs = model.kargs(&[]);
                model.stage(*system, kargs, *locked, made.unwrap(), 0);
            }
            Step::Switch { system, place } => {
                let kargs = model.kargs(&[]);
                model.switch(*system, *place, kargs, made);
            }
            Step::Level(level) => model.level(*level),
            Step::Finalize { unlock } => model.finalize(*unlock),
            Step::Rollback => model.rollback(),
            Step::Pin { place, pinned } => {
                if let Some(deployed) = model.menu.get_mut(*place) {
                    deployed.pinned = *pinned;
                }
            }
            Step::Prune { count } => model.prune(*count),
            Step::Remove { place } => {
                if let Some(id) = model.menu.get(*place).map(|deployed| deployed.id) {
                    model.remove(&id);
                }
            }
            Step::Gc => {}
            Step::Edit { file, value } => {
                self.etc.get_mut(&model.running.unwrap()).unwrap()[*file] =
                    value.map(|value| value.to_string());
            }
            Step::Reboot => model.running = model.menu.first().map(|deployed| deployed.id),
        }
    }

    /// The request for a system, which is imported again if gc took it.
    fn request(&self, system: usize, karg: u8) -> DeployRequest {
        self.machine.import(&self::system(VERSIONS[system]));
        let kargs = ["debug".parse().unwrap()][..usize::from(karg)].to_vec();
        DeployRequest { kargs, running: self.model.running, ..self.systems[system].clone() }
    }

    fn etc_path(&self, id: &DeploymentId, file: &str) -> std::path::PathBuf {
        self.machine.path(&format!("sysroot/state/deploy/{id}/etc/{file}"))
    }

    /// After a crash: the menu is one that lies between what was and what should be, and what ran is in it.
    fn adopt(&mut self, before: &Model, step: &Step) {
        let records = self.machine.target().sysroot.records().unwrap().0;
        let now: Vec<Deployed> = menu(&records).into_iter().map(|record| self.deployed(record)).collect();
        let ids: Vec<DeploymentId> = now.iter().map(|deployed| deployed.id).collect();
        let mut wanted = before.clone();
        std::mem::swap(&mut self.model, &mut wanted);
        let new = ids.iter().find(|id| !before.ids().contains(id)).copied();
        let staged = records.iter().find(|record| record.state == State::Staged);
        let made = new.or(staged.map(|record| record.id)).or(before.ids().first().copied());
        self.on_model(step, made);
        for deployed in &before.menu {
            let goes = !self.model.ids().contains(&deployed.id);
            assert!(goes || ids.contains(&deployed.id), "{step:?} lost {} in a crash", deployed.id);
        }
        let running = self.model.running;
        assert!(ids.len() <= before.menu.len() + 1);
        self.model =
            Model { staged: staged.map(|record| (self.deployed(record), record.locked)), menu: now, running };
        if matches!(step, Step::Gc) {
            assert_eq!(self.model.ids(), before.ids());
        }
    }

    fn deployed(&self, record: &Record) -> Deployed {
        let system = self.systems.iter().position(|system| system.image == record.image.id).unwrap();
        let kargs = record.kargs.iter().map(|recorded| recorded.karg.to_string()).collect();
        let place = (1..3).find(|place| record.image.reference == place_name(*place)).unwrap_or_default();
        Deployed { id: record.id, system, kargs, pinned: record.pinned, place }
    }

    /// What must hold after each step.
    pub fn check(&self, step: &Step) {
        let target = self.machine.target();
        let (records, broken) = target.sysroot.records().unwrap();
        assert!(broken.is_empty());
        let now: Vec<Deployed> = menu(&records).into_iter().map(|record| self.deployed(record)).collect();
        assert_eq!(now, self.model.menu, "the menu after {step:?}");
        let staged = records.iter().find(|record| record.state == State::Staged);
        let staged = staged.map(|record| (self.deployed(record), record.locked));
        assert_eq!(staged, self.model.staged, "what is staged after {step:?}");
        let plan = plan_reconcile(&target, self.model.running.as_ref()).unwrap();
        assert!(plan.is_empty(), "after {step:?}: {:?}", plan.steps);
        let report = status(&target, self.model.running.as_ref()).unwrap();
        for deployment in &report.deployments {
            assert!(deployment.health.is_good(), "after {step:?}: {:?}", deployment.health);
        }
        assert!(report.esps[0].entries.iter().all(|entry| entry.wrong.is_none()), "after {step:?}");
        for id in self.model.ids() {
            let there = FILES.map(|file| std::fs::read_to_string(self.etc_path(&id, file)).ok());
            assert_eq!(there, self.etc[&id], "the /etc of {id} after {step:?}");
        }
        self.check_boots(step);
    }

    /// What runs boots, and so do the pinned ones and a first and second of the menu: entry, kernel, `/etc`, each object.
    fn check_boots(&self, step: &Step) {
        let target = self.machine.target();
        let records = target.sysroot.records().unwrap().0;
        let found = target.esps[0].entries().unwrap();
        let has_entry = |id: &DeploymentId| {
            found.iter().any(|found| match found {
                FoundEntry::Entry(_, entry) => {
                    entry.is_bootable() && entry.sealstone_id() == Some(&id.to_string())
                }
                FoundEntry::Broken { .. } => false,
            })
        };
        let pinned = self.model.menu.iter().filter(|deployed| deployed.pinned).map(|deployed| deployed.id);
        for id in self.model.running.into_iter().chain(pinned) {
            let record = records.iter().find(|record| record.id == id);
            let record = record.unwrap_or_else(|| panic!("{step:?}: {id} has no record"));
            assert!(has_entry(&id), "{step:?}: {id} has no entry");
            assert!(target.esps[0].has_kernel(&record.kernel.sizes).unwrap(), "{step:?}: {id} has no kernel");
            assert!(self.machine.path(&format!("sysroot/state/deploy/{id}/etc/version")).exists());
            let bytes = target.repository.read_object(id.image().object(), 1 << 30).unwrap();
            for object in erofs::Image::open(&bytes).unwrap().objects().unwrap() {
                assert!(target.repository.has_object(&object).unwrap(), "{step:?}: {id} lost {object}");
            }
        }
    }
}

fn place_name(place: u8) -> String {
    format!("docker://example.org/place-{place}")
}

fn karg(text: &str) -> Karg {
    text.parse().unwrap()
}

fn made(plan: &Plan) -> Option<DeploymentId> {
    plan.deployment.as_ref().map(|record| record.id)
}
