//! Proofs in virtual machines: firmware, boot loader, initramfs and a kernel with fs-verity, on disks that `store` made.
//!
//! `make vm` runs them (it sets `SEALSTONE_VM_PROOFS`; elsewhere they say that they skip). QEMU emulates the processor: KVM
//! is not to be had everywhere. What was proven how often is in docs/proof.md.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "tests, with ordinary files"
)]

#[path = "../kit/mod.rs"]
mod kit;

mod agent;
mod base;
mod console;
mod cut_states;
mod devices;
mod esp;
mod fat;
mod initramfs;
mod install;
mod machine;
mod monitor;
mod offer;
mod plugged;
mod proofs;
mod random;
mod sealing;
mod system_image;
mod tpm;
mod write_log;
