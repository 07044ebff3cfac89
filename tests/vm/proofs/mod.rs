//! One file a promise. All of them skip without `SEALSTONE_VM_PROOFS`, and run one after the other: `make vm`,
//! and `make vm-all` for those that take long.

mod cuts;
mod encrypted;
mod every_cut;
mod fallback;
mod firmware_menu;
mod first_boot;
mod life;
mod other_program;
mod roots;
mod sealed;
mod systemd;
mod to_filesystem;
mod update;
