//! Every power cut: what an update writes to the boot partition is recorded in a machine, with its flushes, and each state
//! that a cut could leave is read here as firmware and Linux read it. What boots first is what did before or what shall.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::process::Command;

use super::life::{Life, UPDATE};
use crate::base::{Base, Kind};
use crate::cut_states::CutStates;
use crate::esp::Esp;
use crate::fat::Fat;
use crate::initramfs::{self, RootProgram};
use crate::machine::{Running, copy_sparse};
use crate::offer::{Expected, Found, LOADERS, UNSEEN};
use crate::random::Random;
use crate::sealing::Signed;
use crate::system_image::SystemImage;
use crate::write_log::{Request, WriteLog};

/// The one before boots next; once more, and it is the other one again.
const ROLLBACK: &str = "store rollback";

/// What changes what boots, for each version of the system.
const COMMANDS: [&str; 4] = [UPDATE, ROLLBACK, ROLLBACK, "store prune --keep 2 && store gc"];

/// The same, where kernel arguments are not sealed in what boots.
const COMMANDS_WITH_ARGUMENTS: [&str; 5] =
    [COMMANDS[0], COMMANDS[1], "store kargs set of-the-machine=$RANDOM", COMMANDS[2], COMMANDS[3]];

/// What Linux says of a FAT file system that it found damaged.
const FAT_ERRORS: &str = "dmesg | grep 'FAT-fs.*error' || true";

/// The boot loader in an image.
const LOADER: &str = "usr/lib/systemd/boot/efi/systemd-bootx64.efi";

/// Bytes that are compared at a time.
const PIECE: usize = 1 << 16;

#[test]
fn no_cut_at_any_write_to_the_boot_partition_leaves_another_system_or_none() {
    let test = "no_cut_at_any_write_to_the_boot_partition_leaves_another_system_or_none";
    let Some(life) = Life::begin("every-cut", Kind::Tiny, test) else { return };
    let base = Base::get(test).expect("the base is there");
    let initramfs = initramfs::make(&base.modules(), RootProgram::Ours, None);
    // Each version has a kernel's folder of its own: Linux skips zeros after an initramfs.
    let image = |version: usize| {
        let padded = [&initramfs[..], &vec![0; 512 * version]].concat();
        let image = life.image(&version.to_string()).with_initramfs(base, padded);
        image.with_file(LOADER, of_version(base.file(LOADER), version))
    };
    let (last, worst) = hold(&life, test, &COMMANDS_WITH_ARGUMENTS, image);
    let (fat, tree) = (Fat::new(&last), Fat::new(&last).tree());
    for path in LOADERS {
        assert!(
            fat.content(&tree.files[path]) == of_version(base.file(LOADER), 4),
            "{path} was not replaced"
        );
    }
    let worst = worst.expect("a folder that a cut left");
    fs::rename(life.machine.path("worst"), life.machine.disk()).expect("the disk");
    is_mended_by_fsck(&life);
    let mut guest = life.machine.boots("1");
    guest.succeeds(UPDATE);
    assert_eq!(guest.succeeds(FAT_ERRORS), "", "{worst}");
    // The shell reads names alone. Whoever looks at what they name does the harm.
    assert!(guest.succeeds("echo /boot/*").contains(&format!("/boot{UNSEEN}")), "{worst}");
    guest.run("ls -l /boot");
    assert_ne!(guest.succeeds(FAT_ERRORS), "", "{worst}: the folder is a good one");
    guest.reboots("reboot -f", "4");
    guest.succeeds("store fsck");
    guest.switch_off("poweroff -f");
}

#[test]
fn no_cut_at_any_write_of_a_unified_kernel_image_leaves_another_system_or_none() {
    let test = "no_cut_at_any_write_of_a_unified_kernel_image_leaves_another_system_or_none";
    let Some(life) = Life::begin_sealed("every-uki-cut", Signed::Nothing, test) else { return };
    let (_, worst) = hold(&life, test, &COMMANDS, |version| life.image(&version.to_string()));
    assert_eq!(worst, None);
}

/// A systemd-boot that says it is newer, by so much.
fn of_version(mut loader: Vec<u8>, version: usize) -> Vec<u8> {
    let says = b"#### LoaderInfo: systemd-boot 25";
    let at = loader.windows(says.len()).position(|part| part == says).expect("what it is");
    let number = &mut loader[at + says.len() - 2..=at + says.len()];
    number.copy_from_slice(format!("{}", 300 + version).as_bytes());
    loader
}

/// `fsck.fat -a`, as systemd runs it at a boot, mends what a cut left, and changes no file.
fn is_mended_by_fsck(life: &Life) {
    let disk = life.machine.disk();
    let (mut bytes, folder) =
        (read_at(&disk, &Esp::partition(&disk)), tempfile::tempdir().expect("a folder"));
    let file = folder.path().join("esp");
    fs::write(&file, &bytes).expect("a file");
    let checked =
        Command::new("fsck.fat").arg("-a").arg(&file).output().expect("fsck.fat (package dosfstools)");
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert_eq!(checked.status.code(), Some(1), "it found something: {said}");
    let content = |bytes: &[u8]| -> BTreeMap<String, Vec<u8>> {
        let (fat, tree) = (Fat::new(bytes), Fat::new(bytes).tree());
        tree.files.iter().map(|(path, file)| (path.clone(), fat.content(file))).collect()
    };
    let before = content(&bytes);
    bytes = fs::read(&file).expect("the file");
    assert_eq!(Fat::new(&bytes).tree().faults, [], "{said}");
    assert!(content(&bytes) == before, "files changed: {said}");
}

/// Changes what boots in all ways, in the guest, and looks at every state of each. Gives what the boot partition is like
/// at the end, and the name of the first state that has a fault, if any has; its disk is `worst` in the machine's folder then.
fn hold(
    life: &Life,
    test: &str,
    commands: &[&str],
    image: impl Fn(usize) -> SystemImage,
) -> (Vec<u8>, Option<String>) {
    let mut guest = life.machine.start_logged();
    guest.is_up("1");
    let mut runs = Vec::new();
    for version in 2..=4 {
        life.push(image(version));
        for command in commands {
            runs.push((format!("{version}: {command}"), recorded(life, &mut guest, command)));
        }
    }
    guest.cut();

    let before = life.machine.path("disk-before");
    let place = Esp::partition(&before);
    let log = WriteLog::read(&life.machine.path("writes"));
    let mut bytes = read_at(&before, &place);
    let mut random = Random::seeded(test);
    let (mut done, mut states, mut broken, mut worst) = (0, 0, Vec::new(), None);
    for (name, range) in runs {
        bytes = CutStates::new(bytes, place.start, &log.requests()[done..range.start]).after();
        let run = CutStates::new(bytes, place.start, &log.requests()[range.clone()]);
        let expected = Expected::between(run.before(), &run.after());
        let mut found = Found::default();
        bytes = run.each(&mut random, |state| {
            let is_first = found.look(state, &expected) && worst.is_none();
            if is_first {
                let requests = &log.requests()[..range.start + state.durable];
                write_disk(life, requests, &place, state.bytes);
                worst = Some(format!("{name}: {}", state.name));
            }
        });
        println!("{name}: {} states, {:?}", found.states, found.faults);
        states += found.states;
        broken.extend(found.broken.into_iter().map(|what| format!("{name}: {what}")));
        done = range.end;
    }
    println!("{test}: {states} states, worst {worst:?}");
    assert!(broken.is_empty(), "{broken:#?}");
    (bytes, worst)
}

/// A disk after these requests, but for its boot partition.
fn write_disk(life: &Life, requests: &[Request], place: &Range<u64>, bytes: &[u8]) {
    use std::os::unix::fs::FileExt;
    let disk = life.machine.path("worst");
    copy_sparse(&life.machine.path("disk-before"), &disk);
    let file = fs::File::options().read(true).write(true).open(&disk).expect("the disk");
    for request in requests {
        file.write_all_at(&request.data, request.offset).expect("a write");
    }
    let (mut at, mut there) = (place.start, vec![0; PIECE]);
    for piece in bytes.chunks(PIECE) {
        let there = &mut there[..piece.len()];
        file.read_exact_at(there, at).expect("the partition");
        if there != piece {
            file.write_all_at(piece, at).expect("a write");
        }
        at += piece.len() as u64;
    }
}

/// The place in the log of what a command asks of the disk.
fn recorded(life: &Life, guest: &mut Running, command: &str) -> Range<usize> {
    guest.succeeds("sync");
    let mut requests = life.machine.requests();
    let before = requests.count();
    guest.succeeds(&format!("{command} && sync"));
    before..requests.count()
}

fn read_at(path: &Path, place: &Range<u64>) -> Vec<u8> {
    use std::os::unix::fs::FileExt;
    let mut bytes = vec![0; usize::try_from(place.end - place.start).expect("a size")];
    fs::File::open(path).expect("the disk").read_exact_at(&mut bytes, place.start).expect("the partition");
    bytes
}
