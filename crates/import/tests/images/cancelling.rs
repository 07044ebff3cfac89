//! A cancel at any point leaves what a kill leaves: nothing that can be seen, and a store that takes the image later.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use sealstone_import::ImportError;
use sealstone_store::{
    CancelToken, Control,
    control::Event,
    disk::{Call, Disk, RealDisk, Reply},
};

use crate::kit::{Fixture, Packing, noise, tar_of};

fn tars() -> [Vec<u8>; 2] {
    [
        tar_of(&[("a", &noise(2_000_000, 1)), ("b", &noise(3000, 2)), ("c", b"c")]),
        tar_of(&[("d", &noise(600_000, 3)), ("e", &noise(70_000, 4))]),
    ]
}

/// Cancels when so many calls have been made.
struct Countdown {
    inner: Arc<dyn Disk>,
    left: AtomicUsize,
    token: CancelToken,
}

impl Disk for Countdown {
    fn call(&self, call: &mut Call<'_>) -> Result<Reply, rustix::io::Errno> {
        let before = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if before == Ok(1) {
            self.token.cancel();
        }
        self.inner.call(call)
    }
}

/// What an import that was perhaps cancelled has to leave.
fn assert_all_or_nothing(mut fixture: Fixture, outcome: Result<(), ImportError>, tars: &[Vec<u8>]) {
    fixture.disk = RealDisk::shared();
    fixture.control = Control::new().with_threads(2);
    let streams = fixture.repository().streams().unwrap().len();
    match outcome {
        Ok(()) => assert_eq!(streams, 4),
        Err(ImportError::Cancelled) => assert_eq!(streams, 0),
        Err(error) => panic!("{error}"),
    }
    fixture.import().unwrap();
    fixture.assert_has(&[&tars[0], &tars[1]]);
}

#[test]
fn a_cancel_at_any_call_to_the_disk_publishes_all_or_nothing() {
    let tars = tars();
    let mut cancelled = 0;
    // As many calls as an import makes, and some more.
    for calls in (1..90).chain((90..200).step_by(7)) {
        let mut fixture = Fixture::with_layers(&[(&tars[0], Packing::Gzip), (&tars[1], Packing::Zstd)]);
        fixture.repository();
        let token = fixture.control.cancel_token();
        let inner = RealDisk::shared();
        fixture.disk = Arc::new(Countdown { inner, left: AtomicUsize::new(calls), token });
        let outcome = fixture.import().map(drop);
        cancelled += usize::from(outcome.is_err());
        assert_all_or_nothing(fixture, outcome, &tars);
    }
    assert!(cancelled > 40, "only {cancelled} of the imports were cut short");
}

#[test]
fn a_cancel_at_any_progress_event_publishes_all_or_nothing() {
    let tars = tars();
    for events in 1..12 {
        let mut fixture = Fixture::with_layers(&[(&tars[0], Packing::Gzip), (&tars[1], Packing::Plain)]);
        let token = fixture.control.cancel_token();
        let left = AtomicUsize::new(events);
        fixture.control = fixture.control.clone().with_progress(Arc::new(move |_: Event| {
            if left.fetch_sub(1, Ordering::Relaxed) == 1 {
                token.cancel();
            }
        }));
        let outcome = fixture.import().map(drop);
        assert_all_or_nothing(fixture, outcome, &tars);
    }
}

#[test]
fn progress_tells_every_layer_from_its_start_to_its_last_byte() {
    use std::{collections::HashMap, sync::Mutex};
    let tars = tars();
    let mut fixture = Fixture::with_layers(&[(&tars[0], Packing::Gzip), (&tars[1], Packing::Plain)]);
    let events = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&events);
    fixture.control =
        fixture.control.clone().with_progress(Arc::new(move |event| sink.lock().unwrap().push(event)));
    let report = fixture.import().unwrap();
    let (mut names, mut totals, mut done) = (HashMap::new(), HashMap::new(), HashMap::new());
    for event in events.lock().unwrap().iter() {
        match event {
            Event::Started { task, name, total, .. } => {
                names.insert(*task, name.clone());
                totals.insert(*task, total.unwrap());
            }
            Event::Advanced { task, done: now } => assert!(done.insert(*task, *now).unwrap_or(0) < *now),
            Event::Finished { task } => assert_eq!(done[task], totals[task]),
            _ => {}
        }
    }
    assert_eq!(names.len(), 2);
    for layer in &report.layers {
        assert!(names.values().any(|name| *name == layer.diff_id.to_string()));
    }
}
