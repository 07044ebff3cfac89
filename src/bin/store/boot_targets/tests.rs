//! Machines as sysfs shows them, made in a folder.

use std::os::unix::fs::symlink;

use sealstone::deploy::install::{Gpt, Partition, Uuid};
use sealstone::store::disk::RealDisk;

use super::*;

struct Fake {
    folder: tempfile::TempDir,
    disk: Arc<dyn Disk>,
}

impl Fake {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), disk: RealDisk::shared() }
    }

    fn machine(&self) -> Machine<'_> {
        Machine { disk: &self.disk, root: self.folder.path() }
    }

    fn write(&self, path: &str, text: &[u8]) {
        let path = self.folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// A disk with partitions of these types: 1 an ESP, 2 an XBOOTLDR, 0 another.
    fn add_disk(&self, name: &str, major: u32, types: &[u8]) {
        let at = format!("sys/devices/{name}");
        self.device(&at, name, (major, 0));
        self.write(&format!("{at}/queue/logical_block_size"), b"512\n");
        for (number, _) in (1..).zip(types) {
            let partition = format!("{at}/{name}{number}");
            self.device(&partition, &format!("{name}{number}"), (major, number));
            self.write(&format!("{partition}/partition"), format!("{number}\n").as_bytes());
        }
        self.write(&format!("dev/{name}"), &table(types));
    }

    fn device(&self, at: &str, name: &str, (major, minor): Number) {
        self.write(&format!("{at}/dev"), format!("{major}:{minor}\n").as_bytes());
        for (folder, name) in [("sys/class/block", name), ("sys/dev/block", &format!("{major}:{minor}"))] {
            std::fs::create_dir_all(self.folder.path().join(folder)).unwrap();
            symlink(format!("../../../{at}"), self.folder.path().join(folder).join(name)).unwrap();
        }
    }

    fn add_slave(&self, device: &str, slave: &str) {
        let folder = self.folder.path().join(format!("sys/devices/{device}/slaves"));
        std::fs::create_dir_all(&folder).unwrap();
        let name = slave.rsplit('/').next().unwrap();
        symlink(format!("../../{slave}"), folder.join(name)).unwrap();
    }
}

fn table(types: &[u8]) -> Vec<u8> {
    // The types as UEFI and the Discoverable Partitions Specification write them down.
    let esp = Uuid::from_u128(0xc12a_7328_f81f_11d2_ba4b_00a0_c93e_c93b);
    let xbootldr = Uuid::from_u128(0xbc13_c2ff_59e6_4262_a352_b275_fd6f_7172);
    let partition = |(number, kind): (u64, &u8)| Partition {
        kind: match kind {
            1 => esp,
            2 => xbootldr,
            _ => Uuid([1; 16]),
        },
        id: Uuid([7; 16]),
        first: 2048 * number,
        last: 2048 * number + 2047,
        attributes: 0,
        name: String::new(),
    };
    let partitions = (1..).zip(types).map(partition).collect();
    let [_, (_, head)] = Gpt { id: Uuid([9; 16]), sector: 512, sectors: 1 << 20, partitions }.encode();
    head
}

#[test]
fn the_disks_of_a_raid_under_a_volume_are_found_and_no_others() {
    let fake = Fake::new();
    fake.add_disk("sda", 8, &[1, 2, 0]);
    fake.add_disk("sdb", 9, &[1, 0]);
    fake.add_disk("sdc", 10, &[1]);
    fake.device("sys/devices/dm-0", "dm-0", (253, 0));
    fake.device("sys/devices/md0", "md0", (254, 0));
    fake.add_slave("dm-0", "md0");
    fake.add_slave("md0", "sda/sda3");
    fake.add_slave("md0", "sdb/sdb2");
    let machine = fake.machine();
    let mut disks = BTreeSet::new();
    machine.collect_disks(&machine.sys("dev/block/253:0"), 0, &mut disks);
    assert_eq!(disks.into_iter().collect::<Vec<_>>(), ["sda", "sdb"]);
    let found = machine.gpt("sda");
    let names: Vec<_> =
        found.iter().map(|(name, number, entry)| (name.as_str(), *number, entry.kind)).collect();
    let expected = [("sda1", (8, 1), PartitionKind::Esp), ("sda2", (8, 2), PartitionKind::Xbootldr)];
    assert_eq!(names, expected);
    assert_eq!(machine.gpt_entry((9, 1)).unwrap().blocks, 2048);
    assert_eq!(machine.gpt_entry((8, 3)), None);
}

#[test]
fn devices_that_lie_on_each_other_in_a_circle_end_somewhere() {
    let fake = Fake::new();
    fake.device("sys/devices/md0", "md0", (254, 0));
    fake.add_slave("md0", "md0");
    let mut disks = BTreeSet::new();
    fake.machine().collect_disks(&fake.machine().sys("dev/block/254:0"), 0, &mut disks);
    assert!(disks.len() <= 1);
}

#[test]
fn a_machine_without_any_of_it_has_no_boot_partition() {
    let fake = Fake::new();
    let found = fake.machine().boot_targets(fake.folder.path());
    assert!(found.esps.is_empty() && found.failed.is_empty());
    std::fs::create_dir(fake.folder.path().join("boot")).unwrap();
    assert!(fake.machine().boot_targets(fake.folder.path()).esps.is_empty(), "nothing is mounted there");
}

#[test]
fn what_the_table_does_not_call_an_xbootldr_is_none_and_without_a_table_the_place_decides() {
    let fake = Fake::new();
    fake.add_disk("sda", 8, &[1, 2, 0]);
    let machine = fake.machine();
    assert!(machine.may_be_xbootldr("sda", (8, 2)));
    assert!(!machine.may_be_xbootldr("sda", (8, 3)));
    assert!(!machine.may_be_xbootldr("sda", (8, 1)));
    assert!(machine.may_be_xbootldr("sdb", (9, 1)));
}

#[test]
fn given_boot_partitions_are_esps_of_a_root_with_no_boot_of_its_own() {
    let fake = Fake::new();
    let given = ["one", "two"].map(|name| fake.folder.path().join(name));
    for path in &given {
        std::fs::create_dir(path).unwrap();
    }
    let targets = fake.machine().boot_targets_below(fake.folder.path(), &given).unwrap();
    assert_eq!(targets.iter().map(Esp::role).collect::<Vec<_>>(), [sealstone::boot::BootRole::Esp; 2]);
    let missing = [fake.folder.path().join("three")];
    fake.machine().boot_targets_below(fake.folder.path(), &missing).unwrap_err();
}
