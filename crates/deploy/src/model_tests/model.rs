//! The model: deployments as a list in the order of the menu.

use crate::DeploymentId;

/// What a user does.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Deploys a system at once, with an argument of its own if `karg` is 1.
    Deploy {
        system: usize,
        karg: u8,
    },
    /// Stages it.
    Stage {
        system: usize,
        locked: bool,
    },
    Finalize {
        unlock: bool,
    },
    Rollback,
    Pin {
        place: usize,
        pinned: bool,
    },
    Prune {
        count: usize,
    },
    Remove {
        place: usize,
    },
    Gc,
    /// Writes a file in the `/etc` of what runs.
    Edit(u8),
    Reboot,
}

/// A deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Deployed {
    pub id: DeploymentId,
    pub system: usize,
    pub kargs: Vec<String>,
    pub pinned: bool,
}

/// What is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Model {
    pub menu: Vec<Deployed>,
    pub staged: Option<(Deployed, bool)>,
    pub running: Option<DeploymentId>,
}

impl Model {
    /// The arguments that a deploy comes to: those of what is staged, else of what runs, else of the first, and the new one.
    pub fn kargs(&self, new: &[&str]) -> Vec<String> {
        let staged = self.staged.as_ref().map(|(staged, _)| staged);
        let running = self.menu.iter().find(|deployed| Some(deployed.id) == self.running);
        let before = staged.or(running).or(self.menu.first());
        let mut kargs = before.map(|deployed| deployed.kargs.clone()).unwrap_or_default();
        for karg in new {
            if !kargs.iter().any(|known| known == karg) {
                kargs.push((*karg).to_owned());
            }
        }
        kargs
    }

    /// A deployment comes first, and what runs second.
    fn put_first(&mut self, deployed: Deployed) {
        self.menu.retain(|other| other.id != deployed.id);
        if let Some(position) = self.menu.iter().position(|other| Some(other.id) == self.running) {
            let running = self.menu.remove(position);
            self.menu.insert(0, running);
        }
        self.menu.insert(0, deployed);
    }

    pub fn deploy(&mut self, system: usize, kargs: Vec<String>, id: DeploymentId) {
        let is_same = |other: &Deployed| other.system == system && other.kargs == kargs;
        let staged = self.staged.take().map(|(staged, _)| staged).filter(is_same);
        let known = self.menu.first().filter(|first| is_same(first)).cloned().or(staged);
        self.put_first(known.unwrap_or(Deployed { id, system, kargs, pinned: false }));
    }

    pub fn stage(&mut self, system: usize, kargs: Vec<String>, locked: bool, id: DeploymentId) {
        let is_same = |other: &Deployed| other.system == system && other.kargs == kargs;
        if self.menu.first().is_some_and(is_same) {
            self.staged = None;
            let first = self.menu[0].clone();
            return self.put_first(first);
        }
        let known = self.staged.take().map(|(staged, _)| staged).filter(is_same);
        self.staged = Some((known.unwrap_or(Deployed { id, system, kargs, pinned: false }), locked));
    }

    pub fn finalize(&mut self, unlock: bool) {
        if let Some((staged, _)) = self.staged.take_if(|(_, locked)| unlock || !*locked) {
            self.put_first(staged);
        }
    }

    pub fn rollback(&mut self) {
        if self.menu.len() > 1 {
            self.staged = None;
            self.menu.swap(0, 1);
        }
    }

    pub fn prune(&mut self, count: usize) {
        // The staged one counts as the first.
        let ahead = usize::from(self.staged.is_some());
        let mut kept = ahead;
        let mut place = ahead;
        let running = self.running;
        self.menu.retain(|deployed| {
            place += 1;
            if deployed.pinned {
                return true;
            }
            let stays = kept < count || place <= 2 || Some(deployed.id) == running;
            kept += usize::from(stays);
            stays
        });
    }

    pub fn remove(&mut self, id: &DeploymentId) {
        let is_needed = self.running == Some(*id)
            || self
                .menu
                .iter()
                .any(|deployed| deployed.id == *id && (deployed.pinned || self.menu.len() == 1));
        if !is_needed {
            self.menu.retain(|deployed| deployed.id != *id);
        }
    }

    pub fn ids(&self) -> Vec<DeploymentId> {
        self.menu.iter().map(|deployed| deployed.id).collect()
    }
}
