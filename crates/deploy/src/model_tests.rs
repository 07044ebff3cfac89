//! Random sequences of deploy, update, switch, finalise, rollback, kernel arguments, pin, prune, gc, local edits and reboots,
//! with crashes at any call, against a model in memory.
//!
//! The model knows only what a user is told: the menu is a list, a deploy comes first and what ran second, a rollback swaps
//! the first two, and so on. Invariants after each step, crashed or not: what runs boots; so do the first two of the menu and
//! the pinned ones, with all objects of their images there; entries equal records after reconcile; what was changed in
//! `/etc` stays, and goes along with what ran to what comes into the menu.

mod model;
mod world;

use proptest::prelude::*;

use self::{model::Step, world::World};

fn steps() -> impl Strategy<Value = Vec<(Step, Option<usize>)>> {
    let step = prop_oneof![
        3 => (0..4_usize, 0..2_u8).prop_map(|(system, karg)| Step::Deploy { system, karg }),
        3 => (0..4_usize, any::<bool>()).prop_map(|(system, locked)| Step::Stage { system, locked }),
        2 => (0..4_usize, 1..3_u8).prop_map(|(system, place)| Step::Switch { system, place }),
        2 => any::<bool>().prop_map(|unlock| Step::Finalize { unlock }),
        2 => Just(Step::Rollback),
        1 => proptest::option::of(0..3_u8).prop_map(Step::Level),
        2 => (0..5_usize, any::<bool>()).prop_map(|(place, pinned)| Step::Pin { place, pinned }),
        1 => (0..4_usize).prop_map(|count| Step::Prune { count }),
        1 => (0..5_usize).prop_map(|place| Step::Remove { place }),
        2 => Just(Step::Gc),
        3 => (0..4_usize, proptest::option::of(0..100_u8)).prop_map(|(file, value)| Step::Edit { file, value }),
        2 => Just(Step::Reboot),
    ];
    let crash = prop_oneof![2 => Just(None), 1 => (0..220_usize).prop_map(Some)];
    proptest::collection::vec((step, crash), 1..9)
}

/// `SEALSTONE_SOAK` asks for many more.
fn cases() -> u32 {
    if std::env::var_os("SEALSTONE_SOAK").is_some() { 2_000 } else { 48 }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(), max_shrink_iters: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_with_crashes_keeps_what_runs_bootable_and_comes_to_what_the_model_says(steps in steps()) {
        let mut world = World::new();
        for (step, crash) in steps {
            world.run(&step, crash);
            world.check(&step);
        }
    }
}
