//! Any tree, any part of it here already: the same layer as of a full pull.

use proptest::prelude::*;

use crate::kit::{Images, Layer, Machine, full_pull, noise, tar_of};

/// Sizes around everything that is decided by size: nothing, inline, held, chunked, streamed.
fn size() -> impl Strategy<Value = usize> {
    prop_oneof![Just(0), 1..70_usize, 500..5000_usize, 60_000..90_000_usize, 260_000..400_000_usize]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_partial_pull_makes_what_a_full_pull_makes(
        files in prop::collection::vec((size(), 0_u64..40, any::<bool>(), any::<bool>()), 1..25),
    ) {
        let bodies: Vec<(String, Vec<u8>, bool)> = files
            .iter()
            .enumerate()
            .map(|(number, (size, seed, has_hole, is_here))| {
                let mut body = noise(*size, *seed);
                if *has_hole && body.len() > 3000 {
                    let end = body.len() - 500;
                    body[700..end].fill(0);
                }
                (format!("usr/file{number}"), body, *is_here)
            })
            .collect();
        let all = bodies.iter().map(|(name, body, _)| (name.as_str(), body.as_slice()));
        let here = bodies.iter().filter(|(_, _, is_here)| *is_here);
        let ballast = noise(100_000, 99);
        let here = here.map(|(name, body, _)| (name.as_str(), body.as_slice())).chain([("usr/ballast", &*ballast)]);
        let new = Layer::pack(&tar_of(all.chain([("usr/z", &*ballast)])));
        let old = Layer::pack(&tar_of(here));
        let server = Images::of(&[("old", &old), ("new", &new)]).serve(|_, _, _| None);
        let machine = Machine::new();
        machine.pull(&server, "old").unwrap();
        let plan = machine.plan(&server, "new");
        let report = machine.pull(&server, "new").unwrap();
        let layer = &report.layers[0];
        prop_assert_eq!(layer.is_partial, plan.layers[0].is_partial);
        prop_assert!(!layer.is_partial || layer.fetched_bytes == plan.bytes_to_read());
        prop_assert_eq!(machine.stream(&new), full_pull(&new));
        prop_assert_eq!(machine.warnings.lock().unwrap().len(), 0);
        machine.assert_healthy();
    }
}
