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
    volume.close_when_unused("root").unwrap();
    volume.bind_to_tpm(&TpmBinding::default()).unwrap();
    volume.bind_to_tpm(&TpmBinding { keeps_key: true, pcrs: Some("7+11".into()) }).unwrap();
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
        ("cryptsetup close --deferred -- root", false),
        ("systemd-cryptenroll KEY --tpm2-device=auto --wipe-slot=all /dev/vda2", true),
        ("systemd-cryptenroll KEY --tpm2-device=auto --tpm2-pcrs=7+11 /dev/vda2", true),
    ];
    assert_eq!(ran.len(), expected.len());
    for ((line, key), (expected, has_key)) in ran.iter().zip(expected) {
        assert_eq!(line, expected);
        assert_eq!(key == b"a very secret key", has_key, "{line}");
    }
}

/// Fails at one program.
struct Failing<'a>(&'a Recorder, &'a str);

impl Programs for Failing<'_> {
    fn run(&self, program: &str, arguments: &[&str]) -> Result<(), DeployError> {
        self.0.run(program, arguments)?;
        let reason = "it fails".to_owned();
        if arguments.contains(&self.1) || program == self.1 {
            return Err(DeployError::Program { program: program.into(), reason });
        }
        Ok(())
    }
}

fn root_of(programs: &dyn Programs, unlock: LuksUnlock) -> Result<LuksRoot<'_>, DeployError> {
    let request = LuksRequest::new(unlock, LuksKey::of(b"a very secret key")?, Some("7".into()))?;
    LuksRoot::make(programs, std::path::Path::new("/dev/vda2"), request, &Seed::new(b"luks"))
}

#[test]
fn a_root_is_opened_by_the_tpm_alone_or_by_a_key_or_by_both() {
    let luks = LuksRequest::uuid(&Seed::new(b"luks"));
    for (unlock, enrolls, options) in [
        (LuksUnlock::Tpm2, Some("--wipe-slot=all"), Some("luks.options=tpm2-device=auto,headless=true")),
        (LuksUnlock::KeyFile, None, None),
        (LuksUnlock::KeyFileAndTpm2, Some("--tpm2-pcrs=7"), Some("luks.options=tpm2-device=auto")),
    ] {
        let programs = Recorder::default();
        let mut root = root_of(&programs, unlock).unwrap();
        assert_eq!(root.device(), std::path::Path::new(&format!("/dev/mapper/install-{luks}")));
        root.close_with_its_mount().unwrap();
        let made = root.finish().unwrap();
        assert_eq!(made, MadeLuks { uuid: luks.to_string(), unlock });
        let ran: Vec<String> = programs.0.into_inner().unwrap().into_iter().map(|(line, _)| line).collect();
        // A random key needs no time to be tried.
        assert_eq!(ran[0].contains("--pbkdf-force-iterations 1000"), unlock == LuksUnlock::Tpm2, "{ran:?}");
        assert_eq!(ran[2], format!("cryptsetup close --deferred -- install-{luks}"));
        assert_eq!(ran.get(3).map(|line| line.contains(enrolls.unwrap())), enrolls.map(|_| true), "{ran:?}");
        let wipes = ran.get(3).is_some_and(|line| line.contains("--wipe-slot"));
        assert_eq!((ran.len(), wipes), (3 + usize::from(enrolls.is_some()), unlock == LuksUnlock::Tpm2));
        let kargs: Vec<_> = unlock.kargs(luks).unwrap().iter().map(ToString::to_string).collect();
        let expected = [Some(format!("luks.uuid={luks}")), options.map(str::to_owned)];
        assert_eq!(kargs, expected.into_iter().flatten().collect::<Vec<_>>());
    }
    let key = || LuksKey::of(b"k").unwrap();
    assert!(LuksRequest::new(LuksUnlock::Tpm2, key(), Some("7 --wipe-slot=all".into())).is_err());
    assert!(LuksRequest::new(LuksUnlock::Tpm2, key(), Some(String::new())).is_err());
}

#[test]
fn an_installation_that_fails_closes_the_volume_that_it_opened() {
    let programs = Recorder::default();
    drop(root_of(&programs, LuksUnlock::KeyFile).unwrap());
    let (last, _) = programs.0.into_inner().unwrap().pop().unwrap();
    assert!(last.starts_with("cryptsetup close -- install-"), "{last}");
    // One that was never open is not closed.
    let programs = Recorder::default();
    root_of(&Failing(&programs, "open"), LuksUnlock::KeyFile).unwrap_err();
    assert_eq!(programs.0.into_inner().unwrap().len(), 2);
    // Without a TPM there is no binding, and the error says so.
    let programs = Recorder::default();
    let failing = Failing(&programs, "systemd-cryptenroll");
    let mut root = root_of(&failing, LuksUnlock::Tpm2).unwrap();
    root.close_with_its_mount().unwrap();
    assert!(matches!(root.finish().unwrap_err(), DeployError::Program { .. }));
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
