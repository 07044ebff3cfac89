//! Loop devices: a file, or a part of one, as a block device (`linux/loop.h`).
//!
//! What lives here: the ioctls with their argument's layout, and the one by which the kernel reads a partition table again.
//! What does not: opening the devices.

use std::os::fd::{AsFd, AsRawFd};

use rustix::{
    io::{Errno, Result},
    ioctl::{self, Opcode, Setter},
};

/// `LOOP_CTL_GET_FREE`
const GET_FREE: Opcode = 0x4c82;
/// `LOOP_CONFIGURE` (Linux 5.8)
const CONFIGURE: Opcode = 0x4c0a;

/// `BLKRRPART`
const REREAD: Opcode = 0x125f;

/// `LO_FLAGS_READ_ONLY`: nothing is written.
const READ_ONLY: u32 = 1;
/// `LO_FLAGS_AUTOCLEAR`: the last one to close it frees it.
const AUTOCLEAR: u32 = 4;

/// A part of a file, to be written to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    /// In bytes.
    pub(crate) offset: u64,
    /// In bytes.
    pub(crate) size: u64,
    /// The size of the sectors that the device shows.
    pub(crate) sector: u32,
}

/// `struct loop_config` with the `struct loop_info64` in it.
#[repr(C)]
struct LoopConfig {
    fd: u32,
    block_size: u32,
    device: [u64; 3],
    offset: u64,
    size_limit: u64,
    number: u32,
    encryption: [u32; 2],
    flags: u32,
    names: [u8; 160],
    init: [u64; 2],
    reserved: [u64; 8],
}

const _: () = assert!(size_of::<LoopConfig>() == 304);

/// `LOOP_CTL_GET_FREE`: its result is the return value.
struct GetFree;

// SAFETY: the ioctl takes no argument and touches no memory; its return value is the number.
unsafe impl ioctl::Ioctl for GetFree {
    type Output = i32;
    const IS_MUTATING: bool = false;

    fn opcode(&self) -> Opcode {
        GET_FREE
    }

    fn as_ptr(&mut self) -> *mut std::ffi::c_void {
        std::ptr::null_mut()
    }

    unsafe fn output_from_ptr(number: ioctl::IoctlOutput, _: *mut std::ffi::c_void) -> Result<i32> {
        Ok(number)
    }
}

/// The number of a loop device that nobody uses, made if need be; another process may take it first.
pub(crate) fn free_number(control: impl AsFd) -> Result<u32> {
    // SAFETY: see the implementation above.
    let number = unsafe { ioctl::ioctl(control, GetFree) }?;
    u32::try_from(number).map_err(|_| Errno::NODEV)
}

/// Makes the device show the file's content, read-only, or a part of it, until the last descriptor of the device is closed.
pub(crate) fn configure(device: impl AsFd, file: impl AsFd, part: Option<Part>) -> Result<()> {
    let config = LoopConfig {
        fd: u32::try_from(file.as_fd().as_raw_fd()).map_err(|_| Errno::BADF)?,
        block_size: part.map_or(0, |part| part.sector),
        device: [0; 3],
        offset: part.map_or(0, |part| part.offset),
        size_limit: part.map_or(0, |part| part.size),
        number: 0,
        encryption: [0; 2],
        flags: AUTOCLEAR | if part.is_none() { READ_ONLY } else { 0 },
        names: [0; 160],
        init: [0; 2],
        reserved: [0; 8],
    };
    // SAFETY: the number is that of LOOP_CONFIGURE, which reads the struct laid out above and nothing else of ours.
    unsafe { ioctl::ioctl(device, Setter::<CONFIGURE, LoopConfig>::new(config)) }
}

/// Makes the kernel read the partition table of a disk again.
pub(crate) fn reread_partitions(disk: impl AsFd) -> Result<()> {
    // SAFETY: BLKRRPART takes no argument and touches no memory of ours.
    unsafe { ioctl::ioctl(disk, ioctl::NoArg::<REREAD>::new()) }
}
