//! What the proofs of updates begin with: a machine of version 1, and the registry that its updates come from.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::base::{Base, Kind, all_are_wanted};
use crate::install::{ARGUMENTS, hide_menu, to_disk};
use crate::kit::web_registry::WebRegistry;
use crate::machine::{DiskKind, Firmware, Machine, Running};
use crate::plugged::Plugged;
use crate::sealing::{Sealing, Signed};
use crate::system_image::SystemImage;

/// How the guests update: at once, so that the next boot is the new one's.
pub const UPDATE: &str = "store update --tls-verify=false --apply --no-reboot";

/// Bytes of the disk that is installed onto by a system that runs.
const DEVICE: u64 = 4 << 30;

/// What is changed of each image of a machine.
pub type Dress = Box<dyn Fn(SystemImage) -> SystemImage>;

pub struct Life {
    pub machine: Machine,
    kind: Kind,
    sealing: Option<Sealing>,
    dress: Dress,
    registry: WebRegistry,
    base: &'static Base,
}

fn plain() -> Dress {
    Box::new(|image| image)
}

impl Life {
    /// Installs version 1 of a system that boots by a kernel; `None` where proofs are not wanted.
    pub fn begin(name: &str, kind: Kind, test: &str) -> Option<Self> {
        Some(Self::of(Machine::new(name, Firmware::Open), kind, None, plain(), Base::get(test)?))
    }

    /// The same of a tiny system, with something more in each image.
    pub fn begin_with(name: &str, test: &str, dress: impl FnOnce(&'static Base) -> Dress) -> Option<Self> {
        Self::begin_with_kind(name, Kind::Tiny, test, dress)
    }

    /// The same of a system of any kind.
    pub fn begin_with_kind(
        name: &str,
        kind: Kind,
        test: &str,
        dress: impl FnOnce(&'static Base) -> Dress,
    ) -> Option<Self> {
        if !all_are_wanted(test) {
            return None;
        }
        let base = Base::get(test)?;
        Some(Self::of(Machine::new(name, Firmware::Open), kind, None, dress(base), base))
    }

    /// Installs version 1 of a system that boots by a UKI: with Secure Boot if anything is signed.
    pub fn begin_sealed(name: &str, signed: Signed, test: &str) -> Option<Self> {
        if !all_are_wanted(test) {
            return None;
        }
        let firmware = if signed == Signed::Nothing { Firmware::Open } else { Firmware::SecureBoot };
        Some(Self::of(Machine::new(name, firmware), Kind::Tiny, Some(signed), plain(), Base::get(test)?))
    }

    /// Installs version 1 of a tiny system on a disk of this kind.
    pub fn begin_on(disk: DiskKind, name: &str, test: &str) -> Option<Self> {
        if !all_are_wanted(test) {
            return None;
        }
        let machine = Machine::new(name, Firmware::Open).with_disk(disk);
        Some(Self::of(machine, Kind::Tiny, None, plain(), Base::get(test)?))
    }

    fn of(machine: Machine, kind: Kind, signed: Option<Signed>, dress: Dress, base: &'static Base) -> Self {
        let (sealing, registry) = (signed.map(Sealing::new), WebRegistry::start());
        let life = Self { machine, kind, sealing, dress, registry, base };
        let layout = life.push(life.image("1"));
        let arguments: &[&str] = if signed.is_none() { &ARGUMENTS } else { &[] };
        to_disk(&life.machine, &layout, &life.reference(), arguments);
        life
    }

    /// An image of the kind that the machine runs.
    pub fn image(&self, version: &str) -> SystemImage {
        (self.dress)(SystemImage::new(self.kind, version))
    }

    /// The registry as the guest knows it: this machine is 10.0.2.2 there.
    pub fn reference(&self) -> String {
        self.registry.reference("latest").replace("127.0.0.1", "10.0.2.2")
    }

    /// Makes an image what the tag names, sealed if the machine's are.
    pub fn push(&self, image: SystemImage) -> PathBuf {
        let layout = self.machine.path("layout");
        let _ = std::fs::remove_dir_all(&layout);
        match &self.sealing {
            None => image.write(self.base, &layout),
            Some(sealing) => {
                sealing.write(self.base, image, &layout);
            }
        }
        self.registry.push(&layout, "latest");
        layout
    }

    /// A UKI of a version that names another image, signed as those of the machine are.
    pub fn uki_of_another_image(&self, version: &str, other: &str) -> Vec<u8> {
        let sealing = self.sealing.as_ref().expect("a machine that is sealed");
        sealing.with_another_image(self.base, version, other)
    }

    /// Pushes an image and updates to it; how long the guest took.
    #[track_caller]
    pub fn update(&self, guest: &mut Running, image: SystemImage) -> Duration {
        self.push(image);
        let answer = guest.run(UPDATE);
        let took = answer.took;
        answer.succeeds();
        took
    }

    /// Boots the machine, installs onto an empty second disk from there, and gives it that one in place of its own; what the
    /// installation said.
    #[track_caller]
    pub fn install_on_device(&self, plugged: Plugged, before: &str, options: &str) -> String {
        let disk = self.machine.path("device");
        std::fs::File::create(&disk).and_then(|file| file.set_len(DEVICE)).expect("a disk");
        self.install_on(&disk, plugged, before, &format!("to-disk --esp-size 400M {options} /dev/vdb"))
    }

    /// The same onto a disk of the test's own making, in another way.
    #[track_caller]
    pub fn install_on(&self, disk: &Path, plugged: Plugged, before: &str, verb: &str) -> String {
        let mut guest = self.machine.start_plugged(&plugged.disk(disk));
        guest.is_up("1");
        guest.succeeds(before);
        let image = self.reference();
        let arguments = ARGUMENTS.map(|argument| format!("--karg {argument}")).join(" ");
        let answer = guest.run(&format!("store install {verb} {image} --tls-verify=false {arguments}"));
        println!("{}: installed in {:.1} s", self.machine.disk().display(), answer.took.as_secs_f32());
        let said = answer.succeeds();
        guest.switch_off("sync; poweroff -f");
        std::fs::rename(disk, self.machine.disk()).expect("the disk");
        hide_menu(&self.machine);
        said
    }
}
