//! What the proofs of updates begin with: a machine of version 1, and the registry that its updates come from.

use std::path::PathBuf;
use std::time::Duration;

use crate::base::{Base, Kind};
use crate::install::to_disk;
use crate::kit::web_registry::WebRegistry;
use crate::machine::{Machine, Running};
use crate::system_image::SystemImage;

/// How the guests update: at once, so that the next boot is the new one's.
pub const UPDATE: &str = "store update --tls-verify=false --apply --no-reboot";

pub struct Life {
    pub machine: Machine,
    kind: Kind,
    registry: WebRegistry,
    base: &'static Base,
}

impl Life {
    /// Installs version 1; `None` where proofs are not wanted.
    pub fn begin(name: &str, kind: Kind, test: &str) -> Option<Self> {
        let base = Base::get(test)?;
        let life = Self { machine: Machine::new(name), kind, registry: WebRegistry::start(), base };
        let layout = life.push(&life.image("1"));
        to_disk(&life.machine, &layout, &life.reference());
        Some(life)
    }

    /// An image of the kind that the machine runs.
    pub fn image(&self, version: &str) -> SystemImage {
        SystemImage::new(self.kind, version)
    }

    /// The registry as the guest knows it: this machine is 10.0.2.2 there.
    fn reference(&self) -> String {
        self.registry.reference("latest").replace("127.0.0.1", "10.0.2.2")
    }

    /// Makes an image what the tag names.
    pub fn push(&self, image: &SystemImage) -> PathBuf {
        let layout = self.machine.path("layout");
        let _ = std::fs::remove_dir_all(&layout);
        image.write(self.base, &layout);
        self.registry.push(&layout, "latest");
        layout
    }

    /// Pushes an image and updates to it; how long the guest took.
    #[track_caller]
    pub fn update(&self, guest: &mut Running, image: &SystemImage) -> Duration {
        self.push(image);
        let answer = guest.run(UPDATE);
        let took = answer.took;
        answer.succeeds();
        took
    }
}
