//! The doctor: what this file system and this kernel offer to a repository, and what follows from each answer.
//!
//! Every answer comes from trying, with unnamed files that vanish and mounts that are never attached; nothing is
//! concluded from versions. Without root the mounts cannot be tried, and the answer says so.

use rustix::io::Errno;
use serde::Serialize;

use crate::{
    Algorithm, Error, Result,
    disk::{Dir, File},
    erofs, layout,
    mount::probe,
    tree::{Metadata, Timestamp, Tree},
};

/// Whether something can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ability {
    /// It was tried and works.
    Yes,
    /// It was tried and does not work.
    No,
    /// It could not be tried.
    Unknown,
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// What was asked for: `fs-verity`, `O_TMPFILE`, `reflink`, …
    pub what: &'static str,
    /// Whether it can be had.
    pub ability: Ability,
    /// What the system said, if it said something; empty otherwise.
    pub reason: String,
    /// What follows.
    pub consequence: &'static str,
}

/// All answers for one folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DoctorReport {
    /// The type of the file system.
    pub file_system: String,
    /// What may still be written, in bytes.
    pub available_bytes: u64,
    /// How many inodes are free; 0 where they are not counted.
    pub free_inodes: u64,
    /// The answers.
    pub findings: Vec<Finding>,
}

/// What an attempt gave, before it is known what it means.
pub(crate) struct Attempt {
    pub(crate) ability: Ability,
    pub(crate) reason: String,
}

impl Attempt {
    pub(crate) fn yes() -> Self {
        Self { ability: Ability::Yes, reason: String::new() }
    }

    pub(crate) fn no(reason: &impl ToString) -> Self {
        Self { ability: Ability::No, reason: reason.to_string() }
    }

    pub(crate) fn unknown(reason: &impl ToString) -> Self {
        Self { ability: Ability::Unknown, reason: reason.to_string() }
    }

    /// Of a call to the disk: what it does not support it does not have, other errors tell nothing.
    fn of<T>(result: Result<T>) -> Self {
        match result {
            Ok(_) => Self::yes(),
            Err(error) => match error.errno() {
                Some(
                    Errno::OPNOTSUPP
                    | Errno::NOTTY
                    | Errno::NOSYS
                    | Errno::INVAL
                    | Errno::ISDIR
                    | Errno::XDEV
                    | Errno::NOPKG,
                ) => Self::no(&error),
                _ => Self::unknown(&error),
            },
        }
    }

    fn means(self, what: &'static str, yes: &'static str, no: &'static str) -> Finding {
        let consequence = match self.ability {
            Ability::Yes => yes,
            Ability::No => no,
            Ability::Unknown => "It is tried again when it is needed.",
        };
        Finding { what, ability: self.ability, reason: self.reason, consequence }
    }
}

/// Examines the file system of a folder (of a repository, or one where a repository shall be) and the kernel. Leaves no
/// trace.
///
/// # Errors
/// When not even the file system's type can be told.
pub fn doctor(dir: &Dir) -> Result<DoctorReport> {
    let space = dir.space()?;
    let mut findings = file_findings(dir).to_vec();
    findings.extend(mount_findings(dir));
    Ok(DoctorReport {
        file_system: dir.fs_type()?.to_string(),
        available_bytes: space.available,
        free_inodes: space.free_inodes,
        findings,
    })
}

fn file_findings(dir: &Dir) -> [Finding; 4] {
    let temporary = || dir.create_temp(layout::OBJECT_MODE);
    let seal = |algorithm: Algorithm| {
        let file = temporary()?;
        file.write_all_at(0, b"probe")?;
        let read_only = file.reopen_read_only()?;
        drop(file);
        read_only.enable_verity(algorithm)?;
        let digest = crate::verity::digest(algorithm, b"probe");
        match read_only.measure_verity()? {
            Some(measured) if measured == digest => Ok(()),
            _ => Err(Error::Verity {
                what: "a probe".to_owned(),
                reason: "the kernel measures another digest".to_owned(),
            }),
        }
    };
    let reflink = || {
        let (from, to) = (temporary()?, temporary()?);
        from.write_all_at(0, &[1; 4096])?;
        to.reflink_from(&from)
    };
    let verity = |what, algorithm| {
        Attempt::of(seal(algorithm)).means(
            what,
            "A new repository here requires it: the kernel guards every object.",
            "A repository here computes digests itself, when objects are written and when they are read. Booting from it \
             is not protected against changes of the disk.",
        )
    };
    [
        verity("fs-verity-sha256", Algorithm::Sha256),
        verity("fs-verity-sha512", Algorithm::Sha512),
        Attempt::of(temporary()).means(
            "O_TMPFILE",
            "A killed import leaves nothing behind.",
            "Objects are written under temporary names; gc removes what a killed import leaves.",
        ),
        Attempt::of(reflink()).means(
            "reflink",
            "Files are copied by sharing their blocks.",
            "Files are copied byte by byte.",
        ),
    ]
}

fn mount_findings(dir: &Dir) -> [Finding; 4] {
    let abilities = match image(dir) {
        Ok(image) => probe::mounts(&image, dir),
        Err(error) => probe::Mounts::unknown(&error),
    };
    [
        abilities.api.means(
            "mount-api",
            "Images are mounted with fsopen(2) and its kin.",
            "Images cannot be mounted: Linux 5.2 or later is needed.",
        ),
        abilities.erofs.means(
            "erofs",
            "The kernel reads images.",
            "Images cannot be mounted: the kernel has no EROFS.",
        ),
        abilities.erofs_from_file.means(
            "erofs-from-file",
            "Images are mounted straight from their files.",
            "Images are mounted through a loop device.",
        ),
        abilities.data_only.means(
            "overlay-data-only",
            "overlayfs takes the content of files from the object folder.",
            "Images cannot be mounted: overlayfs needs data-only layers (Linux 6.5) and metacopy.",
        ),
    ]
}

/// An empty image, to be mounted.
fn image(dir: &Dir) -> Result<File> {
    let root = Metadata { mode: 0o755, uid: 0, gid: 0, mtime: Timestamp { sec: 0, nsec: 0 } };
    let bytes = erofs::write(&Tree::new(root)).map_err(|error| Error::corrupt("probe", error.to_string()))?;
    let file = dir.create_temp(layout::OBJECT_MODE)?;
    file.write_all_at(0, &bytes)?;
    file.reopen_read_only()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::RealDisk;

    #[test]
    fn every_question_is_answered_with_a_consequence_and_nothing_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let dir = Dir::open(&RealDisk::shared(), folder.path()).unwrap();
        let report = doctor(&dir).unwrap();
        assert_eq!(report.findings.len(), 8);
        for finding in &report.findings {
            println!("{}: {:?} {} {}", finding.what, finding.ability, finding.reason, finding.consequence);
            assert!(!finding.consequence.is_empty());
            assert_eq!(finding.ability == Ability::Yes, finding.reason.is_empty());
        }
        assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none());
        assert!(serde_json::to_string(&report).unwrap().contains("\"what\":\"reflink\""));
    }

    #[test]
    fn the_answer_on_fs_verity_is_what_a_new_repository_does() {
        let folder = tempfile::tempdir().unwrap();
        let disk = RealDisk::shared();
        let report = doctor(&Dir::open(&disk, folder.path()).unwrap()).unwrap();
        let options = crate::InitOptions::default();
        let repository = crate::Repository::init(&disk, folder.path().join("repo"), &options).unwrap().0;
        let can = report.findings.iter().any(|f| f.what == "fs-verity-sha256" && f.ability == Ability::Yes);
        assert_eq!(can, repository.verity() == crate::Verity::Required);
    }
}
