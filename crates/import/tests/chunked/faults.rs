//! Servers that fail in the middle of a partial pull.

use std::{collections::HashSet, sync::Mutex};

use crate::{
    kit::{Images, Layer, Machine, full_pull, tree},
    server::Reply,
};

fn two() -> (Layer, Layer, Images) {
    let (old, new) = (Layer::pack(&tree(1)), Layer::pack(&tree(2)));
    let images = Images::of(&[("old", &old), ("new", &new)]);
    (old, new, images)
}

#[test]
fn a_server_that_answers_a_part_with_everything_is_asked_for_everything_once() {
    // At the table of contents, and later.
    for since in [0, 1] {
        let (_, new, images) = two();
        let blob = new.blob.clone();
        let server = images.serve(move |request, _, before| {
            (request.header("range").is_some() && before >= since).then(|| Reply::new(200, blob.clone()))
        });
        let machine = Machine::new();
        machine.pull(&server, "old").unwrap();
        let report = machine.pull(&server, "new").unwrap();
        let layer = &report.layers[0];
        assert!(!layer.is_partial && layer.whole_because.as_ref().unwrap().contains("parts"));
        let whole = server.requests_of(&new.digest());
        assert_eq!(whole.iter().filter(|one| one.header("range").is_none()).count(), 1);
        assert_eq!(machine.stream(&new), full_pull(&new));
        assert_eq!(machine.warnings.lock().unwrap().len(), 0);
        machine.assert_healthy();
    }
}

#[test]
fn another_part_than_was_asked_for_is_never_used() {
    for since in [0, 1, 2] {
        let (_, new, images) = two();
        let size = new.blob.len();
        let server = images.serve(move |request, good, before| {
            (request.header("range").is_some() && before >= since).then(|| {
                Reply::new(206, good.body.clone())
                    .header("Content-Range", format!("bytes 0-{}/{size}", good.body.len() - 1))
            })
        });
        let machine = Machine::new();
        machine.pull(&server, "old").unwrap();
        let report = machine.pull(&server, "new").unwrap();
        assert!(!report.layers[0].is_partial, "{since}");
        assert_eq!(machine.warnings.lock().unwrap().len(), 1);
        assert_eq!(machine.stream(&new), full_pull(&new));
    }
}

#[test]
fn a_part_that_is_cut_goes_on_where_it_ended() {
    let (_, new, images) = two();
    // Each part once: those that go on end where the first one would have ended.
    let cut = Mutex::new(HashSet::new());
    let server = images.serve(move |request, good, _| {
        let end = request.header("range")?.split_once('-')?.1.to_owned();
        let length = good.body.len();
        let is_first = length > 10 && cut.lock().unwrap().insert(end);
        is_first.then(|| good.clone().header("Content-Length", length.to_string()).cut_at(length / 2))
    });
    let machine = Machine::new();
    machine.pull(&server, "old").unwrap();
    let report = machine.pull(&server, "new").unwrap();
    assert!(report.layers[0].is_partial, "{:?}", report.layers[0].whole_because);
    assert_eq!(machine.stream(&new), full_pull(&new));
    machine.assert_healthy();
}

#[test]
fn parts_with_other_bytes_lead_to_the_whole_blob_and_that_to_an_error_if_it_has_them_too() {
    for everywhere in [false, true] {
        for since in [0, 1] {
            let (_, new, images) = two();
            let digest = new.digest();
            let server = images.serve(move |request, good, before| {
                let is_part = request.header("range").is_some() && before >= since;
                let is_whole =
                    everywhere && request.path.ends_with(&digest) && request.header("range").is_none();
                (is_part || is_whole).then(|| {
                    let mut bad = good.clone();
                    let middle = bad.body.len() / 2;
                    bad.body[middle] ^= 0x20;
                    bad
                })
            });
            let machine = Machine::new();
            machine.pull(&server, "old").unwrap();
            let report = machine.pull(&server, "new");
            assert_eq!(machine.warnings.lock().unwrap().len(), 1);
            if everywhere {
                assert!(report.unwrap_err().is_untrusted());
                assert_eq!(machine.stream(&new), None, "something was published");
            } else {
                assert!(!report.unwrap().layers[0].is_partial);
                assert_eq!(machine.stream(&new), full_pull(&new));
            }
            machine.assert_healthy();
        }
    }
}

#[test]
fn a_registry_that_goes_away_fails_the_pull_with_nothing_published() {
    let (_, new, images) = two();
    let server = images.serve(move |request, _, before| {
        (request.header("range").is_some() && before >= 2).then(|| Reply::new(503, ""))
    });
    let machine = Machine::new();
    machine.pull(&server, "old").unwrap();
    let error = machine.pull(&server, "new").unwrap_err();
    assert!(matches!(error, sealstone_import::ImportError::Unreachable { .. }), "{error}");
    assert_eq!(machine.stream(&new), None);
    machine.assert_healthy();
}
