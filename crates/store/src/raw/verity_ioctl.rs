//! The kernel's side of fs-verity: `FS_IOC_ENABLE_VERITY` and `FS_IOC_MEASURE_VERITY` (`linux/fsverity.h`).
//!
//! What lives here: the two calls with their argument layouts and what their errors mean. What does not: when to call
//! them, and what to do where they are not supported.
//!
//! Enabling needs a descriptor that is open for reading only, while nobody has the file open for writing.

use std::os::fd::AsFd;

use rustix::{
    io::Errno,
    ioctl::{self, Setter, Updater, opcode},
};

use crate::{Algorithm, BLOCK_SIZE, ObjectId};

/// Why a file was not sealed or measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerityError {
    /// The kernel, or this file system as it was made, has no fs-verity (or not this algorithm).
    #[error("fs-verity is not supported by this kernel or file system")]
    Unsupported,
    /// Enable: the file is sealed already, with whatever digest.
    #[error("the file has fs-verity already")]
    AlreadySealed,
    /// Measure: the file is not sealed.
    #[error("the file has no fs-verity")]
    NotSealed,
    /// Enable: somebody has the file open for writing.
    #[error("the file is open for writing")]
    OpenForWriting,
    /// Measure: sealed with a hash that is neither SHA-256 nor SHA-512 (its number in Linux).
    #[error("the file has fs-verity with the unknown hash algorithm {0}")]
    ForeignAlgorithm(u16),
    /// Anything else, as the kernel says it (`ENOSPC`, `EIO`, `EROFS`, `EACCES`, …).
    #[error("{0}")]
    Other(Errno),
}

impl From<Errno> for VerityError {
    fn from(errno: Errno) -> Self {
        match errno {
            // ENOTTY: no such ioctl here. EOPNOTSUPP: not in this kernel or not a feature of this file system.
            // ENOPKG: the kernel lacks the hash.
            Errno::NOTTY | Errno::OPNOTSUPP | Errno::NOPKG => Self::Unsupported,
            Errno::EXIST => Self::AlreadySealed,
            Errno::NODATA => Self::NotSealed,
            Errno::TXTBSY => Self::OpenForWriting,
            other => Self::Other(other),
        }
    }
}

/// `struct fsverity_enable_arg`. The kernel's pointers are `__u64` on every architecture.
#[repr(C)]
struct EnableArgument {
    version: u32,
    hash_algorithm: u32,
    block_size: u32,
    salt_size: u32,
    salt_pointer: u64,
    signature_size: u32,
    reserved_1: u32,
    signature_pointer: u64,
    reserved_2: [u64; 11],
}

/// `struct fsverity_digest` with room for the longest digest. The ioctl's number counts the two fields only.
#[repr(C)]
struct DigestArgument {
    algorithm: u16,
    size: u16,
    digest: [u8; 64],
}

const _: () = assert!(size_of::<EnableArgument>() == 128);
const _: () = assert!(size_of::<DigestArgument>() == 68);

const ENABLE: ioctl::Opcode = opcode::write::<EnableArgument>(b'f', 133);
const MEASURE: ioctl::Opcode = opcode::read_write::<[u16; 2]>(b'f', 134);

/// Seals a file: from now on the kernel refuses writes, and checks each page it reads against the Merkle tree.
///
/// The tree is written here, so this takes as long as reading and hashing the file does.
///
/// # Errors
/// [`VerityError`], never `NotSealed` or `ForeignAlgorithm`.
pub fn enable(file: impl AsFd, algorithm: Algorithm) -> Result<(), VerityError> {
    let argument = EnableArgument {
        version: 1,
        hash_algorithm: u32::from(algorithm.kernel_number()),
        block_size: 1 << BLOCK_SIZE.trailing_zeros(),
        salt_size: 0,
        salt_pointer: 0,
        signature_size: 0,
        reserved_1: 0,
        signature_pointer: 0,
        reserved_2: [0; 11],
    };
    // SAFETY: the number is that of FS_IOC_ENABLE_VERITY, whose argument is the struct laid out above, read only by
    // the kernel; both of its pointers are null with size 0.
    unsafe { ioctl::ioctl(file, Setter::<ENABLE, EnableArgument>::new(argument)) }.map_err(VerityError::from)
}

/// The digest that the kernel holds of a sealed file. Reads no content.
///
/// # Errors
/// [`VerityError`]: `NotSealed`, `Unsupported`, `ForeignAlgorithm` or `Other`.
pub fn measure(file: impl AsFd) -> Result<ObjectId, VerityError> {
    let mut argument = DigestArgument { algorithm: 0, size: 64, digest: [0; 64] };
    // SAFETY: the number is that of FS_IOC_MEASURE_VERITY; the kernel writes at most `size` bytes after the two
    // fields, and there are 64.
    unsafe { ioctl::ioctl(file, Updater::<MEASURE, DigestArgument>::new(&mut argument)) }?;
    u8::try_from(argument.algorithm)
        .ok()
        .and_then(Algorithm::from_kernel_number)
        .filter(|algorithm| algorithm.digest_len() == usize::from(argument.size))
        .map(|algorithm| ObjectId::from_padded(algorithm, argument.digest))
        .ok_or(VerityError::ForeignAlgorithm(argument.algorithm))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::*;

    #[test]
    fn the_ioctl_numbers_are_those_of_the_kernels_header() {
        // From <linux/fsverity.h> on x86_64, arm64 and all others with the generic ioctl encoding.
        if cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
            assert_eq!((ENABLE, MEASURE), (0x4080_6685, 0xc004_6686));
        }
    }

    #[test]
    fn a_sealed_file_measures_as_our_digest_or_the_kernel_says_that_it_cannot() {
        let folder = tempfile::tempdir_in(".").unwrap();
        let path = folder.path().join("file");
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            fs::write(&path, b"body").unwrap();
            let file = File::open(&path).unwrap();
            match enable(&file, algorithm) {
                Ok(()) => {
                    assert_eq!(measure(&file), Ok(crate::verity::digest(algorithm, b"body")));
                    assert_eq!(enable(&file, algorithm), Err(VerityError::AlreadySealed));
                }
                Err(VerityError::Unsupported) => {
                    println!("no fs-verity in this kernel or file system: the digest was not compared");
                    assert!(matches!(measure(&file), Err(VerityError::Unsupported | VerityError::NotSealed)));
                }
                Err(other) => panic!("{other:?}"),
            }
            fs::remove_file(&path).unwrap();
        }
    }
}
