//! The whole way: find the image, check it, mount it, read its configuration, mount the rest, put it in its place.
//!
//! What lives here: the order of these, and the second try. What does not: each of them.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use sealstone_boot::RootConf;
use sealstone_store::{
    Error as StoreError, ObjectId,
    disk::{Dir, Disk},
};

use crate::{
    Plan, Request, SetupError, Step, conf,
    physical::{Chosen, Physical},
    stage::Stage,
};

/// Where everything is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// Where the physical root is mounted.
    pub physical: PathBuf,
    /// Where the root of the system shall be: the same, or for a soft reboot `/run/nextroot`.
    pub target: PathBuf,
    /// A folder for the time of our work; its parent is writable.
    pub work: PathBuf,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// The image that is the root now.
    pub image: ObjectId,
    /// Whether the kernel guards its objects.
    pub is_guarded: bool,
    /// What was configured.
    pub conf: RootConf,
    /// The mounts on it.
    pub plan: Plan,
    /// What whoever boots the machine should know.
    pub warnings: Vec<String>,
}

/// Makes the image that is asked for the root at its place. `initramfs` is where configuration is looked for first.
///
/// # Errors
/// [`SetupError`]; the machine is as it was then.
pub fn set_up(
    disk: &Arc<dyn Disk>,
    places: &Places,
    request: &Request,
    initramfs: Option<&Dir>,
) -> Result<Done, SetupError> {
    let physical = Physical::open(disk, &places.physical)?;
    let chosen = physical.choose(request)?;
    chosen.check()?;
    let work = Work { disk, places, request, initramfs, physical: &physical, chosen: &chosen };
    match work.attempt(false) {
        // Some kernels count an image in a file as a layer, and an overlay on /etc is one more than they take then. They say
        // so in their log alone. An image in a loop device is no layer.
        Err(error @ SetupError::Store(StoreError::Mount { .. })) => work.attempt(true).map_err(|_| error),
        result => result,
    }
}

struct Work<'a> {
    disk: &'a Arc<dyn Disk>,
    places: &'a Places,
    request: &'a Request,
    initramfs: Option<&'a Dir>,
    physical: &'a Physical,
    chosen: &'a Chosen<'a>,
}

impl Work<'_> {
    fn attempt(&self, through_loop: bool) -> Result<Done, SetupError> {
        let image = *self.chosen.arg.image();
        let mut stage = Stage::new(self.disk, &self.places.work)?;
        let root = stage.mount_image(self.chosen, through_loop)?;
        let conf = conf::read(self.initramfs, &root)?;
        drop(root);
        let plan = Plan::new(&image, self.request.state_of(&image), &conf, &self.request.kargs);
        if plan.needs_state() {
            self.physical.state(&plan.state)?;
        }
        // A running system has much below its /sysroot that is none of the next one's business, and shows it read-only.
        let is_first = self.places.target == self.places.physical;
        let writable = (!is_first).then(|| stage.writable(self.physical)).transpose()?;
        let physical = writable.as_ref().unwrap_or(self.physical);
        let mut warnings = self.warnings(&plan, physical)?;
        for step in &plan.steps {
            warnings.extend(stage.run(step, &plan, physical, is_first)?);
        }
        stage.move_to(&self.places.target)?;
        Ok(Done { image, is_guarded: !self.chosen.arg.is_verity_optional(), conf, plan, warnings })
    }

    fn warnings(&self, plan: &Plan, physical: &Physical) -> Result<Vec<String>, SetupError> {
        let mut warnings: Vec<String> =
            self.request.unreadable.iter().map(|why| format!("passed over: {why}")).collect();
        if plan.steps.iter().any(Step::needs_state) && physical.root.space()?.read_only {
            let place = self.physical.root.label().display();
            warnings.push(format!(
                "{place} is mounted read-only, and so are the deployment's /etc and /var: the argument rw is missing"
            ));
        }
        Ok(warnings)
    }
}

impl Places {
    /// The places of an initramfs, or for a soft reboot.
    #[must_use]
    pub fn new(physical: &Path, target: &Path) -> Self {
        Self {
            physical: physical.to_owned(),
            target: target.to_owned(),
            work: PathBuf::from("/run/store-setup-root"),
        }
    }
}
