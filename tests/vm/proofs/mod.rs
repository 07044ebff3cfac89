//! One file a promise. All of them skip without `SEALSTONE_VM_PROOFS`, and run one after the other: `make vm`.

mod cuts;
mod first_boot;
mod life;
mod update;
