//! The steps and their arguments, against a recorder; and cryptsetup itself, where it is installed.

use std::sync::Mutex;

use sealstone_store::disk::RealDisk;

use super::*;
use crate::install::{HostPrograms, Seed};

/// Notes what is run, and what the key file has at that moment.
#[derive(Default)]
struct Recorder(Mutex<Vec<(String, Vec<u8>)>>);

impl Programs for Recorder {
    fn run(&self, program: &str, arguments: &[&str]) -> Result<(), DeployError> {
        let key = arguments.iter().find_map(|argument| argument.strip_prefix("--unlock-key-file="));
        let key = key.or_else(|| arguments.iter().find(|argument| argument.starts_with("/proc/")).copied());
        let key = key.map(|path| std::fs::read(path).unwrap()).unwrap_or_default();
        let line = format!("{program} {}", arguments.join(" "));
        let line = line.split_whitespace().map(|word| if word.contains("/proc/") { "KEY" } else { word });
        self.0.lock().unwrap().push((line.collect::<Vec<_>>().join(" "), key));
        Ok(())
    }
}

fn uuid() -> Uuid {
    Seed::new(b"luks").uuid("root")
}

#[test]
fn the_steps_are_bootcs_and_the_key_is_in_no_argument_and_in_no_file() {
    let programs = Recorder::default();
    let key = LuksKey::of(b"a very secret key").unwrap();
    let options = LuksOptions { uuid: Some(uuid()), iterations: Some(1000) };
    let volume = LuksVolume::format(&programs, "/dev/vda2", key, &options).unwrap();
    assert_eq!(volume.open("root").unwrap(), PathBuf::from("/dev/mapper/root"));
    volume.close("root").unwrap();
    volume.bind_to_tpm().unwrap();
    let ran = programs.0.into_inner().unwrap();
    let format = format!(
        "cryptsetup luksFormat --type luks2 --batch-mode --key-file KEY --uuid {} --pbkdf pbkdf2 \
         --pbkdf-force-iterations 1000 -- /dev/vda2",
        uuid()
    );
    let expected = [
        (format.as_str(), true),
        ("cryptsetup open --type luks2 --key-file KEY -- /dev/vda2 root", true),
        ("cryptsetup close -- root", false),
        ("systemd-cryptenroll KEY --wipe-slot=all --tpm2-device=auto /dev/vda2", true),
    ];
    assert_eq!(ran.len(), expected.len());
    for ((line, key), (expected, has_key)) in ran.iter().zip(expected) {
        assert_eq!(line, expected);
        assert_eq!(key == b"a very secret key", has_key, "{line}");
    }
    let kargs = tpm_kargs(uuid()).unwrap();
    let kargs: Vec<_> = kargs.iter().map(ToString::to_string).collect();
    assert_eq!(
        kargs,
        [format!("luks.uuid={}", uuid()), "luks.options=tpm2-device=auto,headless=true".to_owned()]
    );
}

#[test]
fn cryptsetup_makes_a_volume_that_opens_with_its_key_and_with_no_other() {
    let programs = HostPrograms::new("/usr/sbin:/usr/bin:/sbin:/bin");
    if programs.run("cryptsetup", &["--version"]).is_err() {
        println!("skipped: no cryptsetup here");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let device = folder.path().join("device").display().to_string();
    std::fs::write(&device, vec![0; 32 << 20]).unwrap();
    let random = File::open(&RealDisk::shared(), "/dev/urandom").unwrap();
    let key = LuksKey::random(&random).unwrap();
    let options = LuksOptions { uuid: Some(uuid()), iterations: Some(1000) };
    let volume = LuksVolume::format(&programs, &device, key, &options).unwrap();
    let opens = |key: &LuksKey| {
        programs.run("cryptsetup", &["open", "--test-passphrase", "--key-file", &key.path(), "--", &device])
    };
    opens(&volume.key).unwrap();
    assert!(matches!(opens(&LuksKey::of(b"another").unwrap()), Err(DeployError::Program { .. })));
    let header = std::fs::read(&device).unwrap();
    assert!(header.starts_with(b"LUKS\xba\xbe\0\x02"));
    assert!(header[..4096].windows(36).any(|window| window == uuid().to_string().as_bytes()));
    let nowhere = HostPrograms::new("/nonexistent");
    let missing = LuksVolume::format(&nowhere, &device, volume.key, &options);
    assert!(matches!(missing.unwrap_err(), DeployError::Program { .. }));
}
