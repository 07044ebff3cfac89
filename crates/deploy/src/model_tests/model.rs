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
    /// Follows another place, which has a system.
    Switch {
        system: usize,
        place: u8,
    },
    Finalize {
        unlock: bool,
    },
    Rollback,
    /// Sets a kernel argument of what boots next, or takes it away.
    Level(Option<u8>),
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
    /// Writes a file in the `/etc` of what runs, or removes it.
    Edit {
        file: usize,
        value: Option<u8>,
    },
    Reboot,
}

/// A deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Deployed {
    pub id: DeploymentId,
    pub system: usize,
    pub kargs: Vec<String>,
    pub pinned: bool,
    /// The place that it follows; 0 is a name, which is none.
    pub place: u8,
}

impl Deployed {
    fn new(id: DeploymentId, system: usize, kargs: Vec<String>, place: u8) -> Self {
        Self { id, system, kargs, pinned: false, place }
    }

    /// What a request that names a place makes of what is there.
    fn following(self, place: u8) -> Self {
        Self { place: if place == 0 { self.place } else { place }, ..self }
    }
}

/// What is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Model {
    pub menu: Vec<Deployed>,
    pub staged: Option<(Deployed, bool)>,
    pub running: Option<DeploymentId>,
}

impl Model {
    /// The arguments that a deploy comes to: those of what is staged, else of the first of the menu, and the new one.
    pub fn kargs(&self, new: &[&str]) -> Vec<String> {
        let staged = self.staged.as_ref().map(|(staged, _)| staged);
        let before = staged.or(self.menu.first());
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
        self.put_first(known.unwrap_or(Deployed::new(id, system, kargs, 0)));
    }

    /// Follows a place: what has the system's content already says so from then on.
    pub fn switch(&mut self, system: usize, place: u8, kargs: Vec<String>, id: Option<DeploymentId>) {
        let staged = self.staged.as_mut().map(|(staged, _)| staged);
        if let Some(next) = staged.or(self.menu.first_mut()).filter(|next| next.system == system) {
            next.place = place;
        } else if let Some(id) = id {
            self.stage(system, kargs, false, id, place);
        }
    }

    /// Sets the argument `level` of what boots next, and of what waits, or takes it away.
    pub fn level(&mut self, level: Option<u8>) {
        let staged = self.staged.as_mut().map(|(staged, locked)| (staged, *locked));
        let boots = |staged: &Option<(&mut Deployed, bool)>| matches!(staged, Some((_, false)));
        let first = if boots(&staged) { None } else { self.menu.first_mut() };
        for deployed in staged.map(|(staged, _)| staged).into_iter().chain(first) {
            let wanted = level.map(|level| format!("level={level}"));
            if wanted.as_ref().is_some_and(|wanted| deployed.kargs.contains(wanted)) {
                continue;
            }
            deployed.kargs.retain(|karg| !karg.starts_with("level="));
            deployed.kargs.extend(wanted);
        }
    }

    pub fn stage(&mut self, system: usize, kargs: Vec<String>, locked: bool, id: DeploymentId, place: u8) {
        let is_same = |other: &Deployed| other.system == system && other.kargs == kargs;
        if self.menu.first().is_some_and(is_same) {
            self.staged = None;
            let first = self.menu[0].clone();
            return self.put_first(first.following(place));
        }
        let known = self.staged.take().map(|(staged, _)| staged).filter(is_same);
        let new = known.unwrap_or(Deployed::new(id, system, kargs, place));
        self.staged = Some((new.following(place), locked));
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
