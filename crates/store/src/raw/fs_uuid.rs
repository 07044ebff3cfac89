//! The UUID of a file system that is mounted.
//!
//! What lives here: Linux' own call for it, and what btrfs has had before that. What does not: other places to look.
//! Sources: `linux/fs.h` (`FS_IOC_GETFSUUID`, Linux 6.9), `linux/btrfs.h` (`BTRFS_IOC_FS_INFO`).

use std::os::fd::AsFd;

use rustix::{
    io::{Errno, Result},
    ioctl::{self, Getter, Opcode, opcode},
};

/// `struct fsuuid2`
#[repr(C)]
struct FsUuid {
    len: u8,
    uuid: [u8; 16],
}

/// `struct btrfs_ioctl_fs_info_args`, of which we want the id.
#[repr(C)]
struct BtrfsInfo {
    max_id: u64,
    num_devices: u64,
    fsid: [u8; 16],
    rest: [u64; 124],
}

const _: () = assert!(size_of::<FsUuid>() == 17);
const _: () = assert!(size_of::<BtrfsInfo>() == 1024);

const OF_ANY: Opcode = opcode::read::<FsUuid>(0x15, 0);
const OF_BTRFS: Opcode = opcode::read::<BtrfsInfo>(0x94, 31);

/// The UUID of the file system that this is on; `None` where it has none, or the kernel does not tell.
///
/// # Errors
/// When the disk fails.
pub(crate) fn of_any(fd: impl AsFd) -> Result<Option<[u8; 16]>> {
    // SAFETY: the number is that of FS_IOC_GETFSUUID, which writes the struct laid out above and nothing else, and of which
    // each bit pattern is a value. Kernels and file systems without it know no ioctl of this number and refuse it.
    let told = unsafe { ioctl::ioctl(fd, Getter::<OF_ANY, FsUuid>::new()) };
    // FAT has four bytes, which are no UUID.
    Ok(unless_unknown(told)?.filter(|told| usize::from(told.len) == told.uuid.len()).map(|told| told.uuid))
}

/// The same of a btrfs, by a call of its own that all kernels have.
///
/// # Errors
/// When the disk fails.
pub(crate) fn of_btrfs(fd: impl AsFd) -> Result<Option<[u8; 16]>> {
    // SAFETY: the number is that of BTRFS_IOC_FS_INFO, which reads and writes the struct laid out above and nothing else, and
    // of which each bit pattern is a value. Whoever is no btrfs knows no ioctl of this number and refuses it.
    let told = unsafe { ioctl::ioctl(fd, Getter::<OF_BTRFS, BtrfsInfo>::new()) };
    Ok(unless_unknown(told)?.map(|told| told.fsid))
}

fn unless_unknown<T>(told: Result<T>) -> Result<Option<T>> {
    match told {
        Err(Errno::NOTTY | Errno::OPNOTSUPP | Errno::INVAL) => Ok(None),
        told => told.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, path::Path, process::Command};

    use super::*;

    /// Whether a program ends well; it says itself why not.
    fn runs(program: &str, options: &[&str], paths: &[&Path]) -> bool {
        Command::new(program).args(options).args(paths).status().is_ok_and(|status| status.success())
    }

    #[test]
    fn the_ioctl_numbers_are_those_of_the_kernels_headers() {
        if cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
            assert_eq!((OF_ANY, OF_BTRFS), (0x8011_1500, 0x8400_941f));
        }
    }

    #[test]
    fn what_has_no_uuid_is_no_error() {
        let proc = File::open("/proc").unwrap();
        assert_eq!(of_any(&proc), Ok(None));
        assert_eq!(of_btrfs(&proc), Ok(None));
    }

    #[test]
    fn the_uuid_is_the_one_that_the_file_system_was_made_with() {
        let folder = tempfile::tempdir().unwrap();
        let (image, place) = (folder.path().join("disk"), folder.path().join("mnt"));
        File::create(&image).unwrap().set_len(4 << 20).unwrap();
        std::fs::create_dir(&place).unwrap();
        let is_mounted = runs("mkfs.ext4", &["-q", "-U", "00112233-4455-6677-8899-aabbccddeeff"], &[&image])
            && runs("mount", &["-o", "loop"], &[&image, &place]);
        if !is_mounted {
            println!("skipped: no ext4 can be mounted here");
            return;
        }
        let told = of_any(File::open(&place).unwrap());
        assert!(runs("umount", &[], &[&place]));
        // Kernels before 6.9 do not tell.
        if let Some(uuid) = told.unwrap() {
            assert_eq!(u128::from_be_bytes(uuid), 0x0011_2233_4455_6677_8899_aabb_ccdd_eeff);
        }
    }
}
