//! The plan of the mounts that follow the image's own: a pure value, made of the configuration and the arguments.
//!
//! What lives here: which mounts there are, and their order. What does not: doing it (`stage.rs`).
//! Source: composefs-setup-root and bootc's initramfs, whose sources of mounts are kept (`transient:composefs=<id>`).

use std::fmt;

use sealstone_boot::{Kargs, MountKind, RootConf, RootKind};
use sealstone_store::ObjectId;

use crate::StateId;

/// The folder of an image where the physical root is shown.
pub(crate) const SYSROOT: &str = "sysroot";
const ETC: &str = "etc";
const VAR: &str = "var";

/// One mount, on the mounted image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The root itself takes writes, and forgets them.
    TransientRoot {
        /// What the list of mounts shows.
        source: String,
        /// Whether it has to be remounted before it does.
        read_only: bool,
    },
    /// The physical root is shown at `/sysroot`.
    PhysicalRoot {
        /// Whether writes need a remount first.
        read_only: bool,
    },
    /// The deployment's folder is what the system sees.
    Bind {
        /// Its name in the state, and in the system.
        name: &'static str,
    },
    /// The image's folder, with what is written kept in the deployment's.
    Overlay {
        /// Its name in the state, and in the system.
        name: &'static str,
    },
    /// The image's folder, with what is written kept in memory.
    Transient {
        /// Its name in the system.
        name: &'static str,
    },
}

impl Step {
    /// Whether the deployment's folder of state has to be there.
    #[must_use]
    pub const fn needs_state(&self) -> bool {
        matches!(self, Self::Bind { .. } | Self::Overlay { .. })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TransientRoot { read_only: false, .. } => f.write_str("a transient root"),
            Self::TransientRoot { .. } => f.write_str("a transient root, read-only"),
            Self::PhysicalRoot { read_only: false } => write!(f, "/{SYSROOT} writable"),
            Self::PhysicalRoot { .. } => write!(f, "/{SYSROOT} read-only"),
            Self::Bind { name } => write!(f, "the deployment's /{name}"),
            Self::Overlay { name } => write!(f, "an overlay on /{name}"),
            Self::Transient { name } => write!(f, "a transient /{name}"),
        }
    }
}

/// What is mounted on an image, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The mounts.
    pub steps: Vec<Step>,
    /// The state that some of them show.
    pub state: StateId,
}

impl Plan {
    /// What the configuration and the kernel's arguments want for an image.
    #[must_use]
    pub fn new(image: &ObjectId, state: StateId, conf: &RootConf, kargs: &Kargs) -> Self {
        let mut steps = Vec::new();
        if conf.root != RootKind::Image {
            let read_only = conf.root == RootKind::TransientReadOnly;
            steps.push(Step::TransientRoot { source: format!("transient:composefs={image}"), read_only });
        }
        steps.push(Step::PhysicalRoot { read_only: conf.is_sysroot_read_only });
        for (name, kind) in [(ETC, conf.etc), (VAR, conf.var_with(kargs))] {
            match kind {
                MountKind::None => {}
                MountKind::Bind => steps.push(Step::Bind { name }),
                MountKind::Overlay => steps.push(Step::Overlay { name }),
                MountKind::Transient => steps.push(Step::Transient { name }),
            }
        }
        Self { steps, state }
    }

    /// Whether the deployment's folder of state has to be there.
    #[must_use]
    pub fn needs_state(&self) -> bool {
        self.steps.iter().any(Step::needs_state)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sealstone_store::{Algorithm, verity};

    use super::*;

    const SETUP_ROOT: &str = "/usr/lib/composefs/setup-root-conf.toml";

    fn plan(conf: &RootConf, kargs: &str) -> Plan {
        let image = verity::digest(Algorithm::Sha512, b"image");
        Plan::new(&image, StateId::of_image(&image), conf, &kargs.parse().unwrap())
    }

    #[test]
    fn by_default_etc_and_var_are_the_deployments() {
        let plan = plan(&RootConf::default(), "quiet");
        let wanted =
            [Step::PhysicalRoot { read_only: true }, Step::Bind { name: "etc" }, Step::Bind { name: "var" }];
        assert_eq!(plan.steps, wanted);
        assert!(plan.needs_state());
    }

    #[test]
    fn a_volatile_system_gets_no_var_from_us() {
        let plan = plan(&RootConf::default(), "systemd.volatile=state");
        assert_eq!(plan.steps.last(), Some(&Step::Bind { name: "etc" }));
    }

    #[test]
    fn a_system_that_keeps_nothing_needs_no_state() {
        let text = "[root]\ntransient = true\n[etc]\nmount = \"none\"\n[var]\nmount = \"transient\"\n";
        let plan = plan(&RootConf::parse(SETUP_ROOT, text).unwrap(), "");
        assert!(!plan.needs_state());
        let Step::TransientRoot { source, read_only: false } = &plan.steps[0] else { panic!("{plan:?}") };
        assert!(source.starts_with("transient:composefs="), "{source}");
        assert_eq!(plan.steps.last(), Some(&Step::Transient { name: "var" }));
    }

    fn mounts() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec!["none", "root", "bind", "overlay", "transient", "volatile"])
    }

    proptest! {
        /// The root comes before what is mounted in it, and each place is mounted once at most.
        #[test]
        fn every_configuration_gives_mounts_in_the_only_order_that_works(
            transient in any::<bool>(), etc in mounts(), var in mounts(), volatile in any::<bool>()
        ) {
            let text = format!(
                "[root]\ntransient = {transient}\n[etc]\nmount = \"{etc}\"\n[var]\nmount = \"{var}\"\n"
            );
            let conf = RootConf::parse(SETUP_ROOT, &text).unwrap();
            let plan = plan(&conf, if volatile { "systemd.volatile=overlay" } else { "" });
            let roots = plan.steps.iter().filter(|step| matches!(step, Step::TransientRoot { .. })).count();
            prop_assert_eq!(roots, usize::from(transient));
            if transient {
                let is_first = matches!(plan.steps[0], Step::TransientRoot { .. });
                prop_assert!(is_first);
            }
            let mut names: Vec<String> = plan.steps.iter().map(ToString::to_string).collect();
            names.dedup();
            prop_assert_eq!(names.len(), plan.steps.len());
            let kept = [etc, var].iter().filter(|kind| matches!(**kind, "bind" | "overlay")).count();
            prop_assert_eq!(plan.steps.iter().filter(|step| step.needs_state()).count(), kept);
        }
    }
}
