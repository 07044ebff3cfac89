//! Images of disks, raw and qcow2, read as streams: the disk that comes out is the one that went in, whatever the order in
//! the image and however it is cut; hostile images are refused with a reason.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    reason = "a test"
)]

mod hostile;
mod kit;
mod orders;
mod qemu;
