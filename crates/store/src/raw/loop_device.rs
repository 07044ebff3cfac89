//! Loop devices: a file as a block device, for kernels whose EROFS reads no files (`linux/loop.h`).
//!
//! What lives here: the two ioctls with their argument's layout. What does not: opening the devices.

use std::os::fd::{AsFd, AsRawFd};

use rustix::{
    io::{Errno, Result},
    ioctl::{self, Opcode, Setter},
};

/// `LOOP_CTL_GET_FREE`
const GET_FREE: Opcode = 0x4c82;
/// `LOOP_CONFIGURE` (Linux 5.8)
const CONFIGURE: Opcode = 0x4c0a;

/// `LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR`: nothing is written, and the last one to close it frees it.
const FLAGS: u32 = 1 | 4;

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

/// Makes the device show the file's content, read-only, until the last descriptor of the device is closed.
pub(crate) fn configure(device: impl AsFd, file: impl AsFd) -> Result<()> {
    let config = LoopConfig {
        fd: u32::try_from(file.as_fd().as_raw_fd()).map_err(|_| Errno::BADF)?,
        block_size: 0,
        device: [0; 3],
        offset: 0,
        size_limit: 0,
        number: 0,
        encryption: [0; 2],
        flags: FLAGS,
        names: [0; 160],
        init: [0; 2],
        reserved: [0; 8],
    };
    // SAFETY: the number is that of LOOP_CONFIGURE, which reads the struct laid out above and nothing else of ours.
    unsafe { ioctl::ioctl(device, Setter::<CONFIGURE, LoopConfig>::new(config)) }
}
