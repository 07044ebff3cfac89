//! Power cuts: the machine is killed at a random write of an update, and of what it had not flushed to its disk, each write
//! is lost or not. What boots then is the old system or the new one, whole, and the next update comes to its end.

use std::thread;
use std::time::{Duration, Instant};

use super::life::{Life, UPDATE};
use crate::base::Kind;
use crate::esp::Esp;
use crate::machine::Running;
use crate::random::Random;
use crate::sealing::Signed;

/// An update that has not written for so long has ended.
const QUIET: Duration = Duration::from_secs(15);

/// What a machine does between updates.
const CLEAN: &str = "store prune --keep 2 && store gc && sync";

/// How many of the last requests of an update are cut more often than the others.
const LAST: usize = 25;

/// As many as `SEALSTONE_VM_CUTS` says, or these.
fn wanted(usual: u32) -> u32 {
    std::env::var("SEALSTONE_VM_CUTS").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

#[test]
fn a_power_cut_in_an_update_leaves_the_old_system_or_the_new_one() {
    let test = "a_power_cut_in_an_update_leaves_the_old_system_or_the_new_one";
    let Some(life) = Life::begin("cuts", Kind::Tiny, test) else { return };
    cut_updates(&life, test, wanted(5));
}

#[test]
fn a_power_cut_in_an_update_of_a_unified_kernel_image_leaves_the_old_system_or_the_new_one() {
    let test = "a_power_cut_in_an_update_of_a_unified_kernel_image_leaves_the_old_system_or_the_new_one";
    let Some(life) = Life::begin_sealed("uki-cuts", Signed::Nothing, test) else { return };
    cut_updates(&life, test, wanted(2));
    assert!(!Esp::of(&life.machine.disk()).ukis().is_empty());
}

/// Updates from version to version, and cuts each update but the first.
fn cut_updates(life: &Life, test: &str, cuts: u32) {
    let mut random = Random::seeded(test);
    let image = |version: u32| life.image(&version.to_string()).with_payload(2_000_000);
    let mut guest = life.machine.start_logged();
    guest.is_up("1");
    guest.succeeds("echo mine > /etc/of-the-machine");
    // As all that follow: from a system that is not the latest one.
    life.update(&mut guest, image(2));
    guest.succeeds(CLEAN);
    let mut requests = life.machine.requests();
    let before = requests.count();
    life.update(&mut guest, image(3));
    let undisturbed = requests.count() - before;
    guest.succeeds(CLEAN);
    println!("{test}: an update writes or flushes {undisturbed} times when nobody cuts it");
    // What boots next, if nothing comes between.
    let mut old = 3;
    let mut booted_new = 0;
    for cut in 1..=cuts {
        let new = old + 1;
        life.push(image(new));
        let at = moment(&mut random, undisturbed, cut);
        let done = update_until(life, &mut guest, at);
        guest.cut();
        let loss = life.machine.lose_what_was_not_flushed(|| random.below(2) == 0);

        guest = life.machine.start_logged();
        let booted: u32 = guest.greeting().parse().expect("a version");
        println!(
            "cut {cut}: at request {at} ({done} when it was cut) of the update to {new}, {loss:?}: boots {booted}"
        );
        assert!(booted == old || booted == new, "cut {cut}: {booted} boots");
        booted_new += u32::from(booted == new);
        assert_eq!(guest.succeeds("cat /etc/of-the-machine /etc/version"), format!("mine\n{booted}\n"));
        guest.succeeds("store fsck");
        // The next run comes to the end that nobody disturbed.
        guest.succeeds(UPDATE);
        guest.succeeds(CLEAN);
        old = new;
    }
    guest.reboots("reboot -f", &old.to_string());
    guest.succeeds("store fsck");
    guest.switch_off("poweroff -f");
    println!(
        "{test}: {cuts} cuts; the new system booted after {booted_new} of them, the old one after the others"
    );
}

/// The request at which an update is cut that makes so many: any of them; each third time one of the last, at which the new
/// system comes into its place.
fn moment(random: &mut Random, requests: usize, cut: u32) -> usize {
    let places = if cut.is_multiple_of(3) { LAST.min(requests) } else { requests };
    requests - usize::try_from(random.below(places as u64)).expect("a number")
}

/// Updates until the guest has asked its disk so many times, or for nothing any more; how often it has.
fn update_until(life: &Life, guest: &mut Running, at: usize) -> usize {
    let mut requests = life.machine.requests();
    let before = requests.count();
    guest.send(UPDATE);
    let (mut last, mut quiet) = (before, Instant::now());
    loop {
        let now = requests.count();
        if now - before >= at || quiet.elapsed() > QUIET {
            return now - before;
        }
        if now != last {
            (last, quiet) = (now, Instant::now());
        }
        thread::sleep(Duration::from_millis(1));
    }
}
